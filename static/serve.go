package static

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"backline"
	"backline/negotiate"
)

// Serve answers a request whose path lies under a mount; nil: the application answers. The longest prefix wins. It
// opens files, so it may wait for a disk, but for nothing else.
func (f *Files) Serve(scope *backline.Scope) *Answer {
	if len(f.options.Mounts) == 0 {
		return nil
	}
	var buffer [256]byte // on the stack; longer paths with escapes in them move to the heap
	mount, name := match(f.options.Mounts, scope.Path, buffer[:0])
	if mount == nil {
		return nil
	}
	head := string(scope.Method) == "HEAD"
	if !head && string(scope.Method) != "GET" {
		if f.options.Fallthrough {
			return nil
		}
		// Without a look at the disk: whether there is such a file is no business of somebody who wants to write.
		return plain(405, "Files can only be read.\n", field("Allow", "GET, HEAD"))
	}
	answer := f.serve(scope, mount.folder, name)
	if answer.Status == 404 && f.options.Fallthrough {
		return nil
	}
	if head {
		answer.Parts = nil
	}
	return answer
}

// match finds the mount with the longest prefix, and the rest of the path, decoded. The rest is nil where it cannot be
// the name of a file.
func match(mounts []*Mount, path, buffer []byte) (found *Mount, name []byte) {
	decoded, ok := decode(buffer, path)
	if !ok {
		decoded = path // "/static/%zz" is still under "/static/", and must not reach the application as something else
	}
	for _, m := range mounts {
		if len(decoded) >= len(m.prefix) && string(decoded[:len(m.prefix)]) == m.prefix &&
			(m.single == "" || len(decoded) == len(m.prefix)) && (found == nil || len(m.prefix) > len(found.prefix)) {
			found = m
		}
	}
	switch {
	case found == nil || !ok:
		return found, nil
	case found.single != "":
		return found, []byte(found.single)
	}
	return found, decoded[len(found.prefix):]
}

// indexFile is the one name that is tried for a folder.
const indexFile = "index.html"

// serve answers for a name in a folder.
func (f *Files) serve(scope *backline.Scope, folder *Folder, name []byte) *Answer {
	if name == nil {
		return notFound()
	}
	// With a capacity of its own, because name may be a part of the request's path.
	if n := len(name); f.options.Index && (n == 0 || name[n-1] == '/') {
		name = append(name[:n:n], indexFile...)
	}
	if !servable(name) {
		return notFound()
	}
	now := time.Now()
	file, err := f.find(folder, name, negotiate.Identity, now)
	if err != nil {
		if f.options.Index && errors.Is(err, errFolder) {
			return redirect(scope)
		}
		return f.refuse(scope, err)
	}
	file, varies := f.prefer(scope, folder, name, file, now)
	answer := &Answer{Status: 200, Fields: file.fields, file: file}
	if !varies {
		// The fields are the file's, and shared by all its answers; only how many of them count is this answer's.
		answer.Fields = answer.Fields[:len(answer.Fields)-1]
	}
	answer.shape(scope, &validators{file.etag, file.lastModified, file.modified}, file.size)
	return answer
}

// prefer gives the compressed neighbour of a file that the client likes best, or the file itself. varies tells whether
// there is any, which caches have to know whatever this client gets.
func (f *Files) prefer(
	scope *backline.Scope, folder *Folder, name []byte, file *File, now time.Time,
) (best *File, varies bool) {
	if file.dense {
		return file, false
	}
	var found [len(neighbours)]*File
	order := make([]negotiate.Coding, 0, len(neighbours))
	// All of them, also those that this client does not accept. An error is that neighbour's alone: the file is there.
	for i, coding := range neighbours {
		if found[i], _ = f.find(folder, name, coding, now); found[i] != nil {
			order = append(order, coding)
		}
	}
	if len(order) == 0 {
		return file, false
	}
	accepted := negotiate.AcceptEncoding(scope.Fields)
	chosen, best := accepted.Best(order), file
	for i, each := range found {
		switch {
		case each == nil:
		case neighbours[i] == chosen:
			best = each
			file.release()
		default:
			each.release()
		}
	}
	return best, true
}

