package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"llama-api-server/internal/nn/nntest"
	"llama-api-server/internal/options"
	"llama-api-server/internal/prompt"
)

// serve is the address of a server on graph with those options.
func serve(t *testing.T, graph *nntest.Graph, arguments ...string) string {
	t.Helper()
	return start(t, graph, &Server{Log: NewLogger(io.Discard, "error")}, arguments...)
}

func start(t *testing.T, graph *nntest.Graph, server *Server, arguments ...string) string {
	t.Helper()
	if len(arguments) == 0 {
		arguments = []string{"-p", "chatml"}
	}
	settings, err := options.Parse(arguments, prompt.Names())
	if err != nil {
		t.Fatal(err)
	}
	server.Options = settings
	server.Started = time.Unix(1700000000, 0)
	if server.Models, err = LoadModels(settings, false, graph.Load); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go server.HTTP().Serve(listener)
	return "http://" + listener.Addr().String()
}

type reply struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

func do(t *testing.T, method, url, body string, header ...string) reply {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer := reply{status: response.StatusCode, header: response.Header, body: string(text)}
	json.Unmarshal(text, &answer.json)
	return answer
}

// frames are the data of a stream's events.
func frames(t *testing.T, body string) []string {
	t.Helper()
	var frames []string
	lines := bufio.NewScanner(bytes.NewBufferString(body))
	for lines.Scan() {
		if data, found := strings.CutPrefix(lines.Text(), "data: "); found {
			frames = append(frames, data)
		} else if lines.Text() != "" {
			t.Fatalf("not an event: %q", lines.Text())
		}
	}
	return frames
}

// at digs in JSON: map keys and list indices.
func at(t *testing.T, value any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch key := step.(type) {
		case string:
			object, ok := value.(map[string]any)
			if !ok {
				t.Fatalf("no object for %v in %v", key, value)
			}
			value = object[key]
		case int:
			list, ok := value.([]any)
			if !ok || key >= len(list) {
				t.Fatalf("no item %v in %v", key, value)
			}
			value = list[key]
		}
	}
	return value
}

func TestModels(t *testing.T) {
	address := serve(t, &nntest.Graph{}, "-p", "chatml,embedding", "-m", "llama-3-8b,minilm")
	got := do(t, "GET", address+"/v1/models", "")
	want := `{"data":[` +
		`{"id":"llama-3-8b","created":1700000000,"object":"model","owned_by":"Not specified"},` +
		`{"id":"minilm","created":1700000000,"object":"model","owned_by":"Not specified"}],"object":"list"}` + "\n"
	if got.status != 200 || got.body != want {
		t.Errorf("got %d %s, want %s", got.status, got.body, want)
	}
}

func TestChatWhole(t *testing.T) {
	graph := &nntest.Graph{Pieces: []string{"Robert", " Opp", "<|im_end|>", "never"}}
	address := serve(t, graph)
	got := do(t, "POST", address+"/v1/chat/completions", `{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Who?"}],"model":"default"}`)
	if got.status != 200 {
		t.Fatal(got.status, got.body)
	}
	if text := at(t, got.json, "choices", 0, "message", "content"); text != "Robert Opp" {
		t.Errorf("content %q", text)
	}
	if reason := at(t, got.json, "choices", 0, "finish_reason"); reason != "stop" {
		t.Errorf("finish_reason %v", reason)
	}
	usage := at(t, got.json, "usage").(map[string]any)
	if usage["prompt_tokens"] != 6.0 || usage["completion_tokens"] != 3.0 || usage["total_tokens"] != 9.0 {
		t.Errorf("usage %v", usage)
	}
	if want := "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n"; graph.Prompts[0] != want {
		t.Errorf("prompt %q, want %q", graph.Prompts[0], want)
	}
	if graph.Finished != 1 {
		t.Errorf("%d computations ended", graph.Finished)
	}
}

