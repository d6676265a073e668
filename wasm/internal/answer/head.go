package answer

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
)

// Head is what the beginning of a text tells of a call.
type Head struct {
	Verdict Verdict
	// Call is the call: without arguments where it has only Begun.
	Call Call
	// Length is what of the text is read, in bytes: up to the arguments of a call that has
	// Begun, to the end of a Whole one.
	Length int
	// Around is the number of braces that are open around the arguments.
	Around int
	// Foreign tells of an Unknown text that it has what no call has.
	Foreign bool
}

// Verdict is what a text is.
type Verdict int

const (
	// Unknown is a text that is too short to tell.
	Unknown Verdict = iota
	// Never is no call.
	Never
	// Begun is a call whose arguments begin.
	Begun
	// Whole is a call that is complete.
	Whole
)

// members are the names that an object which is a call may have.
var members = []string{
	"name", "tool_name", "type", "id", "tool_call_id", "index", "function", "arguments", "parameters",
}

// HeadOf reads a call as an object of JSON, of a function that is known alone.
func HeadOf(known func(name string) bool) func(text string) Head {
	return func(text string) Head {
		head := jsonHead(text)
		if head.Call.Name != "" && !known(head.Call.Name) {
			return Head{Verdict: Never}
		}
		return head
	}
}

// jsonHead reads an object with a name and arguments (or parameters), in a function or not.
func jsonHead(text string) Head {
	if text != "" && text[0] != '{' {
		return Head{Verdict: Never}
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.Token()
	var head Head
	for {
		member := strings.TrimLeft(text[decoder.InputOffset():], " \t\r\n,")
		if member != "" && member[0] != '"' && member[0] != '}' {
			return Head{Verdict: Never}
		}
		token, err := decoder.Token()
		if token == json.Delim('}') {
			return wholeCall(text[:decoder.InputOffset()])
		}
		name, isName := token.(string)
		if err != nil || !isName {
			return head.after(err)
		}
		rest := strings.TrimLeft(text[decoder.InputOffset():], " \t\r\n")
		rest = strings.TrimLeft(strings.TrimPrefix(rest, ":"), " \t\r\n")
		names := name == "name" || name == "tool_name"
		if names && rest != "" && rest[0] != '"' && rest[0] != 'n' { // nor null
			return Head{Verdict: Never}
		}
		head.Foreign = head.Foreign || !slices.Contains(members, name)
		if (name == "arguments" || name == "parameters") && head.Call.Name != "" && strings.HasPrefix(rest, "{") {
			return Head{Verdict: Begun, Call: head.Call, Length: len(text) - len(rest), Around: 1}
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return head.after(err)
		}
		if names && json.Unmarshal(value, &head.Call.Name) != nil {
			return Head{Verdict: Never}
		}
	}
}

// after is the head of a text that cannot be read on: where it only ends, more may come.
func (h Head) after(err error) Head {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		h.Verdict = Never
	}
	return h
}

func wholeCall(text string) Head {
	call, found := parseCall(json.RawMessage(text))
	if !found {
		return Head{Verdict: Never}
	}
	return Head{Verdict: Whole, Call: call, Length: len(text)}
}

func parseCall(text json.RawMessage) (Call, bool) {
	var fields struct {
		Name       string          `json:"name"`
		ToolName   string          `json:"tool_name"`
		Arguments  json.RawMessage `json:"arguments"`
		Parameters json.RawMessage `json:"parameters"`
		Function   json.RawMessage `json:"function"`
	}
	if json.Unmarshal(text, &fields) != nil {
		return Call{}, false
	}
	if fields.Name == "" {
		fields.Name = fields.ToolName
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

// FunctionTagHead reads a call of functionary 3.1: NAME>{...}, after <function=.
func FunctionTagHead(text string) Head {
	name, arguments, found := strings.Cut(text, ">")
	if !found {
		return Head{}
	}
	return argumentsHead(strings.TrimSpace(name), text, arguments)
}

// argumentsHead is the head of a call whose arguments are the end of text.
func argumentsHead(name, text, arguments string) Head {
	arguments = strings.TrimLeft(arguments, " \t\r\n")
	switch {
	case arguments == "":
		return Head{}
	case arguments[0] != '{':
		return Head{Verdict: Never}
	}
	return Head{Verdict: Begun, Call: Call{Name: name}, Length: len(text) - len(arguments)}
}
