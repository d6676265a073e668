package prompt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// pyJSON is raw as Python's json.dumps writes it (ensure_ascii off), which is what chat
// templates give models: members in their order, ", " and ": " between them, or lines indented
// by indent spaces each level if that is not 0.
func pyJSON(raw json.RawMessage, indent int) string {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	writer := pyWriter{decoder: decoder, indent: indent}
	if writer.value(0) != nil {
		return string(raw)
	}
	return writer.out.String()
}

type pyWriter struct {
	out     strings.Builder
	decoder *json.Decoder
	indent  int
}

func (w *pyWriter) value(level int) error {
	token, err := w.decoder.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case json.Delim:
		return w.items(token, level+1)
	case string:
		w.out.WriteString(pyQuote(token))
	case bool:
		fmt.Fprintf(&w.out, "%t", token)
	case nil:
		w.out.WriteString("null")
	default:
		fmt.Fprint(&w.out, token)
	}
	return nil
}

// items writes the members of an object or the items of an array whose bracket is read.
func (w *pyWriter) items(open json.Delim, level int) error {
	w.out.WriteRune(rune(open))
	first := true
	for w.decoder.More() {
		if !first {
			w.out.WriteByte(',')
			if w.indent == 0 {
				w.out.WriteByte(' ')
			}
		}
		first = false
		w.line(level)
		if open == '{' {
			name, err := w.decoder.Token()
			if err != nil {
				return err
			}
			w.out.WriteString(pyQuote(name.(string)) + ": ")
		}
		if err := w.value(level); err != nil {
			return err
		}
	}
	if !first {
		w.line(level - 1)
	}
	end, err := w.decoder.Token()
	if err != nil {
		return err
	}
	w.out.WriteRune(rune(end.(json.Delim)))
	return nil
}

func (w *pyWriter) line(level int) {
	if w.indent > 0 {
		w.out.WriteString("\n" + strings.Repeat(" ", w.indent*level))
	}
}

var pyEscapes = map[rune]string{
	'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`,
}

// pyQuote is text as a JSON string.
func pyQuote(text string) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, char := range text {
		if escape, found := pyEscapes[char]; found {
			out.WriteString(escape)
		} else if char < ' ' {
			fmt.Fprintf(&out, `\u%04x`, char)
		} else {
			out.WriteRune(char)
		}
	}
	out.WriteByte('"')
	return out.String()
}
