package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"llama-api-server/internal/http1"
)

// apiError is OpenAI's error object with the status it is sent with.
type apiError struct {
	status  int
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
	*overflow
}

// overflow is what llama.cpp's server tells of a prompt that has no room: its tokens, where
// anybody counted them, and the context's size, where it is not the model's own.
type overflow struct {
	Prompt  int `json:"n_prompt_tokens,omitempty"`
	Context int `json:"n_ctx,omitempty"`
}

func (e *apiError) Error() string { return e.Message }

// newError is an error object; an empty code or param is null.
func newError(status int, code, param, format string, values ...any) *apiError {
	failure := &apiError{status: status, Message: fmt.Sprintf(format, values...), Type: "invalid_request_error"}
	if status >= 500 {
		failure.Type = "server_error"
	}
	if param != "" {
		failure.Param = &param
	}
	if code != "" {
		failure.Code = &code
	}
	return failure
}

// invalid is a 400 that names the parameter at fault.
func invalid(param, format string, values ...any) *apiError {
	return newError(400, "", param, format, values...)
}

func internal(format string, values ...any) *apiError {
	return newError(500, "", "", format, values...)
}

// contextLengthExceeded is the error for a prompt that is too long: of so many tokens, or of so
// many bytes that nobody counted them. The context's size is 0 where it is the model's own. Its
// code is OpenAI's, its type llama.cpp's.
func contextLengthExceeded(prompt fault, limit int) *apiError {
	size := fmt.Sprintf("has %d tokens", prompt.tokens)
	if prompt.tokens == 0 {
		size = fmt.Sprintf("is far too long with its %d bytes", prompt.bytes)
	}
	room := ""
	if limit > 0 {
		room = fmt.Sprintf(" of %d tokens, of which %d are kept free", limit, reserve)
	}
	failure := newError(400, "context_length_exceeded", prompt.param,
		"The request's prompt %s, which exceeds the available context size%s.", size, room)
	failure.Type = "exceed_context_size_error"
	failure.overflow = &overflow{prompt.tokens, limit}
	return failure
}

func modelNotFound(name string, known []string) *apiError {
	return newError(404, "model_not_found", "model",
		"The model '%s' does not exist; this server has %s.", name, strings.Join(known, ", "))
}

// asError is err as an error object; one that nobody foresaw is a 500.
func asError(err error) *apiError {
	switch failure := err.(type) {
	case *apiError:
		return failure
	case *http1.BadRequest:
		return newError(failure.Status, "", "", "%s", failure.Reason)
	}
	return internal("%v", err)
}

// errorObject is the body that carries an error.
func errorObject(err error) any { return map[string]*apiError{"error": asError(err)} }

func writeError(w *http1.Response, err error) error {
	return writeJSON(w, asError(err).status, errorObject(err))
}

func writeJSON(w *http1.Response, status int, value any) error {
	body, err := encode(value)
	if err != nil {
		return err
	}
	return w.Send(status, "application/json", body)
}

// encode is value as JSON on one line, with <, > and & as they are.
func encode(value any) ([]byte, error) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return onOneLine(body.Bytes()), err
}

// lineEnds are the characters beside JSON's own that clients may split lines at, as Python's
// splitlines does, with their escapes.
var lineEnds = [][2][]byte{
	{[]byte("\u0085"), []byte(`\u0085`)}, {[]byte("\u2028"), []byte(`\u2028`)}, {[]byte("\u2029"), []byte(`\u2029`)},
}

// onOneLine escapes the line ends in JSON, which are in its strings alone.
func onOneLine(text []byte) []byte {
	for _, end := range lineEnds {
		if bytes.Contains(text, end[0]) {
			text = bytes.ReplaceAll(text, end[0], end[1])
		}
	}
	return text
}
