package server

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llama-api-server/internal/nn"
	"llama-api-server/internal/nn/nntest"
	"llama-api-server/internal/options"
	"llama-api-server/internal/prompt"
)

func TestCompletions(t *testing.T) {
	table := []struct {
		name, fields string
		texts        []string
		finish       string
	}{
		{"a string", `"prompt":"Long ago"`, []string{" in a"}, "stop"},
		{"prompts", `"prompt":["one","two"]`, []string{" in a", " in a"}, "stop"},
		{"choices", `"prompt":"one","n":2`, []string{" in a", " in a"}, "stop"},
		{"echo", `"prompt":"Once","echo":true`, []string{"Once in a"}, "stop"},
		{"stop", `"prompt":"Once","stop":[" a"]`, []string{" in"}, "stop"},
		{"max_tokens", `"prompt":"Once","max_tokens":1`, []string{" in"}, "length"},
	}
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			address := serve(t, &nntest.Graph{Pieces: []string{" in", " a"}})
			got := do(t, "POST", address+"/v1/completions", "{"+row.fields+"}")
			if got.status != 200 || got.json["object"] != "text_completion" {
				t.Fatal(got.status, got.body)
			}
			for index, text := range row.texts {
				choice := at(t, got.json, "choices", index).(map[string]any)
				if choice["text"] != text || choice["finish_reason"] != row.finish || choice["index"] != float64(index) {
					t.Errorf("choice %v", choice)
				}
			}
			streamed := frames(t, do(t, "POST", address+"/v1/completions", "{"+row.fields+`,"stream":true}`).body)
			if streamed[len(streamed)-1] != "[DONE]" || !strings.Contains(streamed[len(streamed)-2], `"finish_reason":"`+row.finish+`"`) {
				t.Errorf("streamed %v", streamed)
			}
		})
	}
}

// A model without a template completes and does not chat.
func TestNoTemplate(t *testing.T) {
	address := serve(t, &nntest.Graph{Pieces: []string{"a"}}, "-p", "none", "-c", "0")
	if got := do(t, "POST", address+"/v1/completions", `{"prompt":"x"}`); got.status != 200 {
		t.Error(got.status, got.body)
	}
	if got := do(t, "POST", address+"/v1/chat/completions", chatBody("")); got.status != 400 || at(t, got.json, "error", "param") != "model" {
		t.Error(got.status, got.body)
	}
}

// The example of LlamaEdge's documents has its documented shape.
func TestTheDocumentsCompletion(t *testing.T) {
	address := serve(t, &nntest.Graph{Pieces: []string{"in a galaxy"}}, "-p", "chatml", "-m", "tinyllama")
	got := do(t, "POST", address+"/v1/completions", `{"prompt":["Long long ago, "], "model":"tinyllama"}`)
	for _, path := range [][]any{{"id"}, {"created"}, {"usage", "prompt_tokens"}, {"usage", "completion_tokens"}, {"usage", "total_tokens"}} {
		if at(t, got.json, path...) == nil {
			t.Errorf("%v is missing in %s", path, got.body)
		}
	}
	if got.json["model"] != "tinyllama" || at(t, got.json, "choices", 0, "text") != "in a galaxy" || at(t, got.json, "choices", 0, "logprobs") != nil {
		t.Errorf("got %s", got.body)
	}
}

