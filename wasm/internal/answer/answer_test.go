package answer

import (
	"fmt"
	"strings"
	"testing"
)

// show writes parts as text: reasoning in braces, calls in brackets.
func show(parts []Part) string {
	var text strings.Builder
	open := false
	for _, part := range parts {
		if open && part.Arguments == "" {
			text.WriteString("]")
			open = false
		}
		switch {
		case part.Call != nil:
			fmt.Fprintf(&text, "[%s %s", part.Call.Name, part.Call.Arguments)
			open = true
		case part.Arguments != "":
			text.WriteString(part.Arguments)
		case part.Reasoning != "":
			text.WriteString("{" + part.Reasoning + "}")
		default:
			text.WriteString(part.Content)
		}
	}
	if open {
		text.WriteString("]")
	}
	return strings.ReplaceAll(text.String(), "}{", "")
}

// read gives text to a reader in pieces of size bytes.
func read(reader Reader, text string, size int) []Part {
	var parts []Part
	for len(text) > 0 {
		n := min(size, len(text))
		parts = append(parts, reader.Push(text[:n])...)
		text = text[n:]
	}
	return append(parts, reader.Flush()...)
}

var (
	hermes  = Format{Open: "<tool_call>", Close: "</tool_call>"}
	llama   = Format{Open: "<|python_tag|>", Whole: []string{"{"}}
	mistral = Format{Open: "[TOOL_CALLS]", Whole: []string{"[{"}}
	tagged  = Format{Open: "<function=", Close: "</function>", Head: FunctionTagHead}
)

