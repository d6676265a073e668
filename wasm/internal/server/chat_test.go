package server

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"llama-api-server/internal/nn/nntest"
	"llama-api-server/internal/options"
	"llama-api-server/internal/prompt"
)

func chatBody(fields string) string {
	body := `{"messages":[{"role":"user","content":"How is it?"}]`
	if fields != "" {
		body += "," + fields
	}
	return body + "}"
}

// joined is what a chat stream says altogether.
func joined(t *testing.T, body string) (text, call, finish string) {
	for _, frame := range frames(t, body) {
		var chunk map[string]any
		if frame == "[DONE]" || json.Unmarshal([]byte(frame), &chunk) != nil {
			continue
		}
		delta := at(t, chunk, "choices", 0, "delta").(map[string]any)
		if more, ok := delta["content"].(string); ok {
			text += more
		}
		call += pieceOfCall(t, delta, call != "")
		if reason, ok := at(t, chunk, "choices", 0, "finish_reason").(string); ok {
			finish = reason
		}
	}
	return text, call, finish
}

func TestReasoning(t *testing.T) {
	address := serve(t, &nntest.Graph{Pieces: []string{"<think>", "Hm.\n", "</think>", "\n\nYes"}})
	got := do(t, "POST", address+"/v1/chat/completions", chatBody(""))
	message := at(t, got.json, "choices", 0, "message").(map[string]any)
	if message["content"] != "Yes" || message["reasoning_content"] != "Hm." {
		t.Errorf("message %v", message)
	}
}

func TestChoices(t *testing.T) {
	address := serve(t, &nntest.Graph{Pieces: []string{"a", "b"}})
	got := do(t, "POST", address+"/v1/chat/completions", chatBody(`"n":3`))
	for index := range 3 {
		if at(t, got.json, "choices", index, "index") != float64(index) || at(t, got.json, "choices", index, "message", "content") != "ab" {
			t.Errorf("choice %d: %s", index, got.body)
		}
	}
	if at(t, got.json, "usage", "completion_tokens") != 6.0 {
		t.Errorf("usage %s", got.body)
	}
}

func TestOldTurnsAreDropped(t *testing.T) {
	graph := &nntest.Graph{Pieces: []string{"ok"}}
	address := serve(t, graph, "-p", "chatml", "-c", "100")
	long := strings.Repeat("word ", 30)
	turn := func(role, text string) string { return fmt.Sprintf(`{"role":%q,"content":%q}`, role, text) }
	body := `{"messages":[` + strings.Join([]string{
		turn("system", "Rules."), turn("user", "first "+long), turn("assistant", "A."),
		turn("user", "second "+long), turn("assistant", "B."), turn("user", "third "+long),
	}, ",") + `]}`
	got := do(t, "POST", address+"/v1/chat/completions", body)
	if got.status != 200 || got.header.Get("X-Dropped-Messages") != "2" {
		t.Errorf("%d, dropped %q", got.status, got.header.Get("X-Dropped-Messages"))
	}
	last := graph.Prompts[len(graph.Prompts)-1]
	if strings.Contains(last, "first") || !strings.Contains(last, "Rules.") || !strings.Contains(last, "second") {
		t.Errorf("prompt %q", last)
	}
}

func TestContextFullIsALength(t *testing.T) {
	address := serve(t, &nntest.Graph{Pieces: strings.Split(strings.Repeat("a", 50), ""), CtxSize: 20}, "-p", "chatml", "-c", "20")
	got := do(t, "POST", address+"/v1/chat/completions", chatBody(""))
	if got.status != 200 || at(t, got.json, "choices", 0, "finish_reason") != "length" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// A client that goes away ends its computation, and its context is used again.
func TestCancel(t *testing.T) {
	graph := &nntest.Graph{Answer: func(prompt string) []string {
		return strings.Split(strings.Repeat("x", 100000), "")
	}}
	graph.Computed = func() { time.Sleep(time.Millisecond) }
	address := serve(t, graph, "-p", "chatml", "-n", "-1")
	response, err := http.Post(address+"/v1/chat/completions", "application/json", strings.NewReader(chatBody(`"stream":true`)))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Read(make([]byte, 100))
	response.Body.Close()
	got := do(t, "POST", address+"/v1/chat/completions", chatBody(`"max_tokens":1`))
	if got.status != 200 || graph.Made != 1 || graph.Tokens > 10000 {
		t.Errorf("%d, %d contexts, %d tokens", got.status, graph.Made, graph.Tokens)
	}
}

// Many streams at once have each their own answer.
func TestConcurrentStreams(t *testing.T) {
	graph := &nntest.Graph{Parallel: 4, Answer: func(prompt string) []string {
		name := prompt[strings.Index(prompt, "#")+1:][:2]
		return []string{name, "-", name, "-", name}
	}}
	address := serve(t, graph)
	var group sync.WaitGroup
	for index := range 10 {
		group.Go(func() {
			got := do(t, "POST", address+"/v1/chat/completions", fmt.Sprintf(`{"messages":[{"role":"user","content":"#%02d"}],"stream":true}`, index))
			if text, _, finish := joined(t, got.body); text != fmt.Sprintf("%02d-%02d-%02d", index, index, index) || finish != "stop" {
				t.Errorf("%d: %q, %q", index, text, finish)
			}
		})
	}
	group.Wait()
	if graph.Made > 4 {
		t.Errorf("%d contexts", graph.Made)
	}
}

// The frames come one by one, not at the end.
func TestStreamIsNotBuffered(t *testing.T) {
	step := make(chan struct{})
	graph := &nntest.Graph{Pieces: []string{"a", "b"}}
	graph.Computed = func() { <-step }
	address := serve(t, graph)
	done := make(chan *http.Response)
	go func() {
		response, _ := http.Post(address+"/v1/chat/completions", "application/json", strings.NewReader(chatBody(`"stream":true`)))
		done <- response
	}()
	step <- struct{}{}
	response := <-done
	defer response.Body.Close()
	line, err := bufio.NewReader(response.Body).ReadString('\n')
	if err != nil || !strings.Contains(line, `"role":"assistant"`) {
		t.Errorf("%q, %v", line, err)
	}
	close(step)
}

// No request ends the server.
func FuzzChatRequest(f *testing.F) {
	f.Add(chatBody(`"tools":[` + weather + `],"tool_choice":"auto","stop":["a"],"n":2`))
	f.Add(`{"messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}]}`)
	f.Add(`{"messages":[{"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","content":"x","tool_call_id":"1"}]}`)
	servers := fuzzServers(f)
	f.Fuzz(func(t *testing.T, body string) {
		for _, server := range servers {
			var request chatRequest
			if unmarshal([]byte(body), &request) != nil || request.check(members([]byte(body)), server.Models[0]) != nil {
				continue
			}
			server.chatWork(t.Context(), server.Models[0], &request)
		}
	})
}

func fuzzServers(f *testing.F) []*Server {
	var servers []*Server
	for _, template := range []string{"chatml-tool", "llama-3-tool", "mistral-small-tool", "functionary-32", "gpt-oss", "gemma-3"} {
		settings, err := options.Parse([]string{"-p", template, "--llava-mmproj", "x"}, prompt.Names())
		if err != nil {
			f.Fatal(err)
		}
		server := &Server{Options: settings, Log: NewLogger(io.Discard, "error")}
		if server.Models, err = LoadModels(settings, false, (&nntest.Graph{}).Load); err != nil {
			f.Fatal(err)
		}
		servers = append(servers, server)
	}
	return servers
}
