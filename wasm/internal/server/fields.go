package server

import (
	"bytes"
	"encoding/json"
	"encoding/json/jsontext"
	"slices"
	"strings"

	"llama-api-server/internal/http1"
)

// The endpoints of the table of fields.
const (
	forChat = iota
	forCompletions
	forEmbeddings
	endpoints
)

// use is what an endpoint does with a field.
type use byte

const (
	unknown use = '-' // there is no such field
	obeyed  use = 'o'
	ignored use = 'i' // it changes nothing here that a client could see
	refused use = 'r' // a 400, unless its value asks for nothing
)

// field is a row of the table: the name, what each endpoint does with it, in the order of the
// endpoints, and what it is, or why it is not obeyed. Where sets is set, it becomes metadata.
type field struct {
	name string
	uses string
	note string
	sets *setting
}

func (f *field) use(endpoint int) use { return use(f.uses[endpoint]) }

// given are the members of a request that are not null.
type given map[string]json.RawMessage

// members are those of a body that is a JSON object. The values are parts of it.
func members(body []byte) given {
	found := given{}
	decoder := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := decoder.ReadToken(); err != nil {
		return found
	}
	for decoder.PeekKind() == '"' {
		name, err := decoder.ReadToken()
		if err != nil {
			return found
		}
		text := name.String()
		start := decoder.InputOffset()
		if decoder.SkipValue() != nil {
			return found
		}
		value := bytes.TrimLeft(body[start:decoder.InputOffset()], ": \t\r\n")
		if delete(found, text); string(value) != "null" {
			found[text] = json.RawMessage(value)
		}
	}
	return found
}

// check refuses what the endpoint does not do.
func (g given) check(endpoint int) error {
	for _, row := range fields {
		value, found := g[row.name]
		if found && row.use(endpoint) == refused && !neutral(value) {
			return invalid(row.name, "'%s' is not supported: %s.", row.name, row.note)
		}
	}
	return nil
}

// neutral tells whether a value asks for nothing.
func neutral(value json.RawMessage) bool {
	switch compact := string(bytes.Join(bytes.Fields(value), nil)); compact {
	case "false", "0", "0.0", "-1", "-1.0", `""`, "[]", "{}", `["text"]`:
		return true
	}
	return false
}

const (
	mostUnknown     = 16
	longestUnknown  = 64
	unknownInHeader = "X-Unknown-Fields"
)

// tell says in the response which fields the endpoint does not know, and which the model does not.
func (g given) tell(w *http1.Response, endpoint int, unread ...string) {
	if names := g.unknown(endpoint, unread); names != "" {
		w.Set(unknownInHeader, names)
	}
}

// unknown are the names, fit for a header, that the table does not have for the endpoint, and more.
func (g given) unknown(endpoint int, more []string) string {
	known := map[string]bool{}
	for _, row := range fields {
		known[row.name] = row.use(endpoint) != unknown
	}
	names := slices.Clone(more)
	for name := range g {
		if !known[name] {
			names = append(names, headerWord(name))
		}
	}
	slices.Sort(names)
	if len(names) > mostUnknown {
		names = append(names[:mostUnknown], "...")
	}
	return strings.Join(names, ", ")
}

func headerWord(name string) string {
	word := strings.Map(func(char rune) rune {
		if char > ' ' && char < 0x7f && char != ',' {
			return char
		}
		return '?'
	}, name)
	return word[:min(len(word), longestUnknown)]
}
