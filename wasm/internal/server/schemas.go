package server

import (
	"encoding/json"
	"encoding/json/jsontext"
	"fmt"
	"slices"
	"strings"

	"llama-api-server/internal/answer"
	"llama-api-server/internal/prompt"
)

// anyOf is the schema of what one of several describes. Each is given the JSON pointer that it
// lies at.
func anyOf(schemas []func(pointer string) string) string {
	if len(schemas) == 1 {
		return schemas[0]("#")
	}
	var options []string
	for index, schema := range schemas {
		options = append(options, schema(fmt.Sprintf("#/anyOf/%d", index)))
	}
	return `{"anyOf":[` + strings.Join(options, ",") + `]}`
}

// callSchemas are the JSON schemas of a call of each of tools: the name before the arguments,
// which is the order they are written in.
func callSchemas(tools []prompt.Tool) []func(pointer string) string {
	var schemas []func(string) string
	for _, tool := range tools {
		schemas = append(schemas, func(pointer string) string {
			parameters := `{"type":"object","additionalProperties":false}`
			if takesSome(tool.Parameters) {
				parameters = moved(string(tool.Parameters), pointer+"/properties/arguments")
			}
			name, _ := json.Marshal(tool.Name)
			return fmt.Sprintf(
				`{"type":"object","properties":{"name":{"const":%s},"arguments":%s},"required":["name","arguments"],"additionalProperties":false}`,
				name, parameters)
		})
	}
	return schemas
}

// annotations are the keywords that say nothing of which parameters there are.
var annotations = []string{"type", "properties", "title", "description", "$schema"}

// takesSome tells whether a function has parameters. As OpenAI has it, one whose schema is missing
// has none, and nor has one whose schema lists none.
func takesSome(parameters json.RawMessage) bool {
	var schema map[string]json.RawMessage
	if json.Unmarshal(parameters, &schema) != nil || len(schema) == 0 {
		return false
	}
	if properties, listed := schema["properties"]; !listed || !neutral(properties) {
		return true
	}
	for name, value := range schema {
		if !slices.Contains(annotations, name) && !(name == "required" && neutral(value)) {
			return true
		}
	}
	return false
}

// callOrAnswer is the schema of a call of one of tools, or of an answer that follows schema.
func callOrAnswer(tools []prompt.Tool, schema string) string {
	return anyOf(append(callSchemas(tools), func(pointer string) string { return moved(schema, pointer) }))
}

// formatOf is how an answer is written that is one JSON object, and a call if it is of a tool.
func formatOf(tools []prompt.Tool) answer.Format {
	return answer.Format{Whole: []string{"{"}, Head: answer.HeadOf(func(name string) bool {
		return slices.ContainsFunc(tools, func(tool prompt.Tool) bool { return tool.Name == name })
	})}
}

// moved is a schema with what its references name found from pointer, where it lies in another.
func moved(schema, pointer string) string {
	if pointer == "#" || !strings.Contains(schema, `"$ref"`) {
		return schema
	}
	work := mover{
		pointer: pointer,
		in:      jsontext.NewDecoder(strings.NewReader(schema), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)),
	}
	if work.schema() != nil {
		return schema // the host says what is wrong with it
	}
	return work.out.String()
}

// mover copies a schema and writes its references anew.
type mover struct {
	pointer string
	in      *jsontext.Decoder
	out     strings.Builder
}

// The keywords whose values are no schemas, and those whose members are.
var (
	valueKeywords  = []string{"const", "enum", "default", "examples"}
	memberKeywords = []string{"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
)

// schema copies a schema, or an array of some.
func (m *mover) schema() error {
	return m.each(func(name string) error {
		switch {
		case slices.Contains(valueKeywords, name):
			return m.copy()
		case slices.Contains(memberKeywords, name):
			return m.each(func(string) error { return m.schema() })
		case name == "$ref":
			return m.reference()
		}
		return m.schema()
	})
}

// each copies a value: an object's members by member, what an array has as schemas.
func (m *mover) each(member func(name string) error) error {
	kind := m.in.PeekKind()
	if kind != '{' && kind != '[' {
		return m.copy()
	}
	m.in.ReadToken()
	m.out.WriteByte(byte(kind))
	for first := true; m.in.PeekKind() != '}' && m.in.PeekKind() != ']'; first = false {
		if !first {
			m.out.WriteByte(',')
		}
		step := func(string) error { return m.schema() }
		name := ""
		if kind == '{' {
			token, err := m.in.ReadToken()
			if err != nil {
				return err
			}
			name, step = token.String(), member
			m.write(name)
			m.out.WriteByte(':')
		}
		if err := step(name); err != nil {
			return err
		}
	}
	m.in.ReadToken()
	m.out.WriteByte(byte(kind) + 2)
	return nil
}

func (m *mover) copy() error {
	value, err := m.in.ReadValue()
	m.out.Write(value)
	return err
}

func (m *mover) reference() error {
	value, err := m.in.ReadValue()
	var target string
	if err == nil && json.Unmarshal(value, &target) == nil && (target == "#" || strings.HasPrefix(target, "#/")) {
		m.write(m.pointer + target[1:])
		return nil
	}
	m.out.Write(value)
	return err
}

func (m *mover) write(text string) {
	quoted, _ := jsontext.AppendQuote(nil, text)
	m.out.Write(quoted)
}
