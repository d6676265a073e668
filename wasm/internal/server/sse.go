package server

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// eventStream sends server-sent events, one frame a value, each at once.
type eventStream struct {
	w     http.ResponseWriter
	flush func() error
	frame bytes.Buffer
}

// newEventStream writes nothing yet, so that an error before the first frame is still a plain
// response.
func newEventStream(w http.ResponseWriter) *eventStream {
	return &eventStream{w: w, flush: http.NewResponseController(w).Flush}
}

func (e *eventStream) begun() bool { return e.w.Header().Get("Content-Type") == contentEvents }

const contentEvents = "text/event-stream"

// send writes one frame with value as JSON.
func (e *eventStream) send(value any) error {
	e.frame.Reset()
	e.frame.WriteString("data: ")
	encoder := json.NewEncoder(&e.frame)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	e.frame.WriteByte('\n')
	return e.write(e.frame.Bytes())
}

// done writes the frame that ends a stream.
func (e *eventStream) done() error { return e.write([]byte("data: [DONE]\n\n")) }

func (e *eventStream) write(frame []byte) error {
	if !e.begun() {
		e.w.Header().Set("Content-Type", contentEvents)
		e.w.Header().Set("Cache-Control", "no-cache")
	}
	if _, err := e.w.Write(frame); err != nil {
		return err
	}
	return e.flush()
}

// fail ends a stream with an error: as a frame if the stream has begun, else as err itself,
// which the caller answers as a plain response.
func (e *eventStream) fail(err error) error {
	if !e.begun() {
		return err
	}
	failure, ok := err.(*apiError)
	if !ok {
		failure = internal("%v", err)
	}
	if err := e.send(map[string]*apiError{"error": failure}); err != nil {
		return nil
	}
	e.done()
	return nil
}
