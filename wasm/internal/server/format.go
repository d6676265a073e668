package server

import "encoding/json"

// responseFormat is what a request wants its answer to be. A json_schema's name and its strict
// are for the client's own use: every schema is obeyed.
type responseFormat struct {
	Type       string          `json:"type"`
	Schema     json.RawMessage `json:"schema"` // of a json_object
	JSONSchema *struct {
		Name   *string         `json:"name"`
		Strict *bool           `json:"strict"`
		Schema json.RawMessage `json:"schema"`
	} `json:"json_schema"`
}

const anyObject = `{"type":"object"}`

// schema is the JSON schema the answer has to follow, none for text, and the parameter it is.
func (f *responseFormat) schema() (schema, param string, err error) {
	if f == nil {
		return "", "", nil
	}
	switch f.Type {
	case "text":
		return "", "", nil
	case "json_object":
		if !isSet(f.Schema) {
			return anyObject, "response_format", nil
		}
		return asSchema(f.Schema, "response_format.schema")
	case "json_schema":
		const param = "response_format.json_schema"
		if f.JSONSchema == nil {
			return "", "", invalid(param, "'%s' is missing: an object with a name and a schema.", param)
		}
		return asSchema(f.JSONSchema.Schema, param+".schema")
	}
	return "", "", invalid("response_format.type", "'response_format.type' is '%s'; text, json_object and json_schema are allowed.", f.Type)
}

// asSchema is a schema as the client wrote it, at param.
func asSchema(schema json.RawMessage, param string) (string, string, error) {
	switch {
	case !isSet(schema):
		return "", "", invalid(param, "'%s' is missing: a JSON object.", param)
	case schema[0] != '{':
		return "", "", invalid(param, "'%s' is %.60s; a schema is a JSON object.", param, schema)
	}
	return string(schema), param, nil
}