// neighbours are looked for in this order. Brotli comes first: what was compressed beforehand need not have been
// quick to make, only be small.
//
//nolint:gochecknoglobals // nothing writes to it; Go has no constant arrays
var neighbours = [...]negotiate.Coding{negotiate.Brotli, negotiate.Zstd, negotiate.Gzip}

// shape makes of the answer with the whole file the one that the request's conditions and ranges ask for.
func (a *Answer) shape(scope *backline.Scope, v *validators, size int64) {
	c := readConditions(scope.Fields)
	switch status := c.status(v); {
	case status == 304:
		a.Status, a.Length = 304, -1
		a.Fields = ofNotModified(a.Fields)
		return
	case status != 200:
		a.instead(plain(status, "The file is another than the request's condition asks for.\n"))
		return
	}
	// Of other methods than GET ranges mean nothing (14.2), and an application may have said that it wants none.
	if string(scope.Method) == "GET" && c.wantsRange(v) && string(a.find("accept-ranges")) != "none" {
		if spans, ok := parseRanges(c.ranges, size); ok && len(spans) == 0 {
			a.instead(plain(416, "The file has no such bytes.\n", field("Content-Range", fmt.Sprintf("bytes */%d", size))))
			return
		} else if ok {
			a.partial(spans, size)
			return
		}
	}
	a.whole(0, size)
}

// ofNotModified gives the fields that a 304 has: those that a cache may have to renew (15.4.5).
func ofNotModified(fields []backline.Field) []backline.Field {
	kept := make([]backline.Field, 0, len(fields))
	for _, f := range fields {
		switch strings.ToLower(string(f.Name)) {
		case "content-type", "content-encoding", "last-modified", "accept-ranges", "x-content-type-options",
			"content-disposition":
		default:
			kept = append(kept, f)
		}
	}
	return kept
}

// refuse answers for a file that cannot be opened. What is not to be reached looks like what does not exist.
func (f *Files) refuse(scope *backline.Scope, err error) *Answer {
	number, isNumber := errors.AsType[syscall.Errno](err)
	switch {
	case !isNumber, errors.Is(err, fs.ErrNotExist), number == syscall.ENOTDIR, number == syscall.ELOOP,
		number == syscall.ENAMETOOLONG, number == syscall.ENXIO:
		// Not a number: it is no regular file, or a link leads out of the folder. ENXIO: it is a socket.
		return notFound()
	case errors.Is(err, fs.ErrPermission):
		f.complain(scope, err)
		return plain(403, "This file may not be read.\n")
	// Not 404, which caches keep: it is over when some downloads are.
	case number == syscall.EMFILE || number == syscall.ENFILE:
		f.complain(scope, err)
		return plain(503, "Too many files are open.\n", field("Retry-After", "1"))
	}
	f.complain(scope, err)
	return plain(500, "This file cannot be read.\n")
}

// complain logs why a file could not be served, once a second at most: clients decide how often it happens.
func (f *Files) complain(scope *backline.Scope, err error) {
	now := time.Now().UnixNano()
	if last := f.complained.Load(); now-last >= int64(time.Second) && f.complained.CompareAndSwap(last, now) {
		f.options.Log.Error("a static file cannot be opened", "path", string(scope.Path), "error", err)
	}
}

// redirect leads from "/docs" to "/docs/", so that relative links in the index work. The path has been found servable,
// so it does not begin with two slashes, which would name another host.
func redirect(scope *backline.Scope) *Answer {
	target := append(append([]byte{}, scope.Path...), '/')
	if len(scope.Query) > 0 {
		target = append(append(target, '?'), scope.Query...)
	}
	return plain(301, "This is a folder.\n", backline.Field{Name: []byte("Location"), Value: target})
}

func notFound() *Answer { return plain(404, "There is no such file.\n") }

func field(name, value string) backline.Field {
	return backline.Field{Name: []byte(name), Value: []byte(value)}
}
