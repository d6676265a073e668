package server

import (
	"encoding/json"
	"slices"
	"strings"
)

const (
	mostInputs = 2048
	inputKinds = "'input' must be a string, token numbers, an object with a 'prompt_string' or a 'content', or an array of these."
)

// input is a text, the tokens of one, or texts and tokens.
type input struct {
	text   string
	tokens []int32
	parts  parts
}

// inputs are what to embed, one for each vector.
func (e *embeddingsRequest) inputs() ([]input, error) {
	items, wrong := unmarshalAll[json.RawMessage](e.Input)
	if wrong || slices.ContainsFunc(items, isNumber) {
		items = []json.RawMessage{e.Input}
	}
	if len(items) == 0 || len(items) > mostInputs {
		return nil, invalid("input", "'input' has %d items; 1 to %d are allowed.", len(items), mostInputs)
	}
	var inputs []input
	for _, item := range items {
		made, err := inputOf(item)
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, made)
	}
	return inputs, nil
}

func isNumber(item json.RawMessage) bool {
	_, err := wholeNumber(item)
	return err == nil
}

// inputOf is one item.
func inputOf(item json.RawMessage) (input, error) {
	switch {
	case len(item) == 0:
		return input{}, invalid("input", inputKinds)
	case item[0] == '[':
		return inputOfTokens(item)
	case item[0] == '{':
		return inputOfObject(item)
	}
	var text string
	if string(item) == "null" || json.Unmarshal(item, &text) != nil {
		return input{}, invalid("input", inputKinds)
	}
	return inputOfText(text)
}

func inputOfText(text string) (input, error) {
	if text == "" {
		return input{}, invalid("input", "'input' has an empty item.")
	}
	return input{text: text}, nil
}

func inputOfTokens(item json.RawMessage) (input, error) {
	if tokens, wrong := unmarshalAll[int32](item); !wrong && len(tokens) > 0 {
		return input{tokens: tokens}, nil
	}
	items, wrong := unmarshalAll[json.RawMessage](item)
	if !wrong && len(items) == 0 {
		return input{}, invalid("input", "'input' has an empty item.")
	}
	mixed, err := partsOf(item)
	if err != nil || wrong {
		return input{}, invalid("input", inputKinds)
	}
	return input{parts: mixed}, nil
}

// inputOfObject is llama.cpp's: a text, or the parts of a message.
func inputOfObject(item json.RawMessage) (input, error) {
	var object struct {
		Text    *string         `json:"prompt_string"`
		Media   json.RawMessage `json:"multimodal_data"`
		Content []part          `json:"content"`
	}
	if json.Unmarshal(item, &object) != nil || object.Text == nil && object.Content == nil {
		return input{}, invalid("input", inputKinds)
	}
	if isSet(object.Media) && !neutral(object.Media) {
		return input{}, invalid("input", "'multimodal_data' is not supported: embeddings are of texts.")
	}
	if object.Text != nil {
		return inputOfText(*object.Text)
	}
	var text strings.Builder
	for _, part := range object.Content {
		if part.Type != "text" {
			return input{}, invalid("input", "Parts of type '%s' are not supported; embeddings are of texts.", part.Type)
		}
		if part.Text == nil {
			return input{}, invalid("input", "A part of type 'text' has no 'text'.")
		}
		text.WriteString(*part.Text)
	}
	return inputOfText(text.String())
}