func TestEmbeddings(t *testing.T) {
	address := serve(t, &nntest.Graph{Parallel: 2}, "-p", "chatml,embedding", "-m", "chat,minilm", "-c", "100,8", "-b", "100,6")
	table := []struct {
		name, body string
		status     int
		param      any
		count      int
	}{
		{"a string", `{"input":"ab"}`, 200, nil, 1},
		{"strings", `{"model":"minilm","input":["ab","abc"],"encoding_format":"float"}`, 200, nil, 2},
		{"tokens", `{"input":[1]}`, 200, nil, 1},
		{"token arrays", `{"input":[[1],[2]]}`, 200, nil, 2},
		{"a token the model lacks", `{"input":[100]}`, 400, "input", 0},
		{"an empty array of tokens", `{"input":[[1],[]]}`, 400, "input", 0},
		{"a fraction", `{"input":[1.5]}`, 400, "input", 0},
		{"a null among texts", `{"input":["a",null]}`, 400, "input", 0},
		{"a null among tokens", `{"input":[1,null]}`, 400, "input", 0},
		{"a null among token arrays", `{"input":[[1],[null]]}`, 400, "input", 0},
		{"a null for a token array", `{"input":[[1],null]}`, 400, "input", 0},
		{"nothing", `{}`, 400, "input", 0},
		{"an empty text", `{"input":[""]}`, 400, "input", 0},
		{"no texts", `{"input":[]}`, 400, "input", 0},
		{"an object", `{"input":{}}`, 400, "input", 0},
		{"a format", `{"input":"a","encoding_format":"hex"}`, 400, "encoding_format", 0},
		{"dimensions", `{"input":"a","dimensions":4}`, 400, "dimensions", 0},
		{"too long", `{"input":"a a a a a a a"}`, 400, "input", 0},
		{"the chat model", `{"input":"a","model":"chat"}`, 400, "model", 0},
	}
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			got := do(t, "POST", address+"/v1/embeddings", row.body)
			if got.status != row.status {
				t.Fatal(got.status, got.body)
			}
			if row.status != 200 {
				if at(t, got.json, "error", "param") != row.param {
					t.Error(got.body)
				}
				return
			}
			data := got.json["data"].([]any)
			if len(data) != row.count || at(t, data, row.count-1, "index") != float64(row.count-1) {
				t.Error(got.body)
			}
			if got.json["model"] != "minilm" || at(t, got.json, "usage", "prompt_tokens") != float64(row.count) {
				t.Error(got.body)
			}
		})
	}
	got := do(t, "POST", address+"/v1/embeddings", `{"input":"ab","encoding_format":"base64"}`)
	raw, err := base64.StdEncoding.DecodeString(at(t, got.json, "data", 0, "embedding").(string))
	if err != nil || len(raw) != 12 || raw[3] != 0x40 {
		t.Errorf("base64 %v, %v", raw, err)
	}
	got = do(t, "POST", address+"/v1/embeddings", `{"input":"`+strings.Repeat("x", 3)+`","dimensions":1}`)
	if at(t, got.json, "data", 0, "embedding", 0) != 1.0 {
		t.Errorf("dimensions %s", got.body)
	}
}

func TestEmbeddingsOfAModelsOwnContext(t *testing.T) {
	address := serve(t, &nntest.Graph{}, "-p", "embedding", "-c", "0", "-b", "2")
	for text, status := range map[string]int{"a b": 200, "a b c": 400} {
		if got := do(t, "POST", address+"/v1/embeddings", `{"input":"`+text+`"}`); got.status != status {
			t.Error(got.status, got.body)
		}
	}
}

func TestTokensOnAHostThatTakesNone(t *testing.T) {
	address := serve(t, &nntest.Graph{}, "-p", "embedding")
	if got := do(t, "POST", address+"/v1/embeddings", `{"input":[1]}`); got.status != 400 {
		t.Error(got.status, got.body)
	}
}

func TestNoEmbeddingModel(t *testing.T) {
	got := do(t, "POST", serve(t, &nntest.Graph{})+"/v1/embeddings", `{"input":"a"}`)
	if got.status != 400 || at(t, got.json, "error", "param") != "model" {
		t.Error(got.status, got.body)
	}
}

func TestInfo(t *testing.T) {
	address := serve(t, &nntest.Graph{Build: 7}, "-p", "llama-3-chat,embedding", "-m", "a,b", "--port", "9999")
	got := do(t, "GET", address+"/v1/info", "")
	want := map[string]any{"type": "llama", "ggml_plugin_version": "b7 (commit c0ffee)", "port": "9999"}
	for key, value := range want {
		if got.json[key] != value {
			t.Errorf("%s: %v", key, got.json[key])
		}
	}
	if at(t, got.json, "chat_model", "prompt_template") != "llama-3-chat" || at(t, got.json, "embedding_model", "ctx_size") != 384.0 {
		t.Error(got.body)
	}
}

