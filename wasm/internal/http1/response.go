package http1

import (
	"fmt"
	"net"
	"strconv"
	"time"
)

// Response is the answer to one request: sent whole by Send, or begun by Stream and written
// piece by piece.
type Response struct {
	Status int // 0 before it is begun

	connection net.Conn
	request    *Request
	header     []byte
	head       bool // no body is sent
	proto10    bool
	closing    bool // the connection ends with this response
	chunked    bool
	broken     bool // a stream that must not look complete
	err        error
	timed      time.Time // when the deadline of writes was set
}

var statusTexts = map[int]string{
	200: "OK", 204: "No Content",
	400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed",
	413: "Content Too Large", 415: "Unsupported Media Type", 422: "Unprocessable Content",
	429: "Too Many Requests", 431: "Request Header Fields Too Large",
	500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
	505: "HTTP Version Not Supported",
}

// Set adds a header line. It has no effect on a response that is begun.
func (w *Response) Set(name, value string) {
	w.header = fmt.Appendf(w.header, "%s: %s\r\n", name, value)
}

// Begun tells whether a part of the response is sent.
func (w *Response) Begun() bool { return w.Status != 0 }

// Send sends a whole response; contentType may be empty if body is.
func (w *Response) Send(status int, contentType string, body []byte) error {
	if contentType != "" {
		w.Set("Content-Type", contentType)
	}
	if status != 204 {
		w.Set("Content-Length", fmt.Sprint(len(body)))
	}
	if w.request != nil && !w.request.consumed() {
		w.closing = true
	}
	message := w.begin(status)
	if !w.head {
		message = append(message, body...)
	}
	return w.send(message)
}

// Stream begins a response whose length is not known; its head goes with the first Write.
func (w *Response) Stream(status int, contentType string) {
	w.Set("Content-Type", contentType)
	w.chunked = !w.proto10
	if w.chunked {
		w.Set("Transfer-Encoding", "chunked")
	}
	w.header = w.begin(status)
}

// Write sends a part of a stream at once. The error is the connection's.
func (w *Response) Write(part []byte) (int, error) {
	message := w.header
	w.header = nil
	switch {
	case w.head || len(part) == 0:
	case w.chunked:
		message = append(strconv.AppendInt(message, int64(len(part)), 16), "\r\n"...)
		message = append(append(message, part...), "\r\n"...)
	default:
		message = append(message, part...)
	}
	return len(part), w.send(message)
}

// begin is the head of the response as bytes.
func (w *Response) begin(status int) []byte {
	w.Status = status
	if w.closing {
		w.Set("Connection", "close")
	}
	head := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, statusTexts[status],
		time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	head = append(append(head, w.header...), "\r\n"...)
	w.header = nil
	return head
}

// finish ends the response; its error is the first that a part of it met.
func (w *Response) finish() error {
	if !w.Begun() {
		w.Send(204, "", nil)
	}
	if w.chunked && !w.head && !w.broken {
		w.send(append(w.header, "0\r\n\r\n"...))
	} else if len(w.header) > 0 {
		w.send(w.header)
	}
	return w.err
}

func (w *Response) send(message []byte) error {
	if w.err != nil {
		return w.err
	}
	if now := time.Now(); now.Sub(w.timed) > writeTimeout/4 {
		w.timed = now
		w.connection.SetWriteDeadline(now.Add(writeTimeout))
	}
	_, w.err = w.connection.Write(message)
	return w.err
}
