package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"llama-api-server/internal/http1"
)

// decode reads a JSON body into target, and answers its members. The error is a 400, 413 or 415.
func decode(r *http1.Request, target any) (given, error) {
	media, _, _ := strings.Cut(r.Header["content-type"], ";")
	switch media = strings.ToLower(strings.TrimSpace(media)); media {
	case "", "application/json", "text/plain", "application/x-www-form-urlencoded":
	default:
		return nil, newError(415, "", "", "The body's Content-Type is '%s'; send application/json.", media)
	}
	body, err := r.Body()
	if err != nil {
		return nil, err
	}
	if err := unmarshal(body, target); err != nil {
		return nil, err
	}
	return members(body), nil
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

// sampling is what chat and completion requests have in common, beside the settings.
type sampling struct {
	Model               string          `json:"model"`
	MaxTokens           *int            `json:"max_tokens"`
	MaxCompletionTokens *int            `json:"max_completion_tokens"`
	NPredict            *int            `json:"n_predict"`
	Stop                oneOrMore       `json:"stop"`
	N                   *int            `json:"n"`
	Stream              bool            `json:"stream"`
	StreamOptions       *streamOptions  `json:"stream_options"`
	ResponseFormat      *responseFormat `json:"response_format"`
	TimesTokens         bool            `json:"timings_per_token"`
	Progress            bool            `json:"return_progress"`
	ReturnTokens        bool            `json:"return_tokens"`
	Verbose             bool            `json:"verbose"`

	settings map[string]any // metadata
	logprobs logprobsAsked
}

// stopReason is the request's own text that ended an answer, "" if none of these did, or a call.
func (s *sampling) stopReason(result outcome) string {
	if result.finish == finishStop && slices.Contains(s.Stop.texts, result.stop) {
		return result.stop
	}
	return ""
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

const (
	mostChoices = 16
	mostStops   = 16
)

// limits are the names of the most tokens of an answer, what wins first.
func (s *sampling) limits() []named {
	return []named{{"max_completion_tokens", s.MaxCompletionTokens}, {"max_tokens", s.MaxTokens}, {"n_predict", s.NPredict}}
}

type named struct {
	param string
	value *int
}

// check judges what the request asks for, and reads its settings for the model.
func (s *sampling) check(fields given, endpoint int, model *Model) (err error) {
	if err := fields.check(endpoint); err != nil {
		return err
	}
	if s.settings, err = fields.settings(endpoint, model); err != nil {
		return err
	}
	if s.ReturnTokens && !model.able.Token {
		return invalid("return_tokens", "'return_tokens' is not supported: this WASI-NN host tells no token numbers.")
	}
	if n := s.choices(); n < 1 || n > mostChoices {
		return invalid("n", "'n' is %d; a number from 1 to %d is allowed.", n, mostChoices)
	}
	for _, limit := range s.limits() {
		if limit.value != nil && *limit.value < -1 {
			return invalid(limit.param, "'%s' is %d; a number from 0 up is allowed, and -1 for no limit.", limit.param, *limit.value)
		}
	}
	if s.Stop.wrong || len(s.Stop.texts) > mostStops || slices.Contains(s.Stop.texts, "") {
		return invalid("stop", "'stop' takes 1 to %d texts, none of them empty.", mostStops)
	}
	return nil
}

// constraint is the schema that an answer follows, none for a grammar or nothing, and the field
// that says so.
func (s *sampling) constraint() (schema, param string, err error) {
	if schema, param, err = s.ResponseFormat.schema(); err != nil {
		return "", "", err
	}
	for _, name := range []string{"json_schema", "grammar"} {
		key := strings.ReplaceAll(name, "_", "-")
		value, _ := s.settings[key].(string)
		switch {
		case value == "":
			delete(s.settings, key)
			continue
		case param != "":
			return "", "", invalid(name, "'%s' does not go with '%s': an answer follows one of them.", name, param)
		}
		if param = name; key != "grammar" {
			schema = value
		}
	}
	return schema, param, nil
}

func (s *sampling) choices() int {
	if s.N == nil {
		return 1
	}
	return *s.N
}

// limit is the most tokens of an answer, or the default.
func (s *sampling) limit(otherwise int) int {
	for _, limit := range s.limits() {
		if limit.value != nil {
			return *limit.value
		}
	}
	return otherwise
}

// changes is the request's part of the metadata, for its index'th choice. A seed of -1 is as
// good as none: random.
func (s *sampling) changes(choice int) map[string]any {
	changes := map[string]any{"n-predict": -1}
	maps.Copy(changes, s.settings)
	if seed, given := s.settings["seed"].(int64); given {
		changes["seed"] = seedOf(seed, choice)
	}
	return changes
}

func seedOf(seed int64, choice int) int64 {
	if seed == -1 || seed == randomSeed {
		return randomSeed
	}
	return (seed + int64(choice)) & 0x7fffffff
}

func (s *sampling) includeUsage(always bool) bool {
	return always || (s.StreamOptions != nil && s.StreamOptions.IncludeUsage)
}

// usage is the count of tokens of a response.
type usage struct {
	Prompt     int            `json:"prompt_tokens"`
	Completion int            `json:"completion_tokens"`
	Total      int            `json:"total_tokens"`
	Details    *promptDetails `json:"prompt_tokens_details,omitempty"`
}

type promptDetails struct {
	Cached int `json:"cached_tokens"`
}

// add counts one answer; the choices of a request share its prompt, which the first counts.
func (u *usage) add(result outcome, choice int) {
	if choice == 0 {
		u.Prompt += result.prompt
		if result.cached != nil {
			if u.Details == nil {
				u.Details = &promptDetails{}
			}
			u.Details.Cached += *result.cached
		}
	}
	u.Completion += result.completion
	u.Total = u.Prompt + u.Completion
}

// timings are llama.cpp's: tokens of the prompt that were computed before and now, and those of
// the answer, with the time they took.
type timings struct {
	Cached        int     `json:"cache_n"`
	Prompt        int     `json:"prompt_n"`
	PromptMS      float64 `json:"prompt_ms"`
	PromptEach    float64 `json:"prompt_per_token_ms"`
	PromptRate    float64 `json:"prompt_per_second"`
	Predicted     int     `json:"predicted_n"`
	PredictedMS   float64 `json:"predicted_ms"`
	PredictedEach float64 `json:"predicted_per_token_ms"`
	PredictedRate float64 `json:"predicted_per_second"`
}

// timings of an answer that has ended, or of one that goes on.
func (o *outcome) timings() *timings {
	made := timings{Prompt: o.prompt, Predicted: o.completion}
	if o.cached != nil {
		made.Cached = *o.cached
		made.Prompt -= made.Cached
	}
	first, ended := o.first, o.ended
	if ended.IsZero() {
		ended = time.Now()
	}
	if first.IsZero() {
		first = ended
	}
	made.PromptMS, made.PromptEach, made.PromptRate = rates(first.Sub(o.began), made.Prompt)
	// The first token comes with the prompt.
	made.PredictedMS, made.PredictedEach, made.PredictedRate = rates(ended.Sub(first), made.Predicted-1)
	return &made
}

// rates are the time of so many tokens, that of each, both in milliseconds, and how many there
// are in a second; 0 where nothing can be said.
func rates(took time.Duration, tokens int) (all, each, rate float64) {
	all = float64(took.Microseconds()) / 1000
	if tokens > 0 && all > 0 {
		each, rate = all/float64(tokens), float64(tokens)/all*1000
	}
	return all, each, rate
}