func TestChatStream(t *testing.T) {
	graph := &nntest.Graph{Pieces: []string{"Hel", "lo ", "\xf0\x9f", "\x98\x80"}}
	address := serve(t, graph)
	got := do(t, "POST", address+"/v1/chat/completions", `{"messages":[{"role":"user","content":"Hi"}],"stream":true,"stream_options":{"include_usage":true}}`)
	if kind := got.header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("content type %q", kind)
	}
	var contents, finishes []string
	var usage any
	events := frames(t, got.body)
	for index, event := range events[:len(events)-1] {
		var chunk map[string]any
		if err := json.Unmarshal([]byte(event), &chunk); err != nil {
			t.Fatal(err)
		}
		if chunk["object"] != "chat.completion.chunk" {
			t.Errorf("object %v", chunk["object"])
		}
		if chunk["usage"] != nil {
			usage = chunk["usage"]
			continue
		}
		delta := at(t, chunk, "choices", 0, "delta").(map[string]any)
		if _, role := delta["role"]; role != (index == 0) {
			t.Errorf("role in chunk %d: %v", index, delta)
		}
		if text, ok := delta["content"].(string); ok && text != "" {
			contents = append(contents, text)
		}
		if reason, ok := at(t, chunk, "choices", 0, "finish_reason").(string); ok {
			finishes = append(finishes, reason)
		}
	}
	if joined := strings.Join(contents, "|"); joined != "Hel|lo |😀" {
		t.Errorf("contents %q", joined)
	}
	if len(finishes) != 1 || finishes[0] != "stop" {
		t.Errorf("finish reasons %v", finishes)
	}
	if at(t, usage, "completion_tokens") != 4.0 {
		t.Errorf("usage %v", usage)
	}
	if events[len(events)-1] != "[DONE]" {
		t.Errorf("the last event is %q", events[len(events)-1])
	}
}

// Clients that split lines at every character that Unicode has for it get whole frames.
func TestLineEndsAreEscaped(t *testing.T) {
	const ends, text = "\u0085\u2028\u2029\v\f\x1c\x1d\x1e\r\n", "a\u0085\u2028\u2029\v\f\x1c\x1d\x1e\r\nb"
	address := serve(t, &nntest.Graph{Pieces: []string{"<think>", text, "</think>", text}}, "-p", "chatml", "-m", "m"+ends)
	for path, body := range map[string]string{
		"/v1/chat/completions": chatBody(""), "/v1/completions": `{"prompt":"x"}`,
	} {
		whole := do(t, "POST", address+path, body)
		streamed := do(t, "POST", address+path, strings.TrimSuffix(body, "}")+`,"stream":true}`)
		for _, line := range append(frames(t, streamed.body), strings.TrimSuffix(whole.body, "\n")) {
			if strings.ContainsAny(line, ends) {
				t.Errorf("%s: %q", path, line)
			}
		}
		if path == "/v1/completions" {
			continue
		}
		if content := at(t, whole.json, "choices", 0, "message", "content"); content != text {
			t.Errorf("whole: %q", content)
		}
		if content, _, _ := joined(t, streamed.body); content != text {
			t.Errorf("streamed: %q", content)
		}
	}
}

// A host that is not done with a token when the turn is over is asked again.
func TestBusy(t *testing.T) {
	graph := &nntest.Graph{Pieces: []string{"Hel", "lo"}, Busy: 3}
	got := do(t, "POST", serve(t, graph)+"/v1/chat/completions", `{"messages":[{"role":"user","content":"Hi"}]}`)
	if text := at(t, got.json, "choices", 0, "message", "content"); text != "Hello" {
		t.Errorf("content %q", text)
	}
	if made := at(t, got.json, "usage", "completion_tokens"); made != 2.0 {
		t.Errorf("%v tokens", made)
	}
	if wait := graph.Settings[0]["single-wait"]; wait != 50.0 {
		t.Errorf("single-wait %v", wait)
	}
}

