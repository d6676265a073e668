package server

import (
	"encoding/json"
	"strings"
)

// verbose is an answer as llama.cpp's server tells it, with the prompt as the model saw it and every
// setting.
type verbose struct {
	Index        int            `json:"index"`
	Content      string         `json:"content"`
	Tokens       []int          `json:"tokens"`
	Stop         bool           `json:"stop"`
	Model        string         `json:"model"`
	Predicted    int            `json:"tokens_predicted"`
	Evaluated    int            `json:"tokens_evaluated"`
	Cached       int            `json:"tokens_cached"`
	Settings     map[string]any `json:"generation_settings"`
	Prompt       string         `json:"prompt"`
	NewLine      bool           `json:"has_new_line"`
	Truncated    bool           `json:"truncated"`
	StopType     string         `json:"stop_type"`
	StoppingWord string         `json:"stopping_word"`
	Timings      *timings       `json:"timings"`
}

// verbosely is what a whole answer with this text was made of; nil if nobody asked.
func (s *sampling) verbosely(model *Model, work *generation, index int, prompt, text string, tokens []chance, result *outcome) *verbose {
	if !s.Verbose {
		return nil
	}
	told := &verbose{
		Index: index, Content: text, Tokens: []int{}, Stop: true, Model: model.Name,
		Predicted: result.completion, Evaluated: result.prompt,
		Settings: s.generationSettings(model, work), Prompt: prompt,
		NewLine: strings.Contains(text, "\n"), Truncated: result.full,
		StopType: "eos", Timings: result.timings(),
	}
	if result.cached != nil {
		told.Cached = *result.cached
	}
	if s.ReturnTokens {
		told.Tokens = numbersOf(tokens)
	}
	switch {
	case result.finish == finishLength:
		told.StopType = "limit"
	case s.stopReason(*result) != "":
		told.StopType, told.StoppingWord = "word", result.stop
	}
	return told
}

func numbersOf(tokens []chance) []int {
	numbers := []int{}
	for _, token := range tokens {
		numbers = append(numbers, token.ID)
	}
	return numbers
}

// fixed are llama.cpp's settings that are the same for all answers here.
var fixed = map[string]any{
	"n_keep": 0, "n_discard": 0, "lora": []any{}, "backend_sampling": false,
	"adaptive_target": -1.0, "adaptive_decay": 0.0,
}

// retold are the settings whose metadata is written otherwise than llama.cpp tells them.
var retold = map[string]func(text string) any{
	"samplers":              func(text string) any { return strings.FieldsFunc(text, func(char rune) bool { return char == ';' }) },
	"dry_sequence_breakers": func(text string) any { return json.RawMessage(orEmpty(text)) },
	"logit_bias":            toldBiases,
}

func orEmpty(text string) string {
	if text == "" {
		return "[]"
	}
	return text
}

// toldBiases are pairs as llama.cpp tells them; null is never.
func toldBiases(text string) any {
	var pairs [][2]json.RawMessage
	json.Unmarshal([]byte(orEmpty(text)), &pairs)
	told := []any{}
	for _, pair := range pairs {
		told = append(told, map[string]any{"token": pair[0], "bias": pair[1]})
	}
	return told
}

// generationSettings are all that an answer is made by, by llama.cpp's names.
func (s *sampling) generationSettings(model *Model, work *generation) map[string]any {
	told := map[string]any{
		"n_predict": work.limit, "max_tokens": work.limit, "stream": s.Stream,
		"stop": append([]string{}, s.Stop.texts...), "timings_per_token": s.TimesTokens,
	}
	for name, value := range fixed {
		told[name] = value
	}
	keys := map[string]bool{}
	for _, row := range fields {
		if row.sets == nil || row.use(forCompletions) != obeyed || keys[row.sets.key] {
			continue
		}
		keys[row.sets.key] = true
		value, found := work.changes[row.sets.key]
		if !found {
			value = model.metadata[row.sets.key]
		}
		if write := retold[row.name]; write != nil {
			text, _ := value.(string)
			value = write(text)
		}
		told[row.name] = value
	}
	if told["ignore_eos"] == true {
		biases := told["logit_bias"].([]any)
		for _, token := range model.able.Ends {
			biases = append(biases, map[string]any{"token": token, "bias": nil})
		}
		told["logit_bias"] = biases
	}
	return told
}
