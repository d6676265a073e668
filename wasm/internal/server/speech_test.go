package server

import (
	"strings"
	"testing"

	"llama-api-server/internal/nn"
	"llama-api-server/internal/nn/nntest"
)

func TestSpeech(t *testing.T) {
	graph := &nntest.Graph{Pieces: []string{"<|1|>", "<|2|>"}, Speech: true}
	url := serve(t, graph, "-p", "chatml", "--model-vocoder", "v.gguf") + "/v1/audio/speech"
	got := do(t, "POST", url, `{"model":"default","input":"Hello there"}`)
	if got.status != 200 || got.body != "RIFF<|1|><|2|>" || got.header.Get("Content-Type") != "audio/wav" {
		t.Fatal(got.status, got.body, got.header)
	}
	settings := graph.Settings[len(graph.Settings)-1]
	if settings["tts"] != true || settings["model-vocoder"] != "v.gguf" || graph.Prompts[0] != "Hello there" {
		t.Error(settings, graph.Prompts)
	}
	do(t, "POST", strings.Replace(url, "audio/speech", "chat/completions", 1), chatBody(""))
	if settings := graph.Settings[len(graph.Settings)-1]; settings["tts"] != false {
		t.Error("the next request speaks too", settings)
	}
}

func TestSpeechThatCannotBeMade(t *testing.T) {
	const body = `{"input":"a b c"}`
	table := []struct {
		name, body string
		graph      *nntest.Graph
		arguments  []string
		status     int
		failure    string
	}{
		{"no text", `{"input":""}`, &nntest.Graph{Speech: true}, []string{"--model-vocoder", "v"}, 400, "no 'input'"},
		{"no vocoder", body, &nntest.Graph{Speech: true}, nil, 400, "without --model-vocoder"},
		{"another host", body, &nntest.Graph{Plain: true}, []string{"--model-vocoder", "v"}, 400, "makes no speech"},
		{"too long", body, &nntest.Graph{Speech: true, Pieces: []string{"a", "b"}, CtxSize: 4}, []string{"--model-vocoder", "v", "-c", "64"}, 400, "does not fit"},
		{"no codes", body, &nntest.Graph{Speech: true, Refused: map[uint32]error{nn.Speech: nn.RuntimeError}, Reason: "there is no sound"}, []string{"--model-vocoder", "v"}, 500, "there is no sound"},
		{"no words", body, &nntest.Graph{Speech: true, Refused: map[uint32]error{nn.Text: nn.InvalidArgument}, Reason: "there is no word"}, []string{"--model-vocoder", "v"}, 400, "there is no word"},
	}
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			url := serve(t, row.graph, append([]string{"-p", "chatml"}, row.arguments...)...) + "/v1/audio/speech"
			if got := do(t, "POST", url, row.body); got.status != row.status || !strings.Contains(got.body, row.failure) {
				t.Error(got.status, got.body)
			}
		})
	}
}
