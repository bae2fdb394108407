package tree

import (
	"testing"
)

func selection(t *testing.T, include, exclude []string) (s Selection) {
	t.Helper()
	var err error
	if s.Include, err = ParsePatterns(include); err != nil {
		t.Fatal(err)
	}
	if s.Exclude, err = ParsePatterns(exclude); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSelection(t *testing.T) {
	type words = []string
	for _, tt := range []struct {
		include, exclude words
		takes, leaves    words
	}{
		{nil, nil, words{"a", "a/b", ".c"}, nil},
		{words{"*.png"}, nil, words{"a.png", "a/b.png", ".png"}, words{"a.PNG", "a.png/b", "apng"}},
		{nil, words{"*.txt", "*.log"}, words{"a", "a/b.txt.gz"}, words{"a.txt", "a/b.txt", "c.log"}},
		// Order does not matter, and exclude holds: with the AWS CLI, the last would.
		{words{"*.txt", "*.log"}, words{"secret-*"}, words{"file-1.txt", "a/secret-b.txt"}, words{"secret-passwords.txt", "image.png"}},
		{words{"file-*.doc"}, words{"*.txt", "*.log"}, words{"file-1.doc"}, words{"document.txt", "file-2.log", "image.png"}},
		{words{"a/*"}, nil, words{"a/b", "a/b/c", "a/"}, words{"a", "b/a/c"}},
		{words{"??"}, nil, words{"ab", "é/"}, words{"a", "abc"}},
		{words{"a.b"}, nil, words{"a.b"}, words{"aXb", "a.bc", "Xa.b"}},
		{words{"[id].js", "{a,b}"}, nil, words{"[id].js", "{a,b}"}, words{"i.js", "a"}},
		{words{"*\n*"}, nil, words{"a\nb"}, words{"ab"}},
	} {
		s := selection(t, tt.include, tt.exclude)
		for _, rel := range tt.takes {
			if !s.Takes(rel) {
				t.Errorf("include %q, exclude %q: %q is left out", tt.include, tt.exclude, rel)
			}
		}
		for _, rel := range tt.leaves {
			if s.Takes(rel) {
				t.Errorf("include %q, exclude %q: %q is taken", tt.include, tt.exclude, rel)
			}
		}
	}
	for _, bad := range []string{"", "/a", "./a"} {
		if _, err := ParsePatterns([]string{bad}); err == nil {
			t.Errorf("%q is a pattern", bad)
		}
	}
}

// A folder is passed by only if nothing in it can be wanted.
func TestEnters(t *testing.T) {
	paths := []string{"a", "a/b", "a/b/c", "a/bc/d", "ab/c", "b/a", "b/c.js", "x/y/z.js", "a.js", "node_modules/x/y"}
	patterns := []string{"a", "a/*", "a/b", "a/b*", "*.js", "*", "?/b", "b/c.js", "node_modules/*", "*/", "x/y/*.js", "?"}
	globs := []string{"", "*", "**", "*/*", "a/*", "**/*.js", "x/**/z.js", "{a,b}/*", "?/c.js", "x/y/[xyz].js", "a\\/b"}
	passed := 0
	for _, include := range append(patterns, "") {
		for _, exclude := range append(patterns, "") {
			for _, glob := range globs {
				var in, ex []string
				if include != "" {
					in = []string{include}
				}
				if exclude != "" {
					ex = []string{exclude}
				}
				s := selection(t, in, ex)
				s.Glob = glob
				for _, path := range paths {
					for i := range path {
						if path[i] != '/' || s.Enters(path[:i+1]) {
							continue
						}
						passed++
						if s.Takes(path) {
							t.Errorf("include %q, exclude %q, glob %q: takes %s and passes %s by", include, exclude, glob, path, path[:i+1])
						}
					}
				}
			}
		}
	}
	for dir, s := range map[string]Selection{
		"node_modules/": selection(t, nil, []string{"node_modules/*"}),
		"src/":          selection(t, []string{"docs/*"}, nil),
		"x/":            {Glob: "*.js"},
		"x/y/":          {Glob: "x/*.js"},
		"b/":            {Glob: "a/**"},
	} {
		if s.Enters(dir) {
			t.Errorf("%s is read for nothing", dir)
		}
	}
	if passed == 0 {
		t.Error("nothing was passed by")
	}
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct{ text, root, glob string }{
		{"dist/*.js", "dist", "*.js"},
		{"*.js", ".", "*.js"},
		{"dist/**/*.js", "dist", "**/*.js"},
		{"/var/log/*/app.log", "/var/log", "*/app.log"},
		{"a/{b,c}/d", "a", "{b,c}/d"},
		{"/*", "/", "*"},
	} {
		root, glob, ok := Glob(tt.text)
		if !ok || root != tt.root || glob != tt.glob {
			t.Errorf("%s: got %q, %q, %v", tt.text, root, glob, ok)
		}
	}
	for _, text := range []string{"plain", "a/b", "[unclosed", "{a"} {
		if _, _, ok := Glob(text); ok {
			t.Errorf("%s is a pattern", text)
		}
	}
}

func TestBelow(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		ok         bool
	}{
		{"a/b", "a/b", true}, {"./a", "a", true}, {"a//b/.", "a/b", true}, {"/base/a", "a", true}, {"/base//a/", "a", true},
		{"/", "", false}, {"/base", "", false}, {"/based/a", "", false}, {"..", "", false}, {"a/../b", "", false}, {".", "", false}, {"", "", false},
		{"..a", "..a", true}, {"a..", "a..", true},
	} {
		if got, ok := Below("/base", tt.name); ok != tt.ok || ok && got != tt.want {
			t.Errorf("%q: got %q, %v", tt.name, got, ok)
		}
	}
	if got, ok := Below("/", "/a/b"); got != "a/b" || !ok {
		t.Errorf("below the root: %q, %v", got, ok)
	}
}
