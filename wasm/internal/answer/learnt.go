package answer

import (
	"strings"
)

// Calls is how a model writes calls, as a host tells it: Open and Close stand around all, Call
// and End around each.
type Calls struct {
	// Kind is json (an object with a name and arguments), keyed (an object whose key is the name),
	// named (a name, Name, the arguments as JSON), tagged (a name, then each argument as Key NAME
	// KeyEnd Value VALUE ValueEnd), or a family's own: harmony, functionary, python, gemma.
	Kind     string `json:"kind"`
	Open     string `json:"open"`
	Close    string `json:"close"`
	Call     string `json:"call"`
	End      string `json:"end"`
	Name     string `json:"name"`
	Key      string `json:"key"`
	KeyEnd   string `json:"key_end"`
	Value    string `json:"value"`
	ValueEnd string `json:"value_end"`

	last bool // what stands around all calls ends the turn
}

// Format is the format of answers with such calls.
func (c Calls) Format() Format {
	switch c.Kind {
	case "harmony":
		return Format{Reader: Harmony, Keep: HarmonyTokens, Think: HarmonyTags}
	case "functionary":
		return Format{Reader: Functionary}
	case "named", "tagged":
		c = c.outside()
		return Format{Calls: func(text IsText) Reader { return &spans{calls: c, isText: text} }}
	case "python", "gemma":
		return Format{Calls: func(IsText) Reader { return &wholes{calls: c, parse: parsers[c.Kind]} }}
	}
	format := Format{Open: c.Open + c.Call, Close: c.End + c.Close}
	if format.Open == "" {
		format.Whole = []string{"{", "[{"}
	}
	if c.Kind == "keyed" {
		format.Head = keyedHead
	}
	return format
}

// outside parts what stands around a call where it has two tags: the outer ones may stand around
// several.
func (c Calls) outside() Calls {
	c.last = c.Open != ""
	if opens := strings.Fields(c.Call); c.Open == "" && len(opens) == 2 && !strings.ContainsAny(opens[0], `="`) {
		c.Open, c.Call = opens[0], opens[1]
		if ends := strings.Fields(c.End); len(ends) == 2 {
			c.End, c.Close = ends[0], ends[1]
		}
	}
	return c
}

// IsText tells whether the value of a function's parameter is a text; known is false where its schema
// does not say.
type IsText func(function, parameter, value string) (text, known bool)

// spans reads calls that are written between marks, one mark after the other.
type spans struct {
	calls  Calls
	isText IsText
	state  spanState
	name   string
	first  bool   // no argument was read yet
	braces braces // of arguments that are JSON
	held   string
}

type spanState int

const (
	outOfCalls spanState = iota
	betweenCalls
	atName
	inJSON
	inTags
	atEnd
	afterCalls // of a turn, which ends there
)

func (s *spans) Push(text string) []Part {
	s.held += text
	var parts []Part
	for more := true; more; {
		var found []Part
		found, more = s.step()
		parts = append(parts, found...)
	}
	return parts
}

func (s *spans) Flush() []Part {
	held := s.held
	s.held = ""
	if s.state == outOfCalls {
		return content(held)
	}
	return nil
}

func (s *spans) step() ([]Part, bool) {
	switch s.state {
	case outOfCalls:
		return s.text()
	case betweenCalls:
		return nil, s.between()
	case atName:
		return s.begin()
	case inJSON:
		written, length, ended := s.braces.take(s.held)
		s.held = s.held[length:]
		if ended {
			s.state = atEnd
		}
		if written == "" {
			return nil, ended
		}
		return []Part{{Arguments: written}}, ended
	case inTags:
		return s.argument()
	case afterCalls:
		s.held = ""
		return nil, false
	}
	return nil, s.end()
}

// text reads up to the mark that calls begin with.
func (s *spans) text() ([]Part, bool) {
	mark, next := s.calls.Open, betweenCalls
	if mark == "" {
		mark, next = s.calls.Call, atName
	}
	before, after, found := strings.Cut(s.held, mark)
	if found {
		s.state, s.held = next, after
		return content(strings.TrimRight(before, " \t\r\n")), true
	}
	// White space before a call is not part of the text.
	keep := len(s.held) - overlap(s.held, []string{mark})
	keep = len(strings.TrimRight(s.held[:keep], " \t\r\n"))
	parts := content(s.held[:keep])
	s.held = s.held[keep:]
	return parts, false
}

// between looks for the next call, or for the end of all; what else is there is none's.
func (s *spans) between() bool {
	marks := []string{s.calls.Call}
	if s.calls.Close != "" {
		marks = append(marks, s.calls.Close)
	}
	at, mark := firstOf(s.held, marks)
	if at < 0 {
		s.held = s.held[len(s.held)-overlap(s.held, marks):]
		return false
	}
	s.held, s.state = s.held[at+len(mark):], outOfCalls
	switch {
	case mark == s.calls.Call:
		s.state = atName
	case s.calls.last:
		s.state = afterCalls
	}
	return true
}

