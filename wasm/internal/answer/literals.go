package answer

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// wholes reads calls that are written in a notation of their own: each when its end is there.
type wholes struct {
	calls  Calls
	parse  func(text string) ([]Call, bool)
	inside bool
	held   string
}

var parsers = map[string]func(text string) ([]Call, bool){"python": parsePython, "gemma": parseGemma}

func (w *wholes) marks() (open, close string) {
	return w.calls.Open + w.calls.Call, w.calls.End + w.calls.Close
}

func (w *wholes) Push(text string) []Part {
	w.held += text
	open, close := w.marks()
	if !w.inside {
		before, after, found := strings.Cut(w.held, open)
		if !found {
			keep := len(w.held) - overlap(w.held, []string{open})
			keep = len(strings.TrimRight(w.held[:keep], " \t\r\n"))
			text, w.held = w.held[:keep], w.held[keep:]
			return content(text)
		}
		w.inside, w.held = true, ""
		return append(content(strings.TrimRight(before, " \t\r\n")), w.Push(after)...)
	}
	body, after, found := strings.Cut(w.held, close)
	if !found {
		return nil
	}
	w.inside, w.held = false, ""
	return append(w.parts(body, open+body+close), w.Push(after)...)
}

func (w *wholes) Flush() []Part {
	held := w.held
	w.held = ""
	if !w.inside {
		return content(held)
	}
	w.inside = false
	return w.parts(held, "")
}

func (w *wholes) parts(body, written string) []Part {
	calls, found := w.parse(body)
	if !found {
		return content(written)
	}
	var parts []Part
	for _, call := range calls {
		parts = append(parts, Part{Call: &call})
	}
	return parts
}

// literals reads values that are not quite JSON.
type literals struct {
	text   string
	quotes map[string]string // what a text begins with, and ends with
	bare   bool              // names of members are not quoted
	wrong  bool
}

// parsePython reads [f(a='b', n=1), ...].
func parsePython(text string) ([]Call, bool) {
	in := &literals{text: text, quotes: map[string]string{"'": "'", `"`: `"`}}
	in.skip("[")
	var calls []Call
	for !in.wrong {
		name := in.word()
		if in.wrong = in.wrong || name == "" || !in.skip("("); in.wrong {
			break
		}
		calls = append(calls, Call{name, in.members("=", ")")})
		if !in.skip(",") {
			break
		}
	}
	in.skip("]")
	return calls, !in.wrong && strings.TrimSpace(in.text) == "" && len(calls) > 0
}

// parseGemma reads f{a:<|"|>b<|"|>,n:1}.
func parseGemma(text string) ([]Call, bool) {
	const quote = `<|"|>`
	in := &literals{text: text, quotes: map[string]string{quote: quote, `"`: `"`}, bare: true}
	name := in.word()
	if name == "" || !in.skip("{") {
		return nil, false
	}
	call := Call{name, in.members(":", "}")}
	return []Call{call}, !in.wrong && strings.TrimSpace(in.text) == ""
}

// skip passes over mark where it comes next.
func (l *literals) skip(mark string) bool {
	rest, found := strings.CutPrefix(strings.TrimLeft(l.text, " \t\r\n"), mark)
	if found {
		l.text = rest
	}
	return found
}

func (l *literals) word() string {
	l.text = strings.TrimLeft(l.text, " \t\r\n")
	end := 0
	for end < len(l.text) && (isName(l.text[end]) || l.text[end] == '+') {
		end++
	}
	word := l.text[:end]
	l.text = l.text[end:]
	return word
}

// members reads NAME sign VALUE, ... up to end, as a JSON object.
func (l *literals) members(sign, end string) string {
	var members []string
	for !l.wrong && !l.skip(end) {
		name, quoted := l.quoted()
		if !quoted {
			name = l.word()
		}
		if l.wrong = l.wrong || !l.skip(sign); l.wrong {
			break
		}
		members = append(members, quote(name)+":"+l.value())
		if !l.skip(",") && !strings.HasPrefix(strings.TrimLeft(l.text, " \t\r\n"), end) {
			l.wrong = true
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

var pythonWords = map[string]string{"True": "true", "False": "false", "None": "null"}

// value is the next value as JSON.
func (l *literals) value() string {
	if text, found := l.quoted(); found {
		return quote(text)
	}
	switch {
	case l.skip("{"):
		return l.members(":", "}")
	case l.skip("["):
		var items []string
		for !l.wrong && !l.skip("]") {
			items = append(items, l.value())
			if !l.skip(",") && !strings.HasPrefix(strings.TrimLeft(l.text, " \t\r\n"), "]") {
				l.wrong = true
			}
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	word := l.word()
	if known, found := pythonWords[word]; found {
		return known
	}
	l.wrong = l.wrong || !isJSON(word)
	return word
}

var escapes = map[rune]string{'n': "\n", 't': "\t", 'r': "\r"}

// quoted is the text that comes next, if one does.
func (l *literals) quoted() (string, bool) {
	l.text = strings.TrimLeft(l.text, " \t\r\n")
	for open, close := range l.quotes {
		rest, found := strings.CutPrefix(l.text, open)
		if !found {
			continue
		}
		var out strings.Builder
		for rest != "" {
			if after, ended := strings.CutPrefix(rest, close); ended {
				l.text = after
				return out.String(), true
			}
			char, size := utf8.DecodeRuneInString(rest)
			if char == '\\' && len(close) == 1 && len(rest) > size {
				rest = rest[size:]
				char, size = utf8.DecodeRuneInString(rest)
				if known, found := escapes[char]; found {
					out.WriteString(known)
					rest = rest[size:]
					continue
				}
			}
			out.WriteString(rest[:size])
			rest = rest[size:]
		}
		l.wrong = true
		return "", true
	}
	return "", false
}

// quote is text as JSON.
func quote(text string) string {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.Encode(text)
	return strings.TrimSuffix(out.String(), "\n")
}

func isJSON(text string) bool { return json.Valid([]byte(text)) }

// keyedHead reads an object whose key is the name: {"f": {...}}.
func keyedHead(text string) Head {
	if text != "" && text[0] != '{' {
		return Head{Verdict: Never}
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.Token()
	name, err := decoder.Token()
	if err != nil {
		return Head{}.after(err)
	}
	arguments := strings.TrimLeft(text[decoder.InputOffset():], " \t\r\n:")
	written, isText := name.(string)
	switch {
	case !isText:
		return Head{Verdict: Never}
	case arguments == "":
		return Head{}
	case arguments[0] != '{':
		return Head{Verdict: Never}
	}
	return Head{Verdict: Begun, Call: Call{Name: written}, Length: len(text) - len(arguments), Around: 1}
}
