package static

import (
	"errors"
	"io"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"backline"
	"backline/negotiate"
)

// File is an open regular file that several answers may be sent from at once: everything that reads it says where.
type File struct {
	file     *os.File
	fd       int
	refs     atomic.Int32 // the cache's and each answer's
	size     int64
	modified time.Time

	// What an answer with this file under its own name says; made once, because the file is asked for again and again.
	etag         []byte
	lastModified []byte
	fields       []backline.Field // of 200, Vary last
	dense        bool             // has no compressed neighbours
}

var (
	errNotRegular = errors.New("it is not a regular file")
	errFolder     = errors.New("it is a folder")
)

// newFile takes an open file over, if it is one that has a beginning and an end.
func newFile(file *os.File) (*File, error) {
	info, err := file.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = errFolder
	case !info.Mode().IsRegular():
		err = errNotRegular
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	f := &File{file: file, fd: int(file.Fd()), size: info.Size(), modified: info.ModTime()}
	f.refs.Store(1)
	return f, nil
}

// FD is the descriptor, for sendfile(2). It stays open as long as the answer it came with.
func (f *File) FD() int { return f.fd }

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(p []byte, at int64) (int, error) { return f.file.ReadAt(p, at) }

// changed tells whether the file has been written to since it was opened. That is looked for at every request, although
// it costs a call: an answer with the old length and the old ETag around new bytes would stay in caches.
func (f *File) changed() bool {
	var now unix.Stat_t
	// Not os.File.Stat, which would allocate.
	if err := unix.Fstat(f.fd, &now); err != nil {
		return true
	}
	return now.Size != f.size || now.Mtim.Nano() != f.modified.UnixNano()
}

// retain and release count who uses the file. The last one closes it.
func (f *File) retain() *File {
	f.refs.Add(1)
	return f
}

func (f *File) release() {
	if f.refs.Add(-1) == 0 {
		_ = f.file.Close()
	}
}

// describe makes the header fields of the file as it is served under name, whose type decides, in a coding.
func (f *File) describe(kind mediaType, coding negotiate.Coding, caching string) {
	f.validators(coding)
	f.dense = kind.dense
	f.fields = make([]backline.Field, 0, 8)
	f.add("Content-Type", kind.name)
	if coding != negotiate.Identity {
		f.add("Content-Encoding", coding.String())
	}
	if f.etag != nil {
		f.fields = append(f.fields, backline.Field{Name: []byte("ETag"), Value: f.etag},
			backline.Field{Name: []byte("Last-Modified"), Value: f.lastModified})
	}
	f.add("Accept-Ranges", "bytes")
	f.add("Cache-Control", caching)
	f.add("X-Content-Type-Options", "nosniff")
	f.add("Vary", "Accept-Encoding")
}

func (f *File) add(name, value string) {
	f.fields = append(f.fields, backline.Field{Name: []byte(name), Value: []byte(value)})
}

// validators makes ETag and Last-Modified from size and time of modification, which are the same on every machine
// that a site is copied to; an inode's number would not be. The time counts in nanoseconds: of two versions within
// one second the seconds would be the same. A time at the very beginning of 1970 is one that a reproducible build has
// put there for every version, so it identifies none.
func (f *File) validators(coding negotiate.Coding) {
	if f.modified.Unix() <= 1 {
		return
	}
	f.lastModified = f.modified.UTC().AppendFormat(nil, imfFixdate)
	f.etag = append(f.etag, '"')
	f.etag = strconv.AppendInt(f.etag, f.modified.UnixNano(), 36)
	f.etag = append(f.etag, '-')
	f.etag = strconv.AppendInt(f.etag, f.size, 36)
	if coding != negotiate.Identity {
		f.etag = append(append(f.etag, '-'), coding.String()...)
	}
	f.etag = append(f.etag, '"')
}

// imfFixdate is the one form of a date that a sender may use (RFC 9110 5.6.7).
const imfFixdate = "Mon, 02 Jan 2006 15:04:05 GMT"

var _ io.ReaderAt = (*File)(nil)
