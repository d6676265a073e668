package http1

import (
	"bufio"
	"context"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Request is one request. Header names are in lower case.
type Request struct {
	Method string
	Path   string // decoded
	Query  string
	Header map[string]string

	proto10 bool
	close   bool
	expect  bool
	chunked bool
	length  int64 // bytes of the body; -1 if it is chunked; 0 once it is read

	ctx    context.Context
	cancel context.CancelFunc
	client *exchanges
}

// BadRequest is a request that cannot be answered as it is.
type BadRequest struct {
	Status int
	Reason string
}

func (b *BadRequest) Error() string { return b.Reason }

func bad(reason string) *BadRequest { return &BadRequest{400, reason} }

// Context ends when the client is gone or the request is answered.
func (r *Request) Context() context.Context { return r.ctx }

func (r *Request) consumed() bool { return r.length == 0 }

// readRequest reads a request's line and header. The error is a BadRequest or the connection's.
func readRequest(reader *bufio.Reader, limit int) (*Request, error) {
	line, err := readLine(reader, &limit)
	for err == nil && line == "" {
		line, err = readLine(reader, &limit)
	}
	if err != nil {
		return nil, err
	}
	request := &Request{Header: map[string]string{}}
	if err := request.parseLine(line); err != nil {
		return nil, err
	}
	for {
		line, err := readLine(reader, &limit)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		if line == "" {
			return request, request.frame()
		}
		if err := request.parseHeader(line); err != nil {
			return nil, err
		}
	}
}

// readLine reads up to a line feed and takes what it read from limit.
func readLine(reader *bufio.Reader, limit *int) (string, error) {
	var line []byte
	for {
		more, err := reader.ReadSlice('\n')
		if *limit -= len(more); *limit < 0 {
			return "", &BadRequest{431, "the request's header is too large"}
		}
		line = append(line, more...)
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil {
			return "", err
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
	}
}

func (r *Request) parseLine(line string) error {
	method, rest, _ := strings.Cut(line, " ")
	target, version, found := strings.Cut(rest, " ")
	if !found || !isToken(method) {
		return bad("the request line is malformed")
	}
	switch version {
	case "HTTP/1.1":
	case "HTTP/1.0":
		r.proto10 = true
	default:
		if strings.HasPrefix(version, "HTTP/") {
			return &BadRequest{505, "only HTTP/1.0 and HTTP/1.1 are spoken here"}
		}
		return bad("the request line is malformed")
	}
	r.Method = method
	if target == "*" && method == "OPTIONS" {
		r.Path = "*"
		return nil
	}
	parsed, err := url.ParseRequestURI(target)
	if err != nil || (parsed.Path == "" && parsed.Host == "") {
		return bad("the request's target is malformed")
	}
	r.Path, r.Query = parsed.Path, parsed.RawQuery
	if r.Path == "" {
		r.Path = "/"
	}
	return nil
}

func (r *Request) parseHeader(line string) error {
	name, value, found := strings.Cut(line, ":")
	if !found || !isToken(name) {
		return bad("a header line is malformed")
	}
	name, value = strings.ToLower(name), strings.Trim(value, " \t")
	for _, char := range []byte(value) {
		if (char < ' ' && char != '\t') || char == 0x7f {
			return bad("a header line has a control character")
		}
	}
	if before, twice := r.Header[name]; twice {
		if name == "host" || (name == "content-length" && before != value) {
			return bad("the header " + name + " is there twice")
		}
		if name != "content-length" {
			value = before + ", " + value
		}
	}
	r.Header[name] = value
	return nil
}

// frame finds out how the body is framed (RFC 9112, 6.3) and what becomes of the connection.
func (r *Request) frame() error {
	if _, found := r.Header["host"]; !found && !r.proto10 {
		return bad("the header Host is missing")
	}
	r.close = hasWord(r.Header["connection"], "close")
	r.expect = strings.EqualFold(r.Header["expect"], "100-continue") && !r.proto10
	coding, chunked := r.Header["transfer-encoding"]
	length, sized := r.Header["content-length"]
	switch {
	case chunked && (sized || r.proto10):
		return bad("Transfer-Encoding does not go with Content-Length, nor with HTTP/1.0")
	case chunked && !strings.EqualFold(coding, "chunked"):
		return &BadRequest{501, "the only transfer coding known here is chunked"}
	case chunked:
		r.chunked, r.length = true, -1
	case sized:
		parsed, err := strconv.ParseUint(length, 10, 63)
		if err != nil {
			return bad("Content-Length is not a number")
		}
		r.length = int64(parsed)
	}
	return nil
}

// Body reads the whole body. The error is a BadRequest: 413 for one that is too large.
func (r *Request) Body() ([]byte, error) {
	if r.consumed() {
		return nil, nil
	}
	limit := r.client.server.MaxBody
	if r.length > limit {
		return nil, tooLarge(limit)
	}
	if r.expect {
		if _, err := r.client.connection.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil {
			return nil, bad("the client is gone")
		}
	}
	r.client.connection.SetReadDeadline(time.Now().Add(bodyTimeout))
	var body []byte
	var err error
	if r.chunked {
		body, err = readChunks(r.client.reader, limit)
	} else {
		body, err = readExactly(r.client.reader, r.length)
	}
	if err != nil {
		if failure, ok := err.(*BadRequest); ok {
			return nil, failure
		}
		return nil, bad("the body ends early")
	}
	r.length = 0
	r.client.watch(r.cancel)
	return body, nil
}

// readExactly grows with what has come, not with what a header promises.
func readExactly(reader io.Reader, length int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(reader, length))
	if err == nil && int64(len(body)) < length {
		err = io.ErrUnexpectedEOF
	}
	return body, err
}

// readChunks reads a chunked body and its trailer (RFC 9112, 7.1).
func readChunks(reader *bufio.Reader, limit int64) ([]byte, error) {
	var body []byte
	for {
		budget := 4096
		line, err := readLine(reader, &budget)
		if err != nil {
			return nil, err
		}
		digits, _, _ := strings.Cut(line, ";")
		size, err := strconv.ParseUint(strings.TrimRight(digits, " \t"), 16, 63)
		if err != nil {
			return nil, bad("a chunk's size is not a number")
		}
		if size == 0 {
			return body, skipTrailer(reader)
		}
		if int64(size) > limit-int64(len(body)) {
			return nil, tooLarge(limit)
		}
		chunk, err := readExactly(reader, int64(size))
		if err != nil {
			return nil, err
		}
		body = append(body, chunk...)
		if line, err := readLine(reader, &budget); err != nil || line != "" {
			return nil, bad("a chunk is longer than its size")
		}
	}
}

func skipTrailer(reader *bufio.Reader) error {
	budget := 4096
	for {
		line, err := readLine(reader, &budget)
		if err != nil || line == "" {
			return err
		}
	}
}

func tooLarge(limit int64) *BadRequest {
	return &BadRequest{413, "the body is larger than " + strconv.FormatInt(limit, 10) + " bytes"}
}

// hasWord tells whether a header's comma list has word, in any case.
func hasWord(list, word string) bool {
	for part := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(part), word) {
			return true
		}
	}
	return false
}

// isToken tells whether text is a token (RFC 9110, 5.6.2).
func isToken(text string) bool {
	for _, char := range []byte(text) {
		if char <= ' ' || char >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, char) >= 0 {
			return false
		}
	}
	return text != ""
}
