package server

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// apiError is OpenAI's error object with the status it is sent with.
type apiError struct {
	status  int
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

func (e *apiError) Error() string { return e.Message }

func newError(status int, kind, code, param, message string) *apiError {
	failure := &apiError{status: status, Message: message, Type: kind}
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
	return newError(http.StatusBadRequest, "invalid_request_error", "", param, fmt.Sprintf(format, values...))
}

func internal(format string, values ...any) *apiError {
	return newError(http.StatusInternalServerError, "server_error", "", "", fmt.Sprintf(format, values...))
}

func contextLengthExceeded(limit, tokens int) *apiError {
	return newError(http.StatusBadRequest, "invalid_request_error", "context_length_exceeded", "messages",
		fmt.Sprintf("This model's maximum context length is %d tokens. However, your messages resulted in %d tokens. Please reduce the length of the messages.", limit, tokens))
}

func modelNotFound(name string, known []string) *apiError {
	return newError(http.StatusNotFound, "invalid_request_error", "model_not_found", "model",
		fmt.Sprintf("The model '%s' does not exist; this server has %v.", name, known))
}

// writeError sends err as an error object; one that is not an apiError is a 500.
func writeError(w http.ResponseWriter, err error) {
	failure, ok := err.(*apiError)
	if !ok {
		failure = internal("%v", err)
	}
	writeJSON(w, failure.status, map[string]*apiError{"error": failure})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.Encode(value)
}
