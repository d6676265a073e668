package server

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"llama-api-server/internal/nn/nntest"
	"llama-api-server/internal/prompt"
)

const weather = `{"type":"function","function":{"name":"get_weather","description":"Weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}`

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
		{"chatml-tool", `"tools":[` + weather + `],"grammar":"root ::= [a-z]"`, "grammar"},
		{"chatml", `"response_format":{"type":"json_object"},"json_schema":{}`, "json_schema"},
		{"chatml", `"grammar":"root ::= [a-z]","json_schema":{"type":"object"}`, "grammar"},
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
		{"chatml", `"functions":[{}]`, "functions"},
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

// Beside a response_format, an answer is a call or follows the schema.
func TestToolsBesideAResponseFormat(t *testing.T) {
	fields := `"tools":[` + weather + `],"response_format":{"type":"json_schema","json_schema":{"schema":{"$ref":"#/$defs/a","$defs":{"a":{"type":"object"}}}}}`
	for pieces, want := range map[string][2]string{
		`{"city": |"Oslo"}`:                                       {`{"city": "Oslo"}`, ""},
		`{"name": "Ada"|`:                                         {`{"name": "Ada"`, ""},
		`{"name": "Ada", "arguments": |{"a": 1}}`:                 {`{"name": "Ada", "arguments": {"a": 1}}`, ""},
		`{"name": "get_weather", |"arguments": {"city": "Oslo"}}`: {"", `get_weather{"city":"Oslo"}`},
	} {
		graph := &nntest.Graph{Pieces: strings.Split(pieces, "|")}
		address := serve(t, graph, "-p", "chatml-tool")
		for _, stream := range []string{"", `,"stream":true`} {
			got := do(t, "POST", address+"/v1/chat/completions", chatBody(fields+stream))
			if got.status != 200 {
				t.Fatal(got.body)
			}
			text, call := "", ""
			if stream != "" {
				text, call, _ = joined(t, got.body)
			} else {
				message := at(t, got.json, "choices", 0, "message").(map[string]any)
				text, _ = message["content"].(string)
				if message["tool_calls"] != nil {
					function := at(t, message, "tool_calls", 0, "function").(map[string]any)
					call = function["name"].(string) + function["arguments"].(string)
				}
			}
			if text != want[0] || call != want[1] {
				t.Errorf("%s: %q, %q", pieces, text, call)
			}
		}
		schema, _ := graph.Settings[len(graph.Settings)-1]["json-schema"].(string)
		if !strings.HasPrefix(schema, `{"anyOf":[{"type":"object","properties":{"name":{"const":"get_weather"}`) ||
			!strings.HasSuffix(schema, `,{"$ref":"#/anyOf/1/$defs/a","$defs":{"a":{"type":"object"}}}]}`) {
			t.Error(schema)
		}
	}
}

func TestASchemaWithinAnother(t *testing.T) {
	for schema, want := range map[string]string{
		`{"$ref":"#/$defs/a"}`:                             `{"$ref":"#/x/$defs/a"}`,
		`{ "items" : [ {"$ref":"#"}, {"$ref":"#name"} ] }`: `{"items":[{"$ref":"#/x"},{"$ref":"#name"}]}`,
		`{"properties":{"$ref":{"$ref":"#/a"}},"n":1.50}`:  `{"properties":{"$ref":{"$ref":"#/x/a"}},"n":1.50}`,
		`{"const":{"$ref":"#/a"},"default":{"$ref":"#"}}`:  `{"const":{"$ref":"#/a"},"default":{"$ref":"#"}}`,
		`{"properties":{"const":{"$ref":"#"}}}`:            `{"properties":{"const":{"$ref":"#/x"}}}`,
		`{"b":1,"a":{}}`:                                   `{"b":1,"a":{}}`,
	} {
		if got := moved(schema, "#/x"); got != want {
			t.Errorf("%s: %s", schema, got)
		}
	}
}

func TestAFunctionWithoutParametersIsGivenNone(t *testing.T) {
	const none = `{"type":"object","additionalProperties":false}`
	for parameters, want := range map[string]string{
		``:                                  none,
		`null`:                              none,
		`{}`:                                none,
		`{"type":"object","properties":{}}`: none,
		`{ "properties": { }, "required": [], "title": "f" }`: none,
		`{"type":"object"}`: `{"type":"object"}`,
		`{"properties":{},"additionalProperties":{"type":"string"}}`: `{"properties":{},"additionalProperties":{"type":"string"}}`,
		`{"type":"object","properties":{"a":{}}}`:                    `{"type":"object","properties":{"a":{}}}`,
	} {
		schema := callSchemas([]prompt.Tool{{Name: "f", Parameters: []byte(parameters)}})[0]("#")
		if !strings.Contains(schema, `"arguments":`+want+`},"required"`) {
			t.Errorf("%s: %s", parameters, schema)
		}
	}
}

const music = `{"type":"function","function":{"name":"play","parameters":{"type":"object"}}}`

func TestNoToolIsAllowed(t *testing.T) {
	graph := &nntest.Graph{Pieces: []string{`{"name": "play", "arguments": {}}`}}
	fields := `"tools":[` + music + `],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[]}}`
	got := do(t, "POST", serve(t, graph, "-p", "chatml-tool")+"/v1/chat/completions", chatBody(fields))
	if got.status != 200 || strings.Contains(graph.Prompts[0], "play") || strings.Contains(string(got.body), "tool_calls") {
		t.Error(got.status, got.body, graph.Prompts)
	}
}

func TestAllowedTools(t *testing.T) {
	const some = `"tools":[` + weather + `,` + music + `],"tool_choice":{"type":"allowed_tools","allowed_tools":`
	for fields, want := range map[string]struct {
		status      int
		constrained bool
	}{
		some + `{"mode":"auto","tools":[{"type":"function","function":{"name":"play"}}]}}`:              {200, false},
		some + `{"mode":"required","tools":[{"type":"function","function":{"name":"play"}}]}}`:          {200, true},
		some + `{"mode":"required","tools":[{"type":"function","name":"play"}]}}`:                       {200, true},
		some + `{"mode":"many","tools":[{"type":"function","function":{"name":"play"}}]}}`:              {400, false},
		some + `{"mode":"auto","tools":[{"type":"function","function":{"name":"stop"}}]}}`:              {400, false},
		some + `{"mode":"auto","tools":[{"type":"function"}]}}`:                                         {400, false},
		strings.Replace(some, `"type":"allowed_tools"`, `"type":{}`, 1) + `{"mode":"none","tools":[]}}`: {400, false},
		some + `{"mode":"none","tools":null}}`:                                                          {400, false},
	} {
		graph := &nntest.Graph{Pieces: []string{`{"name": "play", "arguments": {}}`}}
		got := do(t, "POST", serve(t, graph, "-p", "chatml-tool")+"/v1/chat/completions", chatBody(fields))
		if got.status != want.status {
			t.Fatal(fields, got.status, got.body)
		}
		if want.status != 200 {
			continue
		}
		if strings.Contains(graph.Prompts[0], "get_weather") || !strings.Contains(graph.Prompts[0], "play") {
			t.Error(fields, graph.Prompts[0])
		}
		if schema, found := graph.Settings[1]["json-schema"].(string); found != want.constrained {
			t.Error(fields, schema)
		}
	}
}
