package server

import (
	"encoding/json"
	"slices"
)

// source is what a completion goes on from: a text, or metadata that becomes a prompt.
type source struct {
	text  string
	parts bool // text is metadata
	param string
}

const mostPrompts = 2048

// sources are a request's prompts: a text; an array of texts; the model's token numbers, with
// texts among them or not; or an array of all of these. A suffix makes each what stands before a
// gap.
func sources(prompt, suffix json.RawMessage, model *Model) ([]source, error) {
	prompts, err := promptsOf(prompt)
	if err != nil {
		return nil, err
	}
	if len(prompts) > mostPrompts {
		return nil, invalid("prompt", "'prompt' has %d items; %d are allowed.", len(prompts), mostPrompts)
	}
	behind, err := suffixOf(suffix, model)
	if err != nil {
		return nil, err
	}
	var found []source
	for _, parts := range prompts {
		made, err := parts.source(behind, model)
		if err != nil {
			return nil, err
		}
		found = append(found, made)
	}
	return found, nil
}

// parts are texts and token numbers that make one prompt.
type parts []any

func promptsOf(prompt json.RawMessage) ([]parts, error) {
	var text string
	if json.Unmarshal(prompt, &text) == nil && isSet(prompt) {
		return []parts{{text}}, nil
	}
	items, wrong := unmarshalAll[json.RawMessage](prompt)
	if wrong || len(items) == 0 {
		return nil, invalid("prompt", "'prompt' is needed: a text, token numbers, or an array of them.")
	}
	isNumber := func(item json.RawMessage) bool {
		_, err := wholeNumber(item)
		return err == nil
	}
	if slices.ContainsFunc(items, isNumber) { // of one prompt
		one, err := partsOf(prompt)
		return []parts{one}, err
	}
	var found []parts
	for _, item := range items {
		if json.Unmarshal(item, &text) == nil && string(item) != "null" {
			found = append(found, parts{text})
			continue
		}
		one, err := partsOf(item)
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, nil
}

// partsOf is an array of texts and token numbers.
func partsOf(raw json.RawMessage) (parts, error) {
	items, wrong := unmarshalAll[json.RawMessage](raw)
	if wrong || len(items) == 0 {
		return nil, invalid("prompt", "'prompt' has %.60s; texts and arrays of token numbers are allowed.", raw)
	}
	var found parts
	for _, item := range items {
		var text string
		if number, err := wholeNumber(item); err == nil {
			found = append(found, number)
		} else if json.Unmarshal(item, &text) == nil && string(item) != "null" {
			found = append(found, text)
		} else {
			return nil, invalid("prompt", "'prompt' has %.60s among token numbers; texts are allowed there.", item)
		}
	}
	return found, nil
}

// suffixOf is the text behind the gap to fill in, "" for none.
func suffixOf(suffix json.RawMessage, model *Model) (string, error) {
	if !isSet(suffix) {
		return "", nil
	}
	var text string
	if json.Unmarshal(suffix, &text) != nil {
		return "", wrongType("suffix", suffix)
	}
	if text != "" && !model.able.Infill {
		return "", invalid("suffix", "'suffix' is not supported: the model has no tokens for filling in a gap, or the host does not tell it of them.")
	}
	return text, nil
}

// source is the prompt for the host.
func (p parts) source(suffix string, model *Model) (source, error) {
	text, isText := p[0].(string)
	isText = isText && len(p) == 1
	var document map[string]any
	switch {
	case suffix != "":
		document = map[string]any{"infill": map[string]any{"prefix": p, "suffix": []string{suffix}}}
	case isText:
		return source{text: text, param: "prompt"}, nil
	case !model.able.Prompt:
		return source{}, invalid("prompt", "'prompt' is token numbers, which this WASI-NN host does not take; send text.")
	default:
		document = map[string]any{"prompt": p}
	}
	written, err := json.Marshal(document)
	return source{text: string(written), parts: true, param: "prompt"}, err
}