// begin reads a call's name and what stands behind it.
func (s *spans) begin() ([]Part, bool) {
	start := strings.TrimLeft(s.held, " \t\r\n")
	length := 0
	for length < len(start) && isName(start[length]) {
		length++
	}
	if length == len(start) {
		return nil, false
	}
	name, rest := start[:length], start[length:]
	if s.calls.Kind == "tagged" {
		s.name, s.state, s.first, s.held = name, inTags, true, rest
		return []Part{{Call: &Call{Name: name, Arguments: "{"}}}, true
	}
	if mark := strings.Index(rest, s.calls.Name); mark >= 0 {
		rest = strings.TrimLeft(rest[mark+len(s.calls.Name):], " \t\r\n")
		if strings.HasPrefix(rest, "{") {
			s.state, s.held, s.braces = inJSON, rest, braces{}
			return []Part{{Call: &Call{Name: name}}}, true
		}
		if rest != "" {
			return s.broken()
		}
	}
	if len(s.held) > mostHead {
		return s.broken()
	}
	return nil, false
}

// broken is what was taken for a call and is none: text.
func (s *spans) broken() ([]Part, bool) {
	text := s.calls.Call + s.held
	s.state, s.held = outOfCalls, ""
	return content(text), false
}

func isName(char byte) bool {
	return char == '_' || char == '-' || char == '.' || char >= '0' && char <= '9' ||
		char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z' || char >= 0x80
}

// argument reads the next argument of a call, or its end.
func (s *spans) argument() ([]Part, bool) {
	marks := []string{s.calls.Key}
	for _, mark := range []string{s.calls.End, s.calls.Close} {
		if mark != "" {
			marks = append(marks, mark)
		}
	}
	at, mark := firstOf(s.held, marks)
	if at < 0 {
		return nil, false
	}
	if mark != s.calls.Key {
		s.held, s.state = s.held[at:], atEnd
		return []Part{{Arguments: "}"}}, true
	}
	name, value, rest, found := s.cut(s.held[at+len(mark):])
	if !found {
		return nil, false
	}
	s.held = rest
	written := quote(name) + ":" + s.value(name, value)
	if !s.first {
		written = "," + written
	}
	s.first = false
	return []Part{{Arguments: written}}, true
}

// cut parts an argument's name and value from what follows it.
func (s *spans) cut(text string) (name, value, rest string, found bool) {
	newline := strings.HasSuffix(s.calls.KeyEnd, "\n")
	for index, mark := range strings.Fields(s.calls.KeyEnd) {
		before, after, found := strings.Cut(text, mark)
		if !found {
			return "", "", "", false
		}
		if text = after; index == 0 {
			name = strings.TrimSpace(before)
		}
	}
	if s.calls.Value != "" {
		if _, text, found = strings.Cut(text, s.calls.Value); !found {
			return "", "", "", false
		}
	}
	mark := strings.TrimLeft(s.calls.ValueEnd, "\n")
	if value, rest, found = strings.Cut(text, mark); !found {
		return "", "", "", false
	}
	if newline {
		value = strings.TrimPrefix(value, "\n")
	}
	if mark != s.calls.ValueEnd {
		value = strings.TrimSuffix(value, "\n")
	}
	return name, value, rest, true
}

// value is an argument as JSON: a text where its schema says so, or where it is no JSON.
func (s *spans) value(name, value string) string {
	if inner, found := strings.CutPrefix(value, "<![CDATA["); found && strings.HasSuffix(inner, "]]>") {
		return quote(strings.TrimSuffix(inner, "]]>"))
	}
	text, known := false, false
	if s.isText != nil {
		text, known = s.isText(s.name, name, value)
	}
	if known && text {
		return quote(value)
	}
	if word, found := pythonWords[strings.TrimSpace(value)]; found && known {
		return word
	}
	if !isJSON(value) {
		return quote(value)
	}
	return compact([]byte(strings.TrimSpace(value)))
}

// end reads what stands behind a call.
func (s *spans) end() bool {
	next := outOfCalls
	if s.calls.Open != "" {
		next = betweenCalls
	}
	if s.calls.End == "" {
		s.state = next
		return true
	}
	marks := []string{s.calls.End}
	if s.calls.Close != "" {
		marks = append(marks, s.calls.Close)
	}
	at, mark := firstOf(s.held, marks)
	if at < 0 {
		return false
	}
	if s.state = next; mark == s.calls.Close {
		s.state = betweenCalls
		s.held = s.held[at:]
		return true
	}
	s.held = s.held[at+len(mark):]
	return true
}
