package server

import (
	"encoding/json"
	"strings"

	"llama-api-server/internal/answer"
	"llama-api-server/internal/prompt"
)

// mostFollowed is how far schemas are followed into one another.
const mostFollowed = 16

// kinds are the JSON types that a schema allows, none for all of them.
type kinds map[string]bool

// textParameters tells which parameters of tools are texts, as far as their schemas say.
func textParameters(tools []prompt.Tool) answer.IsText {
	parameters := map[[2]string]kinds{}
	for _, tool := range tools {
		var root map[string]any
		json.Unmarshal(tool.Parameters, &root)
		properties, _ := root["properties"].(map[string]any)
		for name, schema := range properties {
			found := kinds{}
			found.allow(schema, root, 0)
			parameters[[2]string{tool.Name, name}] = found
		}
	}
	return func(function, parameter, value string) (text, known bool) {
		allowed := parameters[[2]string{function, parameter}]
		text = allowed["string"] && (len(allowed) == 1 || len(allowed) == 2 && allowed["null"] && value != "null")
		return text, len(allowed) > 0
	}
}

// allow adds what schema allows, which lies in root.
func (k kinds) allow(schema any, root map[string]any, depth int) {
	members, _ := schema.(map[string]any)
	if depth == mostFollowed || members == nil {
		return
	}
	switch types := members["type"].(type) {
	case string:
		k[types] = true
		return
	case []any:
		for _, each := range types {
			if name, found := each.(string); found {
				k[name] = true
			}
		}
		return
	}
	if value, found := members["const"]; found {
		k[kindOf(value)] = true
	}
	values, _ := members["enum"].([]any)
	for _, value := range values {
		k[kindOf(value)] = true
	}
	for _, name := range []string{"anyOf", "oneOf", "allOf"} {
		options, _ := members[name].([]any)
		for _, option := range options {
			k.allow(option, root, depth+1)
		}
	}
	if reference, found := members["$ref"].(string); found {
		k.allow(referred(reference, root), root, depth+1)
	}
}

func kindOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

// referred is what a reference names in root by a pointer, nil for nothing.
func referred(reference string, root map[string]any) any {
	pointer, found := strings.CutPrefix(reference, "#/")
	if !found {
		return nil
	}
	var target any = root
	for step := range strings.SplitSeq(pointer, "/") {
		members, _ := target.(map[string]any)
		target = members[strings.NewReplacer("~1", "/", "~0", "~").Replace(step)]
	}
	return target
}
