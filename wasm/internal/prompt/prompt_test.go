package prompt

import (
	"encoding/json"
	"os"
	"testing"
	"time"
)

var day = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

type conversation struct {
	Messages []struct {
		Role, Content string
		ToolCalls     []struct {
			ID       string
			Function struct {
				Name      string
				Arguments json.RawMessage
			}
		} `json:"tool_calls"`
		ToolCallID string `json:"tool_call_id"`
	}
	Tools []json.RawMessage
}

func readJSON(t *testing.T, name string, target any) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err == nil {
		err = json.Unmarshal(text, target)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (c conversation) parse(t *testing.T) Conversation {
	t.Helper()
	parsed := Conversation{Now: day}
	for _, message := range c.Messages {
		turn := Message{Role: message.Role, Content: message.Content, ToolCallID: message.ToolCallID}
		for _, call := range message.ToolCalls {
			turn.ToolCalls = append(turn.ToolCalls, ToolCall{call.ID, call.Function.Name, string(call.Function.Arguments)})
		}
		parsed.Messages = append(parsed.Messages, turn)
	}
	for _, raw := range c.Tools {
		tool, err := ParseTool(raw)
		if err != nil {
			t.Fatal(err)
		}
		parsed.Tools = append(parsed.Tools, tool)
	}
	return parsed
}

// golden is the prompts of the published templates: tests/wasm/render_templates.py renders them.
func TestPublishedTemplates(t *testing.T) {
	var conversations map[string]conversation
	var golden map[string]map[string]string
	readJSON(t, "conversations.json", &conversations)
	readJSON(t, "golden.json", &golden)
	for name, prompts := range golden {
		for title, want := range prompts {
			t.Run(name+"/"+title, func(t *testing.T) {
				template := Find(name)
				if template == nil {
					t.Fatal("no such template")
				}
				got, err := template.Render(conversations[title].parse(t))
				if err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Errorf("got:  %q\nwant: %q", got, want)
				}
			})
		}
	}
}
