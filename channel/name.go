package channel

import "strings"

// Owner gives the id of the process that a channel belongs to: the part between the last "." and the first "!" of its
// name, "specific.ID!name". False: the channel is anybody's, and is read by whoever asks for it.
func Owner(channel string) (id string, owned bool) {
	before, _, owned := strings.Cut(channel, "!")
	if !owned {
		return "", false
	}
	return before[strings.LastIndexByte(before, '.')+1:], true
}
