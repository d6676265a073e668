// Package answer reads what a model writes, piece by piece: it cuts at stops and makes text,
// reasoning and tool calls of it.
package answer

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Text makes text of the pieces of tokens: whole code points, ended before the first of its
// stops, without control tokens.
type Text struct {
	bytes   codePoints
	stops   []string
	keep    []string
	held    string
	stopped bool
	stop    string
}

// NewText ends its text before the first of stops. The control tokens in keep stay in it.
func NewText(stops, keep []string) *Text { return &Text{stops: stops, keep: keep} }

// Stopped tells whether a stop has come.
func (t *Text) Stopped() bool { return t.stopped }

// Stop is the stop that has come.
func (t *Text) Stop() string { return t.stop }

// Hides tells whether a token's piece is a control token, which is no part of the text.
func (t *Text) Hides(piece []byte) bool {
	text := string(piece)
	return isControl(text) && !slices.Contains(t.keep, text) && !slices.Contains(t.stops, text)
}

// Push takes a token's piece and answers the text that is certain.
func (t *Text) Push(piece []byte) string {
	if t.Hides(piece) {
		return ""
	}
	return t.cut(t.bytes.push(piece))
}

// Flush is the rest of the text.
func (t *Text) Flush() string {
	rest := t.cut(t.bytes.flush()) + t.held
	t.held = ""
	return rest
}

// cut ends the text at a stop, also where one spans pieces: what may become one is held back.
func (t *Text) cut(text string) string {
	if t.stopped {
		return ""
	}
	text = t.held + text
	if at, stop := firstOf(text, t.stops); at >= 0 {
		t.stopped, t.stop, t.held = true, stop, ""
		return text[:at]
	}
	keep := len(text) - overlap(text, t.stops)
	t.held = text[keep:]
	return text[:keep]
}

// codePoints joins pieces into whole code points: the bytes of an unfinished one are held
// back, bytes that can be none become U+FFFD.
type codePoints struct{ held []byte }

func (c *codePoints) push(piece []byte) string {
	bytes := append(c.held, piece...)
	end := len(bytes)
	for back := 1; back <= min(utf8.UTFMax-1, len(bytes)); back++ {
		if utf8.RuneStart(bytes[len(bytes)-back]) {
			if !utf8.FullRune(bytes[len(bytes)-back:]) {
				end -= back
			}
			break
		}
	}
	c.held = slices.Clone(bytes[end:])
	return strings.ToValidUTF8(string(bytes[:end]), "\uFFFD")
}

func (c *codePoints) flush() string {
	rest := strings.ToValidUTF8(string(c.held), "\uFFFD")
	c.held = nil
	return rest
}

// firstOf is where the first of words begins in text, and which it is; -1 if there is none.
func firstOf(text string, words []string) (int, string) {
	first, found := -1, ""
	for _, word := range words {
		if at := strings.Index(text, word); at >= 0 && (first < 0 || at < first) {
			first, found = at, word
		}
	}
	return first, found
}

// overlap is the length in bytes of the longest end of text that begins one of words and is
// not all of it.
func overlap(text string, words []string) int {
	longest := 0
	for _, word := range words {
		for length := min(len(word)-1, len(text)); length > longest; length-- {
			if strings.HasSuffix(text, word[:length]) {
				longest = length
			}
		}
	}
	return longest
}

// controls are what the pieces of control tokens look like, other than <|name|>.
var controls = []string{
	"<s>", "</s>", "<bos>", "<eos>", "<pad>", "<unk>", "<start_of_turn>", "<end_of_turn>",
	"<end_of_utterance>", "<seed:bos>", "<seed:eos>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]",
	"[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]",
	"[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[|endofturn|]", "[|system|]", "[|user|]",
	"[|assistant|]", "<[begin▁of▁sentence]>", "<[end▁of▁sentence]>",
}

// isControl tells whether a token's piece is a control token and not text: text is made of
// smaller pieces.
func isControl(piece string) bool {
	for _, bars := range [][2]string{{"<|", "|>"}, {"<｜", "｜>"}} {
		name, before := strings.CutPrefix(piece, bars[0])
		name, after := strings.CutSuffix(name, bars[1])
		if before && after && name != "" && !strings.ContainsAny(name, "<>| \n") {
			return true
		}
	}
	return slices.Contains(controls, piece)
}
