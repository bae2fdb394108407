package upload_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"s3up/internal/s3test"
	"s3up/internal/store"
	"s3up/internal/upload"
)

// A liar answers some requests itself and passes the others on to the server of
// a stand.
type liar struct {
	pass http.Handler
	lie  atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if lie := l.lie.Load(); lie != nil && (*lie)(w, r) {
		return
	}
	l.pass.ServeHTTP(w, r)
}

// newLiar puts a liar between a stand and its server.
func newLiar(t testing.TB, change ...func(*store.Config)) (*stand, *liar) {
	t.Helper()
	st := newStand(t, s3test.Options{})
	to, err := url.Parse(st.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // it is signed
	}}
	l := &liar{pass: proxy}
	srv := httptest.NewServer(l)
	t.Cleanup(srv.Close)
	st.store = openStore(t, srv.URL, append([]func(*store.Config){func(c *store.Config) {
		c.RetryFor = 300 * time.Millisecond
	}}, change...)...)
	return st, l
}

func (l *liar) tell(lie func(http.ResponseWriter, *http.Request) bool) { l.lie.Store(&lie) }

func isListUploads(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Query().Has("uploads")
}
func isListParts(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Query().Has("uploadId")
}

const (
	uploadsOpen = `<ListMultipartUploadsResult><Bucket>b</Bucket>`
	oneUpload   = `<Upload><Key>k</Key><UploadId>u</UploadId><Initiated>2026-01-01T00:00:00Z</Initiated></Upload>`
	uploadsEnd  = `</ListMultipartUploadsResult>`
	partsOpen   = `<ListPartsResult><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId>`
	partsEnd    = `</ListPartsResult>`
)

func onePart(number, size, tag, modified string) string {
	return fmt.Sprintf("<Part><PartNumber>%s</PartNumber><Size>%s</Size><ETag>%s</ETag><LastModified>%s</LastModified></Part>", number, size, tag, modified)
}

