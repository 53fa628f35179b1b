package static

import (
	_ "embed"
	"path"
	"path/filepath"
	"strings"
)

//go:embed types.txt
var typesTable string

// mediaType is what is known of files with an extension.
type mediaType struct {
	name  string // as Content-Type says it
	dense bool   // compressed as it is
}

// unknownType is for extensions that the table lacks. A browser saves such a file, and because of nosniff never runs
// it.
const unknownType = "application/octet-stream"

// parseTypes reads the table.
func parseTypes(table string) map[string]mediaType {
	types := map[string]mediaType{}
	for line := range strings.Lines(table) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		name, dense := strings.CutPrefix(words[0], "*")
		if strings.HasPrefix(name, "text/") {
			name += "; charset=utf-8" // what editors write; without it browsers guess
		}
		for _, extension := range words[1:] {
			types[extension] = mediaType{name, dense}
		}
	}
	return types
}

// typeOf gives the type of a file by its name.
func (f *Files) typeOf(name string) mediaType {
	if t, known := f.types[strings.ToLower(extension(name))]; known {
		return t
	}
	return mediaType{name: unknownType}
}

// extension is what follows the last dot of the last element, without the dot; empty where there is none.
func extension(name string) string {
	return strings.TrimPrefix(filepath.Ext(name), ".")
}

// hashed tells whether a name carries a hash of the file's content, so that what is under it never changes. It errs
// on the side of no: what is taken for a hash and is none stays in browsers for a year. Names of uploads often hold
// an identifier, under which the content may change, so only these count:
//
//   - name.0123456789ab.css: between dots, eight or more hexadecimal digits with a letter and a digit among them, so
//     that dates and words do not count (Django's ManifestStaticFilesStorage, webpack, Parcel, Create React App)
//   - name-0123456789ab.js: the same after a dash, for what bundlers make only, and no UUID (Next.js)
//   - assets/name-BxK3_9aZ.js: eight characters of base64url after a dash, in a folder "assets" only, unless they read
//     as a word with or without a number behind it (Vite)
func hashed(name string) bool {
	folder, base := path.Split(name)
	stem := strings.TrimSuffix(base, filepath.Ext(base))
	_, inner, _ := strings.Cut(stem, ".")
	for part := range strings.SplitSeq(inner, ".") {
		if isHex(part) {
			return true
		}
	}
	dash := strings.LastIndexByte(stem, '-')
	if dash > 0 && isHex(stem[dash+1:]) && isBundled(base) && strings.Count(stem, "-") < 4 {
		return true
	}
	const viteHash = 8
	cut := len(stem) - viteHash - 1
	return cut > 0 && stem[cut] == '-' && (folder == "assets/" || strings.HasSuffix(folder, "/assets/")) &&
		isBase64(stem[cut+1:])
}

func isBundled(base string) bool {
	switch extension(base) {
	case "js", "mjs", "css", "map", "wasm":
		return true
	}
	return false
}

func isHex(text string) bool {
	letters, digits := 0, 0
	for _, c := range []byte(text) {
		switch {
		case c >= 'a' && c <= 'f':
			letters++
		case c >= '0' && c <= '9':
			digits++
		default:
			return false
		}
	}
	return letters > 0 && digits > 0 && letters+digits >= 8
}

func isBase64(text string) bool {
	for _, c := range []byte(text) {
		if unhex(c) > 15 && (c|0x20 < 'a' || c|0x20 > 'z') && c != '-' && c != '_' {
			return false
		}
	}
	word := strings.Trim(strings.TrimRight(text, "0123456789"), "-_")
	if word == "" {
		return false
	}
	rest := word[1:]
	return rest != strings.ToLower(rest) && word != strings.ToUpper(word)
}
