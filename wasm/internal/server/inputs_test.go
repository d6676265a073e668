package server

import (
	"strings"
	"testing"

	"llama-api-server/internal/nn/nntest"
)

func TestInputsOfEmbeddingsMayBeMixed(t *testing.T) {
	graph := &nntest.Graph{Parallel: 2}
	address := serve(t, graph, "-p", "embedding")
	for input, want := range map[string]string{
		`"a"`: "a", `["a","b"]`: "a|b", `[1,2]`: "[1 2]", `[1,"x",2]`: "prompt [1 x 2]", `["a",[1,2]]`: "a|[1 2]",
		`[[1,2],[1,"x"]]`: "[1 2]|prompt [1 x]", `{"prompt_string":"a"}`: "a",
		`{"content":[{"type":"text","text":"a "},{"type":"text","text":"b"}]}`:      "a b",
		`["a",{"prompt_string":"b"},{"content":[{"type":"text","text":"c"}]},[[]]]`: "", `[]`: "", `""`: "", `["a",""]`: "", `[[]]`: "", `null`: "", `5.5`: "", `[null]`: "",
		`{"content":"a"}`: "", `{"content":[{"type":"image_url","image_url":{"url":"data:"}}]}`: "", `{}`: "",
		`{"prompt_string":"a","multimodal_data":["x"]}`: "", `{"content":[]}`: "",
	} {
		graph.Prompts = nil
		got := do(t, "POST", address+"/v1/embeddings", `{"input":`+input+`}`)
		if want == "" {
			if got.status != 400 || at(t, got.json, "error", "param") != "input" {
				t.Errorf("%s: %d %s", input, got.status, got.body)
			}
		} else if got.status != 200 || strings.Join(graph.Prompts, "|") != want {
			t.Errorf("%s: %d %s, %q", input, got.status, got.body, graph.Prompts)
		}
	}
}
