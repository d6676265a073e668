package server

import (
	"bytes"
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
