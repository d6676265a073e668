package server

import (
	"testing"

	"llama-api-server/internal/prompt"
)

func TestWhichParametersAreTexts(t *testing.T) {
	tool := prompt.Tool{Name: "f", Parameters: []byte(`{"$defs": {"name": {"type": "string"}, "loop": {"$ref": "#/$defs/loop"}}, "properties": {
		"text": {"type": "string"}, "number": {"type": "integer"}, "any": {}, "all": true,
		"optional": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "list": {"type": ["string", "null"]},
		"either": {"type": ["string", "integer"]}, "word": {"enum": ["a", "b"]}, "mixed": {"enum": ["a", 1]}, "fixed": {"const": "x"},
		"named": {"$ref": "#/$defs/name"}, "all of": {"allOf": [{"$ref": "#/$defs/name"}]}, "loop": {"$ref": "#/$defs/loop"}, "lost": {"$ref": "#/x"}}}`)}
	isText := textParameters([]prompt.Tool{tool})
	for name, want := range map[string][2]bool{
		"text": {true, true}, "number": {false, true}, "any": {}, "all": {}, "optional": {true, true}, "list": {true, true},
		"either": {false, true}, "word": {true, true}, "mixed": {false, true}, "fixed": {true, true}, "named": {true, true},
		"all of": {true, true}, "loop": {}, "lost": {}, "none": {},
	} {
		if text, known := isText("f", name, "12"); text != want[0] || known != want[1] {
			t.Errorf("%s: %v, %v, want %v", name, text, known, want)
		}
	}
	for name, want := range map[string]bool{"optional": false, "list": false, "text": true} {
		if text, _ := isText("f", name, "null"); text != want {
			t.Errorf("%s is null: %v", name, text)
		}
	}
}
