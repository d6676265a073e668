package server

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"llama-api-server/internal/nn/nntest"
	"llama-api-server/internal/options"
	"llama-api-server/internal/prompt"
)

const weather = `{"type":"function","function":{"name":"get_weather","description":"Weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}`

func chatBody(fields string) string {
	body := `{"messages":[{"role":"user","content":"How is it?"}]`
	if fields != "" {
		body += "," + fields
	}
	return body + "}"
}

func TestTools(t *testing.T) {
	call := []string{"Let me see.", "\n<tool", `_call>{"name": "get_weather", `, `"arguments": {"city": "Paris"}}</tool_call>`}
	table := []struct {
		name, fields string
		pieces       []string
		content      any
		calls        string // name and arguments of the first
		finish       string
		inPrompt     bool
	}{
		{"a call", `"tools":[` + weather + `]`, call, "Let me see.", `get_weather{"city":"Paris"}`, "tool_calls", true},
		{"a call alone", `"tools":[` + weather + `],"tool_choice":"auto"`, call[1:], nil, `get_weather{"city":"Paris"}`, "tool_calls", true},
		{"no call", `"tools":[` + weather + `]`, []string{"Fine."}, "Fine.", "", "stop", true},
		{"none", `"tools":[` + weather + `],"tool_choice":"none"`, []string{"Fine."}, "Fine.", "", "stop", false},
		{"required", `"tools":[` + weather + `],"tool_choice":"required"`, []string{`{"name": "get_weather", `, `"arguments": {"city": "Rome"}}`}, nil, `get_weather{"city":"Rome"}`, "tool_calls", true},
		{"named", `"tools":[` + weather + `],"tool_choice":{"type":"function","function":{"name":"get_weather"}}`, []string{`{"name":"get_weather","arguments":{}}`}, nil, `get_weather{}`, "tool_calls", true},
		{"cut off in its mark", `"tools":[` + weather + `],"max_tokens":2`, call, "Let me see.\n<tool", "", "length", true},
		{"cut off before its arguments", `"tools":[` + weather + `],"max_tokens":3`, call, "Let me see.", "", "length", true},
		{"cut off in its arguments", `"tools":[` + weather + `],"max_tokens":3`, []string{"<tool_call>", `{"name": "get_weather", "arguments": {"ci`, `ty": "Par`, "is"}, nil, `get_weather{"city":"Par`, "length", true},
		{"required, cut off before its arguments", `"tools":[` + weather + `],"tool_choice":"required","max_tokens":1`, []string{`{"name": "get`, `_weather"`}, "", "", "length", true},
	}
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			graph := &nntest.Graph{Pieces: row.pieces}
			address := serve(t, graph, "-p", "chatml-tool")
			got := do(t, "POST", address+"/v1/chat/completions", chatBody(row.fields))
			if got.status != 200 {
				t.Fatal(got.status, got.body)
			}
			message := at(t, got.json, "choices", 0, "message").(map[string]any)
			if message["content"] != row.content {
				t.Errorf("content %v", message["content"])
			}
			if calls := firstCall(t, message); calls != row.calls {
				t.Errorf("calls %q", calls)
			}
			if finish := at(t, got.json, "choices", 0, "finish_reason"); finish != row.finish {
				t.Errorf("finish_reason %v", finish)
			}
			if strings.Contains(graph.Prompts[0], "get_weather") != row.inPrompt {
				t.Errorf("prompt %q", graph.Prompts[0])
			}
			schema, constrained := graph.Settings[1]["json-schema"].(string)
			if constrained != strings.Contains(row.name, "required") && row.name != "named" {
				t.Errorf("schema %q", schema)
			}
			streamed := do(t, "POST", address+"/v1/chat/completions", chatBody(row.fields+`,"stream":true`))
			if text, calls, finish := joined(t, streamed.body); calls != row.calls || finish != row.finish || (row.content != nil && text != row.content) {
				t.Errorf("streamed %q, %q, %q", text, calls, finish)
			}
		})
	}
}

func firstCall(t *testing.T, message map[string]any) string {
	if message["tool_calls"] == nil {
		return ""
	}
	call := at(t, message, "tool_calls", 0)
	if id := at(t, call, "id").(string); !strings.HasPrefix(id, "call_") || at(t, call, "type") != "function" {
		t.Errorf("call %v", call)
	}
	return fmt.Sprint(at(t, call, "function", "name"), at(t, call, "function", "arguments"))
}

