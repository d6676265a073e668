package server

import (
	"bytes"
	"encoding/json/jsontext"
	"slices"

	"llama-api-server/internal/http1"
)

// eventStream sends server-sent events, one frame a value, each at once. It begins with the
// first frame, so that an error before it is still a plain response.
type eventStream struct{ w *http1.Response }

// send writes one frame with value as JSON.
func (e eventStream) send(value any) error {
	frame, err := frameOf(value)
	if err != nil {
		return err
	}
	return e.write(frame)
}

func frameOf(value any) ([]byte, error) {
	body, err := encode(value)
	return append(append([]byte("data: "), body...), '\n'), err
}

// textFrames are frames that differ by one text alone.
type textFrames struct{ before, after []byte }

// blank is the text that stands for the others in a frame they are made from.
const blank = "\x00"

// newTextFrames takes value, which has blank as one of its texts.
func newTextFrames(value any) (*textFrames, error) {
	frame, err := frameOf(value)
	if err != nil {
		return nil, err
	}
	before, after, _ := bytes.Cut(frame, []byte(`"\u0000"`))
	return &textFrames{before, after}, nil
}

func (f *textFrames) frame(text string) ([]byte, error) {
	quoted, err := jsontext.AppendQuote(nil, text)
	return slices.Concat(f.before, onOneLine(quoted), f.after), err
}

// done writes the frame that ends a stream.
func (e eventStream) done() error { return e.write([]byte("data: [DONE]\n\n")) }

func (e eventStream) write(frame []byte) error {
	if !e.w.Begun() {
		e.w.Set("Cache-Control", "no-cache")
		e.w.Stream(200, "text/event-stream")
	}
	_, err := e.w.Write(frame)
	return err
}

// fail ends a stream with an error: as a frame if the stream has begun, else as err itself,
// which the caller answers as a plain response.
func (e eventStream) fail(err error) error {
	if !e.w.Begun() {
		return err
	}
	if e.send(errorObject(err)) == nil {
		e.done()
	}
	return nil
}
