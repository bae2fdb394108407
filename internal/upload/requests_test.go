package upload_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/s3test"
	"s3up/internal/store"
	"s3up/internal/upload"
)

// What every request is to carry is on each call that the engine can make, and
// signed; and no header that a call has by itself can be given.
func TestEveryCallCarriesWhatWasAskedFor(t *testing.T) {
	var mu sync.Mutex
	var got http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = r.Header
		w.WriteHeader(http.StatusNotImplemented)
	}))
	defer srv.Close()
	s := openStore(t, srv.URL, func(c *store.Config) {
		c.RequestPayer, c.BucketOwner = true, "123456789012"
		c.Headers = http.Header{"X-Tenant": {"web"}}
	})
	want := map[string]string{"X-Amz-Request-Payer": "requester", "X-Amz-Expected-Bucket-Owner": "123456789012", "X-Tenant": "web"}
	calls := reflect.TypeFor[upload.Client]()
	for m := range calls.Methods() {
		in := reflect.New(m.Type.In(1).Elem())
		fill(in.Elem())
		out := reflect.ValueOf(s.Client).MethodByName(m.Name).Call([]reflect.Value{reflect.ValueOf(context.Background()), in})
		if err, _ := out[1].Interface().(error); store.StatusCode(err) != http.StatusNotImplemented {
			t.Errorf("%s: %v", m.Name, err)
			continue
		}
		signed := strings.Split(strings.SplitN(got.Get("Authorization"), "SignedHeaders=", 2)[1], ",")[0]
		expect := map[string]string{}
		for name, value := range want {
			expect[name] = value
		}
		if m.Name == "CopyObject" {
			expect["X-Amz-Source-Expected-Bucket-Owner"] = "123456789012"
		}
		for name, value := range expect {
			if got.Get(name) != value || !strings.Contains(";"+signed+";", ";"+strings.ToLower(name)+";") {
				t.Errorf("%s: %s is %q, and signed are %s", m.Name, name, got.Get(name), signed)
			}
		}
		for name := range got {
			if name != "X-Tenant" && store.CheckHeader(name, "x") == nil {
				t.Errorf("%s: %s can be given, and is there already", m.Name, name)
			}
		}
	}
}

// fill sets all fields of an input that become headers, or have to be there.
func fill(in reflect.Value) {
	for i := range in.NumField() {
		f, name := in.Field(i), in.Type().Field(i).Name
		switch {
		case name == "ExpectedBucketOwner" || name == "ExpectedSourceBucketOwner" || name == "RequestPayer",
			name == "ChecksumAlgorithm": // asks the SDK to compute one
		case name == "Bucket" || name == "Key" || name == "UploadId":
			f.Set(reflect.ValueOf(aws.String("abc")))
		case name == "Body":
			f.Set(reflect.ValueOf(strings.NewReader("x")))
		case name == "MultipartUpload":
			f.Set(reflect.ValueOf(&types.CompletedMultipartUpload{}))
		case name == "Metadata":
			f.Set(reflect.ValueOf(map[string]string{"a": "b"}))
		case name == "ContentLength":
			f.Set(reflect.ValueOf(aws.Int64(1)))
		case f.Kind() == reflect.String:
			f.SetString("x")
		case f.Kind() == reflect.Pointer && f.CanSet():
			v := reflect.New(f.Type().Elem())
			switch p := v.Interface().(type) {
			case *string:
				*p = "x"
			case *bool:
				*p = true
			case *int32:
				*p = 1
			case *int64:
				*p = 1
			case *time.Time:
				*p = time.Unix(1, 0)
			default:
				continue
			}
			f.Set(v)
		}
	}
}

// Uploads of each kind come out well however requests are signed and sent.
func TestKindsOfRequests(t *testing.T) {
	for name, test := range map[string]struct {
		server s3test.Options
		change func(*store.Config)
	}{
		"signed payload":      {change: func(c *store.Config) { c.SignPayload = true }},
		"signed payload, TLS": {server: s3test.Options{TLS: true}, change: func(c *store.Config) { c.SignPayload = true }},
		"no signature":        {server: s3test.Options{Public: true}, change: func(c *store.Config) { c.NoSign = true }},
		"Google":              {server: s3test.Options{Quirks: s3test.Quirks{FrontEnd: true}}, change: func(c *store.Config) { c.Provider = "google" }},
		"another region":      {server: s3test.Options{Region: "eu-west-1"}, change: func(*store.Config) {}},
		"throttled":           {change: func(c *store.Config) { c.Bandwidth = func(time.Time) int64 { return 1 << 30 } }},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStand(t, test.server, test.change)
			for _, source := range sources {
				data := random(5*st.part+1, name)
				r := st.upload(t, source.of(t, data), source.name)
				st.check(t, r, source.name, data)
				if r.Err != nil {
					t.Fatal(r.Err)
				}
			}
		})
	}
	st := newStand(t, s3test.Options{Quirks: s3test.Quirks{FrontEnd: true}})
	if r := st.upload(t, file(t, []byte("x")), "k"); store.Code(r.Err) != "InvalidArgument" {
		t.Errorf("got %v from a front end that wants Google's requests", r.Err)
	}
}

// A stream to a store that wants equal parts has them to the end.
func TestEqualParts(t *testing.T) {
	st := newStand(t, s3test.Options{Quirks: s3test.Quirks{CompleteRefusesUnequal: true}})
	data := random(50*st.part+1, "equal")
	limits := func(equal bool) func(*run) {
		return func(r *run) {
			r.Limits.Parts, r.Limits.EqualParts = 60, equal // without it, the last fifth grows
			r.MaxMemory = 64 * st.part
		}
	}
	if r := st.upload(t, stream(t, data), "grown", limits(false)); r.Err == nil {
		t.Error("the store took unequal parts")
	}
	r := st.upload(t, stream(t, data), "equal", limits(true))
	st.check(t, r, "equal", data)
	if r.Err != nil || r.Parts != 51 {
		t.Errorf("%d parts, %v", r.Parts, r.Err)
	}
}
