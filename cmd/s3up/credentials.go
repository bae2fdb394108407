package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"

	"github.com/aws/smithy-go"

	"s3up/internal/store"
)

// aboutCredentials says why there are none, and how to get some. What a process
// printed is not shown: it may be a secret.
func aboutCredentials(err *store.CredentialsError, f facts) problem {
	p := problem{why: "no credentials", exit: exitAccess, code: "NoCredentials",
		hint: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a --profile, or run aws configure"}
	var answer smithy.APIError
	refused := errors.As(err, &answer)
	if refused {
		p.why += ": " + clip(answer.ErrorCode()) + saying(err)
	}
	switch err.Source {
	case store.SourceProcess:
		p.why += ": " + processFailure(err)
		p.hint = "run the profile's credential_process by hand and see what it says"
	case store.SourceSSO, store.SourceLogin:
		if !refused {
			p.why += ": nobody is signed on"
		}
		p.hint = "type: aws login"
		if err.Source == store.SourceSSO {
			p.hint = "type: aws sso login"
		}
		if f.profile != "" {
			p.hint += " --profile " + shellWord(f.profile)
		}
	case store.SourceOther:
		switch {
		case refused:
		case err.After > 0:
			p.why += fmt.Sprintf(": nothing in %v", err.After)
		default:
			p.why += ": " + rootCause(err.Err)
		}
	}
	return p
}

// processFailure says what is wrong with the process of a profile.
func processFailure(err *store.CredentialsError) string {
	var exit *exec.ExitError
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err.After > 0:
		return "credential_process does not end"
	case errors.As(err, &exit):
		return "credential_process failed: " + exit.Error()
	case errors.As(err, &syntax), errors.As(err, &kind):
		return "what credential_process printed is not the JSON that it should be"
	}
	return "credential_process: " + rootCause(err.Err)
}
