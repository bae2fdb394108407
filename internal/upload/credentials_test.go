package upload_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// Credentials expire in the middle of an upload, and where they are from there
// are no new ones: the parts are kept for a run with others.
func TestCredentialsThatCannotBeRenewed(t *testing.T) {
	for code, status := range map[string]int{"ExpiredTokenException": 400, "InvalidIdentityToken": 400, "NoSuchEntity": 404} {
		t.Run(code, func(t *testing.T) {
			key, secret := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
			var issued atomic.Int32
			sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if issued.Add(1) > 1 {
					w.WriteHeader(status)
					fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>m</Message></Error></ErrorResponse>`, code)
					return
				}
				fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>%s</AccessKeyId>
					<SecretAccessKey>%s</SecretAccessKey><SessionToken>first</SessionToken><Expiration>%s</Expiration>
					</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
					key, secret, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
			}))
			defer sts.Close()
			st := newStand(t, s3test.Options{SessionToken: "first"})
			token := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(token, []byte("web"), 0o600); err != nil {
				t.Fatal(err)
			}
			for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_ENDPOINT_URL_STS": sts.URL,
				"AWS_ROLE_ARN": "arn:aws:iam::1:role/r", "AWS_WEB_IDENTITY_TOKEN_FILE": token} {
				t.Setenv(name, value)
			}
			st.store = openStore(t, st.URL())
			st.when("UploadPart 3", 0, func() { st.RenewToken("second") })
			r := st.upload(t, file(t, random(4*KiB, "credentials")), "k", oneAtATime)
			if upload.KindOf(r.Err) != upload.Access || !r.Resumable {
				t.Errorf("error %v of kind %d, resumable: %t, want kind %d", r.Err, upload.KindOf(r.Err), r.Resumable, upload.Access)
			}
			for _, parts := range st.unfinished(t, "k") {
				if len(parts) != 2 {
					t.Errorf("%d parts are kept, want 2", len(parts))
				}
			}
			if n := st.Count("AbortMultipartUpload"); n > 0 {
				t.Errorf("%d requests to abort", n)
			}
		})
	}
}
