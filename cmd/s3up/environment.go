package main

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

// origins tell, of flags that are not on the command line and have a value all
// the same, what it was that gave it to them.
type origins map[string]string

// variableOf is the environment variable for a flag.
func variableOf(flag string) string {
	return "S3UP_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// environment gives the flags that are not on the command line the values that
// their variables have. An empty variable is none; of a flag that repeats, each
// line is a value.
func (v *values) environment(flags []cli.Flag, lookup func(string) (string, bool)) {
	for _, f := range flags {
		name := f.Names()[0]
		value, ok := lookup(variableOf(name))
		if !ok || value == "" || v.c.IsSet(name) {
			continue
		}
		v.give(f, value, variableOf(name))
	}
}

// give sets a flag and notes what its value is from.
func (v *values) give(f cli.Flag, value, from string) {
	name := f.Names()[0]
	v.origins[name] = from
	all := []string{value}
	switch f.(type) {
	case *cli.BoolFlag:
		if _, err := strconv.ParseBool(value); err != nil {
			v.fail("%s %s: must be true or false", from, quoted(value))
			return
		}
	case *cli.StringSliceFlag:
		all = strings.FieldsFunc(value, func(r rune) bool { return r == '\n' })
	}
	for _, one := range all {
		if err := v.c.Set(name, one); err != nil {
			v.fail("%s: %v", from, err)
			return
		}
	}
}

var flagInText = regexp.MustCompile(`--[a-z0-9]+(-[a-z0-9]+)*`)

// named puts the name of what gave a flag its value in the place of the flag's.
func (o origins) named(text string) string {
	return flagInText.ReplaceAllStringFunc(text, func(flag string) string {
		if from := o[strings.TrimPrefix(flag, "--")]; from != "" {
			return from
		}
		return flag
	})
}

// inWords names in an error of usage what it is about.
func (o origins) inWords(err error) error {
	var wrong *usageError
	if !errors.As(err, &wrong) {
		return err
	}
	return &usageError{Msg: o.named(wrong.Msg), Hint: wrong.Hint}
}
