package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// serve is a server whose handler answers with the request's body, or as its path says.
func serve(t *testing.T, gone chan<- struct{}) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	server := &Server{MaxHeader: 1 << 10, MaxBody: 1 << 10, Panicked: func(*Request, any) {}}
	server.Refuse = func(w *Response, failure *BadRequest) {
		w.Send(failure.Status, "text/plain", []byte(failure.Reason+"\n"))
	}
	server.Handler = func(w *Response, r *Request) {
		switch r.Path {
		case "/stream":
			w.Stream(200, "text/plain")
			for _, part := range []string{"one", "two"} {
				w.Write([]byte(part))
			}
		case "/panic":
			panic("of a test")
		case "/late-panic":
			w.Stream(200, "text/plain")
			w.Write([]byte("some"))
			panic("of a test")
		case "/unread":
			w.Send(401, "text/plain", []byte("no"))
		case "/wait":
			r.Body()
			<-r.Context().Done()
			close(gone)
		default:
			body, err := r.Body()
			if failure, ok := err.(*BadRequest); ok {
				w.Send(failure.Status, "text/plain", []byte(failure.Reason))
				return
			}
			w.Send(200, "text/plain", fmt.Appendf(nil, "%s %s %s %q", r.Method, r.Path, r.Query, body))
		}
	}
	go server.Serve(listener)
	return listener.Addr().String()
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	connection.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() { connection.Close() })
	return connection
}

