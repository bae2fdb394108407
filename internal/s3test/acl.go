package s3test

import (
	"encoding/xml"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// An acl is who may do what with a version, as the request that made it said.
type acl struct {
	canned string              // "" for private
	grants map[string][]string // grantees as in uri="…", by permission
}

var cannedACLs = []string{"private", "public-read", "public-read-write", "aws-exec-read", "authenticated-read",
	"bucket-owner-read", "bucket-owner-full-control"}

// grantHeaders are the headers that grant, and what.
var grantHeaders = map[string]string{
	"X-Amz-Grant-Read": "READ", "X-Amz-Grant-Read-Acp": "READ_ACP", "X-Amz-Grant-Write-Acp": "WRITE_ACP", "X-Amz-Grant-Full-Control": "FULL_CONTROL",
}

var grantee = regexp.MustCompile(`^(id|uri|emailAddress)="([^"]+)"$`)

// aclOf reads what a request says about access. Nothing of it is ever copied.
func (c *call) aclOf() (a acl, err error) {
	a.canned = c.h.Get("X-Amz-Acl")
	for name, permission := range grantHeaders {
		value := c.h.Get(name)
		if value == "" {
			continue
		}
		if a.grants == nil {
			a.grants = map[string][]string{}
		}
		for who := range strings.SplitSeq(value, ",") {
			who = strings.TrimSpace(who)
			if !grantee.MatchString(who) {
				return a, fail("InvalidArgument", "Argument format not recognized").with("ArgumentName", name).with("ArgumentValue", value)
			}
			a.grants[permission] = append(a.grants[permission], who)
		}
	}
	switch {
	case a.canned == "" && a.grants == nil:
	case a.canned != "" && a.grants != nil:
		return a, fail("InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed")
	case a.canned != "" && !slices.Contains(cannedACLs, a.canned):
		return a, fail("InvalidArgument").with("ArgumentName", "x-amz-acl").with("ArgumentValue", a.canned)
	case c.q.BucketOwnerEnforced && a.canned != "bucket-owner-full-control":
		return a, fail("AccessControlListNotSupported")
	case c.q.denies("s3:PutObjectAcl"):
		return a, fail("AccessDenied")
	case c.q.AccessIgnored:
		return acl{}, nil
	}
	return a, nil
}

type granteeXML struct {
	XSI          string `xml:"xmlns:xsi,attr"`
	Type         string `xml:"xsi:type,attr"`
	ID           string `xml:",omitempty"`
	URI          string `xml:",omitempty"`
	EmailAddress string `xml:",omitempty"`
}

type grantXML struct {
	Grantee    granteeXML
	Permission string
}

const (
	ownerID    = "s3test-owner"
	allUsers   = "http://acs.amazonaws.com/groups/global/AllUsers"
	someUsers  = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
	schemaType = "http://www.w3.org/2001/XMLSchema-instance"
)

func newGrant(permission, kind, who string) grantXML {
	g := grantXML{Permission: permission, Grantee: granteeXML{XSI: schemaType}}
	switch kind {
	case "id":
		g.Grantee.Type, g.Grantee.ID = "CanonicalUser", who
	case "uri":
		g.Grantee.Type, g.Grantee.URI = "Group", who
	default:
		g.Grantee.Type, g.Grantee.EmailAddress = "AmazonCustomerByEmail", who
	}
	return g
}

func getObjectACL(c *call) (*answer, error) {
	x := &struct {
		XMLName xml.Name   `xml:"AccessControlPolicy"`
		OwnerID string     `xml:"Owner>ID"`
		Grants  []grantXML `xml:"AccessControlList>Grant"`
	}{OwnerID: ownerID}
	return ok(x), c.locked(func() error {
		b, err := c.find()
		if err != nil {
			return err
		}
		v, err := c.current(b, c.key, c.query.Get("versionId"), http.Header{})
		if err != nil {
			return err
		}
		if v.acl.grants == nil {
			x.Grants = append(x.Grants, newGrant("FULL_CONTROL", "id", ownerID))
		}
		switch v.acl.canned {
		case "public-read":
			x.Grants = append(x.Grants, newGrant("READ", "uri", allUsers))
		case "public-read-write":
			x.Grants = append(x.Grants, newGrant("READ", "uri", allUsers), newGrant("WRITE", "uri", allUsers))
		case "authenticated-read":
			x.Grants = append(x.Grants, newGrant("READ", "uri", someUsers))
		}
		for permission, grantees := range v.acl.grants {
			for _, who := range grantees {
				m := grantee.FindStringSubmatch(who)
				x.Grants = append(x.Grants, newGrant(permission, m[1], m[2]))
			}
		}
		slices.SortFunc(x.Grants, func(a, b grantXML) int { return strings.Compare(a.Permission, b.Permission) })
		return nil
	})
}
