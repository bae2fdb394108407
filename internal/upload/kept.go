package upload

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// What a store drops of an object's properties, it drops in silence. An object of
// parts is looked at in any case; one in one piece only where something was asked
// for, and no object of this run has shown yet that the store keeps such a thing.
// Tags and access have calls of their own, where HEAD does not tell of them.

// Names of what is kept, beside those of attributes.
const (
	keptTags    = "tags"
	keptAccess  = "access"
	keptNothing = "nothing of what was replaced"
)

// habits are what objects of this run have shown of what their buckets do with
// what was asked for.
type habits struct {
	kept  map[string]bool   // they keep it, see keeps
	plain map[string]string // in which way they have not encrypted, see plainKey
}

// keeps says whether objects of a bucket have shown that it keeps all of this, or
// that nobody can tell.
func (u *Uploader) keeps(bucket string, names []string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !slices.ContainsFunc(names, func(name string) bool { return !u.habits.kept[bucket+"/"+name] })
}

func (u *Uploader) sawKept(bucket string, names ...string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.habits.kept == nil {
		u.habits.kept = make(map[string]bool)
	}
	for _, name := range names {
		u.habits.kept[bucket+"/"+name] = true
	}
}

// isKept and sawKept are about objects in one piece: a store that keeps a property
// of these may lose it where parts are put together, or on a copy.
func (t *transfer) isKept(name string) bool {
	return t.isOnePiece() && t.u.keeps(t.job.Bucket, []string{name})
}

func (t *transfer) sawKept(name string) {
	if t.isOnePiece() {
		t.u.sawKept(t.job.Bucket, name)
	}
}

func (t *transfer) isOnePiece() bool { return t.res.Parts == 0 && t.res.Status != Updated }

// asked names the properties that somebody asked for and that HEAD shows.
func (t *transfer) asked() []string {
	var names []string
	for _, a := range t.props.attributes(new(s3.HeadObjectOutput)) {
		if a.want != "" && (a.name != "content type" || t.job.Properties.ContentType != "") {
			names = append(names, a.kind())
		}
	}
	if len(t.props.Tags) > 0 {
		names = append(names, keptTags)
	}
	if t.first != nil && t.hasMore(t.first) {
		names = append(names, keptNothing)
	}
	return names
}

// kind is what a store keeps or does not: not every class is another's equal.
func (a attribute) kind() string {
	if a.name == "storage class" {
		return a.name + " " + a.want
	}
	return a.name
}

// hasMore says whether an object has something that was not asked for.
func (t *transfer) hasMore(out *s3.HeadObjectOutput) bool {
	n, _ := tagCount(out)
	return n > 0 && len(t.props.Tags) == 0 || slices.ContainsFunc(t.props.attributes(out), func(a attribute) bool { return a.want == "" && a.got != "" })
}

// lookBack looks at an object in one piece, for the checksum that was asked for,
// where the answer to PutObject did not show it, and for its properties.
func (t *transfer) lookBack(ctx context.Context) error {
	names := t.asked()
	compares := !t.o.KeepsProperties && !t.u.keeps(t.job.Bucket, names)
	if !compares && !t.lacksSum() {
		return nil
	}
	out, err := t.head(ctx)
	switch {
	case err != nil && t.lacksSum() && passes(KindOf(err)) && !cannotLook(err):
		return err
	case err != nil && compares:
		if cannotLook(err) {
			t.u.sawKept(t.job.Bucket, names...) // once is enough
		}
		t.note("whether the store keeps what was asked for cannot be told (%s): the object may not be looked at%s", reason(err), lacking(err, "s3:GetObject", ""))
	case err != nil:
	case seen(out).etag != t.res.ETag:
		if compares {
			t.note("somebody else has written the object since: what it was to carry was not compared")
		}
	case compares:
		t.shows(out)
		t.tellDifferences()
		t.learnKept(out, names)
	default:
		t.summed = shownSums(out)
	}
	return nil
}

// learnKept notes what the store has been seen to keep.
func (t *transfer) learnKept(out *s3.HeadObjectOutput, names []string) {
	kept := make(map[string]bool)
	for _, a := range t.props.attributes(out) {
		kept[a.kind()] = a.got == a.want
	}
	n, _ := tagCount(out)
	kept[keptTags] = n == len(t.props.Tags)
	kept[keptNothing] = !t.hasMore(out)
	t.u.sawKept(t.job.Bucket, slices.DeleteFunc(names, func(name string) bool { return !kept[name] })...)
}