func TestModelNames(t *testing.T) {
	const chat, embed = "/v1/chat/completions", "/v1/embeddings"
	table := []struct {
		path, name     string
		status, strict int
		model          any // that answers where the status is 200
	}{
		{chat, ``, 200, 200, "a"},
		{chat, `"default"`, 200, 200, "a"},
		{chat, `null`, 200, 200, "a"},
		{chat, `"a"`, 200, 200, "a"},
		{chat, `"gpt-3.5-turbo"`, 200, 404, "a"},
		{chat, `"other"`, 200, 200, "a"},
		{chat, `"b"`, 400, 400, nil},
		{"/v1/completions", `"gpt-3.5-turbo-instruct"`, 200, 404, "a"},
		{embed, `"b"`, 200, 200, "b"},
		{embed, `"text-embedding-ada-002"`, 200, 404, "b"},
		{embed, `"a"`, 400, 400, nil},
		{embed, `"other"`, 400, 400, nil},
	}
	for _, row := range table {
		for _, options := range [][]string{nil, {"--strict-model"}} {
			address := serve(t, &nntest.Graph{Pieces: []string{"x"}}, append(options, "-p", "chatml,embedding", "-m", "a,b", "--alias", "third,other")...)
			body := `{"messages":[{"role":"user","content":"x"}],"prompt":"x","input":"x"`
			if row.name != "" {
				body += `,"model":` + row.name
			}
			want := row.status
			if options != nil {
				want = row.strict
			}
			got := do(t, "POST", address+row.path, body+"}")
			if got.status != want || (want == 200 && got.json["model"] != row.model) {
				t.Errorf("%s %s %v: %d %s", row.path, row.name, options, got.status, got.body)
			}
			if want == 404 && at(t, got.json, "error", "code") != "model_not_found" {
				t.Errorf("%s %s %v: %s", row.path, row.name, options, got.body)
			}
			if want == 400 && !strings.Contains(got.body, "is a chat model; this endpoint needs an embedding model") && !strings.Contains(got.body, "is an embedding model; this endpoint needs a chat model") {
				t.Error(got.body)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	messages := `"messages":[{"role":"user","content":"x"}]`
	table := []struct {
		name, method, path, body string
		status                   int
		param, code              any
	}{
		{"no JSON", "POST", "/v1/chat/completions", `{"messages":`, 400, nil, nil},
		{"empty body", "POST", "/v1/chat/completions", ``, 400, nil, nil},
		{"wrong type", "POST", "/v1/chat/completions", `{"messages":"x"}`, 400, "messages", nil},
		{"no messages", "POST", "/v1/chat/completions", `{}`, 400, "messages", nil},
		{"an array", "POST", "/v1/chat/completions", `[]`, 400, nil, nil},
		{"null", "POST", "/v1/chat/completions", `null`, 400, nil, nil},
		{"no message", "POST", "/v1/chat/completions", `{"messages":[5]}`, 400, "messages[0]", nil},
		{"a role that is none", "POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":""},{"role":5}]}`, 400, "messages[1].role", nil},
		{"content", "POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":5}]}`, 400, "messages[0].content", nil},
		{"no content", "POST", "/v1/chat/completions", `{"messages":[{"role":"user"}]}`, 400, "messages[0].content", nil},
		{"a stop that is none", "POST", "/v1/chat/completions", `{` + messages + `,"stop":5}`, 400, "stop", nil},
		{"a null among prompts", "POST", "/v1/completions", `{"prompt":["x",null]}`, 400, "prompt", nil},
		{"a null among stops", "POST", "/v1/completions", `{"prompt":"x","stop":["y",null]}`, 400, "stop", nil},
		{"a prompt in prompts", "POST", "/v1/completions", `{"prompt":[["x",[1]]]}`, 400, "prompt", nil},
		{"half a token", "POST", "/v1/completions", `{"prompt":[1,1.5]}`, 400, "prompt", nil},
		{"no tokens", "POST", "/v1/completions", `{"prompt":[[]]}`, 400, "prompt", nil},
		{"an object", "POST", "/v1/completions", `{"prompt":{"x":1}}`, 400, "prompt", nil},
		{"a suffix that is none", "POST", "/v1/completions", `{"prompt":"x","suffix":["y"]}`, 400, "suffix", nil},
		{"unknown role", "POST", "/v1/chat/completions", `{"messages":[{"role":"king","content":"x"}]}`, 400, "messages[0].role", nil},
		{"temperature", "POST", "/v1/chat/completions", `{` + messages + `,"temperature":3}`, 400, "temperature", nil},
		{"max_tokens", "POST", "/v1/chat/completions", `{` + messages + `,"max_tokens":-2}`, 400, "max_tokens", nil},
		{"a format", "POST", "/v1/completions", `{"prompt":"x","response_format":{"type":"xml"}}`, 400, "response_format.type", nil},
		{"a penalty", "POST", "/v1/completions", `{"prompt":"x","presence_penalty":-2.5}`, 400, "presence_penalty", nil},
		{"a text for a number", "POST", "/v1/completions", `{"prompt":"x","min_p":"1"}`, 400, "min_p", nil},
		{"a fraction of a token", "POST", "/v1/completions", `{"prompt":"x","top_k":1.5}`, 400, "top_k", nil},
		{"a flag", "POST", "/v1/completions", `{"prompt":"x","ignore_eos":1}`, 400, "ignore_eos", nil},
		{"what is not done", "POST", "/v1/completions", `{"prompt":"x","t_max_predict_ms":true}`, 400, "t_max_predict_ms", nil},
		{"n", "POST", "/v1/chat/completions", `{` + messages + `,"n":0}`, 400, "n", nil},
		{"stop", "POST", "/v1/chat/completions", `{` + messages + `,"stop":""}`, 400, "stop", nil},
		{"lora", "POST", "/v1/chat/completions", `{` + messages + `,"lora":[{"id":0}]}`, 400, "lora", nil},
		{"lora of no list", "POST", "/v1/chat/completions", `{` + messages + `,"lora":{"id":0}}`, 400, "lora", nil},
		{"logit_bias", "POST", "/v1/chat/completions", `{` + messages + `,"logit_bias":{"5":"1"}}`, 400, "logit_bias", nil},
		{"too long", "POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"` + strings.Repeat("x ", 60) + `"}]}`, 400, "messages", "context_length_exceeded"},
		{"a long prompt", "POST", "/v1/completions", `{"prompt":"` + strings.Repeat("x ", 62) + `"}`, 400, "prompt", "context_length_exceeded"},
		{"an empty prompt", "POST", "/v1/completions", `{"prompt":""}`, 400, "prompt", nil},
		{"prompt", "POST", "/v1/completions", `{}`, 400, "prompt", nil},
		{"suffix", "POST", "/v1/completions", `{"prompt":"x","suffix":"y"}`, 400, "suffix", nil},
		{"logprobs", "POST", "/v1/completions", `{"prompt":"x","logprobs":30}`, 400, "logprobs", nil},
		{"method", "GET", "/v1/chat/completions", ``, 405, nil, "method_not_allowed"},
		{"path", "GET", "/v2", ``, 404, nil, "not_found"},
	}
	address := serve(t, &nntest.Graph{Pieces: []string{"a"}}, "-p", "chatml", "-c", "64")
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			got := do(t, row.method, address+row.path, row.body)
			failure, _ := got.json["error"].(map[string]any)
			if got.status != row.status || failure == nil || failure["param"] != row.param || failure["code"] != row.code {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}

// What is not HTTP gets an error object, too.
func TestRefusal(t *testing.T) {
	address := serve(t, &nntest.Graph{})
	connection, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	io.WriteString(connection, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n")
	answer, _ := io.ReadAll(connection)
	if !bytes.Contains(answer, []byte(`{"error":{"message":"Content-Length is not a number","type":"invalid_request_error"`)) {
		t.Errorf("%s", answer)
	}
}

// A panic is one whole answer.
func TestPanic(t *testing.T) {
	address := serve(t, &nntest.Graph{Computed: func() { panic("out of order") }})
	got := do(t, "POST", address+"/v1/chat/completions", chatBody(""))
	if got.status != 500 || at(t, got.json, "error", "message") != "internal error" {
		t.Errorf("%d %s", got.status, got.body)
	}
	for name, values := range got.header {
		if len(values) != 1 {
			t.Errorf("%s: %q", name, values)
		}
	}
	if origin := got.header.Get("Access-Control-Allow-Origin"); origin != "*" {
		t.Errorf("Access-Control-Allow-Origin: %q", origin)
	}
}

func TestKey(t *testing.T) {
	address := start(t, &nntest.Graph{}, &Server{APIKey: "secret", Log: NewLogger(io.Discard, "error")})
	for header, status := range map[string]int{"": 401, "Bearer wrong": 401, "secret": 401, "Bearer secret": 200, "bearer secret": 200} {
		if got := do(t, "GET", address+"/v1/models", "", "Authorization", header); got.status != status {
			t.Errorf("%q: %d, want %d", header, got.status, status)
		}
	}
	if got := do(t, "OPTIONS", address+"/v1/models", ""); got.status != 204 || got.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("OPTIONS: %d %v", got.status, got.header)
	}
}