func TestABuildWithoutANumber(t *testing.T) {
	got := do(t, "GET", serve(t, &nntest.Graph{})+"/v1/info", "")
	if got.json["ggml_plugin_version"] != "commit c0ffee" {
		t.Error(got.body)
	}
}

func TestAModelThatDoesNotLoad(t *testing.T) {
	for alias, want := range map[string]string{
		"missing": "no model is preloaded as 'missing'; give --nn-preload missing:GGML:AUTO:<file>",
		"gone":    "the file of the model preloaded as 'gone' does not exist; correct --nn-preload",
		"damaged": "loading the model 'damaged' failed: invalid argument",
	} {
		settings, err := options.Parse([]string{"-p", "chatml", "-a", alias}, prompt.Names())
		if err != nil {
			t.Fatal(err)
		}
		if _, err = LoadModels(settings, false, (&nntest.Graph{}).Load); err == nil || err.Error() != want {
			t.Errorf("%s: %v", alias, err)
		}
	}
}

func TestMethods(t *testing.T) {
	address := serve(t, &nntest.Graph{})
	for path, allow := range map[string]string{
		"/v1/models": "GET, HEAD, OPTIONS", "/v1/info": "GET, HEAD, OPTIONS", "/v1/chat/completions": "POST, OPTIONS",
		"/v1/completions": "POST, OPTIONS", "/v1/embeddings": "POST, OPTIONS", "/echo": "GET, POST, HEAD, OPTIONS",
	} {
		got := do(t, "DELETE", address+path, "")
		if got.status != 405 || got.header.Get("Allow") != allow || at(t, got.json, "error", "code") != "method_not_allowed" {
			t.Errorf("%s: %d %q %s", path, got.status, got.header.Get("Allow"), got.body)
		}
		if got := do(t, "OPTIONS", address+path, ""); got.status != 204 || got.header.Get("Access-Control-Allow-Methods") != "*" {
			t.Errorf("OPTIONS %s: %d", path, got.status)
		}
	}
	if got := do(t, "GET", address+"/echo", ""); got.body != "echo test" {
		t.Errorf("echo: %q", got.body)
	}
	if got := do(t, "HEAD", address+"/v1/models", ""); got.status != 200 || got.body != "" || got.header.Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d %q", got.status, got.body)
	}
	if got := do(t, "POST", address+"/v1/completions", "{}", "Content-Type", "text/xml"); got.status != 415 {
		t.Errorf("text/xml: %d", got.status)
	}
}

func TestWebUI(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"ui/index.html": "<p>hi", "ui/a/b.js": "1", "secret": "no"} {
		file := filepath.Join(folder, name)
		os.MkdirAll(filepath.Dir(file), 0o700)
		os.WriteFile(file, []byte(text), 0o600)
	}
	os.Symlink("../secret", filepath.Join(folder, "ui", "link"))
	address := serve(t, &nntest.Graph{}, "-p", "chatml", "--web-ui", filepath.Join(folder, "ui"))
	table := []struct {
		path, kind string
		status     int
	}{
		{"/", "text/html; charset=utf-8", 200},
		{"/a/b.js", "text/javascript; charset=utf-8", 200},
		{"/../secret", "application/json", 404},
		{"/%2e%2e/secret", "application/json", 404},
		{"/link", "application/json", 404},
		{"/a", "application/json", 404},
	}
	for _, row := range table {
		if got := do(t, "GET", address+row.path, ""); got.status != row.status || got.header.Get("Content-Type") != row.kind {
			t.Errorf("%s: %d %s", row.path, got.status, got.header.Get("Content-Type"))
		}
	}
	os.WriteFile(filepath.Join(folder, "ui", "404.html"), []byte("lost"), 0o600)
	if got := do(t, "GET", address+"/nothing", ""); got.status != 404 || got.body != "lost" {
		t.Errorf("404.html: %d %q", got.status, got.body)
	}
}

