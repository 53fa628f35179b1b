package wire

import (
	"encoding/hex"
	"reflect"
	"testing"
)

// channelVector is a packet for a process that has channels, with one message of each kind.
type channelVector struct {
	Name    string
	Message string
	Value   any
	Marshal string
	Msgpack string
}

func TestChannelVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors[channelVector](t, "channels.json") {
		message := mustHex(t, v.Message)
		for i, want := range []string{v.Marshal, v.Msgpack} {
			var batch Batch
			batch.Reset(codecs[i])
			batch.AddVerdict(4, VerdictFull, 100)
			batch.AddTake(9, "specific.ab!0-c", message)
			batch.AddDeliver("room", message)
			batch.AddEnlisted(3, "room", "specific.ab!0-c", true)
			batch.AddEnlisted(4, "room", "specific.ab!0-c", false)
			batch.Add(KindFlushed, 0)
			if got := hex.EncodeToString(batch.Packet()[4:]); got != want {
				t.Errorf("%s in %s:\n got %s\nwant %s", v.Name, codecs[i], got, want)
			}
		}
		if got := decodeMsgpack(t, mustHex(t, v.Msgpack)); !reflect.DeepEqual(got, plainValue(v.Value)) {
			t.Errorf("%s read by another msgpack:\n got %#v\nwant %#v", v.Name, got, plainValue(v.Value))
		}
	}
}
