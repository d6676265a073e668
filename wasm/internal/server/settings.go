package server

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
)

// setting is the metadata that a field becomes: its key, the value of every request that does
// not say it, none where the options do, and what reads it. WasmEdge lacks those that are
// beyond it, or their negative values.
type setting struct {
	key       string
	otherwise any
	read      func(param string, value json.RawMessage) (any, error)
	shape     map[string]any // JSON schema of the field's values
	beyond    beyond
}

type beyond int

const (
	everywhere beyond = iota
	beyondAll
	beyondNegative
)

// settings is the request's part of the metadata.
func (g given) settings(endpoint int, model *Model) (map[string]any, error) {
	found := map[string]any{}
	for _, row := range fields {
		raw, asked := g[row.name]
		if !asked || row.sets == nil || row.use(endpoint) != obeyed {
			continue
		}
		value, err := row.sets.read(row.name, raw)
		if err != nil {
			return nil, err
		}
		if !model.takes(row.sets, value) {
			return nil, invalid(row.name, "'%s' is not supported: this WASI-NN host has no such setting.", row.name)
		}
		if row.sets.beyond != beyondAll || slices.Contains(model.able.Keys, row.sets.key) {
			found[row.sets.key] = value
		}
	}
	if _, asked := found["seed"]; !asked {
		if seed, said := model.metadata["seed"].(int); said {
			found["seed"] = int64(seed)
		}
	}
	return found, nil
}

// takes tells whether the model's host obeys a setting.
func (m *Model) takes(sets *setting, value any) bool {
	number, isNumber := value.(float64)
	switch {
	case sets.beyond == everywhere, slices.Contains(m.able.Keys, sets.key):
		return true
	case sets.beyond == beyondNegative:
		return isNumber && number >= 0
	}
	return value == sets.otherwise
}

// defaults are the values of every key that a request can set, as far as the model's host has
// it: a host keeps what it was last told.
func (m *Model) defaults() map[string]any {
	values := map[string]any{}
	for _, row := range fields {
		if row.sets == nil || row.sets.otherwise == nil || row.sets.beyond == beyondAll && !slices.Contains(m.able.Keys, row.sets.key) {
			continue
		}
		values[row.sets.key] = row.sets.otherwise
	}
	return values
}

// blamed is the field whose key the host's reason begins with, and the reason with its name; param
// where there is none.
func blamed(reason, param string) (string, string) {
	key, why, found := strings.Cut(reason, ": ")
	for _, row := range fields {
		if found && row.sets != nil && row.sets.key == key {
			return row.name, row.name + ": " + why
		}
	}
	return param, reason
}

func listOf(kind string) map[string]any {
	return map[string]any{"type": "array", "items": map[string]any{"type": kind}}
}

func number(key string, otherwise any, least, most float64) *setting {
	return &setting{key: key, otherwise: otherwise,
		shape: map[string]any{"type": "number", "minimum": least, "maximum": most},
		read: func(param string, raw json.RawMessage) (any, error) {
			value, err := strconv.ParseFloat(string(raw), 64)
			if err != nil {
				return nil, wrongType(param, raw)
			}
			if value < least || value > most {
				return nil, invalid(param, "'%s' is %g; a number from %g to %g is allowed.", param, value, least, most)
			}
			return value, nil
		}}
}

func integer(key string, otherwise any, least, most int64) *setting {
	return &setting{key: key, otherwise: otherwise,
		shape: map[string]any{"type": "integer", "minimum": least, "maximum": most},
		read: func(param string, raw json.RawMessage) (any, error) {
			value, err := wholeNumber(raw)
			if err != nil {
				return nil, wrongType(param, raw)
			}
			if value < least || value > most {
				return nil, invalid(param, "'%s' is %d; a whole number from %d to %d is allowed.", param, value, least, most)
			}
			return value, nil
		}}
}

// wholeNumber reads one, which 5.0 is as well.
func wholeNumber(raw json.RawMessage) (int64, error) {
	value, err := strconv.ParseInt(string(raw), 10, 64)
	if err == nil {
		return value, nil
	}
	real, err := strconv.ParseFloat(string(raw), 64)
	if err == nil && (real != math.Trunc(real) || math.Abs(real) > 1<<53) {
		err = strconv.ErrSyntax
	}
	return int64(real), err
}

func budget() *setting {
	return beyondWasmEdge(integer("reasoning-budget", nil, -1, math.MaxInt32))
}

func toggle(key string, otherwise bool) *setting {
	return &setting{key: key, otherwise: otherwise,
		shape: map[string]any{"type": "boolean"},
		read: func(param string, raw json.RawMessage) (any, error) {
			value, err := strconv.ParseBool(string(raw))
			if err != nil || len(raw) < 4 {
				return nil, wrongType(param, raw)
			}
			return value, nil
		}}
}

