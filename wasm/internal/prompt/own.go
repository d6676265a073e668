package prompt

import (
	"encoding/json"
	"slices"
	"strings"

	"llama-api-server/internal/answer"
)

// Auto is the name of the model's own template, which the host writes out.
const Auto = "auto"

// Abilities are what the host tells of a model's own template.
type Abilities struct {
	// Tools tells whether the template writes tools; if not, the host tells of them in words.
	Tools bool     `json:"tools"`
	Stops []string `json:"stops"`
	// Think are the tags around reasoning.
	Think []string `json:"think"`
	// Calls is how the model writes calls, nothing where the host cannot tell; Keep are the control
	// tokens among what it writes.
	Calls answer.Calls `json:"calls"`
	Keep  []string     `json:"keep"`
	// Reads are the settings of its own that it knows, nil where the host does not tell.
	Reads []string `json:"reads"`
	// Error is why the template cannot be used.
	Error string `json:"error"`
}

// Own is the model's own template: its prompts are conversations, which the host takes as
// metadata.
func Own(abilities Abilities) *Template {
	own := &Template{
		Name: Auto, Stops: abilities.Stops, Tools: true, Own: true, InWords: !abilities.Tools, reads: abilities.Reads,
		Answer: abilities.Calls.Format(), render: renderOwn,
	}
	own.Answer.Keep = append(append(own.Answer.Keep, abilities.Keep...), abilities.Think...)
	if len(abilities.Think) == 2 && own.Answer.Think[0] == "" {
		own.Answer.Think = [2]string{abilities.Think[0], abilities.Think[1]}
	}
	return own
}

// MayRead tells whether the template knows a setting of its own, as far as the host tells.
func (t *Template) MayRead(setting string) bool {
	return t.Own && (t.reads == nil || slices.Contains(t.reads, setting))
}

// Reasons tells whether the answer to a prompt begins with reasoning.
func (t *Template) Reasons(prompt string) bool {
	if !t.Own {
		return t.Thinks
	}
	open := t.Answer.Think[0]
	return open != "" && strings.HasSuffix(strings.TrimRight(prompt, " \t\r\n"), open)
}

type ownMessage struct {
	Role       string    `json:"role"`
	Content    any       `json:"content"` // a text, parts, or null
	Name       string    `json:"name,omitempty"`
	Reasoning  string    `json:"reasoning_content,omitempty"`
	ToolCalls  []ownCall `json:"tool_calls,omitempty"`
	ToolCallID string    `json:"tool_call_id,omitempty"`
}

type ownCall struct {
	ID       string      `json:"id"`
	Type     string      `json:"type"`
	Function ownFunction `json:"function"`
}

type ownFunction struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

type ownPart struct {
	Type      string        `json:"type"`
	Text      string        `json:"text,omitempty"`
	Picture   *ownPicture   `json:"image_url,omitempty"`
	Recording *ownRecording `json:"input_audio,omitempty"`
}

type ownRecording struct {
	Data string `json:"data"`
}

type ownPicture struct {
	URL string `json:"url"`
}

type ownConversation struct {
	Messages  []ownMessage               `json:"messages"`
	Tools     []json.RawMessage          `json:"tools,omitempty"`
	Documents []json.RawMessage          `json:"documents,omitempty"`
	Keywords  map[string]json.RawMessage `json:"chat_template_kwargs,omitempty"`
	Cue       bool                       `json:"add_generation_prompt"`
	Continue  bool                       `json:"continue_final_message"`
}

func renderOwn(conversation Conversation) (string, error) {
	own := ownConversation{
		Documents: conversation.Documents, Keywords: conversation.Keywords,
		Cue: !conversation.NoCue && !conversation.Continue, Continue: conversation.Continue,
	}
	for _, message := range conversation.Messages {
		own.Messages = append(own.Messages, message.own())
	}
	for _, tool := range conversation.Tools {
		own.Tools = append(own.Tools, tool.Raw)
	}
	text, err := json.Marshal(map[string]any{"conversation": own})
	return string(text), err
}

func (m Message) own() ownMessage {
	made := ownMessage{
		Role: m.Role, Content: m.Content, Name: m.Name, Reasoning: m.Reasoning, ToolCallID: m.ToolCallID,
	}
	if m.Wrote != "" {
		made.Role = m.Wrote
	}
	if len(m.Parts) > 0 {
		var parts []ownPart
		for _, part := range m.Parts {
			switch {
			case part.Picture != "":
				parts = append(parts, ownPart{Type: "image_url", Picture: &ownPicture{part.Picture}})
			case part.Recording != "":
				parts = append(parts, ownPart{Type: "input_audio", Recording: &ownRecording{part.Recording}})
			default:
				parts = append(parts, ownPart{Type: "text", Text: part.Text})
			}
		}
		made.Content = parts
	}
	for _, call := range m.ToolCalls {
		made.ToolCalls = append(made.ToolCalls, ownCall{call.ID, "function", ownFunction{call.Name, json.RawMessage(call.Arguments)}})
	}
	return made
}
