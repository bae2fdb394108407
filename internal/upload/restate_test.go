package upload

import (
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// The requests that make an object state the same of it: what one of them sets,
// each sets, to the same value. The copy alone says besides what becomes of the
// source's, and how the source is read.
func TestRequestsStateTheSame(t *testing.T) {
	var p Properties
	fill(t, reflect.ValueOf(&p).Elem())
	var (
		put    s3.PutObjectInput
		create s3.CreateMultipartUploadInput
		copied s3.CopyObjectInput
	)
	p.put(&put)
	p.create(&create)
	p.copy(&copied)
	for _, name := range []string{"MetadataDirective", "TaggingDirective", "CopySourceSSECustomerAlgorithm",
		"CopySourceSSECustomerKey", "CopySourceSSECustomerKeyMD5"} {
		f := reflect.ValueOf(&copied).Elem().FieldByName(name)
		if f.IsZero() {
			t.Errorf("the copy does not say %s", name)
		}
		f.SetZero()
	}
	want := stated(&create)
	for name, got := range map[string]map[string]any{"PutObject": stated(&put), "CopyObject": stated(&copied)} {
		for field, value := range want {
			if !reflect.DeepEqual(got[field], value) {
				t.Errorf("%s has %v as %s, CreateMultipartUpload has %v", name, got[field], field, value)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s states %d properties, CreateMultipartUpload %d", name, len(got), len(want))
		}
	}
	if fields := reflect.TypeFor[Properties]().NumField(); len(want) < fields {
		t.Errorf("%d properties are stated, of %d", len(want), fields)
	}
}

// fill gives each field a value.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"k": "v"}))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1, 0)))
			return
		}
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	default:
		t.Fatalf("no value for a %v", v.Type())
	}
}

// stated returns the fields of a request that are set.
func stated(in any) map[string]any {
	all := make(map[string]any)
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.CanInterface() && !f.IsZero() {
			all[v.Type().Field(i).Name] = f.Interface()
		}
	}
	return all
}
