package config

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"
)

// parseBool takes the words people write in environment variables, not only Go's.
func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "1", "yes", "on":
		return true, nil
	case "false", "0", "no", "off":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", text)
}

func parseInt(text string) (int, error) {
	value, err := strconv.Atoi(text)
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%s is too large a number", text)
	}
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", text)
	}
	return value, nil
}

// parseDuration reads "30", "0.5", "30s", "2m", "1h30m", "500ms". A bare number is seconds because that is what every
// gunicorn and uvicorn flag means; Go's own parser would refuse it.
func parseDuration(text string) (time.Duration, error) {
	withUnit := text
	if text != "" && strings.Trim(strings.TrimPrefix(text, "-"), "0123456789.") == "" {
		withUnit += "s"
	}
	value, err := time.ParseDuration(withUnit)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration: expected seconds (30) or a number with ms, s, m or h (500ms, 2m)", text)
	}
	if value < 0 {
		return 0, fmt.Errorf("%s is negative: a duration is 0 or more", text)
	}
	return value, nil
}

// formatDuration writes what parseDuration reads: short times in seconds, as the flags of all these servers are talked
// about ("75s", not Go's "1m15s"), long ones without trailing zero units ("24h", not "24h0m0s").
func formatDuration(value time.Duration) string {
	const short = 10 * time.Minute
	if value < short && value%time.Second == 0 {
		return strconv.FormatInt(int64(value/time.Second), 10) + "s"
	}
	text := value.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// sizeUnit gives the bytes of a unit in lower case. A bare letter is the binary unit, as in nginx and ulimit; "MB" is
// the SI unit that it says.
func sizeUnit(name string) (int64, bool) {
	switch name {
	case "", "b":
		return 1, true
	case "k", "ki", "kib":
		return 1 << 10, true
	case "m", "mi", "mib":
		return 1 << 20, true
	case "g", "gi", "gib":
		return 1 << 30, true
	case "t", "ti", "tib":
		return 1 << 40, true
	case "kb":
		return 1e3, true
	case "mb":
		return 1e6, true
	case "gb":
		return 1e9, true
	case "tb":
		return 1e12, true
	}
	return 0, false
}

// parseSize reads "1000", "64KiB", "1MiB", "1G", "10MB". Fractions are refused: "1.5G" of what would need a rule.
func parseSize(text string) (int64, error) {
	digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
	unit, known := sizeUnit(strings.ToLower(strings.TrimSpace(text[digits:])))
	if digits == 0 || !known {
		return 0, fmt.Errorf("%q is not a size: expected whole bytes (65536) or a number with KiB, MiB or GiB (64KiB)", text)
	}
	value, err := strconv.ParseInt(text[:digits], 10, 64)
	if err != nil || value > math.MaxInt64/unit {
		return 0, fmt.Errorf("%s is more bytes than can be counted", text)
	}
	return value * unit, nil
}

// formatSize writes what parseSize reads, in the largest binary unit that divides it exactly.
func formatSize(value int64) string {
	names := []string{"", "KiB", "MiB", "GiB", "TiB"}
	unit := 0
	for value != 0 && value%1024 == 0 && unit < len(names)-1 {
		value /= 1024
		unit++
	}
	return strconv.FormatInt(value, 10) + names[unit]
}

// parseMode reads permission bits, always as octal, with or without the leading 0 or 0o.
func parseMode(text string) (fs.FileMode, error) {
	value, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a file mode: expected octal digits such as 0660", text)
	}
	return fs.FileMode(value), nil
}

// splitList separates a list given as one text. Empty pieces are dropped: a trailing comma is no address.
func splitList(text string) []string {
	items := []string{}
	for piece := range strings.SplitSeq(text, ",") {
		if piece = strings.TrimSpace(piece); piece != "" {
			items = append(items, piece)
		}
	}
	return items
}

