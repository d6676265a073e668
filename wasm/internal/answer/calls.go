package answer

import (
	"slices"
	"strings"
)

// calls parts the calls of an answer from its text.
type calls struct {
	format Format
	begun  bool  // whether the answer is a call as a whole is known
	whole  bool  // it is
	body   *body // of the calls after Open, or of the whole answer
	held   string
}

func (c *calls) Push(text string) []Part {
	text = c.held + text
	c.held = ""
	if !c.begun {
		start := strings.TrimLeft(text, " \t\r\n")
		if c.mayBeWhole(start) {
			c.held = text
			return nil
		}
		c.begun = true
		_, word := firstOf(start, c.format.Whole)
		if c.whole = word != "" && strings.HasPrefix(start, word); c.whole {
			c.body = &body{head: c.format.Head}
		}
	}
	switch {
	case c.body != nil && (c.whole || c.format.Close == ""):
		return c.body.push(text)
	case c.body != nil:
		return c.inside(text)
	case c.format.Open == "":
		return content(text)
	}
	before, after, found := strings.Cut(text, c.format.Open)
	if found {
		c.body = &body{head: c.format.Head, lead: c.format.Open}
		return append(content(strings.TrimRight(before, " \t\r\n")), c.Push(after)...)
	}
	// White space before a call is not part of the text.
	keep := len(text) - overlap(text, []string{c.format.Open})
	keep = len(strings.TrimRight(text[:keep], " \t\r\n"))
	c.held = text[keep:]
	return content(text[:keep])
}

// inside reads text after Open, up to Close and what follows it.
func (c *calls) inside(text string) []Part {
	before, after, found := strings.Cut(text, c.format.Close)
	if !found {
		keep := len(text) - overlap(text, []string{c.format.Close})
		c.held = text[keep:]
		return c.body.push(text[:keep])
	}
	parts := append(c.body.push(before), c.body.close(c.format.Close)...)
	c.body = nil
	return append(parts, c.Push(after)...)
}

// mayBeWhole tells whether start is too short to know what it begins.
func (c *calls) mayBeWhole(start string) bool {
	return slices.ContainsFunc(c.format.Whole, func(word string) bool {
		return len(start) < len(word) && strings.HasPrefix(word, start)
	})
}

func (c *calls) Flush() []Part {
	held := c.held
	c.held = ""
	if c.body != nil {
		return append(c.body.push(held), c.body.cut()...)
	}
	return content(held)
}
