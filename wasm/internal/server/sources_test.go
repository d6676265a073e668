package server

import (
	"slices"
	"testing"

	"llama-api-server/internal/nn"
	"llama-api-server/internal/nn/nntest"
)

// What each form of a prompt is for the host; one in parts is written as its name and its parts.
func TestPrompts(t *testing.T) {
	for body, want := range map[string][]string{
		`"prompt":"a b"`:                 {"a b"},
		`"prompt":["a","b"]`:             {"a", "b"},
		`"prompt":[1,2]`:                 {"prompt [1 2]"},
		`"prompt":[[1,2],[3]]`:           {"prompt [1 2]", "prompt [3]"},
		`"prompt":[1,"a",2]`:             {"prompt [1 a 2]"},
		`"prompt":["a",1]`:               {"prompt [a 1]"},
		`"prompt":["a",[1,"b"]]`:         {"a", "prompt [1 b]"},
		`"prompt":"a","suffix":"b"`:      {"infill map[prefix:[a] suffix:[b]]"},
		`"prompt":[1],"suffix":"b"`:      {"infill map[prefix:[1] suffix:[b]]"},
		`"prompt":"a","suffix":""`:       {"a"},
		`"prompt":"a","suffix":null`:     {"a"},
		`"prompt":["a",1.0]`:             {"prompt [a 1]"},
		`"prompt":["a","b"],"n":2`:       {"a", "a", "b", "b"},
		`"prompt":[[1],[2]],"echo":true`: {"prompt [1]", "prompt [2]"},
	} {
		graph := &nntest.Graph{Pieces: []string{"x"}, Infill: true}
		got := do(t, "POST", serve(t, graph)+"/v1/completions", "{"+body+"}")
		if got.status != 200 || !slices.Equal(graph.Prompts, want) {
			t.Errorf("%s: %d %s, prompts %q", body, got.status, got.body, graph.Prompts)
		}
	}
}

func TestEcho(t *testing.T) {
	address := serve(t, &nntest.Graph{Pieces: []string{"x", "y"}}) + "/v1/completions"
	for body, want := range map[string]string{
		`"prompt":"a b"`: "a bxy", `"prompt":[1,2]`: "prompt [1 2]xy", `"prompt":"a b","max_tokens":0`: "a b",
	} {
		got := do(t, "POST", address, "{"+body+`,"echo":true}`)
		if text := at(t, got.json, "choices", 0, "text"); text != want {
			t.Errorf("%s: %q", body, text)
		}
	}
}

func TestPromptsThatAHostDoesNotTake(t *testing.T) {
	plain := serve(t, &nntest.Graph{Pieces: []string{"x"}, Plain: true}) + "/v1/completions"
	able := serve(t, &nntest.Graph{Pieces: []string{"x"}}) + "/v1/completions"
	refused := serve(t, &nntest.Graph{Reason: "no such token", Refused: map[uint32]error{nn.Prompt: nn.InvalidArgument}}) + "/v1/completions"
	for _, row := range [][3]string{
		{plain, `{"prompt":[1]}`, "prompt"}, {plain, `{"prompt":"a","suffix":"b"}`, "suffix"},
		{able, `{"prompt":"a","suffix":"b"}`, "suffix"}, {refused, `{"prompt":[1]}`, "prompt"},
	} {
		got := do(t, "POST", row[0], row[1])
		if got.status != 400 || at(t, got.json, "error", "param") != row[2] {
			t.Errorf("%s: %d %s", row[1], got.status, got.body)
		}
	}
}