// compareUnshown notes what the object lacks of the tags and the access that were
// asked for, where HEAD did not tell. The object is stored and verified: that
// nobody answers is no failure of it.
func (t *transfer) compareUnshown(ctx context.Context) {
	if t.o.KeepsProperties {
		return
	}
	t.lookForTags(ctx)
	t.lookForAccess(ctx)
}

// lookForTags counts the tags where HEAD shows no number of them: to some it never
// does, and to others not if there is none.
func (t *transfer) lookForTags(ctx context.Context) {
	told := func(out *s3.HeadObjectOutput) bool { return out != nil && out.TagCount != nil }
	want := t.props.Tags
	if len(want) == 0 || told(t.shown) || told(t.original) || t.isKept(keptTags) {
		return
	}
	out, err := t.u.client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &t.job.Bucket, Key: &t.job.Key}, t.with)
	if err != nil {
		t.unseenKept(err, keptTags, "tags", "those that were asked for are")
		return
	}
	n := 0
	for _, tag := range out.TagSet {
		if value, ok := want[aws.ToString(tag.Key)]; ok && value == aws.ToString(tag.Value) {
			n++
		}
	}
	if n == len(want) {
		t.sawKept(keptTags)
		return
	}
	t.res.Lacking = true
	t.note("the store has not kept the tags: the object has %d of %d", n, len(want))
}

// lookForAccess asks whether those have access who were to have it.
func (t *transfer) lookForAccess(ctx context.Context) {
	missing := t.props.access()
	if len(missing) == 0 || t.isKept(keptAccess) {
		return
	}
	out, err := t.u.client.GetObjectAcl(ctx, &s3.GetObjectAclInput{Bucket: &t.job.Bucket, Key: &t.job.Key}, t.with)
	if err != nil {
		t.unseenKept(err, keptAccess, "ACLs", "the one that was asked for is")
		return
	}
	for _, g := range out.Grants {
		if g.Grantee != nil {
			has := access{g.Permission, aws.ToString(g.Grantee.URI) + aws.ToString(g.Grantee.ID)}
			missing = slices.DeleteFunc(missing, func(a access) bool { return a == has })
		}
	}
	if len(missing) == 0 {
		t.sawKept(keptAccess)
		return
	}
	var words []string
	for _, a := range missing {
		words = append(words, string(a.permission)+" for "+a.who)
	}
	t.res.Lacking = true
	t.note("the store has not kept the ACL: %s is missing", clip(strings.Join(words, ", ")))
}

// unseenKept settles a question about what HEAD does not show that was not
// answered. Who may not ask has to believe that it is there.
func (t *transfer) unseenKept(err error, name, what, which string) {
	switch {
	case status(err) == 0 || passes(KindOf(err)) && status(err) != http.StatusForbidden:
		t.note("whether the store has kept the %s that were asked for cannot be told (%s)", what, reason(err))
	case status(err) == http.StatusForbidden:
		t.sawKept(name)
	default:
		t.note("the store tells of no %s (%s): %s most likely not kept", what, reason(err), which)
	}
}

// An access is what somebody may do with an object.
type access struct {
	permission types.Permission
	who        string // an id, or the URI of a group
}

// access returns who is to have access beside the owners, as far as the answer of
// a store tells it: an address becomes an id, and what a bucket's owner gets is
// seen only where it is not the object's.
func (p Properties) access() []access {
	const groups = "http://acs.amazonaws.com/groups/global/"
	var all []access
	switch p.ACL {
	case types.ObjectCannedACLPublicRead, types.ObjectCannedACLPublicReadWrite:
		all = append(all, access{types.PermissionRead, groups + "AllUsers"})
	case types.ObjectCannedACLAuthenticatedRead:
		all = append(all, access{types.PermissionRead, groups + "AuthenticatedUsers"})
	}
	add := func(permission types.Permission, grantees []string) {
		for _, grantee := range grantees {
			if kind, who, _ := strings.Cut(grantee, "="); kind == "id" || kind == "uri" {
				all = append(all, access{permission, strings.Trim(who, `"`)})
			}
		}
	}
	add(types.PermissionRead, p.Grants.Read)
	add(types.PermissionReadAcp, p.Grants.ReadACP)
	add(types.PermissionWriteAcp, p.Grants.WriteACP)
	add(types.PermissionFullControl, p.Grants.FullControl)
	return all
}