func TestTheHostsErrors(t *testing.T) {
	const why = "the option json-schema cannot be used: uniqueItems"
	schema := `"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{}}}`
	bad := func(index uint32) *nntest.Graph {
		return &nntest.Graph{Refused: map[uint32]error{index: nn.InvalidArgument}, Reason: why}
	}
	table := []struct {
		name    string
		graph   *nntest.Graph
		fields  string
		status  int
		param   any
		code    any
		message string
	}{
		{"a prompt too long", &nntest.Graph{End: nn.PromptTooLong}, ``, 400, "messages", "context_length_exceeded", "The request's prompt has 5 tokens, which exceeds the available context size of 4096 tokens"},
		{"a prompt too long to count", &nntest.Graph{Refused: map[uint32]error{nn.Text: nn.PromptTooLong}, Reason: why}, ``, 400, "messages", "context_length_exceeded", "is far too long with its 60 bytes, which exceeds the available context size of 4096 tokens"},
		{"on WasmEdge", &nntest.Graph{End: nn.InvalidArgument}, schema, 400, nil, nil, "the model does not accept the request's settings, its text or an image: invalid argument"},
		{"a bad schema", bad(nn.Metadata), schema, 400, "response_format.json_schema.schema", nil, why},
		{"a bad setting", bad(nn.Metadata), ``, 400, nil, nil, why},
		{"a bad picture", bad(nn.Text), schema, 400, "messages", nil, why},
		{"a schema judged with the first token", &nntest.Graph{End: nn.InvalidArgument, Reason: why}, schema, 400, "response_format.json_schema.schema", nil, why},
		{"a prompt judged with the first token", &nntest.Graph{End: nn.InvalidArgument, Reason: why}, ``, 400, "messages", nil, why},
		{"a failure on WasmEdge", &nntest.Graph{End: nn.RuntimeError}, ``, 500, nil, nil, "computing failed: runtime error"},
		{"a setting judged with the first token", &nntest.Graph{End: nn.InvalidArgument, Reason: "id-slot: there is no slot 7"}, `"id_slot":7`, 400, "id_slot", nil, "id_slot: there is no slot 7"},
		{"a failure", &nntest.Graph{End: nn.RuntimeError, Reason: "no memory"}, schema, 500, nil, nil, "computing failed: no memory"},
	}
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			got := do(t, "POST", serve(t, row.graph)+"/v1/chat/completions", chatBody(row.fields))
			if got.status != row.status || at(t, got.json, "error", "code") != row.code || at(t, got.json, "error", "param") != row.param {
				t.Errorf("%d %s", got.status, got.body)
			}
			if message := at(t, got.json, "error", "message").(string); !strings.Contains(message, row.message) {
				t.Errorf("%s", message)
			}
		})
	}
	address := serve(t, &nntest.Graph{Pieces: []string{"a"}, End: nn.RuntimeError})
	streamed := frames(t, do(t, "POST", address+"/v1/chat/completions", chatBody(`"stream":true`)).body)
	if last := streamed[len(streamed)-2]; !strings.Contains(last, `"error"`) || streamed[len(streamed)-1] != "[DONE]" {
		t.Errorf("streamed %v", streamed)
	}
}

// Of a text that is too long the beginning is taken, if the request says so and the host can.
func TestALongTextIsCut(t *testing.T) {
	const long = `"input":"a b c d e f g h"`
	graph := &nntest.Graph{Parallel: 2}
	address := serve(t, graph, "-p", "embedding", "-c", "8", "-b", "6")
	for fields, status := range map[string]int{long: 400, long + `,"truncate":false`: 400, long + `,"truncate":true`: 200} {
		if got := do(t, "POST", address+"/v1/embeddings", "{"+fields+"}"); got.status != status {
			t.Error(fields, got.status, got.body)
		}
	}
	got := do(t, "POST", address+"/v1/embeddings", "{"+long+`,"truncate":true}`)
	if at(t, got.json, "usage", "prompt_tokens") != 4.0 || graph.Prompts[len(graph.Prompts)-1] != "[0 1 2 3]" {
		t.Error(got.body, graph.Prompts)
	}
	plain := serve(t, &nntest.Graph{Plain: true}, "-p", "embedding", "-c", "8", "-b", "6")
	if got := do(t, "POST", plain+"/v1/embeddings", "{"+long+`,"truncate":true}`); got.status != 400 {
		t.Error(got.status, got.body)
	}
}