func text(key string, otherwise any) *setting {
	return &setting{key: key, otherwise: otherwise,
		shape: map[string]any{"type": "string"},
		read: func(param string, raw json.RawMessage) (any, error) {
			var value string
			if json.Unmarshal(raw, &value) != nil {
				return nil, wrongType(param, raw)
			}
			return value, nil
		}}
}

// texts is an array of texts, which the key has as JSON.
func texts(key string) *setting {
	return &setting{key: key, otherwise: "",
		shape: listOf("string"),
		read: func(param string, raw json.RawMessage) (any, error) {
			var value []string
			if json.Unmarshal(raw, &value) != nil {
				return nil, wrongType(param, raw)
			}
			return string(raw), nil
		}}
}

// scales is an array of adapters' numbers, each with its scale.
func scales(key string) *setting {
	return &setting{key: key, otherwise: "",
		shape: map[string]any{"type": "array", "items": map[string]any{
			"type": "object", "required": []any{"id", "scale"},
			"properties": map[string]any{"id": map[string]any{"type": "integer", "minimum": 0}, "scale": map[string]any{"type": "number"}},
		}},
		read: func(param string, raw json.RawMessage) (any, error) {
			var value []struct {
				ID    *int     `json:"id"`
				Scale *float64 `json:"scale"`
			}
			if json.Unmarshal(raw, &value) != nil {
				return nil, wrongType(param, raw)
			}
			for index, each := range value {
				if each.ID == nil || *each.ID < 0 || each.Scale == nil {
					return nil, invalid(param, "'%s[%d]' must have an adapter's 'id' and its 'scale'.", param, index)
				}
			}
			return string(raw), nil
		}}
}

// names is an array of names, or one text, with a semicolon between in the key.
func names(key string) *setting {
	return &setting{key: key, otherwise: "",
		shape: map[string]any{"anyOf": []any{map[string]any{"type": "string"}, listOf("string")}},
		read: func(param string, raw json.RawMessage) (any, error) {
			var value oneOrMore
			if value.UnmarshalJSON(raw); value.wrong {
				return nil, wrongType(param, raw)
			}
			return strings.Join(value.texts, ";"), nil
		}}
}

// schema is a JSON schema, which the key has as JSON.
func schema(key string) *setting {
	return &setting{key: key,
		shape: map[string]any{"type": "object"},
		read: func(param string, raw json.RawMessage) (any, error) {
			text, _, err := asSchema(raw, param)
			return text, err
		}}
}

// biases are an object of OpenAI's or llama.cpp's array of pairs: a token's number, or a text
// that stands for all of its tokens, and what is added to its logit; false is never.
func biases(key string) *setting {
	return &setting{key: key, otherwise: "",
		shape: map[string]any{"anyOf": []any{map[string]any{"type": "object"}, listOf("array")}},
		read: func(param string, raw json.RawMessage) (any, error) {
			var object map[string]json.RawMessage
			var pairs [][]json.RawMessage
			if json.Unmarshal(raw, &object) == nil {
				for name, value := range object {
					what, _ := json.Marshal(name)
					if _, err := strconv.Atoi(name); err == nil {
						what = []byte(name)
					}
					pairs = append(pairs, []json.RawMessage{what, value})
				}
			} else if json.Unmarshal(raw, &pairs) != nil {
				return nil, wrongType(param, raw)
			}
			for _, pair := range pairs {
				if err := judgeBias(param, pair); err != nil {
					return nil, err
				}
			}
			if len(pairs) == 0 {
				return "", nil
			}
			written, err := json.Marshal(pairs)
			return string(written), err
		}}
}

const mostBias = 1e6

// judgeBias judges a pair, and writes null for false.
func judgeBias(param string, pair []json.RawMessage) error {
	if len(pair) != 2 {
		return invalid(param, "'%s' takes pairs of a token and a number.", param)
	}
	if string(pair[1]) == "false" {
		pair[1] = json.RawMessage("null")
		return nil
	}
	if value, err := strconv.ParseFloat(string(pair[1]), 64); err != nil || math.Abs(value) > mostBias {
		return invalid(param, "'%s' has the value %.40s for %.40s; a number is needed, or false.", param, pair[1], pair[0])
	}
	return nil
}

func wrongType(param string, raw json.RawMessage) error {
	return invalid(param, "'%s' has the wrong type: %.60s is not allowed there.", param, raw)
}

// beyondWasmEdge is a setting that WasmEdge does not have.
func beyondWasmEdge(sets *setting) *setting {
	sets.beyond = beyondAll
	return sets
}

// orNegative is a setting whose negative values WasmEdge takes for 0.
func orNegative(sets *setting) *setting {
	sets.beyond = beyondNegative
	return sets
}
