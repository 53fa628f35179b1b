// Command gendocs writes docs/settings.md from the settings table. From the root of the repository:
//
//	go run ./config/gendocs
package main

import (
	"bytes"
	"fmt"
	"os"

	"backline/config"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gendocs:", err)
		os.Exit(1)
	}
}

// run renders first and writes then: a failed run leaves the page as it was.
func run(args []string) error {
	path := "docs/settings.md"
	if len(args) > 0 {
		path = args[0]
	}
	var page bytes.Buffer
	if err := config.WriteMarkdown(&page); err != nil {
		return err
	}
	return os.WriteFile(path, page.Bytes(), 0o644) //nolint:gosec // a page of the repository, for everybody to read
}