func TestReaders(t *testing.T) {
	table := []struct {
		name     string
		format   Format
		tools    bool
		thinking bool
		text     string
		want     string
	}{
		{"text", Format{}, false, false, "Hello <b>", "Hello <b>"},
		{"reasoning", Format{}, false, false, "<think>\nIt is 4.\n</think>\n\nFour.", "{It is 4.}Four."},
		{"reasoning after white space", Format{}, false, false, "\n <think>a</think>b", "{a}b"},
		{"no reasoning", Format{}, false, false, "<thin>k", "<thin>k"},
		{"a tag later", Format{}, false, false, "x <think>a</think>", "x <think>a</think>"},
		{"empty reasoning", Format{}, false, false, "<think>\n\n</think>\n\nHi", "Hi"},
		{"reasoning begun by the prompt", Format{}, false, true, "Hm.</think>Yes", "{Hm.}Yes"},
		{"reasoning that does not end", Format{}, false, false, "<think>a < b", "{a < b}"},
		{"other tags", Format{Think: [2]string{"<thought>", "</thought>"}}, false, true, "a</thought>b", "{a}b"},
		{"s1's tags", Format{Think: [2]string{"<|im_start|>think", "<|im_start|>answer"}}, false, true, "Hm.\n<|im_start|>answer\nYes", "{Hm.}Yes"},
		{"a call", hermes, true, false, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>", `[f {"a":1}]`},
		{"text and calls", hermes, true, false, "Well.\n<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>\n<tool_call>{\"name\": \"g\", \"arguments\": {}}</tool_call>", `Well.[f {}][g {}]`},
		{"reasoning and a call", hermes, true, false, "<think>x</think>\n<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>", `{x}[f {}]`},
		{"a call cut off after its JSON", hermes, true, false, `<tool_call>{"name": "f", "arguments": {}}`, `[f {}]`},
		{"a call cut off in its name", hermes, true, false, `Hm. <tool_call>{"name": "f`, `Hm.`},
		{"a call cut off before its arguments", hermes, true, false, `<tool_call>{"name": "f", "argu`, ``},
		{"a call cut off in its arguments", hermes, true, false, `<tool_call>{"name": "f", "arguments": {"a": "b c`, `[f {"a":"b c]`},
		{"a second call cut off", hermes, true, false, `<tool_call>{"name": "f", "arguments": {}}</tool_call><tool_call>{"name": "g`, `[f {}]`},
		{"an object that is a call cut off", llama, true, false, `{"name": "f", "param`, ``},
		{"an object that is none cut off", llama, true, false, `{"answer": 4`, `{"answer": 4`},
		{"arguments before the name cut off", llama, true, false, `{"arguments": {"a": 1}, "name": "f`, ``},
		{"a list cut off", mistral, true, false, `[TOOL_CALLS] [{"name": "f", "arguments": {"a": [1, 2`, `[f {"a":[1,2]`},
		{"a tagged function cut off in its name", tagged, true, false, `Sure <function=get_w`, `Sure`},
		{"a tagged function cut off", tagged, true, false, `<function=f>{"a": `, `[f {"a":]`},
		{"functionary cut off", Format{Reader: Functionary}, true, false, "f\n{\"a\": [\"b", `[f {"a":["b]`},
		{"harmony cut off", Format{Reader: Harmony}, true, false, "<|channel|>commentary to=functions.f<|message|>{\"a\": 1", `[f {"a":1]`},
		{"a call that is closed too early", hermes, true, false, `<tool_call>{"name": "f"</tool_call>x`, `<tool_call>{"name": "f"</tool_call>x`},
		{"arguments first", hermes, true, false, `<tool_call>{"arguments": {"a": 1}, "name": "f"}</tool_call>`, `[f {"a":1}]`},
		{"a call in a function", hermes, true, false, `<tool_call>{"type": "function", "function": {"name": "f", "parameters": {"a": 1}}}</tool_call>`, `[f {"a":1}]`},
		{"a call without arguments", hermes, true, false, `<tool_call>{"name": "f"}</tool_call>`, `[f {}]`},
		{"two calls in one tag", hermes, true, false, `<tool_call>{"name": "f", "arguments": {"a": "{\"}"}, "id": "]}"}` + "\n" + `{"name": "g", "arguments": {}}</tool_call> ok`, `[f {"a":"{\"}"}][g {}] ok`},
		{"a long object that is none", llama, true, false, `{"answer": "` + strings.Repeat("long ", 100) + `"}`, `{"answer": "` + strings.Repeat("long ", 100) + `"}`},
		{"a call cut off after a long head", hermes, true, false, `<tool_call>{"id": "` + strings.Repeat("9", 300) + `", "name": "f", "arguments": {"a": 1`, `[f {"a":1]`},
		{"a name that is no text", llama, true, false, `{"name": {"first": "a"}}`, `{"name": {"first": "a"}}`},
		{"no JSON", hermes, true, false, `<tool_call>f()</tool_call>`, `<tool_call>f()</tool_call>`},
		{"no tools", hermes, false, false, `<tool_call>{"name": "f", "arguments": {}}</tool_call>`, `<tool_call>{"name": "f", "arguments": {}}</tool_call>`},
		{"parameters", llama, true, false, `{"name": "f", "parameters": {"x": "y"}}`, `[f {"x":"y"}]`},
		{"python tag", llama, true, false, `<|python_tag|>{"name": "f", "parameters": {}}`, `[f {}]`},
		{"two, with a semicolon", llama, true, false, `{"name": "f", "parameters": {}}; {"name": "g", "parameters": {}}`, `[f {}]`},
		{"JSON that is no call", llama, true, false, `{"answer": 42}`, `{"answer": 42}`},
		{"a list", mistral, true, false, `[TOOL_CALLS] [{"name": "f", "arguments": {}}, {"name": "g", "arguments": "{\"a\": 2}"}]`, `[f {}][g {"a":2}]`},
		{"a list alone", mistral, true, false, ` [{"name": "f", "arguments": {}}]`, `[f {}]`},
		{"brackets", mistral, true, false, `[1] is one`, `[1] is one`},
		{"a tagged function", tagged, true, false, `Sure <function=f>{"a": "b"}</function>`, `Sure[f {"a":"b"}]`},
		{"functionary text", Format{Reader: Functionary}, true, false, "all\nHello\nthere", "Hello\nthere"},
		{"functionary call", Format{Reader: Functionary}, true, false, "all\nWait.>>>f\n{\"a\": 1}", `Wait.[f {"a":1}]`},
		{"harmony", Format{Reader: Harmony}, true, false, "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hi", "{Hm.}Hi"},
		{"harmony call", Format{Reader: Harmony}, true, false, "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\": 1}", `[f {"a":1}]`},
	}
	for _, row := range table {
		for _, size := range []int{1, 3, 7, 1000} {
			t.Run(fmt.Sprintf("%s/%d", row.name, size), func(t *testing.T) {
				if got := show(read(row.format.NewReader(row.tools, row.thinking), row.text, size)); got != row.want {
					t.Errorf("got %q, want %q", got, row.want)
				}
			})
		}
	}
}

// A call is there with its name, and its arguments as they are written.
func TestCallsComeInPieces(t *testing.T) {
	object := `{"name": "f", "arguments": {"a": "b c", "d": [1, 2]}}`
	for name, row := range map[string]struct {
		format Format
		text   string
	}{
		"tags":        {hermes, "<tool_call>" + object + "</tool_call>"},
		"an object":   {llama, object},
		"a list":      {mistral, "[TOOL_CALLS][" + object + "]"},
		"a function":  {tagged, `<function=f>{"a": "b c", "d": [1, 2]}</function>`},
		"functionary": {Format{Reader: Functionary}, "f\n" + `{"a": "b c", "d": [1, 2]}`},
		"harmony":     {Format{Reader: Harmony}, `to=functions.f<|message|>{"a": "b c", "d": [1, 2]}`},
	} {
		reader := row.format.NewReader(true, false)
		var parts []Part
		for at := range row.text {
			parts = append(parts, reader.Push(row.text[at:at+1])...)
		}
		if parts[0].Call == nil || parts[0].Call.Arguments != "" {
			t.Errorf("%s: the first part is %v", name, parts[0])
		}
		if pieces := len(parts) - 1; pieces != len(`{"a":"b c","d":[1,2]}`) {
			t.Errorf("%s: %d pieces of arguments", name, pieces)
		}
		if _, _, calls := Join(parts); calls[0] != (Call{"f", `{"a":"b c","d":[1,2]}`}) {
			t.Errorf("%s: %v", name, calls)
		}
	}
}

func TestText(t *testing.T) {
	table := []struct {
		name    string
		pieces  []string
		stops   []string
		keep    []string
		want    string
		stopped bool
	}{
		{"pieces", []string{"a", "b"}, nil, nil, "ab", false},
		{"a code point in pieces", []string{"\xf0", "\x9f", "\x98", "\x80!"}, nil, nil, "😀!", false},
		{"bytes that are none", []string{"a\xff", "b"}, nil, nil, "a\uFFFDb", false},
		{"an end within a code point", []string{"a", "\xe2\x82"}, nil, nil, "a\uFFFD", false},
		{"a stop", []string{"a<|im_end|>b"}, []string{"<|im_end|>"}, nil, "a", true},
		{"a stop over pieces", []string{"x\nHu", "man", ": y"}, []string{"\nHuman:"}, nil, "x", true},
		{"not quite a stop", []string{"x\nHu", "mus"}, []string{"\nHuman:"}, nil, "x\nHumus", false},
		{"the first of two stops", []string{"one two"}, []string{"two", "one"}, nil, "", true},
		{"a stop that begins again", []string{"aa", "ab"}, []string{"aab"}, nil, "a", true},
		{"control tokens", []string{"<s>", "a", "<|eot_id|>", "<｜x｜>", "b", "[INST]"}, nil, nil, "ab", false},
		{"a control token that is read", []string{"<|python_tag|>", "a"}, nil, []string{"<|python_tag|>"}, "<|python_tag|>a", false},
		{"text like one", []string{"<| a |>", "a <s> b"}, nil, nil, "<| a |>a <s> b", false},
	}
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			text := NewText(row.stops, row.keep)
			got := ""
			for _, piece := range row.pieces {
				got += text.Push([]byte(piece))
			}
			got += text.Flush()
			if got != row.want || text.Stopped() != row.stopped {
				t.Errorf("got %q, %v", got, text.Stopped())
			}
		})
	}
}

