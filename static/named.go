package static

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"backline"
	"backline/negotiate"
)

// The fields by which an application names a file instead of sending it. They mean something only where the operator
// has declared folders: otherwise they are for a proxy in front, and pass through.
const (
	sendfileField = "x-sendfile"
	accelField    = "x-accel-redirect"
)

// Named gives the file that an application's answer names by X-Sendfile or X-Accel-Redirect in place of that answer;
// nil where it names none. The answer keeps the application's status and fields but for those that only its own body
// had. An error says what the operator has to know; the client gets 500.
func (f *Files) Named(scope *backline.Scope, status int, fields []backline.Field) (*Answer, error) {
	if len(f.options.Roots) == 0 && len(f.options.Internal) == 0 {
		return nil, nil //nolint:nilnil // nothing is named, and nothing is wrong
	}
	for _, each := range fields {
		var file *File
		var err error
		switch {
		case len(f.options.Roots) > 0 && backline.EqualFold(each.Name, sendfileField):
			file, err = f.open(string(each.Value))
		case len(f.options.Internal) > 0 && backline.EqualFold(each.Name, accelField):
			file, err = f.openInternal(each.Value)
		default:
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", each.Name, each.Value, err)
		}
		return f.answerFor(scope, file, status, fields), nil
	}
	return nil, nil //nolint:nilnil // as above
}

// answerFor is the answer of a file that has the application's status and fields. Where the application says nothing
// about type, version or ranges, the file does. Conditions and ranges are the server's business now: the application
// could not know what is asked of a file that it does not send.
func (f *Files) answerFor(scope *backline.Scope, file *File, status int, fields []backline.Field) *Answer {
	a := &Answer{Status: status, file: file}
	file.validators(negotiate.Identity)
	v := validators{file.etag, file.lastModified, file.modified}
	for _, each := range fields {
		switch lower := strings.ToLower(string(each.Name)); lower {
		case sendfileField, accelField, "content-length", "content-encoding": // of a body that is not sent
			continue
		case "content-type":
			if len(each.Value) == 0 {
				continue // how Django applications say that the server is to find the type
			}
		case "etag":
			v.etag = bytes.Clone(each.Value)
		case "last-modified":
			v.lastModified = bytes.Clone(each.Value)
			v.modified, _ = parseDate(each.Value)
		}
		a.Fields = append(a.Fields, backline.Field{Name: bytes.Clone(each.Name), Value: bytes.Clone(each.Value)})
	}
	a.complete("Content-Type", []byte(f.typeOf(file.file.Name()).name))
	if status != 200 {
		a.whole(0, file.size)
	} else {
		a.complete("ETag", v.etag)
		a.complete("Last-Modified", v.lastModified)
		a.complete("Accept-Ranges", []byte("bytes"))
		a.shape(scope, &v, file.size)
	}
	if string(scope.Method) == "HEAD" {
		a.Parts = nil
	}
	return a
}

// complete adds a field that is not there.
func (a *Answer) complete(name string, value []byte) {
	if value != nil && a.find(strings.ToLower(name)) == nil {
		a.Fields = append(a.Fields, backline.Field{Name: []byte(name), Value: value})
	}
}

// openInternal opens the file that X-Accel-Redirect names by a path below an internal mount, percent-encoded or not, as
// nginx has it.
func (f *Files) openInternal(target []byte) (*File, error) {
	path, _, _ := bytes.Cut(target, []byte{'?'})
	mount, name := match(f.options.Internal, path, nil)
	switch {
	case mount == nil:
		return nil, errors.New("no folder is declared for this prefix: add it, as in --accel /protected/=./protected")
	case !servable(name):
		return nil, errors.New("this can be no file's name below the prefix: a part of it is empty or begins with a dot")
	}
	return openRegular(mount.folder, string(name), time.Now())
}

// Send gives length bytes of a file from offset on, for an application that sends them as its body (ASGI
// http.response.pathsend, wsgi.file_wrapper). A negative length means all the rest. Status and Fields of the answer
// are the application's.
func (f *Files) Send(path string, offset, length int64) (*Answer, error) {
	file, err := f.open(path)
	if err != nil {
		return nil, err
	}
	rest := max(file.size-offset, 0)
	if length >= 0 {
		rest = min(rest, length)
	}
	a := &Answer{file: file}
	a.whole(min(offset, file.size), rest)
	return a, nil
}

// open opens a file by its absolute path, within the folders that are declared, where any are.
func (f *Files) open(path string) (*File, error) {
	if !filepath.IsAbs(path) {
		return nil, errors.New("the path is not absolute")
	}
	if len(f.options.Roots) == 0 {
		// The application could as well read it and send its bytes: refusing would only make it do that.
		file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return nil, err
		}
		return newFile(file)
	}
	// By the beginning of the path alone, since ".." and links are os.Root's business.
	for _, folder := range f.reachable {
		if name, inside := folder.relative(path); inside {
			return openRegular(folder, name, time.Now())
		}
	}
	return nil, errors.New("the file lies in no folder that applications may send from: add its folder to sendfile_root")
}
