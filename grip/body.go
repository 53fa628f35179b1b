package grip

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// instruction is a body of ContentType.
type instruction struct {
	Hold *struct {
		Mode     *string `json:"mode"`
		Channels []struct {
			Name    string   `json:"name"`
			PrevID  string   `json:"prev-id"` //nolint:tagliatelle // GRIP's own spelling
			Filters []string `json:"filters"`
		} `json:"channels"`
		Timeout   *float64 `json:"timeout"`
		KeepAlive *struct {
			content
			Timeout *float64 `json:"timeout"`
			Mode    string   `json:"mode"`
		} `json:"keep-alive"` //nolint:tagliatelle // as above
		Meta map[string]text `json:"meta"`
	} `json:"hold"`
	Response *response `json:"response"`
}

// content is text, or bytes in base64.
type content struct {
	Text   *string `json:"content"`
	Binary *string `json:"content-bin"` //nolint:tagliatelle // as above
}

func (c *content) bytes() ([]byte, error) { return decode(c.Text, c.Binary) }

func decode(text, binary *string) ([]byte, error) {
	switch {
	case binary != nil:
		data, err := base64.StdEncoding.DecodeString(*binary)
		if err != nil {
			return nil, fmt.Errorf("binary content is no base64: %w", err)
		}
		return data, nil
	case text != nil:
		return []byte(*text), nil
	}
	return nil, nil
}

// text is a string where numbers are taken too.
type text string

func (t *text) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, (*string)(t))
	}
	*t = text(bytes.Clone(data))
	return nil
}

// response is a whole answer.
type response struct {
	Code      *int            `json:"code"`
	Reason    string          `json:"reason"`
	Headers   headers         `json:"headers"`
	Body      *string         `json:"body"`
	BodyBin   *string         `json:"body-bin"`   //nolint:tagliatelle // as above
	BodyPatch json.RawMessage `json:"body-patch"` //nolint:tagliatelle // as above
}

// headers are an object, or pairs.
type headers [][2]string

func (h *headers) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		decoder := json.NewDecoder(bytes.NewReader(data))
		_, _ = decoder.Token()
		for decoder.More() {
			name, err := decoder.Token()
			if err != nil {
				return err
			}
			var value text
			if err := decoder.Decode(&value); err != nil {
				return err
			}
			*h = append(*h, [2]string{fmt.Sprint(name), string(value)})
		}
		return nil
	}
	var pairs [][]text
	if err := readJSON(data, &pairs); err != nil {
		return err
	}
	for _, pair := range pairs {
		if len(pair) != 2 {
			return fmt.Errorf("a header field of %d elements; expected a name and a value", len(pair))
		}
		*h = append(*h, [2]string{string(pair[0]), string(pair[1])})
	}
	return nil
}

func (in *Instruct) readBody(status int, body []byte) error {
	if status != 200 {
		return fmt.Errorf("an answer of the type %s has the status %d; expected 200", ContentType, status)
	}
	var read instruction
	if err := readJSON(body, &read); err != nil {
		return fmt.Errorf("an answer of the type %s cannot be read: %w", ContentType, err)
	}
	in.Answer.Header = nil
	if err := in.readHold(&read); err != nil {
		return err
	}
	r := read.Response
	if r == nil {
		return nil
	}
	if r.Code != nil {
		in.Answer.Status, in.Answer.Reason = *r.Code, ""
	}
	if r.Reason != "" {
		in.Answer.Reason = r.Reason
	}
	in.Answer.Header = r.Headers
	var err error
	in.Answer.Body, err = decode(r.Body, r.BodyBin)
	return err
}

func (in *Instruct) readHold(read *instruction) (err error) {
	hold := read.Hold
	if hold == nil {
		return nil
	}
	in.Mode = Response
	if hold.Mode != nil {
		if in.Mode, err = mode(*hold.Mode); err != nil {
			return err
		}
	}
	in.Channels = nil
	for _, c := range hold.Channels {
		in.Channels = append(in.Channels, Channel{c.Name, c.PrevID, c.Filters})
	}
	if hold.Timeout != nil {
		if in.Timeout, err = number(*hold.Timeout); err != nil {
			return err
		}
	}
	if k := hold.KeepAlive; k != nil {
		in.KeepAlive = KeepAlive{Timeout: DefaultTimeout, Interval: k.Mode == "interval"}
		if in.KeepAlive.Data, err = k.bytes(); err != nil {
			return err
		}
		if k.Timeout != nil {
			in.KeepAlive.Timeout, err = number(*k.Timeout)
		}
		if len(in.KeepAlive.Data) == 0 && err == nil {
			err = errors.New("keep-alive has nothing to send")
		}
	}
	for key, value := range hold.Meta {
		in.setMeta(key, string(value))
	}
	return err
}

func number(n float64) (time.Duration, error) {
	if n < 0 || n > math.MaxInt32 || n != n {
		return 0, fmt.Errorf("a timeout is %s; expected a number of seconds", strconv.FormatFloat(n, 'g', -1, 64))
	}
	return min(time.Duration(n*float64(time.Second)), longest), nil
}