// Listings are a help, and never a reason to fail or to go on for ever: what they
// say is taken for true only where the file agrees.
func TestAbsurdListings(t *testing.T) {
	t.Parallel()
	data := random(3*KiB, "hostile")
	sum := md5Hex(data[:KiB])
	const now = "2026-01-01T00:00:00Z"
	for name, test := range map[string]struct {
		uploads, parts string // "" is what is
		note           string
	}{
		"no XML":                {uploads: "it works!", note: "cannot be listed"},
		"a web page":            {uploads: "<!DOCTYPE html><html><body><p>busy<br></body></html>", note: "cannot be listed"},
		"another document":      {uploads: "<a/>", note: "cannot be listed"},
		"nothing":               {uploads: " ", note: "cannot be listed"},
		"laughs":                {uploads: `<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>` + uploadsOpen + "<Upload><Key>&b;</Key></Upload>" + uploadsEnd, note: "cannot be listed"},
		"a file as an entity":   {uploads: `<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + uploadsOpen + "<Upload><Key>&a;</Key></Upload>" + uploadsEnd, note: "cannot be listed"},
		"another encoding":      {uploads: `<?xml version="1.0" encoding="UTF-16"?>` + uploadsOpen + uploadsEnd, note: "cannot be listed"},
		"deep":                  {uploads: uploadsOpen + strings.Repeat("<a>", 10_000) + strings.Repeat("</a>", 10_000) + uploadsEnd},
		"deeper":                {uploads: strings.Repeat("<a>", 100_000), note: "cannot be listed"},
		"a date that is none":   {uploads: uploadsOpen + "<Upload><Key>k</Key><UploadId>u</UploadId><Initiated>yesterday</Initiated></Upload>" + uploadsEnd, note: "cannot be listed"},
		"a flag that is none":   {uploads: uploadsOpen + "<IsTruncated>perhaps</IsTruncated>" + uploadsEnd, note: "cannot be listed"},
		"other keys":            {uploads: uploadsOpen + "<Upload><Key>kk</Key><UploadId>u</UploadId></Upload><Upload><Key></Key><UploadId>u</UploadId></Upload><Upload/>" + uploadsEnd},
		"no id":                 {uploads: uploadsOpen + "<Upload><Key>k</Key><UploadId></UploadId></Upload>" + uploadsEnd},
		"a huge id":             {uploads: uploadsOpen + "<Upload><Key>k</Key><UploadId>" + strings.Repeat("i", 1<<20+1<<14) + "</UploadId></Upload>" + uploadsEnd, note: "age that the store does not tell"},
		"an id of controls":     {uploads: uploadsOpen + "<Upload><Key>k</Key><UploadId>../&#10;&#x9b;?x=1&amp;uploads#</UploadId></Upload>" + uploadsEnd},
		"a part 0":              {parts: onePart("0", "1024", sum, now), note: "was left alone"},
		"a negative part":       {parts: onePart("-1", "1024", sum, now), note: "was left alone"},
		"a part of 10^9":        {parts: onePart("1000000000", "1024", sum, now), note: "was left alone"},
		"a part of 2^32+1":      {parts: onePart("4294967297", "1024", sum, now), note: "starting anew"}, // the SDK reads a 1
		"an upload that is not": {parts: onePart("1", "1024", sum, now), note: "starting anew"},
		"a part of 2^70":        {parts: onePart("1180591620717411303424", "1024", sum, now), note: "left alone"},
		"a part of no number":   {parts: onePart("one", "1024", sum, now), note: "left alone"},
		"a part without":        {parts: "<Part/>", note: "left alone"},
		"the same part twice":   {parts: onePart("1", "1024", md5Hex(nil), now) + onePart("1", "1024", md5Hex(nil), now), note: "was left alone"},
		"a negative size":       {parts: onePart("1", "-1024", sum, now), note: "was left alone"},
		"the least size":        {parts: onePart("1", "-9223372036854775808", sum, now) + onePart("2", "-9223372036854775808", sum, now), note: "was left alone"},
		"the largest size":      {parts: onePart("1", "9223372036854775807", sum, now) + onePart("3", "9223372036854775807", sum, now), note: "was left alone"},
		"a size above int64":    {parts: onePart("1", "9223372036854775808", sum, now), note: "left alone"},
		"a size of 0":           {parts: onePart("2", "0", md5Hex(nil), now), note: "was left alone"},
		"a date of parts":       {parts: onePart("1", "1024", md5Hex(nil), "31 February"), note: "left alone"},
		"an ETag that is none":  {parts: onePart("1", "1024", "not an MD5&#10;&#x9b;", now), note: "was left alone"},
		"an ETag without end":   {parts: onePart("1", "1024", strings.Repeat("e", 1<<17), now), note: "was left alone"},
		"too many parts": {parts: strings.Repeat(onePart("1", "1024", md5Hex(nil), now), 100) + strings.Repeat("<Part><PartNumber>99999</PartNumber></Part>", 10_000),
			note: "was left alone"},
	} {
		t.Run(name, func(t *testing.T) {
			st, l := newLiar(t)
			l.tell(func(w http.ResponseWriter, r *http.Request) bool {
				uploads := test.uploads
				if uploads == "" {
					uploads = uploadsOpen + oneUpload + uploadsEnd
				}
				switch {
				case isListUploads(r):
					io.WriteString(w, uploads)
				case isListParts(r) && r.URL.Query().Get("uploadId") == "u":
					io.WriteString(w, partsOpen+test.parts+partsEnd)
				default:
					return false
				}
				return true
			})
			r := st.upload(t, file(t, data), "k", staleAfter(time.Hour*1e6))
			st.ends(t, r, "k", data, upload.SelfCopy)
			if test.note == "" {
				notes(t, r)
			} else {
				notes(t, r, test.note)
			}
			if r.PartsResumed != 0 {
				t.Errorf("%d parts were taken for stored", r.PartsResumed)
			}
			for _, note := range r.Notes {
				if len(note) > KiB {
					t.Errorf("a note of %d bytes", len(note))
				}
			}
		})
	}
}

// Listings that go on for ever, each page with a marker that is new.
func TestEndlessListings(t *testing.T) {
	t.Parallel()
	data := random(3*KiB, "endless")
	const pages, looks = 5, 7
	for name, test := range map[string]struct {
		uploads func(page int) string
		parts   func(page int) string
		note    string
		lists   int // pages of uploads
		looks   int // pages of parts
	}{
		"uploads of other keys": {uploads: func(int) string { return "<Upload><Key>k2</Key><UploadId>u</UploadId></Upload>" },
			note: "its listing does not end", lists: pages},
		"uploads": {uploads: func(page int) string {
			return strings.Repeat(fmt.Sprintf("<Upload><Key>k</Key><UploadId>u%d</UploadId></Upload>", page), 3)
		}, note: "lists more than 7 unfinished uploads", lists: 3, looks: looks},
		"parts": {parts: func(page int) string { return onePart(fmt.Sprint(page), "1024", "x", "2026-01-01T00:00:00Z") }, lists: 1, looks: pages},
		"parts beyond 10,000": {parts: func(page int) string {
			var b strings.Builder
			for n := range 6000 {
				fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber></Part>", page*6000+n)
			}
			return b.String()
		}, lists: 1, looks: 2},
	} {
		t.Run(name, func(t *testing.T) {
			st, l := newLiar(t)
			var lists, looked atomic.Int32
			l.tell(func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case isListUploads(r):
					n := int(lists.Add(1))
					if test.uploads == nil {
						io.WriteString(w, uploadsOpen+oneUpload+uploadsEnd)
						break
					}
					fmt.Fprintf(w, "%s<IsTruncated>true</IsTruncated><NextKeyMarker>k%d</NextKeyMarker><NextUploadIdMarker>m%d</NextUploadIdMarker>%s%s",
						uploadsOpen, n, n, test.uploads(n), uploadsEnd)
				case isListParts(r) && strings.HasPrefix(r.URL.Query().Get("uploadId"), "u"):
					n := int(looked.Add(1))
					if test.parts == nil {
						io.WriteString(w, partsOpen+partsEnd)
						break
					}
					fmt.Fprintf(w, "%s<IsTruncated>true</IsTruncated><NextPartNumberMarker>%d</NextPartNumberMarker>%s%s", partsOpen, n, test.parts(n), partsEnd)
				default:
					return false
				}
				return true
			})
			r := st.upload(t, file(t, data), "k", staleAfter(time.Hour*1e6), func(r *run) { r.Limits.Pages, r.Limits.Looks = pages, looks })
			st.ends(t, r, "k", data, upload.SelfCopy)
			if test.note != "" && !strings.Contains(strings.Join(r.Notes, "\n"), test.note) {
				t.Errorf("no note says %q: %q", test.note, r.Notes)
			}
			if int(lists.Load()) != test.lists || int(looked.Load()) != test.looks {
				t.Errorf("%d pages of uploads and %d of parts were read, want %d and %d", lists.Load(), looked.Load(), test.lists, test.looks)
			}
		})
	}
}

// A listing of staged copies that goes on for ever, or that has others' objects.
func TestEndlessStagedListings(t *testing.T) {
	t.Parallel()
	data := random(3*KiB, "endless")
	const pages, looks = 5, 7
	for name, test := range map[string]struct {
		objects, note string
		lists, heads  int
	}{
		"no objects":   {note: "the listing does not end", lists: pages},
		"many objects": {objects: strings.Repeat("<Contents><Key>%s</Key></Contents>", 3), note: "more than 7 objects are beside the key", lists: 3, heads: looks},
	} {
		t.Run(name, func(t *testing.T) {
			st, l := newLiar(t)
			var lists, heads atomic.Int32
			l.tell(func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case r.Method == http.MethodGet && r.URL.Query().Get("list-type") == "2":
					// Tokens that come round again and again are no end either.
					fmt.Fprintf(w, "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>%d</NextContinuationToken>%s</ListBucketResult>",
						lists.Add(1)%2, strings.ReplaceAll(test.objects, "%s", r.URL.Query().Get("prefix")+"x"))
				case r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, "-x"):
					heads.Add(1)
					w.WriteHeader(http.StatusNotFound)
				default:
					return false
				}
				return true
			})
			r := st.upload(t, file(t, data), "k", normalize(upload.NormalizeStaged), staleAfter(0), func(r *run) { r.Limits.Pages, r.Limits.Looks = pages, looks })
			st.ends(t, r, "k", data, upload.StagedCopy)
			notes(t, r, test.note)
			if int(lists.Load()) != test.lists || int(heads.Load()) != test.heads {
				t.Errorf("%d pages were read and %d objects looked at, want %d and %d", lists.Load(), heads.Load(), test.lists, test.heads)
			}
		})
	}
}

// Answers to the calls that make the object: whatever they say, the upload ends
// well only if the object is there, and else as temporary, in one line.
func TestAbsurdAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter){
		"a web page":        func(w http.ResponseWriter) { io.WriteString(w, "<html><body><h1>Welcome</h1><br></body></html>") },
		"a date of nothing": func(w http.ResponseWriter) { w.Header().Set("Last-Modified", "never"); w.Header().Set("ETag", `"x"`) },
		"a date in XML": func(w http.ResponseWriter) {
			io.WriteString(w, "<CopyObjectResult><LastModified>never</LastModified></CopyObjectResult>")
		},
		"an ETag of spaces": func(w http.ResponseWriter) { w.Header().Set("ETag", `"  `+strings.Repeat("é", 1000)+`"`) },
		"a length of nothing": func(w http.ResponseWriter) {
			w.Header().Set("X-Amz-Mp-Parts-Count", "many")
			w.Header().Set("X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", "perhaps")
		},
		"a redirect": func(w http.ResponseWriter) { w.Header().Set("Location", "/elsewhere"); w.WriteHeader(307) },
	} {
		for op, is := range map[string]func(*http.Request) bool{
			"HeadObject":            func(r *http.Request) bool { return r.Method == http.MethodHead },
			"CreateMultipartUpload": func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploads") },
			"UploadPart": func(r *http.Request) bool {
				return r.Method == http.MethodPut && r.URL.Query().Get("partNumber") == "2"
			},
			"CompleteMultipartUpload": func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploadId") },
			"CopyObject":              func(r *http.Request) bool { return r.Header.Get("X-Amz-Copy-Source") != "" },
		} {
			t.Run(op+" "+name, func(t *testing.T) {
				data := random(3*KiB, "absurd")
				st, l := newLiar(t)
				l.tell(func(w http.ResponseWriter, r *http.Request) bool {
					if !is(r) {
						return false
					}
					io.Copy(io.Discard, r.Body)
					answer(w)
					return true
				})
				r := st.upload(t, file(t, data), "k")
				st.check(t, r, "k", data, upload.Temporary, upload.Usage, upload.Integrity, upload.Conflict)
				if r.Err != nil && (strings.Contains(r.Err.Error(), "panic") || len(r.Err.Error()) > 4*KiB) {
					t.Errorf("got %.4000v", r.Err)
				}
				l.lie.Store(nil)
				st.ends(t, st.upload(t, file(t, data), "k", staleAfter(0)), "k", data, upload.SelfCopy)
				st.nothingLeft(t, "k")
			})
		}
	}
}

// FuzzListings has the engine read listings of any bytes. No part is taken for
// stored but one that the file has.
func FuzzListings(f *testing.F) {
	data := random(3*KiB, "fuzz")
	sum := md5Hex(data[:KiB])
	const now = "2026-01-01T00:00:00Z"
	whole := func(uploads, parts string) {
		f.Add([]byte(uploadsOpen+uploads+uploadsEnd), []byte(partsOpen+parts+partsEnd))
	}
	whole(oneUpload, onePart("1", "1024", sum, now))
	whole(oneUpload, onePart("1", "1024", sum, now)+onePart("2", "1024", sum, now))
	whole(oneUpload, onePart("-1", "9223372036854775807", sum, "x"))
	whole(oneUpload, "<IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker>"+onePart("1", "1024", sum, now))
	whole("<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextKeyMarker>%6B</NextKeyMarker><Upload><Key>%6b</Key><UploadId>u</UploadId></Upload>",
		onePart("3", "1024", `"`+sum+`"`, now))
	f.Add([]byte("<a"), []byte("&lol;"))
	f.Add([]byte{}, []byte("\xff<?xml version='1.0' encoding='latin1'?>"))

	st, l := newLiar(f, func(c *store.Config) { c.RetryFor, c.FirstAnswer = time.Nanosecond, time.Minute })
	f.Fuzz(func(t *testing.T, uploads, parts []byte) {
		l.tell(func(w http.ResponseWriter, r *http.Request) bool {
			switch {
			case isListUploads(r):
				w.Write(uploads)
			case isListParts(r):
				w.Write(parts)
			case r.Method == http.MethodDelete:
				w.WriteHeader(http.StatusNoContent)
			default:
				return false
			}
			return true
		})
		r := st.upload(t, file(t, data), "k", func(r *run) { r.Limits.Pages, r.Limits.Looks, r.Normalize = 3, 3, upload.NormalizeOff })
		if r.Err == nil {
			st.check(t, r, "k", data)
		}
		if r.PartsResumed > 0 && !bytes.Contains(parts, []byte(sum)) && !bytes.Contains(parts, []byte(md5Hex(data[KiB:2*KiB]))) && !bytes.Contains(parts, []byte(md5Hex(data[2*KiB:]))) {
			t.Errorf("%d parts were taken for stored on the word of %q", r.PartsResumed, parts)
		}
	})
}
