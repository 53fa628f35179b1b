package static

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"backline/negotiate"
)

// Options are what Files is made of. The zero value of each has a meaning; there are no defaults here.
type Options struct {
	// Mounts are the folders whose files are served.
	Mounts []*Mount
	// Internal are those that clients cannot ask for: an application names their files by X-Accel-Redirect. None: that
	// field means nothing.
	Internal []*Mount
	// Roots are the folders in which files lie that an application names by X-Sendfile, or sends as its body; those of the
	// mounts count too. None: X-Sendfile means nothing, and an application may send every file that it may read.
	Roots []*Folder
	// Index answers a path that ends in a slash with the index.html of that folder. false: such a path is not found.
	Index bool
	// Fallthrough leaves a request for which there is no file to the application. false: it is answered with 404.
	Fallthrough bool
	// MaxAge is how long clients may use a file without asking again, unless its name carries a hash of its content. 0:
	// they ask every time, and mostly get 304.
	MaxAge time.Duration
	// OpenFiles is how many files, and absent neighbours of files, are remembered for a second. 0: none; each request
	// opens its file.
	OpenFiles int
	// Log receives what people should know. nil: nothing is logged.
	Log *slog.Logger
}

// Mount is a folder whose files appear under a prefix, or a single file.
type Mount struct {
	prefix string // "/static/", or "/favicon.ico" for a single file
	single string // the file's name in the folder, if it is one
	folder *Folder
}

// NewMount opens a folder or file that appears under prefix. A folder's prefix ends in a slash, which is added.
func NewMount(prefix, path string) (*Mount, error) {
	if !strings.HasPrefix(prefix, "/") {
		return nil, fmt.Errorf("the prefix %q does not begin with a slash", prefix)
	}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && !strings.HasSuffix(prefix, "/") {
		folder, err := OpenFolder(filepath.Dir(path))
		return &Mount{prefix: prefix, single: filepath.Base(path), folder: folder}, err
	}
	folder, err := OpenFolder(path)
	return &Mount{prefix: strings.TrimSuffix(prefix, "/") + "/", folder: folder}, err
}

// Files answers requests for files.
type Files struct {
	options    Options
	types      map[string]mediaType
	cache      cache
	usual      string       // Cache-Control of names without a hash
	reachable  []*Folder    // what an application may name a file in by its path, where that is limited
	complained atomic.Int64 // Unix nanoseconds of the last complaint
}

// New makes Files of folders that are open. It owns them.
func New(options Options) *Files {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	f := &Files{options: options, types: parseTypes(typesTable), usual: "no-cache"}
	f.cache.limit, f.cache.places = options.OpenFiles, map[key]*place{}
	if options.MaxAge > 0 {
		f.usual = fmt.Sprintf("public, max-age=%d", int(options.MaxAge.Seconds()))
	}
	f.reachable = slices.Clone(options.Roots)
	for _, m := range slices.Concat(options.Mounts, options.Internal) {
		f.reachable = append(f.reachable, m.folder)
	}
	return f
}

// Run closes files that are no longer remembered, until ctx ends; then all of them.
func (f *Files) Run(ctx context.Context) error {
	defer f.cache.clear()
	if f.cache.limit == 0 {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(remember)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			f.cache.sweep(now)
		}
	}
}

// caching is the field Cache-Control.
func (f *Files) caching(name string) string {
	if hashed(name) {
		return "public, max-age=31536000, immutable"
	}
	return f.usual
}

// find opens the file of that name in a coding, described and ready to be sent, for the caller to release. nil and no
// error: there is none, and that is nothing unusual.
func (f *Files) find(folder *Folder, name []byte, coding negotiate.Coding, now time.Time) (*File, error) {
	if file, found := f.cache.get(folder, name, coding, now); found {
		return file, nil
	}
	base := string(name)
	file, err := openRegular(folder, base+coding.Suffix(), now)
	if err != nil && coding == negotiate.Identity {
		return nil, err
	}
	if file != nil {
		file.describe(f.typeOf(base), coding, f.caching(base))
	}
	f.cache.put(folder, base, coding, file, now)
	return file, nil
}

func openRegular(folder *Folder, name string, now time.Time) (*File, error) {
	file, err := folder.open(name, now)
	if err != nil {
		return nil, err
	}
	return newFile(file)
}
