package server

import (
	"fmt"
	"testing"

	"llama-api-server/internal/nn"
	"llama-api-server/internal/nn/nntest"
)

// What the host is asked is in the answers, since a prompt in parts is written as they are.
func TestTokensAndText(t *testing.T) {
	address := serve(t, &nntest.Graph{})
	for _, row := range []struct{ path, body, want string }{
		{"/tokenize", `{"content":"a b"}`, "map[tokens:[0 1 2 3 4]]"},
		{"/tokenize", `{"content":"x","with_pieces":true,"add_special":true,"parse_special":false}`,
			"map[tokens:[map[id:0 piece:prompt] map[id:1 piece:map[control:false] map[id:2 piece:parts:[x]] map[id:3 piece:special:true]]]]"},
		{"/detokenize", `{"tokens":[1,2]}`, "map[content:prompt [1 2]]"},
		{"/apply-template", `{"messages":[{"role":"user","content":"x"}]}`, "map[prompt:<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n]"},
	} {
		got := do(t, "POST", address+row.path, row.body)
		if text := fmt.Sprint(got.json); got.status != 200 || text != row.want {
			t.Errorf("%s %s: %d %s", row.path, row.body, got.status, text)
		}
	}
	own := serve(t, &nntest.Graph{Template: plainTemplate, Cue: "cue"}, "-p", "auto")
	if got := do(t, "POST", own+"/apply-template", chatBody("")); at(t, got.json, "prompt") != "How is it?\ncue" {
		t.Error(got.body)
	}
}

func TestPiecesThatAreNoText(t *testing.T) {
	for text, want := range map[string]string{"a": "a", "\xe2": "[226]"} {
		token := chance{}
		for _, value := range []byte(text) {
			token.Bytes = append(token.Bytes, int(value))
		}
		if got := fmt.Sprint(token.piece()); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestQuestionsThatCannotBeAnswered(t *testing.T) {
	address := serve(t, &nntest.Graph{})
	plain := serve(t, &nntest.Graph{Plain: true})
	refused := serve(t, &nntest.Graph{Reason: "no such token", Refused: map[uint32]error{nn.Prompt: nn.InvalidArgument}})
	for _, row := range []struct {
		url, body string
		param     any
	}{
		{address + "/tokenize", `{}`, "content"}, {address + "/detokenize", `{}`, "tokens"}, {address + "/tokenize", `{"content":5}`, "content"},
		{address + "/detokenize", `{"tokens":["x"]}`, "tokens"}, {address + "/detokenize", `{"tokens":[null]}`, "tokens"}, {address + "/detokenize", `{"tokens":null}`, "tokens"}, {address + "/apply-template", `{"messages":[{"role":"king","content":"x"}]}`, "messages[0].role"},
		{plain + "/tokenize", `{"content":"a"}`, nil}, {refused + "/detokenize", `{"tokens":[-1]}`, "tokens"},
	} {
		got := do(t, "POST", row.url, row.body)
		if got.status != 400 || at(t, got.json, "error", "param") != row.param {
			t.Errorf("%s %s: %d %s", row.url, row.body, got.status, got.body)
		}
	}
}