// pieceOfCall is what a delta adds to a call: its name, once and with an id, then arguments.
func pieceOfCall(t *testing.T, delta map[string]any, begun bool) string {
	if delta["tool_calls"] == nil {
		return ""
	}
	if !begun {
		return firstCall(t, delta)
	}
	call := at(t, delta, "tool_calls", 0).(map[string]any)
	if _, again := call["id"]; again || call["index"] != 0.0 || at(t, call, "function", "name") != nil {
		t.Errorf("a later piece of a call is %v", call)
	}
	return at(t, call, "function", "arguments").(string)
}

// joined is what a chat stream says altogether.
func joined(t *testing.T, body string) (text, call, finish string) {
	for _, frame := range frames(t, body) {
		var chunk map[string]any
		if frame == "[DONE]" || json.Unmarshal([]byte(frame), &chunk) != nil {
			continue
		}
		delta := at(t, chunk, "choices", 0, "delta").(map[string]any)
		if more, ok := delta["content"].(string); ok {
			text += more
		}
		call += pieceOfCall(t, delta, call != "")
		if reason, ok := at(t, chunk, "choices", 0, "finish_reason").(string); ok {
			finish = reason
		}
	}
	return text, call, finish
}

// A streamed call is there before it is complete.
func TestACallIsStreamed(t *testing.T) {
	step := make(chan struct{})
	graph := &nntest.Graph{Pieces: []string{`<tool_call>{"name": "get_weather", "arguments": {`, `"city"`, `: "Rome"}}`}}
	graph.Computed = func() { <-step }
	address := serve(t, graph, "-p", "chatml-tool")
	lines := make(chan string, 100)
	go func() {
		response, err := http.Post(address+"/v1/chat/completions", "application/json", strings.NewReader(chatBody(`"stream":true,"tools":[`+weather+`]`)))
		if err != nil {
			t.Error(err)
			return
		}
		defer response.Body.Close()
		for scanner := bufio.NewScanner(response.Body); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	for _, want := range []string{`"name":"get_weather"`, `"arguments":"\"city\""`, `"arguments":":\"Rome\"}"`} {
		step <- struct{}{}
		for !strings.Contains(<-lines, want) {
		}
	}
	close(step)
}

// Clients send a call without arguments in many ways.
func TestArgumentsOfTheHistory(t *testing.T) {
	table := []struct{ arguments, inPrompt string }{
		{`,"arguments":"{\"city\": \"Rome\"}"`, `"arguments": {"city": "Rome"}}`},
		{`,"arguments":{"city":"Rome"}`, `"arguments": {"city": "Rome"}}`},
		{`,"arguments":"{}"`, `"arguments": {}}`},
		{`,"arguments":""`, `"arguments": {}}`},
		{`,"arguments":" \n"`, `"arguments": {}}`},
		{`,"arguments":null`, `"arguments": {}}`},
		{``, `"arguments": {}}`},
		{`,"arguments":"{\"city\": \"Ro"`, ""},
		{`,"arguments":"[1]"`, ""},
		{`,"arguments":7`, ""},
	}
	for _, row := range table {
		graph := &nntest.Graph{Pieces: []string{"ok"}}
		got := do(t, "POST", serve(t, graph, "-p", "chatml-tool")+"/v1/chat/completions", `{"messages":[{"role":"user","content":"x"},`+
			`{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f"`+row.arguments+`}}]},`+
			`{"role":"tool","tool_call_id":"1","content":"y"}]}`)
		if row.inPrompt == "" {
			if got.status != 400 || at(t, got.json, "error", "param") != "messages[1].tool_calls[0].function.arguments" {
				t.Errorf("%s: %d %s", row.arguments, got.status, got.body)
			}
		} else if got.status != 200 || !strings.Contains(graph.Prompts[0], row.inPrompt) {
			t.Errorf("%s: %d %s, prompt %q", row.arguments, got.status, got.body, graph.Prompts)
		}
	}
}

func TestToolErrors(t *testing.T) {
	table := []struct{ template, fields, param string }{
		{"chatml", `"tools":[` + weather + `]`, "tools"},
		{"chatml-tool", `"tool_choice":"required"`, "tool_choice"},
		{"chatml-tool", `"tools":[` + weather + `],"tool_choice":"perhaps"`, "tool_choice"},
		{"chatml-tool", `"tools":[` + weather + `],"tool_choice":{"type":"function","function":{"name":"other"}}`, "tool_choice"},
		{"chatml-tool", `"tools":[{"type":"retrieval"}]`, "tools"},
		{"chatml-tool", `"tools":[{"type":"function","function":{}}]`, "tools"},
		{"chatml-tool", `"tools":[` + weather + `],"response_format":{"type":"json_object"}`, "response_format"},
		{"chatml", `"response_format":{"type":"xml"}`, "response_format.type"},
		{"chatml", `"response_format":{}`, "response_format.type"},
		{"chatml", `"response_format":"json"`, "response_format"},
		{"chatml", `"response_format":{"type":"json_schema"}`, "response_format.json_schema"},
		{"chatml", `"response_format":{"type":"json_schema","json_schema":null}`, "response_format.json_schema"},
		{"chatml", `"response_format":{"type":"json_schema","json_schema":"x"}`, "response_format.json_schema"},
		{"chatml", `"response_format":{"type":"json_schema","json_schema":{}}`, "response_format.json_schema.schema"},
		{"chatml", `"response_format":{"type":"json_schema","json_schema":{"schema":null}}`, "response_format.json_schema.schema"},
		{"chatml", `"response_format":{"type":"json_schema","json_schema":{"schema":[]}}`, "response_format.json_schema.schema"},
		{"chatml", `"response_format":{"type":"json_schema","json_schema":{"name":5,"schema":{}}}`, "response_format.json_schema.name"},
		{"chatml", `"response_format":{"type":"json_schema","json_schema":{"strict":"yes","schema":{}}}`, "response_format.json_schema.strict"},
		{"chatml", `"response_format":{"type":"json_object","schema":"{}"}`, "response_format.schema"},
		{"chatml", `"response_format":{"type":"json_object","schema":[{}]}`, "response_format.schema"},
		{"chatml", `"logprobs":true`, "logprobs"},
		{"chatml", `"functions":[]`, "functions"},
	}
	for _, row := range table {
		address := serve(t, &nntest.Graph{}, "-p", row.template)
		got := do(t, "POST", address+"/v1/chat/completions", chatBody(row.fields))
		if got.status != 400 || at(t, got.json, "error", "param") != row.param {
			t.Errorf("%s: %d %s", row.fields, got.status, got.body)
		}
	}
}

// The schema that each form of response_format asks for.
func TestResponseFormats(t *testing.T) {
	const city = `{"type":"object","properties":{"city":{"type":"string"}}}`
	for format, want := range map[string]any{
		`null`:                                 nil,
		`{"type":"text"}`:                      nil,
		`{"type":"json_object"}`:               `{"type":"object"}`,
		`{"type":"json_object","schema":null}`: `{"type":"object"}`,
		`{"type":"json_object","schema":` + city + `}`:                                          city,
		`{"type":"json_schema","json_schema":{"schema":` + city + `}}`:                          city,
		`{"type":"json_schema","json_schema":{"name":"c","strict":true,"schema":` + city + `}}`: city,
		`{"type":"json_schema","json_schema":{"name":null,"strict":null,"schema":{}}}`:          `{}`,
	} {
		graph := &nntest.Graph{Pieces: []string{"{}"}}
		got := do(t, "POST", serve(t, graph)+"/v1/chat/completions", chatBody(`"response_format":`+format))
		if schema := graph.Settings[len(graph.Settings)-1]["json-schema"]; got.status != 200 || schema != want {
			t.Errorf("%s: %d %s, schema %v", format, got.status, got.body, schema)
		}
	}
}

// What a request sets is the model's for that request alone.
func TestSettings(t *testing.T) {
	graph := &nntest.Graph{Pieces: []string{"{}"}}
	address := serve(t, graph, "-p", "chatml", "--temp", "0.7", "--threads", "3", "--grammar", "root ::= [a-z]+")
	do(t, "POST", address+"/v1/chat/completions", chatBody(`"temperature":0,"top_p":0.5,"top_k":7,"min_p":1,"seed":11,"presence_penalty":0.25,"response_format":{"type":"json_object"}`))
	do(t, "POST", address+"/v1/chat/completions", chatBody(""))
	for key, want := range map[string][3]any{
		"temp": {.7, 0.0, .7}, "top-p": {1.0, .5, 1.0}, "top-k": {40.0, 7.0, 40.0}, "seed": {4294967295.0, 11.0, 4294967295.0},
		"min-p": {.05, 1.0, .05}, "presence-penalty": {0.0, .25, 0.0}, "json-schema": {nil, `{"type":"object"}`, nil}, "json_schema": {"", nil, ""},
		"threads": {3.0, 3.0, 3.0}, "grammar": {"root ::= [a-z]+", "root ::= [a-z]+", "root ::= [a-z]+"},
		"enable-log": {false, false, false}, "embedding": {false, false, false}, "ctx-size": {4096.0, 4096.0, 4096.0},
	} {
		for index, value := range want {
			if got := graph.Settings[index][key]; got != value {
				t.Errorf("%s, input %d: %v, want %v", key, index, got, value)
			}
		}
	}
}

// Whatever a request can set, the others set to what it was.
func TestEveryRequestSetsEveryKey(t *testing.T) {
	var request chatRequest
	fields := chatBody(`"temperature":1,"top_p":1,"top_k":1,"min_p":1,"seed":1,"presence_penalty":1,"frequency_penalty":1,"repeat_penalty":1`)
	if err := unmarshal([]byte(fields), &request); err != nil {
		t.Fatal(err)
	}
	graph := &nntest.Graph{Pieces: []string{"a"}}
	do(t, "POST", serve(t, graph)+"/v1/chat/completions", chatBody(""))
	changes := request.changes(0)
	if len(changes) != 9 {
		t.Errorf("the request sets %v", changes)
	}
	for key := range changes {
		if _, found := graph.Settings[1][key]; !found {
			t.Errorf("a request that does not set %s does not say so", key)
		}
	}
}

func TestSeeds(t *testing.T) {
	const random = 4294967295.0
	for fields, want := range map[string][]any{
		"": {random}, `"seed":null`: {random}, `"seed":-1`: {random}, `"seed":0`: {0.0}, `"seed":-2`: {2147483646.0},
		`"seed":-1,"n":2`: {random, random}, `"n":2`: {random, random}, `"seed":5,"n":3`: {5.0, 6.0, 7.0},
	} {
		graph := &nntest.Graph{Pieces: []string{"a"}}
		do(t, "POST", serve(t, graph)+"/v1/chat/completions", chatBody(fields))
		var seeds []any
		for _, settings := range graph.Settings[1:] {
			seeds = append(seeds, settings["seed"])
		}
		if !slices.Equal(seeds, want) {
			t.Errorf("%s: %v, want %v", fields, seeds, want)
		}
	}
}

func TestReasoning(t *testing.T) {
	address := serve(t, &nntest.Graph{Pieces: []string{"<think>", "Hm.\n", "</think>", "\n\nYes"}})
	got := do(t, "POST", address+"/v1/chat/completions", chatBody(""))
	message := at(t, got.json, "choices", 0, "message").(map[string]any)
	if message["content"] != "Yes" || message["reasoning_content"] != "Hm." {
		t.Errorf("message %v", message)
	}
}

func TestChoices(t *testing.T) {
	address := serve(t, &nntest.Graph{Pieces: []string{"a", "b"}})
	got := do(t, "POST", address+"/v1/chat/completions", chatBody(`"n":3`))
	for index := range 3 {
		if at(t, got.json, "choices", index, "index") != float64(index) || at(t, got.json, "choices", index, "message", "content") != "ab" {
			t.Errorf("choice %d: %s", index, got.body)
		}
	}
	if at(t, got.json, "usage", "completion_tokens") != 6.0 {
		t.Errorf("usage %s", got.body)
	}
}

func TestOldTurnsAreDropped(t *testing.T) {
	graph := &nntest.Graph{Pieces: []string{"ok"}}
	address := serve(t, graph, "-p", "chatml", "-c", "100")
	long := strings.Repeat("word ", 30)
	turn := func(role, text string) string { return fmt.Sprintf(`{"role":%q,"content":%q}`, role, text) }
	body := `{"messages":[` + strings.Join([]string{
		turn("system", "Rules."), turn("user", "first "+long), turn("assistant", "A."),
		turn("user", "second "+long), turn("assistant", "B."), turn("user", "third "+long),
	}, ",") + `]}`
	got := do(t, "POST", address+"/v1/chat/completions", body)
	if got.status != 200 || got.header.Get("X-Dropped-Messages") != "2" {
		t.Errorf("%d, dropped %q", got.status, got.header.Get("X-Dropped-Messages"))
	}
	last := graph.Prompts[len(graph.Prompts)-1]
	if strings.Contains(last, "first") || !strings.Contains(last, "Rules.") || !strings.Contains(last, "second") {
		t.Errorf("prompt %q", last)
	}
}

func TestContextFullIsALength(t *testing.T) {
	address := serve(t, &nntest.Graph{Pieces: strings.Split(strings.Repeat("a", 50), ""), CtxSize: 20}, "-p", "chatml", "-c", "20")
	got := do(t, "POST", address+"/v1/chat/completions", chatBody(""))
	if got.status != 200 || at(t, got.json, "choices", 0, "finish_reason") != "length" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// A client that goes away ends its computation, and its context is used again.
func TestCancel(t *testing.T) {
	graph := &nntest.Graph{Answer: func(prompt string) []string {
		return strings.Split(strings.Repeat("x", 100000), "")
	}}
	graph.Computed = func() { time.Sleep(time.Millisecond) }
	address := serve(t, graph, "-p", "chatml", "-n", "-1")
	response, err := http.Post(address+"/v1/chat/completions", "application/json", strings.NewReader(chatBody(`"stream":true`)))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Read(make([]byte, 100))
	response.Body.Close()
	got := do(t, "POST", address+"/v1/chat/completions", chatBody(`"max_tokens":1`))
	if got.status != 200 || graph.Made != 1 || graph.Tokens > 10000 {
		t.Errorf("%d, %d contexts, %d tokens", got.status, graph.Made, graph.Tokens)
	}
}

// Many streams at once have each their own answer.
func TestConcurrentStreams(t *testing.T) {
	graph := &nntest.Graph{Parallel: 4, Answer: func(prompt string) []string {
		name := prompt[strings.Index(prompt, "#")+1:][:2]
		return []string{name, "-", name, "-", name}
	}}
	address := serve(t, graph)
	var group sync.WaitGroup
	for index := range 10 {
		group.Go(func() {
			got := do(t, "POST", address+"/v1/chat/completions", fmt.Sprintf(`{"messages":[{"role":"user","content":"#%02d"}],"stream":true}`, index))
			if text, _, finish := joined(t, got.body); text != fmt.Sprintf("%02d-%02d-%02d", index, index, index) || finish != "stop" {
				t.Errorf("%d: %q, %q", index, text, finish)
			}
		})
	}
	group.Wait()
	if graph.Made > 4 {
		t.Errorf("%d contexts", graph.Made)
	}
}

// The frames come one by one, not at the end.
func TestStreamIsNotBuffered(t *testing.T) {
	step := make(chan struct{})
	graph := &nntest.Graph{Pieces: []string{"a", "b"}}
	graph.Computed = func() { <-step }
	address := serve(t, graph)
	done := make(chan *http.Response)
	go func() {
		response, _ := http.Post(address+"/v1/chat/completions", "application/json", strings.NewReader(chatBody(`"stream":true`)))
		done <- response
	}()
	step <- struct{}{}
	response := <-done
	defer response.Body.Close()
	line, err := bufio.NewReader(response.Body).ReadString('\n')
	if err != nil || !strings.Contains(line, `"role":"assistant"`) {
		t.Errorf("%q, %v", line, err)
	}
	close(step)
}

// No request ends the server.
func FuzzChatRequest(f *testing.F) {
	f.Add(chatBody(`"tools":[` + weather + `],"tool_choice":"auto","stop":["a"],"n":2`))
	f.Add(`{"messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}]}`)
	f.Add(`{"messages":[{"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","content":"x","tool_call_id":"1"}]}`)
	servers := fuzzServers(f)
	f.Fuzz(func(t *testing.T, body string) {
		for _, server := range servers {
			var request chatRequest
			if unmarshal([]byte(body), &request) != nil || request.check() != nil {
				continue
			}
			server.chatWork(t.Context(), server.Models[0], &request)
		}
	})
}

func fuzzServers(f *testing.F) []*Server {
	var servers []*Server
	for _, template := range []string{"chatml-tool", "llama-3-tool", "mistral-small-tool", "functionary-32", "gpt-oss", "gemma-3"} {
		settings, err := options.Parse([]string{"-p", template, "--llava-mmproj", "x"}, prompt.Names())
		if err != nil {
			f.Fatal(err)
		}
		server := &Server{Options: settings, Log: NewLogger(io.Discard, "error")}
		if server.Models, err = LoadModels(settings, false, (&nntest.Graph{}).Load); err != nil {
			f.Fatal(err)
		}
		servers = append(servers, server)
	}
	return servers
}
