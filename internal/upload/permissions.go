package upload

import (
	"net/http"
	"strings"
)

// lacking says which permission a call was denied for that the upload goes on
// without, and what does not ask for it. It is "" for any other end of the call.
func lacking(err error, action, without string) string {
	switch {
	case status(err) != http.StatusForbidden:
		return ""
	case without == "":
		return "; that needs " + action
	}
	return "; that needs " + action + ", and " + without + " does without"
}

// copyNeeds are the permissions for a copy of the object.
func (t *transfer) copyNeeds() string {
	all := []string{"s3:GetObject", "s3:PutObject"}
	for _, p := range []struct {
		asked  bool
		action string
	}{
		{len(t.props.Tags) > 0, "s3:PutObjectTagging"},
		{t.props.ACL != "" || len(t.props.Grants.All()) > 0, "s3:PutObjectAcl"},
		{t.hidesMD5() && t.props.CustomerKey == nil, "kms:GenerateDataKey, kms:Decrypt"},
		{t.locked, "and a store that copies onto what is locked"}, // what locks by itself was allowed on the upload
	} {
		if p.asked {
			all = append(all, p.action)
		}
	}
	return strings.Join(all, ", ")
}
