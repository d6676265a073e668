package server

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"llama-api-server/internal/nn/nntest"
)

// The first choice begins alone; then all go on at once.
func TestChoicesAreMadeTogether(t *testing.T) {
	var mutex sync.Mutex
	var prompts []int // tokens that were there when each prompt came
	graph := &nntest.Graph{Parallel: 4, Pieces: strings.Split("a b c d", " ")}
	graph.Given = func(string) {
		mutex.Lock()
		defer mutex.Unlock()
		prompts = append(prompts, graph.Tokens)
	}
	graph.Computed = func() { time.Sleep(time.Millisecond) }
	address := serve(t, graph)
	for _, stream := range []string{"", `,"stream":true,"stream_options":{"include_usage":true}`} {
		prompts = nil
		before := graph.Tokens
		got := do(t, "POST", address+"/v1/chat/completions", chatBody(`"n":3`+stream))
		if len(prompts) != 3 || prompts[0] != before || prompts[1] == before || prompts[2] == before {
			t.Errorf("prompts came at %v", prompts)
		}
		if !strings.Contains(got.body, `"completion_tokens":12,`) || !strings.Contains(got.body, `"prompt_tokens_details":{"cached_tokens":`) {
			t.Error(got.body)
		}
	}
	if graph.Made < 2 {
		t.Errorf("%d contexts", graph.Made)
	}
}

func TestStreamedChoicesKeepApart(t *testing.T) {
	graph := &nntest.Graph{Parallel: 4, Pieces: strings.Split("a b c d", " ")}
	got := do(t, "POST", serve(t, graph)+"/v1/completions", `{"prompt":"p","n":4,"stream":true}`)
	texts := [4]string{}
	for _, frame := range frames(t, got.body) {
		var chunk completionResponse
		if json.Unmarshal([]byte(frame), &chunk) == nil {
			texts[chunk.Choices[0].Index] += chunk.Choices[0].Text
		}
	}
	if texts != [4]string{"abcd", "abcd", "abcd", "abcd"} {
		t.Error(texts)
	}
}

func TestTogetherEndsWithTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	for failing := range 3 {
		err := together(t.Context(), 3, func(ctx context.Context, index int, begun func()) error {
			begun()
			if index == failing {
				return broken
			}
			if failing > 0 && index > 0 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		if err != broken {
			t.Errorf("%d: %v", failing, err)
		}
	}
	defer func() {
		if recover() != "out of order" {
			t.Error("the panic is lost")
		}
	}()
	together(t.Context(), 2, func(_ context.Context, index int, begun func()) error {
		if index == 1 {
			panic("out of order")
		}
		return nil
	})
}

func TestTimings(t *testing.T) {
	address := serve(t, &nntest.Graph{Pieces: []string{"a", "b"}})
	for path, body := range map[string]string{"/v1/chat/completions": chatBody(""), "/v1/completions": `{"prompt":"p q"}`} {
		got := do(t, "POST", address+path, body)
		timings := at(t, got.json, "timings").(map[string]any)
		prompt := at(t, got.json, "usage", "prompt_tokens").(float64)
		if timings["predicted_n"] != 2.0 || timings["prompt_n"] != 1.0 || timings["cache_n"] != prompt-1 {
			t.Error(path, timings)
		}
	}
	got := do(t, "POST", address+"/v1/chat/completions", chatBody(`"stream":true,"timings_per_token":true`))
	if strings.Count(got.body, `"predicted_n":`) != 3 || !strings.Contains(got.body, `"predicted_n":1,`) {
		t.Error(got.body)
	}
}

func TestAnAnswerOfNoTokens(t *testing.T) {
	graph := &nntest.Graph{Pieces: []string{"a"}}
	address := serve(t, graph)
	got := do(t, "POST", address+"/v1/chat/completions", chatBody(`"max_tokens":0`))
	if got.status != 200 || at(t, got.json, "choices", 0, "finish_reason") != "length" || graph.Tokens != 0 {
		t.Error(got.body)
	}
	if got := do(t, "POST", address+"/v1/completions", `{"prompt":"p","max_tokens":-1}`); at(t, got.json, "choices", 0, "finish_reason") != "stop" {
		t.Error(got.body)
	}
}
