package server

import "llama-api-server/internal/http1"

// eventStream sends server-sent events, one frame a value, each at once. It begins with the
// first frame, so that an error before it is still a plain response.
type eventStream struct{ w *http1.Response }

// send writes one frame with value as JSON.
func (e eventStream) send(value any) error {
	body, err := encode(value)
	if err != nil {
		return err
	}
	return e.write(append(append([]byte("data: "), body...), '\n'))
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
