package answer

import "strings"

// body reads calls, one after the other, as they are written.
type body struct {
	head func(text string) Head
	lead string // stands before the body, which is text with it if there is no call in it
	held string // text of which it is open what it is

	state  state
	made   bool // there is a call
	last   bool // no more text comes
	braces braces
	around int // braces that stay open after a call's arguments
	read   int // bytes of held that braces has followed
}

type state int

// A body begins at a call's head, and is there again after each call.
const (
	atHead state = iota
	inArguments
	inRest // after a call's arguments, up to its end
	asText
	ignored // what follows calls and is none
)

const (
	// between is what stands between calls: those of an array are read as others are.
	between = " \t\r\n,[]"
	// mostHead is the longest head, in bytes, that is looked for before its call or the body ends.
	mostHead = 256
)

func (b *body) push(text string) []Part {
	b.held += text
	var parts []Part
	for more := true; more; {
		var found []Part
		found, more = b.step()
		parts = append(parts, found...)
	}
	return parts
}

// step reads on in the text that is held, and tells whether there may be more to read in it.
func (b *body) step() ([]Part, bool) {
	switch b.state {
	case atHead:
		return b.begin()
	case inArguments:
		written, ended := b.follow()
		if ended {
			b.state, b.braces.depth = inRest, b.around
		}
		if written == "" {
			return nil, ended
		}
		return []Part{{Arguments: written}}, ended
	case inRest:
		ended := b.around == 0
		if !ended {
			_, ended = b.follow()
		}
		if ended {
			b.state = atHead
		}
		return nil, ended
	case asText:
		text := b.held
		b.held = ""
		return content(text), false
	}
	b.held = ""
	return nil, false
}

// begin looks for the head of a call.
func (b *body) begin() ([]Part, bool) {
	start := strings.TrimLeft(b.held, between)
	b.lead += b.held[:len(b.held)-len(start)]
	b.held = start
	_, length, ended := b.braces.take(start[b.read:])
	b.read += length
	if len(start) > mostHead && !ended && !b.last {
		return nil, false
	}
	head := b.head(start)
	if head.Verdict == Unknown {
		return nil, false
	}
	b.read, b.braces = 0, braces{}
	if head.Verdict == Never {
		b.state = ignored
		if !b.made {
			b.state, b.held = asText, b.lead+b.held
		}
		return nil, true
	}
	b.made, b.held = true, b.held[head.Length:]
	if head.Verdict == Begun {
		b.state, b.around = inArguments, head.Around
	}
	return []Part{{Call: &head.Call}}, true
}

// follow takes what is held up to the end of what the braces have open: without white space,
// and whether the end is there.
func (b *body) follow() (string, bool) {
	written, length, ended := b.braces.take(b.held)
	b.held = b.held[length:]
	return written, ended
}

// close ends the body where mark stands.
func (b *body) close(mark string) []Part {
	parts := b.finish()
	switch {
	case b.state == asText:
		return append(parts, content(mark)...)
	case b.state == atHead && !b.made:
		return append(parts, content(b.lead+b.held+mark)...)
	}
	return parts
}

// cut ends the body in the middle: the beginning of a call is not text.
func (b *body) cut() []Part {
	parts := b.finish()
	if b.state == atHead && !b.made && b.head(b.held).Foreign {
		return append(parts, content(b.lead+b.held)...)
	}
	return parts
}

// finish reads what was held back until more came.
func (b *body) finish() []Part {
	b.last = true
	return b.push("")
}

// braces follows JSON to where what is open is closed.
type braces struct {
	depth   int
	quoted  bool
	escaped bool
}

// take reads text up to and with the bracket that closes the outermost, which it tells: without
// white space, and how long it is.
func (b *braces) take(text string) (compact string, length int, closed bool) {
	var out strings.Builder
	for index := range len(text) {
		char := text[index]
		if b.quoted || !strings.ContainsRune(" \t\r\n", rune(char)) {
			out.WriteByte(char)
		}
		switch {
		case b.escaped:
			b.escaped = false
		case b.quoted && char == '\\':
			b.escaped = true
		case char == '"':
			b.quoted = !b.quoted
		case b.quoted:
		case char == '{' || char == '[':
			b.depth++
		case char == '}' || char == ']':
			if b.depth--; b.depth == 0 {
				return out.String(), index + 1, true
			}
		}
	}
	return out.String(), len(text), false
}
