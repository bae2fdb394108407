package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the linker for a release.
var version string

// programVersion returns the version of a release, else the one that the go
// command recorded.
func programVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

func versionText() string {
	text := "s3up " + programVersion()
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) > 12 {
				text += " " + s.Value[:12]
			}
		}
	}
	return fmt.Sprintf("%s %s %s/%s\n", text, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
