package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"llama-api-server/internal/http1"
)

// decode reads a JSON body into target. The error is a 400, 413 or 415.
func decode(r *http1.Request, target any) error {
	media, _, _ := strings.Cut(r.Header["content-type"], ";")
	switch media = strings.ToLower(strings.TrimSpace(media)); media {
	case "", "application/json", "text/plain", "application/x-www-form-urlencoded":
	default:
		return newError(415, "", "", "The body's Content-Type is '%s'; send application/json.", media)
	}
	body, err := r.Body()
	if err != nil {
		return err
	}
	return unmarshal(body, target)
}

func unmarshal(body []byte, target any) error {
	err := json.Unmarshal(body, target)
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil && string(bytes.TrimSpace(body)) == "null":
		return invalid("", "The body is a JSON null; an object is needed.")
	case err == nil:
		return nil
	case errors.As(err, &kind) && kind.Field == "":
		return invalid("", "The body is a JSON %s; an object is needed.", kind.Value)
	case errors.As(err, &kind):
		param := paramOf(kind.Field)
		return invalid(param, "'%s' has the wrong type: %s is not allowed there.", param, kind.Value)
	}
	return invalid("", "The body is not valid JSON: %v.", err)
}

// paramOf is a path as OpenAI's API writes it: messages[0].role for Go's messages.0.role.
func paramOf(path string) string {
	parts := strings.Split(path, ".")
	param := parts[0]
	for _, part := range parts[1:] {
		if _, err := strconv.Atoi(part); err == nil {
			param += "[" + part + "]"
		} else {
			param += "." + part
		}
	}
	return param
}

// oneOrMore is a string or an array of strings; wrong tells that it is something else.
type oneOrMore struct {
	texts []string
	wrong bool
}

func (o *oneOrMore) UnmarshalJSON(text []byte) error {
	var one *string
	if json.Unmarshal(text, &one) != nil {
		o.texts, o.wrong = unmarshalAll[string](text)
	} else if one != nil {
		o.texts = []string{*one}
	}
	return nil
}

// unmarshalAll is an array of values, none of them null; wrong tells that it is something else.
func unmarshalAll[T any](text []byte) (values []T, wrong bool) {
	var given []*T
	if json.Unmarshal(text, &given) != nil || slices.Contains(given, nil) {
		return nil, true
	}
	for _, value := range given {
		values = append(values, *value)
	}
	return values, false
}

// sampling is what chat and completion requests have in common.
type sampling struct {
	Model               string             `json:"model"`
	Temperature         *float64           `json:"temperature"`
	TopP                *float64           `json:"top_p"`
	TopK                *int               `json:"top_k"`
	MinP                *float64           `json:"min_p"`
	PresencePenalty     *float64           `json:"presence_penalty"`
	FrequencyPenalty    *float64           `json:"frequency_penalty"`
	RepeatPenalty       *float64           `json:"repeat_penalty"`
	Seed                *int64             `json:"seed"`
	MaxTokens           *int               `json:"max_tokens"`
	MaxCompletionTokens *int               `json:"max_completion_tokens"`
	Stop                oneOrMore          `json:"stop"`
	N                   *int               `json:"n"`
	Stream              bool               `json:"stream"`
	StreamOptions       *streamOptions     `json:"stream_options"`
	LogitBias           map[string]float64 `json:"logit_bias"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

const (
	mostChoices = 16
	mostStops   = 16
)

// ranged is a parameter with the range it has to be in and the metadata key it becomes.
type ranged struct {
	param, key  string
	value       *float64
	least, most float64
}

func (s *sampling) ranges() []ranged {
	return []ranged{
		{"temperature", "temp", s.Temperature, 0, 2},
		{"top_p", "top-p", s.TopP, 0, 1},
		{"min_p", "min-p", s.MinP, 0, 1},
		{"presence_penalty", "presence-penalty", s.PresencePenalty, 0, 2},
		{"frequency_penalty", "frequency-penalty", s.FrequencyPenalty, 0, 2},
		{"repeat_penalty", "repeat-penalty", s.RepeatPenalty, 0, 10},
	}
}

// check judges what the request asks for.
func (s *sampling) check() error {
	for _, row := range s.ranges() {
		if row.value != nil && (*row.value < row.least || *row.value > row.most) {
			return invalid(row.param, "'%s' is %g; a number from %g to %g is allowed.", row.param, *row.value, row.least, row.most)
		}
	}
	if s.TopK != nil && *s.TopK < 0 {
		return invalid("top_k", "'top_k' is %d; a number from 0 up is allowed.", *s.TopK)
	}
	if n := s.choices(); n < 1 || n > mostChoices {
		return invalid("n", "'n' is %d; a number from 1 to %d is allowed.", n, mostChoices)
	}
	for param, value := range map[string]*int{"max_tokens": s.MaxTokens, "max_completion_tokens": s.MaxCompletionTokens} {
		if value != nil && *value < 1 {
			return invalid(param, "'%s' is %d; a number from 1 up is allowed.", param, *value)
		}
	}
	if s.Stop.wrong || len(s.Stop.texts) > mostStops || slices.Contains(s.Stop.texts, "") {
		return invalid("stop", "'stop' takes 1 to %d texts, none of them empty.", mostStops)
	}
	if len(s.LogitBias) > 0 {
		return invalid("logit_bias", "'logit_bias' is not supported: the wasi-nn interface has no such setting.")
	}
	return nil
}

func (s *sampling) choices() int {
	if s.N == nil {
		return 1
	}
	return *s.N
}

// limit is the most tokens of an answer, or the default.
func (s *sampling) limit(otherwise int) int {
	switch {
	case s.MaxCompletionTokens != nil:
		return *s.MaxCompletionTokens
	case s.MaxTokens != nil:
		return *s.MaxTokens
	}
	return otherwise
}

// changes is the request's part of the metadata, for its index'th choice. A seed of -1 is as
// good as none: random.
func (s *sampling) changes(choice int) map[string]any {
	changes := map[string]any{"n-predict": -1}
	for _, row := range s.ranges() {
		if row.value != nil {
			changes[row.key] = *row.value
		}
	}
	if s.TopK != nil {
		changes["top-k"] = *s.TopK
	}
	if s.Seed != nil && *s.Seed != -1 {
		changes["seed"] = (*s.Seed + int64(choice)) & 0x7fffffff
	}
	return changes
}

func (s *sampling) includeUsage(always bool) bool {
	return always || (s.StreamOptions != nil && s.StreamOptions.IncludeUsage)
}

// usage is the count of tokens of a response.
type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
}

// add counts one answer; the choices of a request share its prompt.
func (u *usage) add(result outcome) {
	u.Prompt = result.prompt
	u.Completion += result.completion
	u.Total = u.Prompt + u.Completion
}