// checkPair wants KEY=VALUE. What came is not repeated: it may be a password whose name was forgotten.
func checkPair(text string) (string, error) {
	name, _, found := strings.Cut(text, "=")
	if !found || strings.TrimSpace(name) == "" {
		return "", errors.New("a variable without a name or without =: expected KEY=VALUE")
	}
	if strings.ContainsRune(text, 0) {
		return "", fmt.Errorf("%s holds a zero byte, which no environment can", name)
	}
	return text, nil
}

// checkRootPath wants "" or "/prefix". The final slash goes: PEP 3333's SCRIPT_NAME never ends in one, or the
// application's own links would have two.
func checkRootPath(text string) (string, error) {
	trimmed := strings.TrimRight(text, "/")
	if trimmed != "" && !strings.HasPrefix(trimmed, "/") {
		return "", fmt.Errorf("%q does not begin with /: expected /%s", text, trimmed)
	}
	return trimmed, nil
}

// checkHealthPath wants the path of a request, decoded.
func checkHealthPath(text string) (string, error) {
	if !strings.HasPrefix(text, "/") || strings.ContainsAny(text, "?#*%") {
		return "", fmt.Errorf("%q is no path: expected one such as /healthz, without ? # * %%", text)
	}
	return text, nil
}

// bareDjango is what --django means without a value.
const bareDjango = "manage.py"

// checkDjango wants a module, or the file that names one.
func checkDjango(text string) (string, error) {
	if text == "" || strings.HasSuffix(text, bareDjango) {
		return text, nil
	}
	for part := range strings.SplitSeq(text, ".") {
		if part == "" || strings.ContainsAny(part, "/\\: -") || strings.HasSuffix(text, ".py") {
			return "", fmt.Errorf("%q is no module: expected the settings as DJANGO_SETTINGS_MODULE has them, "+
				"such as mysite.settings", text)
		}
	}
	return text, nil
}

// checkApp refuses what names no module; the rest is found out by the worker, which has the path.
func checkApp(text string) (string, error) {
	module, _, _ := strings.Cut(text, ":")
	if text != "" && module == "" {
		return "", fmt.Errorf("%q has no module before the colon: expected mysite.wsgi:application", text)
	}
	return text, nil
}

// checkWorkerMemory catches the number meant as MiB (granian counts so): every worker would be replaced for ever.
func checkWorkerMemory(text string) (string, error) {
	const least = 16 << 20 // an interpreter with nothing imported takes about 10 MiB
	if size, err := parseSize(text); err == nil && size > 0 && size < least {
		return "", fmt.Errorf("%s is less than any worker needs (16MiB) and a bare number is bytes: "+
			"expected 512MiB, or 0 for off", text)
	}
	return text, nil
}

// checkLogLevel takes the levels of gunicorn and uvicorn; critical and trace have no level of their own here.
func checkLogLevel(text string) (string, error) {
	switch level := strings.ToLower(text); level {
	case "warn":
		return "warning", nil
	case "critical", "fatal":
		return "error", nil
	case "trace":
		return "debug", nil
	default:
		return level, nil
	}
}

// checkRetry lets the setting be written as the switch that it is for most people.
func checkRetry(text string) (string, error) {
	switch word := strings.ToLower(text); word {
	case "true", "on", "yes", "1":
		return "safe", nil
	case "false", "no", "0":
		return "off", nil
	default:
		return word, nil
	}
}

// checkSticky wants a name that stands in a query and in JSON as it is.
func checkSticky(text string) (string, error) {
	switch strings.ToLower(text) {
	case "off", "false", "no", "0":
		return "off", nil
	}
	for _, c := range []byte(text) {
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return "", fmt.Errorf("%q is no name: expected letters, digits, - and _, such as sid, or off", text)
		}
	}
	if text == "" {
		return "", errors.New("an empty name: expected one such as sid, or off")
	}
	return text, nil
}

func checkLogFile(text string) (string, error) {
	if text == "" {
		return "", errors.New("an empty name: expected a file, or - for standard error; /dev/null drops the log")
	}
	return text, nil
}
