package server

import (
	"bytes"
	"net/url"
	"strings"
	"testing"

	"llama-api-server/internal/nn/nntest"
)

func TestLogLevels(t *testing.T) {
	for level, want := range map[string]string{
		"trace": "[DEBUG] b\n[INFO] c\n[WARN] d\n", "DEBUG": "[DEBUG] b\n[INFO] c\n[WARN] d\n",
		"": "[INFO] c\n[WARN] d\n", "nonsense": "[INFO] c\n[WARN] d\n", "warn": "[WARN] d\n", "error": "",
	} {
		var out bytes.Buffer
		log := NewLogger(&out, level)
		log.Log("debug", "b")
		log.Info("c")
		log.Log("warn", "%s", "d")
		if out.String() != want {
			t.Errorf("%q: %q", level, out.String())
		}
	}
}

// No client writes lines of its own into the log.
func TestLogLinesAreNotForged(t *testing.T) {
	var out bytes.Buffer
	log := NewLogger(&out, "debug")
	log.Prompts = true
	address := start(t, &nntest.Graph{Pieces: []string{"a"}}, &Server{Log: log})
	const forged = "[ERROR] forged"
	do(t, "GET", address+"/x%0A"+url.PathEscape(forged), "")
	do(t, "GET", address+"/x%0D%1B%5B2K%C2%85%E2%80%A8"+url.PathEscape(forged), "")
	do(t, "POST", address+"/v1/chat/completions", `{"messages":[{"role":"a\n`+forged+`","content":"x"}]}`)
	do(t, "POST", address+"/v1/chat/completions", `{"messages":[{"role":"user","content":"x\n`+forged+`\r`+forged+`"}]}`)
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, forged) || strings.ContainsAny(line, "\r\x1b\u0085\u2028") {
			t.Errorf("a line of the log is %q", line)
		}
	}
	if count := strings.Count(out.String(), forged); count < 5 {
		t.Errorf("%d of the texts are in %q", count, out.String())
	}
}

func TestLogOptions(t *testing.T) {
	for _, row := range []struct{ prompts, stats bool }{{false, false}, {true, false}, {false, true}} {
		var out bytes.Buffer
		log := NewLogger(&out, "info")
		log.Prompts, log.Stats = row.prompts, row.stats
		address := start(t, &nntest.Graph{Pieces: []string{"a", "b"}}, &Server{Log: log, APIKey: "secret"})
		do(t, "POST", address+"/v1/chat/completions", chatBody(""), "Authorization", "Bearer secret")
		if strings.Contains(out.String(), "How is it?") != row.prompts || strings.Contains(out.String(), "answer: 2 tokens") != row.stats {
			t.Errorf("%+v: %q", row, out.String())
		}
		if strings.Contains(out.String(), "secret") {
			t.Errorf("the key is in %q", out.String())
		}
	}
}
