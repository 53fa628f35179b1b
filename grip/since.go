package grip

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"backline"
	"backline/channel"
)

// This file is what a stream's client says of where it was: browsers do by themselves, in Last-Event-ID, what the last
// id of an event was. One text stands for the positions in all groups of the stream.

// SinceField is the answer's field for it.
const SinceField = "Backline-Since"

// Since is what a client has seen last: "" where it has seen nothing yet.
type Since struct{ Last string }

const (
	// maxSince bounds the text: it stands in each event, and comes back in a header field. Beyond, positions leave out
	// what only other nodes need.
	maxSince = 4096
	// maxSinceChannels is of how many groups the positions have room in it without that: 46 bytes each at most.
	maxSinceChannels = 64
	// maxPosition is how long one group's may be.
	maxPosition = 1024
)

// nowhere is the position in a group that remembers nothing: whoever comes back with it is told that something may be
// missing.
const nowhere = "0"

// keyBase is for the names of groups in the text, which are hashes of 32 bits.
const keyBase = 36

// Place is where a stream's client is in one group.
type Place struct {
	Group string
	text  string // the position; "" before it was anywhere
	key   string // of several groups, which one
}

// Places gives where a client is in each channel of an instruction that has Since.
func (in *Instruct) Places() []Place {
	all := make([]Place, len(in.Channels))
	last := in.Since.Last
	lists := strings.Contains(last, ":")
	for i := range all {
		one := &all[i]
		hash := fnv.New32a()
		_, _ = hash.Write([]byte(in.Channels[i].Name))
		one.Group, one.key = in.Channels[i].Name, strconv.FormatUint(uint64(hash.Sum32()), keyBase)
		switch {
		case last == "":
		case len(last) > maxSince, !lists && len(all) > 1:
			one.text = nowhere
		case !lists:
			one.text = last
		default:
			one.text = find(last, one.key)
		}
	}
	return all
}

// find gives the position under a key of a list. Of a group that is not in it the client has seen nothing yet.
func find(list, key string) string {
	for each := range strings.SplitSeq(list, ",") {
		name, text, is := strings.Cut(each, ":")
		switch {
		case !is:
			return nowhere // none of ours
		case name == key && text == "":
			return nowhere
		case name == key:
			return text
		}
	}
	return ""
}

// Position gives the position to go on from. first: there is none yet; false: it is none that anybody knows.
func (p *Place) Position() (from channel.Position, first, known bool) {
	if p.text == "" {
		return from, true, true
	}
	if len(p.text) > maxPosition {
		return from, false, false
	}
	from, known = channel.ParsePosition(p.text)
	return from, false, known
}

// Move notes where the client is now.
func (p *Place) Move(to channel.Position) {
	if p.text = to.String(); p.text == "" {
		p.text = nowhere
	}
}

// AppendPlaces writes the text that Places reads.
func AppendPlaces(dst []byte, all []Place) []byte {
	begin := len(dst)
	for _, whole := range []bool{true, false} {
		dst = dst[:begin]
		for i := range all {
			text := all[i].text
			if text == "" {
				continue // still to be found out: nothing of it was seen
			}
			if len(all) > 1 {
				if len(dst) > begin {
					dst = append(dst, ',')
				}
				dst = append(append(dst, all[i].key...), ':')
			}
			if dot := strings.IndexByte(text, '.'); dot >= 0 && !whole {
				text = text[:dot]
			}
			dst = append(dst, text...)
		}
		if len(dst)-begin <= maxSince {
			break
		}
	}
	return dst
}

// checkSince looks at an answer that its client may go on from.
func (in *Instruct) checkSince() error {
	if in.Since == nil {
		return nil
	}
	kind := ""
	for _, f := range in.Answer.Header {
		if strings.EqualFold(f[0], "content-type") {
			kind = strings.ToLower(f[1])
		}
	}
	switch {
	case in.Mode != Stream || !strings.HasPrefix(kind, "text/event-stream"):
		return errors.New(SinceField + " is for streams of events: with Grip-Hold: stream and the type text/event-stream")
	case in.Next.URI != "" || in.Resumes():
		return errors.New(SinceField + " stands beside a Grip-Link or a prev-id; expected one of them: they say in two " +
			"ways what was missed")
	case len(in.Channels) > maxSinceChannels:
		return fmt.Errorf("%s is for %d channels; at most %d have room in the id of an event",
			SinceField, len(in.Channels), maxSinceChannels)
	}
	for i := range in.Channels {
		if !backline.ValidFieldValue([]byte(in.Channels[i].Name)) {
			return fmt.Errorf("the channel %.80q has a control character, which an event cannot name", in.Channels[i].Name)
		}
	}
	return nil
}
