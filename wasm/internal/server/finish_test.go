package server

import (
	"testing"

	"llama-api-server/internal/nn/nntest"
)

// The request's own text that ended an answer is told; a template's, or an end, is not.
func TestStopReason(t *testing.T) {
	table := []struct {
		name   string
		pieces []string
		fields string
		reason any
	}{
		{"an end", []string{"a"}, ``, nil},
		{"the request's stop", []string{"a", " b", "c"}, `,"stop":["x"," b"]`, " b"},
		{"a stop not come", []string{"a"}, `,"stop":["x"]`, nil},
		{"the template's stop", []string{"a", "<|im_end|>", "c"}, `,"stop":["x"]`, nil},
		{"a limit before the stop", []string{"a", " b"}, `,"stop":[" b"],"max_tokens":1`, nil},
	}
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			address := serve(t, &nntest.Graph{Pieces: row.pieces}, "-p", "chatml")
			for path, body := range map[string]string{
				"/v1/chat/completions": `{"messages":[{"role":"user","content":"x"}]` + row.fields,
				"/v1/completions":      `{"prompt":"x"` + row.fields,
			} {
				whole := do(t, "POST", address+path, body+"}")
				chunks := decoded(t, do(t, "POST", address+path, body+`,"stream":true}`).body)
				for name, told := range map[string]any{"whole": whole.json, "streamed": chunks[len(chunks)-1]} {
					choice := at(t, told, "choices", 0).(map[string]any)
					if choice["stop_reason"] != row.reason {
						t.Errorf("%s %s: %v", path, name, choice)
					}
				}
			}
		})
	}
}

func TestLimits(t *testing.T) {
	table := []struct {
		name, fields, text, finish string
		tokens                     float64
	}{
		{"end", ``, "a b c d e", "stop", 5},
		{"max_tokens", `"max_tokens":2`, "a b", "length", 2},
		{"max_completion_tokens", `"max_completion_tokens":3,"max_tokens":1`, "a b c", "length", 3},
		{"exactly", `"max_tokens":5`, "a b c d e", "length", 5},
		{"stop", `"stop":" c"`, "a b", "stop", 3},
		{"stop over pieces", `"stop":["x","b c d"]`, "a ", "stop", 4},
		{"stop not come", `"stop":["e f"]`, "a b c d e", "stop", 5},
	}
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			address := serve(t, &nntest.Graph{Pieces: []string{"a", " b", " c", " d", " e"}})
			body := `{"messages":[{"role":"user","content":"x"}]`
			if row.fields != "" {
				body += "," + row.fields
			}
			got := do(t, "POST", address+"/v1/chat/completions", body+"}")
			if got.status != 200 {
				t.Fatal(got.status, got.body)
			}
			text := at(t, got.json, "choices", 0, "message", "content")
			finish := at(t, got.json, "choices", 0, "finish_reason")
			tokens := at(t, got.json, "usage", "completion_tokens")
			if text != row.text || finish != row.finish || tokens != row.tokens {
				t.Errorf("got %q, %v, %v", text, finish, tokens)
			}
		})
	}
}

// The host computes ahead of the guest, but no more than may be made.
func TestTheHostIsToldTheLimit(t *testing.T) {
	for fields, want := range map[string]any{``: 1024.0, `"max_tokens":2`: 2.0, `"max_tokens":-1`: -1.0} {
		graph := &nntest.Graph{Pieces: []string{"a"}}
		do(t, "POST", serve(t, graph)+"/v1/chat/completions", chatBody(fields))
		if told := graph.Settings[len(graph.Settings)-1]["single-limit"]; told != want {
			t.Errorf("%s: %v, want %v", fields, told, want)
		}
	}
}

// An answer that is a call ended with that, whatever came behind it.
func TestNoStopReasonBesideACall(t *testing.T) {
	call := `<tool_call>{"name": "get_weather", "arguments": {"city": "Rome"}}</tool_call>`
	address := serve(t, &nntest.Graph{Pieces: []string{call, "STOP", "c"}}, "-p", "chatml-tool")
	fields := `"tools":[` + weather + `],"stop":["STOP"]`
	whole := do(t, "POST", address+"/v1/chat/completions", chatBody(fields))
	chunks := decoded(t, do(t, "POST", address+"/v1/chat/completions", chatBody(fields+`,"stream":true`)).body)
	for name, told := range map[string]any{"whole": whole.json, "streamed": chunks[len(chunks)-1]} {
		choice := at(t, told, "choices", 0).(map[string]any)
		if choice["finish_reason"] != finishCalls || choice["stop_reason"] != nil {
			t.Errorf("%s: %v", name, choice)
		}
	}
}