// exchange sends text and answers all that comes back until the server closes.
func exchange(t *testing.T, address, text string) string {
	t.Helper()
	connection := dial(t, address)
	io.WriteString(connection, strings.ReplaceAll(text, "\n", "\r\n"))
	answer, err := io.ReadAll(connection)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

const closing = "Host: x\nConnection: close\n"

func TestRequests(t *testing.T) {
	table := []struct{ name, request, status, body string }{
		{"GET", "GET /a%20b?c=d HTTP/1.1\n" + closing + "\n", "200 OK", `GET /a b c=d ""`},
		{"an absolute target", "GET http://x/a HTTP/1.1\n" + closing + "\n", "200 OK", `GET /a  ""`},
		{"a body", "POST / HTTP/1.1\n" + closing + "Content-Length: 3\n\nabc", "200 OK", `POST /  "abc"`},
		{"a chunked body", "POST / HTTP/1.1\n" + closing + "Transfer-Encoding: chunked\n\n2;x=y\nab\n1\nc\n0\nTrailer: x\n\n", "200 OK", `POST /  "abc"`},
		{"line feeds before", "\nGET / HTTP/1.1\n" + closing + "\n", "200 OK", `GET /  ""`},
		{"HTTP/1.0", "GET / HTTP/1.0\n\n", "200 OK", `GET /  ""`},
		{"HEAD", "HEAD / HTTP/1.1\n" + closing + "\n", "200 OK", ""},
		{"OPTIONS *", "OPTIONS * HTTP/1.1\n" + closing + "\n", "200 OK", `OPTIONS *  ""`},
		{"a stream", "GET /stream HTTP/1.1\n" + closing + "\n", "200 OK", "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"},
		{"a stream to HTTP/1.0", "GET /stream HTTP/1.0\n\n", "200 OK", "onetwo"},
		{"a panic", "GET /panic HTTP/1.1\nHost: x\n\n", "500 Internal Server Error", "internal error\n"},
		{"a panic in a stream", "GET /late-panic HTTP/1.1\nHost: x\n\n", "200 OK", "4\r\nsome\r\n"},
		{"a body nobody reads", "POST /unread HTTP/1.1\nHost: x\nContent-Length: 3\n\nabc", "401 Unauthorized", "no"},
		{"no Host", "GET / HTTP/1.1\n\n", "400 Bad Request", "the header Host is missing\n"},
		{"two Hosts", "GET / HTTP/1.1\nHost: x\nHost: y\n\n", "400 Bad Request", "the header host is there twice\n"},
		{"not HTTP", "hello\n\n", "400 Bad Request", "the request line is malformed\n"},
		{"HTTP/2", "GET / HTTP/2.0\nHost: x\n\n", "505 HTTP Version Not Supported", ""},
		{"a space before the colon", "GET / HTTP/1.1\nHost : x\n\n", "400 Bad Request", "a header line is malformed\n"},
		{"a folded header", "GET / HTTP/1.1\nHost: x\n y\n\n", "400 Bad Request", "a header line is malformed\n"},
		{"a control character", "GET / HTTP/1.1\nHost: x\x00\n\n", "400 Bad Request", "a header line has a control character\n"},
		{"a large header", "GET / HTTP/1.1\nHost: " + strings.Repeat("x", 2000) + "\n\n", "431 Request Header Fields Too Large", ""},
		{"a length that is none", "POST / HTTP/1.1\nHost: x\nContent-Length: +3\n\nabc", "400 Bad Request", "Content-Length is not a number\n"},
		{"two lengths", "POST / HTTP/1.1\nHost: x\nContent-Length: 3\nContent-Length: 4\n\nabc", "400 Bad Request", ""},
		{"a length and chunks", "POST / HTTP/1.1\nHost: x\nContent-Length: 3\nTransfer-Encoding: chunked\n\n0\n\n", "400 Bad Request", ""},
		{"another coding", "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: gzip, chunked\n\n0\n\n", "501 Not Implemented", ""},
		{"a large body", "POST / HTTP/1.1\nHost: x\nContent-Length: 2000\n\nabc", "413 Content Too Large", "the body is larger than 1024 bytes"},
		{"large chunks", "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\nfff\nabc", "413 Content Too Large", "the body is larger than 1024 bytes"},
		{"a chunk size that is none", "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n-1\nabc", "400 Bad Request", "a chunk's size is not a number"},
		{"a chunk too long", "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n1\nabc\n", "400 Bad Request", "a chunk is longer than its size"},
	}
	address := serve(t, nil)
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			got := exchange(t, address, row.request)
			head, body, _ := strings.Cut(got, "\r\n\r\n")
			if !strings.HasPrefix(head, "HTTP/1.1 "+row.status+"\r\n") || (row.body != "" && body != row.body) {
				t.Errorf("got %q", got)
			}
			if row.name == "HEAD" && (body != "" || !strings.Contains(head, "Content-Length: 10")) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestKeepAlive(t *testing.T) {
	connection := dial(t, serve(t, nil))
	io.WriteString(connection, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\naGET /stream HTTP/1.1\r\nHost: x\r\n\r\nGET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	answer, err := io.ReadAll(connection)
	if err != nil || strings.Count(string(answer), "HTTP/1.1 200 OK") != 3 || !strings.Contains(string(answer), "GET /last") {
		t.Errorf("%v, got %q", err, answer)
	}
}

func TestContinue(t *testing.T) {
	connection := dial(t, serve(t, nil))
	io.WriteString(connection, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\nConnection: close\r\n\r\n")
	line, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	io.WriteString(connection, "a")
	if answer, _ := io.ReadAll(connection); !bytes.Contains(answer, []byte("200 OK")) {
		t.Errorf("got %q", answer)
	}
}

func TestAClientThatIsGoneEndsTheContext(t *testing.T) {
	for _, request := range []string{"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n", "POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"} {
		gone := make(chan struct{})
		connection := dial(t, serve(t, gone))
		io.WriteString(connection, request)
		time.Sleep(20 * time.Millisecond)
		connection.Close()
		select {
		case <-gone:
		case <-time.After(5 * time.Second):
			t.Errorf("%.20q: the handler was not told", request)
		}
	}
}

// No request ends the parser, and what it accepts is sound.
func FuzzReadRequest(f *testing.F) {
	f.Add([]byte("GET /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, input []byte) {
		reader := bufio.NewReader(bytes.NewReader(input))
		request, err := readRequest(reader, 1<<10)
		if err != nil {
			return
		}
		if request.Method == "" || request.Path == "" {
			t.Errorf("%q has no method or path", input)
		}
		if request.chunked {
			readChunks(reader, 1<<10)
		} else {
			readExactly(reader, min(request.length, 1<<10))
		}
	})
}
