// Package http1 is an HTTP/1.1 server (RFC 9112) for a guest: net/http alone would make the
// guest twice as large. Each connection is a goroutine; a request's context ends when its
// client is gone.
package http1

import (
	"bufio"
	"context"
	"net"
	"time"
)

// The bounds of a connection.
const (
	headerTimeout  = 30 * time.Second
	bodyTimeout    = 5 * time.Minute
	idleTimeout    = 5 * time.Minute
	writeTimeout   = time.Minute
	drainTimeout   = 2 * time.Second
	maxDrain       = 1 << 20 // bytes
	maxConnections = 512
)

// Server answers requests with Handler.
type Server struct {
	Handler func(*Response, *Request)
	// MaxHeader bounds a request's line and header, MaxBody its body, in bytes.
	MaxHeader int
	MaxBody   int64
	// Refuse answers a request that cannot be given to Handler.
	Refuse func(*Response, *BadRequest)
	// Panicked is told what a handler panicked with; the client gets a 500 through Refuse.
	Panicked func(request *Request, reason any)
}

// Serve answers the connections of listener until it fails.
func (s *Server) Serve(listener net.Listener) error {
	places := make(chan struct{}, maxConnections)
	for {
		places <- struct{}{}
		connection, err := listener.Accept()
		if err != nil {
			<-places
			if temporary(err) {
				time.Sleep(10 * time.Millisecond)
				continue
			}
			return err
		}
		go func() {
			defer func() { <-places }()
			s.serve(connection)
		}()
	}
}

// temporary tells whether accepting may succeed later: a vanished client, or no descriptors.
func temporary(err error) bool {
	failure, ok := err.(interface{ Temporary() bool })
	return ok && failure.Temporary()
}

// exchanges are the requests of one connection.
type exchanges struct {
	server     *Server
	connection net.Conn
	reader     *bufio.Reader
	watched    chan error // the end of a watch: nil if another request has come
}

func (s *Server) serve(connection net.Conn) {
	defer connection.Close()
	client := &exchanges{server: s, connection: connection, reader: bufio.NewReader(connection)}
	for client.exchange() {
		if client.watched != nil {
			connection.SetReadDeadline(time.Now().Add(idleTimeout))
			err := <-client.watched
			client.watched = nil
			if err != nil {
				return
			}
		}
	}
}

// exchange answers one request and tells whether the connection goes on.
func (c *exchanges) exchange() bool {
	c.connection.SetReadDeadline(time.Now().Add(headerTimeout))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	response := &Response{connection: c.connection, proto10: true, closing: true}
	request, err := readRequest(c.reader, c.server.MaxHeader)
	if err != nil {
		if failure, ok := err.(*BadRequest); ok {
			c.server.Refuse(response, failure)
			c.drain()
		}
		return false
	}
	request.ctx, request.cancel, request.client = ctx, cancel, c
	response.head = request.Method == "HEAD"
	response.proto10 = request.proto10
	response.closing = request.proto10 || request.close
	response.request = request
	if request.length == 0 {
		c.watch(cancel)
	}
	c.handle(response, request)
	complete := response.finish() == nil && !response.closing
	if !request.consumed() {
		c.drain()
		return false
	}
	return complete
}

func (c *exchanges) handle(response *Response, request *Request) {
	defer func() {
		if reason := recover(); reason != nil {
			response.closing = true
			c.server.Panicked(request, reason)
			if !response.Begun() {
				response.header = nil
				c.server.Refuse(response, &BadRequest{500, "internal error"})
			}
			response.broken = true
		}
	}()
	c.server.Handler(response, request)
}

// watch waits for what comes after the request: more bytes are the next one, an end is a client
// that is gone, and cancels.
func (c *exchanges) watch(cancel context.CancelFunc) {
	c.connection.SetReadDeadline(time.Time{})
	watched := make(chan error, 1)
	c.watched = watched
	go func() {
		_, err := c.reader.Peek(1)
		if err != nil {
			cancel()
		}
		watched <- err
	}()
}

// drain reads what the client still sends, so that it gets to read the answer before the
// connection is closed.
func (c *exchanges) drain() {
	if half, ok := c.connection.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	c.connection.SetReadDeadline(time.Now().Add(drainTimeout))
	for total := 0; total < maxDrain; {
		n, err := c.reader.Discard(4096)
		if total += n; err != nil {
			return
		}
	}
}
