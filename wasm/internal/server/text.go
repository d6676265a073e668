package server

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// whole joins pieces into whole code points: the bytes of an unfinished one are held back,
// bytes that can be none become U+FFFD.
type whole struct{ held []byte }

func (w *whole) push(piece []byte) string {
	bytes := append(w.held, piece...)
	end := len(bytes)
	for back := 1; back <= min(utf8.UTFMax-1, len(bytes)); back++ {
		if b := bytes[len(bytes)-back]; utf8.RuneStart(b) {
			if !utf8.FullRune(bytes[len(bytes)-back:]) {
				end -= back
			}
			break
		}
	}
	w.held = slices.Clone(bytes[end:])
	return strings.ToValidUTF8(string(bytes[:end]), "\uFFFD")
}

func (w *whole) flush() string {
	rest := strings.ToValidUTF8(string(w.held), "\uFFFD")
	w.held = nil
	return rest
}

// stopper ends a text before the first of its stops, also where one spans pieces: what may
// yet become a stop is held back.
type stopper struct {
	stops   []string
	held    string
	stopped bool
}

func (s *stopper) push(text string) string {
	if s.stopped {
		return ""
	}
	text = s.held + text
	if at := firstOf(text, s.stops); at >= 0 {
		s.stopped, s.held = true, ""
		return text[:at]
	}
	keep := len(text) - overlap(text, s.stops)
	s.held = text[keep:]
	return text[:keep]
}

func (s *stopper) flush() string {
	rest := s.held
	s.held = ""
	return rest
}

// firstOf is where the first of words begins in text, or -1.
func firstOf(text string, words []string) int {
	first := -1
	for _, word := range words {
		if at := strings.Index(text, word); at >= 0 && (first < 0 || at < first) {
			first = at
		}
	}
	return first
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
	"[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
	"[/TOOL_RESULTS]", "[TOOL_CALLS]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]",
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

// hides tells whether a piece is a control token that nothing reads.
func (f *filter) hides(piece string) bool {
	return isControl(piece) &&
		!slices.Contains(f.keep, piece) && !slices.Contains(f.stopper.stops, piece)
}
