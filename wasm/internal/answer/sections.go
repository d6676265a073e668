package answer

import (
	"encoding/json"
	"strings"
)

// sections reads an answer that is written in sections, each a header that says whom it is for
// and a body: functionary 3.2 and gpt-oss.
type sections struct {
	headEnd string   // ends a header
	bodyEnd []string // ends a body
	kind    func(header string) (reader, name string)
	header  string // of the section
	body    bool   // the header is read
	held    string
}

// The readers of a section's body.
const (
	forUser     = "user"
	forThinking = "thinking"
	forFunction = "function"
)

func (s *sections) Push(text string) []Part {
	text = s.held + text
	s.held = ""
	if !s.body {
		header, rest, found := strings.Cut(text, s.headEnd)
		if !found {
			s.held = text
			return nil
		}
		s.header, s.body = header, true
		return s.Push(rest)
	}
	at, end := firstOf(text, s.bodyEnd)
	if at >= 0 {
		parts := s.parts(text[:at], true)
		s.body = false
		return append(parts, s.Push(text[at+len(end):])...)
	}
	if kind, _ := s.kind(s.header); kind == forFunction {
		s.held = text
		return nil
	}
	keep := len(text) - overlap(text, s.bodyEnd)
	s.held = text[keep:]
	return s.parts(text[:keep], false)
}

func (s *sections) Flush() []Part {
	held := s.held
	s.held = ""
	if !s.body {
		return nil
	}
	return s.parts(held, true)
}

func (s *sections) parts(text string, ended bool) []Part {
	switch kind, name := s.kind(s.header); kind {
	case forThinking:
		return reasoning(text)
	case forFunction:
		arguments := strings.TrimSpace(text)
		if ended && json.Valid([]byte(arguments)) {
			return []Part{{Call: &Call{name, compact(json.RawMessage(arguments))}}}
		}
	}
	return content(text)
}

// Functionary reads >>>NAME\nBODY sections; the prompt ends with the first >>>. The name "all"
// is the user.
func Functionary() Reader {
	return &sections{
		headEnd: "\n", bodyEnd: []string{">>>"},
		kind: func(header string) (string, string) {
			if name := strings.TrimSpace(header); name != "all" {
				return forFunction, name
			}
			return forUser, ""
		},
	}
}

// Harmony reads gpt-oss's messages: <|channel|>NAME<|message|>BODY, each ended by a token. The
// analysis channel is reasoning; a recipient functions.NAME is a call.
func Harmony() Reader {
	return &sections{
		headEnd: "<|message|>", bodyEnd: []string{"<|end|>", "<|call|>", "<|return|>", "<|start|>"},
		kind: func(header string) (string, string) {
			if _, after, found := strings.Cut(header, "to=functions."); found {
				return forFunction, strings.TrimSpace(after[:min(len(after), strings.IndexAny(after+"<", "< "))])
			}
			if strings.Contains(header, "analysis") {
				return forThinking, ""
			}
			return forUser, ""
		},
	}
}

// HarmonyTokens are the control tokens of Harmony's format.
var HarmonyTokens = []string{
	"<|start|>", "<|channel|>", "<|message|>", "<|constrain|>", "<|end|>", "<|call|>", "<|return|>",
}