// What a text is cut into makes no difference.
func FuzzText(f *testing.F) {
	f.Add("Hello, 😀 wor<|im_end|>ld", "<|im_end|>", uint8(3))
	f.Fuzz(func(t *testing.T, input, stop string, size uint8) {
		if stop == "" || size == 0 || isControl(input) {
			return
		}
		input = strings.ToValidUTF8(input, "?")
		want, _, _ := strings.Cut(input, strings.ToValidUTF8(stop, "?"))
		text := NewText([]string{strings.ToValidUTF8(stop, "?")}, nil)
		got := ""
		for rest := input; rest != ""; {
			n := min(int(size), len(rest))
			if isControl(rest[:n]) {
				return
			}
			got += text.Push([]byte(rest[:n]))
			rest = rest[n:]
		}
		if got += text.Flush(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func joined(parts []Part) string {
	content, reasoning, calls := Join(parts)
	return fmt.Sprintf("%q, thought %q, calls %q", content, reasoning, calls)
}

// No answer ends a reader, whatever its format, and what an answer is cut into makes no difference.
func FuzzReaders(f *testing.F) {
	f.Add(`<think>a</think><tool_call>{"name":"f","arguments":{}}</tool_call>`, uint8(2))
	f.Add(`[TOOL_CALLS] [{"name":"f","arguments":"{}"}, {"arguments":{"a":[1, "}"]},"name":"g"}] x`, uint8(5))
	f.Add(`{"name": "f", "parameters": {"a": "b\\"c"}, "id": 1}; {"name`, uint8(1))
	f.Add("<|channel|>x to=functions. <|message|>", uint8(9))
	formats := []Format{{}, hermes, llama, mistral, tagged, {Reader: Functionary}, {Reader: Harmony}}
	f.Fuzz(func(t *testing.T, input string, size uint8) {
		for number, format := range formats {
			for _, thinking := range []bool{false, true} {
				pieces := joined(read(format.NewReader(true, thinking), input, int(size)+1))
				if whole := joined(read(format.NewReader(true, thinking), input, len(input)+1)); pieces != whole {
					t.Errorf("format %d: %s in pieces of %d, %s as a whole", number, pieces, int(size)+1, whole)
				}
			}
		}
	})
}
