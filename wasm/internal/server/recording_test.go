package server

import (
	"encoding/json"
	"io"
	"strings"
	"testing"

	"llama-api-server/internal/nn/nntest"
)

const (
	wav       = "UklGRgAAAABXQVZF"
	wavInline = `<audio src="data:audio/wav;base64,` + wav + `">`
)

// said is a request whose message has the parts.
func said(parts ...string) string {
	return `{"messages":[{"role":"user","content":[` + strings.Join(parts, ",") + `]}]}`
}

func spoken(data string) string {
	text, _ := json.Marshal(data)
	return `{"type":"input_audio","input_audio":{"data":` + string(text) + `,"format":"wav"}}`
}

func TestRecordings(t *testing.T) {
	table := []struct{ name, data, inline, failure string }{
		{"base64", wav, wavInline, ""},
		{"data URL", "data:audio/wav;base64," + wav, wavInline, ""},
		{"lines", wav[:8] + "\r\n" + wav[8:] + "\n", wavInline, ""},
		{"of URLs", "_9j_4A", `<audio src="data:audio/wav;base64,/9j/4A==">`, ""},
		{"address", "https://example.com/a,b.wav", "", "the server fetches nothing"},
		{"another address", "https://example.com/a.wav", "", "is damaged"},
		{"a picture", "data:image/gif;base64," + gif, "", "given as its base64"},
		{"quote", `R0lG"><x`, "", "is damaged"},
		{"nothing", "", "", "A recording is empty"},
	}
	graph := &nntest.Graph{Pieces: []string{"a"}}
	address := serve(t, graph, "-p", "chatml", "--llava-mmproj", "x")
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			got := do(t, "POST", address+"/v1/chat/completions", said(spoken(row.data), `{"type":"text","text":"write"}`))
			if row.failure != "" {
				if got.status != 400 || !strings.Contains(got.body, row.failure) || !strings.Contains(got.body, `"messages[0].content"`) {
					t.Error(got.status, got.body)
				}
				return
			}
			prompt := graph.Prompts[len(graph.Prompts)-1]
			if got.status != 200 || !strings.Contains(prompt, "user\n"+row.inline+"\nwrite<|im_end|>") {
				t.Errorf("%d %s %q", got.status, got.body, prompt)
			}
		})
	}
}

func TestARecordingGoesToTheTemplateAsAPart(t *testing.T) {
	graph := &nntest.Graph{Pieces: []string{"Hi"}, Template: plainTemplate}
	server := &Server{Log: NewLogger(io.Discard, "error")}
	url := start(t, graph, server, "-p", "auto", "--llava-mmproj", "m.gguf") + "/v1/chat/completions"
	if got := do(t, "POST", url, said(`{"type":"text","text":"<audio src="}`, spoken(wav))); got.status != 200 {
		t.Fatal(got.body)
	}
	given := any(graph.Conversations[len(graph.Conversations)-1])
	if got := at(t, given, "messages", 0, "content", 1, "input_audio", "data"); got != wav {
		t.Error(got)
	}
	if got := at(t, given, "messages", 0, "content", 0, "type"); got != "text" {
		t.Error(got)
	}
}

func TestRecordingsNeedAProjector(t *testing.T) {
	address := serve(t, &nntest.Graph{Pieces: []string{"a"}})
	got := do(t, "POST", address+"/v1/chat/completions", said(spoken(wav)))
	if got.status != 400 || !strings.Contains(got.body, "takes no audio") || !strings.Contains(got.body, "--llava-mmproj") {
		t.Error(got.status, got.body)
	}
}

func TestPartsWithoutWhatTheyAreOf(t *testing.T) {
	address := serve(t, &nntest.Graph{Pieces: []string{"a"}}, "-p", "chatml", "--llava-mmproj", "x")
	for part, failure := range map[string]string{
		`{"type":"input_audio"}`: "A part of type 'input_audio' has no 'input_audio'",
		`{"type":"image_url"}`:   "A part of type 'image_url' has no 'image_url'",
		`{"type":"file"}`:        "Parts of type 'file' are not supported; text, image_url and input_audio are.",
	} {
		if got := do(t, "POST", address+"/v1/chat/completions", said(part)); got.status != 400 || !strings.Contains(got.body, failure) {
			t.Error(got.status, got.body)
		}
	}
}
