package server

import (
	"strings"
	"testing"

	"llama-api-server/internal/nn/nntest"
)

// longTalk is a conversation of 60 words in turns of 10, for a context of 40 tokens.
func longTalk(fields string) string {
	words := strings.Repeat("word ", 10)
	var messages []string
	for range 3 {
		messages = append(messages, `{"role":"user","content":"`+words+`"}`, `{"role":"assistant","content":"`+words+`"}`)
	}
	messages = append(messages, `{"role":"user","content":"Last."}`)
	return `{"messages":[` + strings.Join(messages, ",") + `]` + fields + `}`
}

func TestAConversationWithoutRoomIsCutOrRefused(t *testing.T) {
	for _, row := range []struct {
		option, fields, header string
		refused                bool
	}{
		{"auto", "", "", false},
		{"auto", "", "disabled", true},
		{"auto", `,"truncation":"disabled"`, "", true},
		{"auto", `,"truncation":"auto"`, "disabled", false},
		{"disabled", "", "", true},
		{"disabled", "", "auto", false},
		{"disabled", `,"truncation":"auto"`, "", false},
		{"disabled", `,"truncation":"disabled","stream":true`, "", true},
	} {
		graph := &nntest.Graph{Pieces: []string{"a"}, CtxSize: 40}
		address := serve(t, graph, "-p", "chatml", "-c", "40", "--truncation", row.option)
		var header []string
		if row.header != "" {
			header = []string{"X-Truncation", row.header}
		}
		got := do(t, "POST", address+"/v1/chat/completions", longTalk(row.fields), header...)
		if !row.refused {
			if got.status != 200 || got.header.Get("X-Dropped-Messages") == "" {
				t.Errorf("%v: %d %s", row, got.status, got.body)
			}
			continue
		}
		want := map[string]any{
			"type": "exceed_context_size_error", "code": "context_length_exceeded", "param": "messages",
			"n_prompt_tokens": float64(len(strings.Fields(graph.Prompts[0]))), "n_ctx": 40.0,
		}
		for name, value := range want {
			if found := at(t, got.json, "error", name); got.status != 400 || found != value {
				t.Errorf("%v: %d, %s is %v, not %v: %s", row, got.status, name, found, value, got.body)
			}
		}
	}
}

func TestATruncationThatNobodyKnows(t *testing.T) {
	got := do(t, "POST", serve(t, &nntest.Graph{})+"/v1/chat/completions", chatBody(`"truncation":"some"`))
	if got.status != 400 || at(t, got.json, "error", "param") != "truncation" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestTokensOfAConversationAreCountedWithoutAnAnswer(t *testing.T) {
	graph := &nntest.Graph{Pieces: []string{"a"}, CtxSize: 40}
	got := do(t, "POST", serve(t, graph, "-p", "chatml", "-c", "40")+"/v1/chat/completions/input_tokens", longTalk(""))
	want := float64(len(strings.Fields(graph.Prompts[0])))
	if got.status != 200 || at(t, got.json, "input_tokens") != want || want < 60 || graph.Tokens != 0 {
		t.Errorf("%d %s, not %v, and %d were made", got.status, got.body, want, graph.Tokens)
	}
}

func TestAStreamBeginsWithoutContent(t *testing.T) {
	address := serve(t, &nntest.Graph{Pieces: []string{"a"}})
	for dialect, want := range map[string]string{
		"": `"delta":{"role":"assistant"}`, "llama.cpp": `"delta":{"role":"assistant","content":null}`,
	} {
		got := do(t, "POST", address+"/v1/chat/completions", chatBody(`"stream":true`), "X-Dialect", dialect)
		if first := frames(t, got.body)[0]; !strings.Contains(first, want) {
			t.Errorf("%q: %s", dialect, first)
		}
	}
}

func TestLlamaCppGoesOnWithTheAssistantsLastMessage(t *testing.T) {
	const asked, said = `{"role":"user","content":"a"}`, `{"role":"assistant","content":"b"}`
	for _, row := range []struct {
		dialect, body string
		status        int
		continues     bool
	}{
		{"llama.cpp", `{"messages":[` + asked + `,` + said + `]}`, 200, true},
		{"llama.cpp", `{"messages":[` + asked + `]}`, 200, false},
		{"llama.cpp", `{"messages":[` + asked + `,` + said + `],"add_generation_prompt":true}`, 200, false},
		{"llama.cpp", `{"messages":[` + asked + `,` + said + `,` + said + `]}`, 400, false},
		{"", `{"messages":[` + asked + `,` + said + `,` + said + `]}`, 200, false},
		{"", `{"messages":[` + asked + `,` + said + `]}`, 200, false},
	} {
		graph := &nntest.Graph{Pieces: []string{"a"}, Template: plainTemplate}
		got := do(t, "POST", serve(t, graph, "-p", "auto")+"/v1/chat/completions", row.body, "X-Dialect", row.dialect)
		if got.status != row.status {
			t.Errorf("%v: %d %s", row, got.status, got.body)
		} else if got.status == 200 && graph.Conversations[len(graph.Conversations)-1]["continue_final_message"] != row.continues {
			t.Errorf("%v: %v", row, graph.Conversations)
		}
	}
}
