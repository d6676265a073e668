package answer

import "strings"

// Part is a piece of an answer: one of its fields is set. A call begins with Call; what its
// arguments go on with comes in the Arguments of the parts after it.
type Part struct {
	Content   string
	Reasoning string
	Call      *Call
	Arguments string
}

// Call is a function the model wants to be called.
type Call struct {
	Name      string
	Arguments string // JSON
}

// Join puts the parts of an answer together.
func Join(parts []Part) (content, reasoning string, calls []Call) {
	for _, part := range parts {
		content += part.Content
		reasoning += part.Reasoning
		if part.Call != nil {
			calls = append(calls, *part.Call)
		} else if part.Arguments != "" {
			calls[len(calls)-1].Arguments += part.Arguments
		}
	}
	return content, reasoning, calls
}

// Reader makes parts of an answer's text as it grows.
type Reader interface {
	Push(text string) []Part
	Flush() []Part
}

// Format is how a model's answers are written. The zero Format is text, after reasoning
// between <think> and </think>.
type Format struct {
	// Open and Close stand around a call, or around several.
	Open, Close string
	// Whole are the beginnings of an answer that is a call from end to end.
	Whole []string
	// Think are the tags around reasoning, where they are not <think> and </think>.
	Think [2]string
	// Keep are the control tokens that are part of the format.
	Keep []string
	// Head reads the beginning of a call after Open; JSON where it is nil.
	Head func(text string) Head
	// Calls reads the calls of a format that does not write them as JSON.
	Calls func(text IsText) Reader
	// Text tells which parameters are texts, for formats that do not.
	Text IsText
	// Plain leaves reasoning in the text.
	Plain bool
	// Reader is for a format that is written in its own way altogether.
	Reader func() Reader
}

// NewReader reads an answer in this format: calls only where the model has tools, reasoning
// from the start where thinking says that the prompt has begun it.
func (f Format) NewReader(tools, thinking bool) Reader {
	if f.Reader != nil {
		return f.plain(f.Reader())
	}
	var next Reader = text{}
	if tools && f.Calls != nil {
		next = f.Calls(f.Text)
	} else if tools && (f.Open != "" || len(f.Whole) > 0) {
		if f.Head == nil {
			f.Head = jsonHead
		}
		next = &calls{format: f}
	}
	if f.Plain {
		return next
	}
	tags := f.Tags()
	return &thoughts{next: next, open: tags[0], close: tags[1], inside: thinking, begun: thinking}
}

// Tags are what stands around reasoning. After the second one the answer begins.
func (f Format) Tags() [2]string {
	if f.Think[0] == "" {
		return [2]string{"<think>", "</think>"}
	}
	return f.Think
}

func (f Format) plain(reader Reader) Reader {
	if f.Plain {
		return outspoken{reader}
	}
	return reader
}

// outspoken makes reasoning part of the text.
type outspoken struct{ Reader }

func (o outspoken) Push(text string) []Part { return said(o.Reader.Push(text)) }

func (o outspoken) Flush() []Part { return said(o.Reader.Flush()) }

func said(parts []Part) []Part {
	for index, part := range parts {
		parts[index].Content, parts[index].Reasoning = part.Content+part.Reasoning, ""
	}
	return parts
}

// text is the reader of an answer that is nothing else.
type text struct{}

func (text) Push(text string) []Part { return content(text) }

func (text) Flush() []Part { return nil }

func content(text string) []Part {
	if text == "" {
		return nil
	}
	return []Part{{Content: text}}
}

func reasoning(text string) []Part {
	if text == "" {
		return nil
	}
	return []Part{{Reasoning: text}}
}

// thoughts parts the reasoning at the start of an answer from the rest.
type thoughts struct {
	next   Reader
	open   string
	close  string
	inside bool // between the tags
	begun  bool // whether the answer begins with a tag is known
	skip   bool // white space after a tag is dropped
	held   string
}

func (t *thoughts) Push(text string) []Part {
	text = t.held + text
	t.held = ""
	if !t.begun {
		start := strings.TrimLeft(text, " \t\r\n")
		if len(start) < len(t.open) && strings.HasPrefix(t.open, start) {
			t.held = text
			return nil
		}
		t.begun = true
		if rest, found := strings.CutPrefix(start, t.open); found {
			t.inside, t.skip, text = true, true, rest
		}
	}
	if t.skip {
		if text = strings.TrimLeft(text, " \t\r\n"); text == "" {
			return nil
		}
		t.skip = false
	}
	if !t.inside {
		return t.next.Push(text)
	}
	before, after, found := strings.Cut(text, t.close)
	if !found {
		// White space before the closing tag is not part of the reasoning.
		keep := len(text) - overlap(text, []string{t.close})
		keep = len(strings.TrimRight(text[:keep], " \t\r\n"))
		t.held = text[keep:]
		return reasoning(text[:keep])
	}
	t.inside, t.skip = false, true
	return append(reasoning(strings.TrimRight(before, " \t\r\n")), t.Push(after)...)
}

func (t *thoughts) Flush() []Part {
	held := t.held
	t.held = ""
	if t.inside {
		return append(reasoning(held), t.next.Flush()...)
	}
	return append(t.next.Push(held), t.next.Flush()...)
}
