package answer

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// calls parts the calls of an answer from its text.
type calls struct {
	format Format
	begun  bool // whether the answer is a call as a whole is known
	whole  bool
	inside bool // after Open
	held   string
}

func (c *calls) Push(text string) []Part {
	text = c.held + text
	c.held = ""
	if !c.begun {
		start := strings.TrimLeft(text, " \t\r\n")
		if c.mayBeWhole(start) {
			c.held = text
			return nil
		}
		c.begun = true
		_, word := firstOf(start, c.format.Whole)
		c.whole = word != "" && strings.HasPrefix(start, word)
	}
	if c.whole || (c.inside && c.format.Close == "") {
		c.held = text
		return nil
	}
	if c.inside {
		body, after, found := strings.Cut(text, c.format.Close)
		if !found {
			c.held = text
			return nil
		}
		c.inside = false
		return append(c.parts(body, c.format.Open+body+c.format.Close), c.Push(after)...)
	}
	if c.format.Open == "" {
		return content(text)
	}
	before, after, found := strings.Cut(text, c.format.Open)
	if found {
		c.inside = true
		return append(content(strings.TrimRight(before, " \t\r\n")), c.Push(after)...)
	}
	// White space before a call is not part of the text.
	keep := len(text) - overlap(text, []string{c.format.Open})
	keep = len(strings.TrimRight(text[:keep], " \t\r\n"))
	c.held = text[keep:]
	return content(text[:keep])
}

// mayBeWhole tells whether start is too short to know what it begins.
func (c *calls) mayBeWhole(start string) bool {
	return slices.ContainsFunc(c.format.Whole, func(word string) bool {
		return len(start) < len(word) && strings.HasPrefix(word, start)
	})
}

func (c *calls) Flush() []Part {
	held, inside := c.held, c.inside
	c.held, c.inside = "", false
	switch {
	case c.whole:
		return c.parts(held, held)
	case inside:
		return c.parts(held, c.format.Open+held)
	}
	return content(held)
}

// parts are the calls in body, or the text as it was written if there are none.
func (c *calls) parts(body, written string) []Part {
	parse := c.format.Parse
	if parse == nil {
		parse = ParseJSON
	}
	found, ok := parse(body)
	if !ok {
		return content(written)
	}
	var parts []Part
	for _, call := range found {
		parts = append(parts, Part{Call: &call})
	}
	return parts
}

// ParseJSON reads calls as JSON: an object with a name and arguments (or parameters), an array
// of them, or several one after the other.
func ParseJSON(text string) ([]Call, bool) {
	var calls []Call
	decoder := json.NewDecoder(strings.NewReader(text))
	for {
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			// What follows the calls is cut off or no call.
			return calls, len(calls) > 0
		}
		items := []json.RawMessage{value}
		if value[0] == '[' && json.Unmarshal(value, &items) != nil {
			return nil, false
		}
		for _, item := range items {
			call, ok := parseCall(item)
			if !ok {
				return nil, false
			}
			calls = append(calls, call)
		}
	}
}

func parseCall(text json.RawMessage) (Call, bool) {
	var fields struct {
		Name       string          `json:"name"`
		Arguments  json.RawMessage `json:"arguments"`
		Parameters json.RawMessage `json:"parameters"`
		Function   json.RawMessage `json:"function"`
	}
	if json.Unmarshal(text, &fields) != nil {
		return Call{}, false
	}
	if fields.Name == "" && len(fields.Function) > 0 && fields.Function[0] == '{' {
		return parseCall(fields.Function)
	}
	arguments := fields.Arguments
	if arguments == nil {
		arguments = fields.Parameters
	}
	var written string
	if json.Unmarshal(arguments, &written) == nil && json.Valid([]byte(written)) {
		arguments = json.RawMessage(written)
	}
	if len(arguments) == 0 || string(arguments) == "null" {
		arguments = json.RawMessage("{}")
	}
	return Call{fields.Name, compact(arguments)}, fields.Name != "" && arguments[0] == '{'
}

func compact(text json.RawMessage) string {
	var short bytes.Buffer
	if json.Compact(&short, text) != nil {
		return string(text)
	}
	return short.String()
}

// ParseFunctionTag reads the calls of functionary 3.1: NAME>{...}, after <function=.
func ParseFunctionTag(text string) ([]Call, bool) {
	name, arguments, found := strings.Cut(text, ">")
	arguments = strings.TrimSpace(arguments)
	if !found || !strings.HasPrefix(arguments, "{") || !json.Valid([]byte(arguments)) {
		return nil, false
	}
	return []Call{{strings.TrimSpace(name), compact(json.RawMessage(arguments))}}, true
}
