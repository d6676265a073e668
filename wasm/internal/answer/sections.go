package answer

import "strings"

// sections reads an answer that is written in sections, each a header that says whom it is for
// and a body: functionary 3.2 and gpt-oss.
type sections struct {
	headEnd string   // ends a header
	bodyEnd []string // ends a body
	kind    func(header string) (reader, name string)
	reads   bool   // the header is read
	reader  string // of the body
	call    *body  // of a function's section
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
	if !s.reads {
		header, rest, found := strings.Cut(text, s.headEnd)
		if !found {
			s.held = text
			return nil
		}
		s.begin(header)
		return s.Push(rest)
	}
	at, end := firstOf(text, s.bodyEnd)
	if at >= 0 {
		parts := s.parts(text[:at])
		if s.call != nil {
			parts = append(parts, s.call.close("")...)
		}
		s.reads = false
		return append(parts, s.Push(text[at+len(end):])...)
	}
	keep := len(text) - overlap(text, s.bodyEnd)
	s.held = text[keep:]
	return s.parts(text[:keep])
}

func (s *sections) begin(header string) {
	name := ""
	s.reader, name = s.kind(header)
	s.reads, s.call = true, nil
	if s.reader == forFunction {
		s.call = &body{head: func(text string) Head { return argumentsHead(name, text, text) }}
	}
}

func (s *sections) Flush() []Part {
	held := s.held
	s.held = ""
	if !s.reads {
		return nil
	}
	parts := s.parts(held)
	if s.call != nil {
		parts = append(parts, s.call.cut()...)
	}
	return parts
}

func (s *sections) parts(text string) []Part {
	switch s.reader {
	case forThinking:
		return reasoning(text)
	case forFunction:
		return s.call.push(text)
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

// HarmonyTags are around its reasoning, the second one with the header of the answer after it.
var HarmonyTags = [2]string{
	"<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>",
}
