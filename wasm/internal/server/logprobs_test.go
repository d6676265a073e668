package server

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"llama-api-server/internal/nn/nntest"
)

// told is the tokens of an answer's logprobs with the numbers of their others, as text.
func told(t *testing.T, logprobs any) string {
	t.Helper()
	var words []string
	for _, row := range at(t, logprobs, "content").([]any) {
		words = append(words, fmt.Sprintf("%s%v+%d", at(t, row, "token"), at(t, row, "logprob"), len(at(t, row, "top_logprobs").([]any))))
	}
	return strings.Join(words, " ")
}

// streamed is the text of a chat's stream, and what its chunks tell of tokens.
func streamed(t *testing.T, body string) (text, tokens string) {
	t.Helper()
	var all []string
	for _, frame := range frames(t, body) {
		var chunk map[string]any
		if json.Unmarshal([]byte(frame), &chunk) != nil || len(chunk["choices"].([]any)) == 0 {
			continue
		}
		choice := at(t, chunk, "choices", 0)
		if more, ok := at(t, choice, "delta", "content").(string); ok {
			text += more
		}
		if at(t, choice, "logprobs") != nil {
			if word := told(t, at(t, choice, "logprobs")); word != "" {
				all = append(all, word)
			}
		}
	}
	return text, strings.Join(all, " ")
}

// An answer's tokens are those of its text: no control tokens, none behind a stop.
func TestLogprobs(t *testing.T) {
	for _, row := range []struct{ pieces, fields, want string }{
		{"A| b", `"logprobs":true`, "A-1+0  b-2+0"},
		{"A| b", `"logprobs":true,"top_logprobs":2`, "A-1+2  b-2+2"},
		{"A| b", `"logprobs":true,"top_logprobs":1`, "A-1+1  b-2+1"},
		{"A| b", `"n_probs":2`, "A-1+2  b-2+2"},
		{"A|<|x|>| b", `"logprobs":true`, "A-1+0  b-3+0"},
		{"A|STO|P| b", `"logprobs":true,"stop":"STOP"`, "A-1+0"},
		{"A ST|OP| b", `"logprobs":true,"stop":"STOP"`, "A ST-1+0"},
		{"A| S|T", `"logprobs":true,"stop":"STOP"`, "A-1+0  S-2+0 T-3+0"},
		{"\xe2|\x82|\xac", `"logprobs":true`, "\uFFFD-1+0 \uFFFD-2+0 \uFFFD-3+0"},
	} {
		graph := &nntest.Graph{Pieces: strings.Split(row.pieces, "|")}
		address := serve(t, graph) + "/v1/chat/completions"
		if strings.Contains(row.pieces, "<|x|>") {
			graph.Pieces = []string{"A", "<|x|>", " b"}
		}
		whole := do(t, "POST", address, chatBody(row.fields))
		if got := told(t, at(t, whole.json, "choices", 0, "logprobs")); got != row.want {
			t.Errorf("%s %s: %q, want %q", row.pieces, row.fields, got, row.want)
		}
		stream := do(t, "POST", address, chatBody(row.fields+`,"stream":true`))
		if text, tokens := streamed(t, stream.body); tokens != row.want || text != at(t, whole.json, "choices", 0, "message", "content") {
			t.Errorf("%s %s: %q, %q", row.pieces, row.fields, text, tokens)
		}
	}
}

func TestLogprobsThatNobodyAskedFor(t *testing.T) {
	graph := &nntest.Graph{Pieces: []string{"a"}}
	address := serve(t, graph)
	for _, fields := range []string{"", `"logprobs":false`, `"logprobs":null`, `"n_probs":0`} {
		got := do(t, "POST", address+"/v1/chat/completions", chatBody(fields))
		if at(t, got.json, "choices", 0, "logprobs") != nil || graph.Settings[len(graph.Settings)-1]["n-probs"] != 0.0 {
			t.Errorf("%s: %s", fields, got.body)
		}
	}
	for fields, param := range map[string]string{
		`"top_logprobs":3`: "top_logprobs", `"logprobs":true,"top_logprobs":21`: "top_logprobs", `"logprobs":1`: "logprobs",
		`"n_probs":-1`: "n_probs",
	} {
		got := do(t, "POST", address+"/v1/chat/completions", chatBody(fields))
		if got.status != 400 || at(t, got.json, "error", "param") != param {
			t.Errorf("%s: %d %s", fields, got.status, got.body)
		}
	}
	plain := serve(t, &nntest.Graph{Pieces: []string{"a"}, Plain: true})
	if got := do(t, "POST", plain+"/v1/chat/completions", chatBody(`"logprobs":true`)); got.status != 400 {
		t.Error(got.body)
	}
}

func TestLogprobsOfCompletions(t *testing.T) {
	graph := &nntest.Graph{Pieces: []string{"ab", "c"}}
	address := serve(t, graph) + "/v1/completions"
	got := do(t, "POST", address, `{"prompt":"p","logprobs":2}`)
	logprobs := at(t, got.json, "choices", 0, "logprobs").(map[string]any)
	want := map[string]any{
		"tokens": []any{"ab", "c"}, "token_logprobs": []any{-1.0, -2.0}, "text_offset": []any{0.0, 2.0},
		"top_logprobs": []any{map[string]any{"ab": -1.0, "x": 0.0}, map[string]any{"c": -2.0, "x": 0.0}},
	}
	for name, value := range want {
		if !reflect.DeepEqual(logprobs[name], value) {
			t.Errorf("%s: %v", name, logprobs[name])
		}
	}
	stream := do(t, "POST", address, `{"prompt":"p","logprobs":0,"stream":true}`)
	if !strings.Contains(stream.body, `"text_offset":[2],"token_logprobs":[-2],"tokens":["c"],"top_logprobs":[{}]`) {
		t.Error(stream.body)
	}
	for fields, status := range map[string]int{
		`"logprobs":6`: 200, `"logprobs":false`: 200, `"logprobs":true`: 200, `"logprobs":null`: 200,
		`"logprobs":"x"`: 400, `"logprobs":-1`: 400, `"logprobs":21`: 400, `"logprobs":1,"echo":true`: 400,
	} {
		if got := do(t, "POST", address, `{"prompt":"p",`+fields+`}`); got.status != status {
			t.Errorf("%s: %d %s", fields, got.status, got.body)
		}
	}
}
