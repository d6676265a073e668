package server

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"llama-api-server/internal/nn"
	"llama-api-server/internal/nn/nntest"
	"llama-api-server/internal/options"
	"llama-api-server/internal/prompt"
)

const plainTemplate = `{"tools": true, "think": ["<think>", "</think>"]}`

// ask posts a chat request to a server on graph that uses the model's own template.
func ask(t *testing.T, graph *nntest.Graph, body string) reply {
	t.Helper()
	return do(t, "POST", serve(t, graph, "-p", "auto")+"/v1/chat/completions", body)
}

func TestTheModelsOwnTemplateGetsTheConversation(t *testing.T) {
	graph := &nntest.Graph{Pieces: []string{"Hi"}, Template: plainTemplate}
	answer := ask(t, graph, `{"messages": [
		{"role": "developer", "content": "Be terse.", "name": "x"},
		{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
		{"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
			{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"b\": 1, \"a\": 2}"}}]},
		{"role": "tool", "tool_call_id": "1", "content": "3"}],
		"tools": [{"type": "function", "function": {"name": "f", "parameters": {"z": 1, "a": 2}}}],
		"chat_template_kwargs": {"enable_thinking": false}, "reasoning_effort": "low",
		"documents": [{"text": "d"}]}`)
	if answer.status != 200 || at(t, answer.json, "choices", 0, "message", "content") != "Hi" {
		t.Fatal(answer.status, answer.body)
	}
	given := graph.Conversations[len(graph.Conversations)-1]
	for path, want := range map[string]any{
		"messages/0/role": "developer", "messages/0/name": "x", "messages/1/content": "a\nb",
		"messages/2/reasoning_content": "hm", "messages/2/tool_calls/0/function/arguments/b": 1.0,
		"messages/3/tool_call_id": "1", "tools/0/function/name": "f", "documents/0/text": "d",
		"chat_template_kwargs/enable_thinking": false, "chat_template_kwargs/reasoning_effort": "low",
		"add_generation_prompt": true, "continue_final_message": false,
	} {
		var steps []any
		for _, step := range strings.Split(path, "/") {
			if step >= "0" && step <= "9" {
				steps = append(steps, int(step[0]-'0'))
			} else {
				steps = append(steps, step)
			}
		}
		if got := at(t, any(given), steps...); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

func TestReasoningThatThePromptBegins(t *testing.T) {
	for cue, want := range map[string]any{"<think>\n": "hm", "<think>\n\n</think>\n\n": nil, "": nil} {
		graph := &nntest.Graph{Pieces: []string{"hm", "</think>", "Hi"}, Template: plainTemplate, Cue: cue}
		answer := ask(t, graph, `{"messages": [{"role": "user", "content": "what does <think> mean"}]}`)
		if got := at(t, answer.json, "choices", 0, "message").(map[string]any)["reasoning_content"]; got != want {
			t.Errorf("%q: %v, want %v", cue, got, want)
		}
	}
}

func TestTheLastMessageIsGoneOnWith(t *testing.T) {
	graph := &nntest.Graph{Pieces: []string{"Hi"}, Template: plainTemplate}
	const messages = `"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]`
	if answer := ask(t, graph, `{`+messages+`, "continue_final_message": true}`); answer.status != 200 {
		t.Fatal(answer.body)
	}
	given := graph.Conversations[len(graph.Conversations)-1]
	if given["continue_final_message"] != true || given["add_generation_prompt"] != false {
		t.Error(given)
	}
	answer := ask(t, graph, `{`+messages+`, "continue_final_message": true, "add_generation_prompt": true}`)
	if answer.status != 400 {
		t.Error(answer.body)
	}
}

func TestWhatTheTemplateRefusesIsTheClients(t *testing.T) {
	graph := &nntest.Graph{
		Template: plainTemplate, Reason: "System role not supported",
		Refused: map[uint32]error{nn.Prompt: nn.InvalidArgument},
	}
	answer := ask(t, graph, `{"messages": [{"role": "system", "content": "a"}]}`)
	if answer.status != 400 || !strings.Contains(answer.body, "System role not supported") {
		t.Error(answer.status, answer.body)
	}
}

func TestANamedTemplateTakesNoSettingsOfAnother(t *testing.T) {
	for _, setting := range []string{
		`"chat_template_kwargs": {"a": 1}`, `"documents": [{}]`, `"continue_final_message": true`, `"add_generation_prompt": false`,
	} {
		url := serve(t, &nntest.Graph{Pieces: []string{"Hi"}}) + "/v1/chat/completions"
		answer := do(t, "POST", url, `{"messages": [{"role": "user", "content": "a"}], `+setting+`}`)
		if answer.status != 400 || !strings.Contains(answer.body, "model's own template") {
			t.Error(setting, answer.status, answer.body)
		}
	}
}

func TestALongConversationIsTrimmedThroughTheTemplate(t *testing.T) {
	var messages []string
	for index := range 60 {
		messages = append(messages, fmt.Sprintf(`{"role": "user", "content": "q%d is five words long"}, {"role": "assistant", "content": "so is a%d, too"}`, index, index))
	}
	graph := &nntest.Graph{Pieces: []string{"Hi"}, Template: plainTemplate}
	url := serve(t, graph, "-p", "auto", "-c", "128") + "/v1/chat/completions"
	answer := do(t, "POST", url, `{"messages": [`+strings.Join(messages, ",")+`]}`)
	if answer.status != 200 || answer.header.Get("X-Dropped-Messages") != "98" {
		t.Error(answer.status, answer.header.Get("X-Dropped-Messages"), answer.body)
	}
}

func TestAModelWithoutATemplateSaysWhatToDo(t *testing.T) {
	for told, want := range map[string]string{
		"":                    "this host does not write out",
		"null":                "has no chat template of its own; name one with --prompt-template",
		`{"error": "line 1"}`: "line 1; name one with --prompt-template",
	} {
		settings, err := options.Parse(nil, prompt.Names())
		if err != nil {
			t.Fatal(err)
		}
		graph := &nntest.Graph{Template: told}
		if _, err = LoadModels(settings, false, graph.Load); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", told, err)
		}
	}
}

func TestAPictureGoesToTheTemplateAsAPart(t *testing.T) {
	graph := &nntest.Graph{Pieces: []string{"Hi"}, Template: plainTemplate}
	server := &Server{Log: NewLogger(io.Discard, "error")}
	url := start(t, graph, server, "-p", "auto", "--llava-mmproj", "m.gguf") + "/v1/chat/completions"
	const picture = "data:image/png;base64,iVBORw0KGgo="
	answer := do(t, "POST", url, `{"messages": [{"role": "user", "content": [
		{"type": "image_url", "image_url": {"url": "`+picture+`"}}, {"type": "text", "text": "<img src=\"data:image/png;base64,x\">"}]}]}`)
	if answer.status != 200 {
		t.Fatal(answer.body)
	}
	given := any(graph.Conversations[len(graph.Conversations)-1])
	if got := at(t, given, "messages", 0, "content", 0, "image_url", "url"); got != picture {
		t.Error(got)
	}
	if got := at(t, given, "messages", 0, "content", 1, "type"); got != "text" {
		t.Error(got)
	}
}

func TestCallsInTheModelsOwnFormat(t *testing.T) {
	const template = `{"tools": true, "think": ["<think>", "</think>"], "calls": {"kind": "tagged",
		"call": "<tool_call>\n<function=", "end": "</function>\n</tool_call>", "name": ">",
		"key": "<parameter=", "key_end": ">\n", "value_end": "\n</parameter>"}}`
	const tools = `"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object",
		"properties": {"s": {"type": "string"}, "n": {"type": "integer"}}}}}]`
	pieces := strings.SplitAfter("Look: <tool_call>\n<function=f>\n<parameter=s>\n1\n</parameter>\n<parameter=n>\n2\n</parameter>\n</function>\n</tool_call>", ">")
	graph := &nntest.Graph{Pieces: pieces, Template: template}
	body := `{"messages": [{"role": "user", "content": "a"}], ` + tools
	answer := ask(t, graph, body+`}`)
	message := at(t, answer.json, "choices", 0, "message")
	if got := at(t, message, "content"); got != "Look:" {
		t.Errorf("content %q", got)
	}
	if got := at(t, message, "tool_calls", 0, "function", "arguments"); got != `{"s":"1","n":2}` {
		t.Errorf("arguments %v", got)
	}
	if got := at(t, answer.json, "choices", 0, "finish_reason"); got != "tool_calls" {
		t.Error(got)
	}
	var arguments []string
	for _, frame := range frames(t, ask(t, graph, body+`, "stream": true}`).body) {
		if _, after, found := strings.Cut(frame, `"arguments":`); found {
			arguments = append(arguments, after[:strings.Index(after, "}")])
		}
	}
	if len(arguments) < 4 {
		t.Errorf("the arguments came in %d pieces: %q", len(arguments), arguments)
	}
}

func TestOneCallAtATime(t *testing.T) {
	const call = `<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>`
	graph := &nntest.Graph{Pieces: strings.SplitAfter(call+call+" end", "}"), Template: `{"tools": true,
		"calls": {"kind": "json", "call": "<tool_call>", "end": "</tool_call>"}}`}
	const body = `{"messages": [{"role": "user", "content": "a"}], "tools": [{"type": "function", "function": {"name": "f"}}]`
	for setting, want := range map[string]int{"": 2, `, "parallel_tool_calls": true`: 2, `, "parallel_tool_calls": false`: 1} {
		message := at(t, ask(t, graph, body+setting+"}").json, "choices", 0, "message")
		if got := len(at(t, message, "tool_calls").([]any)); got != want {
			t.Errorf("%s: %d calls, want %d", setting, got, want)
		}
		if got := at(t, message, "content"); got != " end" {
			t.Errorf("%s: content %q", setting, got)
		}
	}
}

func TestTheServerSaysWhetherToReasonWhereARequestDoesNot(t *testing.T) {
	for _, row := range []struct {
		option, fields string
		want           any
	}{
		{"on", ``, true}, {"off", ``, false}, {"auto", ``, nil},
		{"off", `"reasoning_effort":"low"`, true},
		{"on", `"chat_template_kwargs":{"enable_thinking":false}`, false},
	} {
		graph := &nntest.Graph{Pieces: []string{"a"}, Template: plainTemplate}
		address := serve(t, graph, "-p", "auto", "--reasoning", row.option)
		do(t, "POST", address+"/v1/chat/completions", chatBody(row.fields))
		given, _ := graph.Conversations[len(graph.Conversations)-1]["chat_template_kwargs"].(map[string]any)
		if given["enable_thinking"] != row.want {
			t.Errorf("%v: %v", row, given)
		}
	}
}
