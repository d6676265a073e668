// Package prompt turns a conversation into the text a model was trained on.
//
// No template starts with the beginning-of-sequence token where the model's tokeniser adds it
// by itself: the host tokenises with special tokens added.
package prompt

import (
	"encoding/json"
	"errors"
	"time"

	"llama-api-server/internal/answer"
)

// The roles of a message.
const (
	System    = "system"
	User      = "user"
	Assistant = "assistant"
	ToolRole  = "tool"
)

// Message is one turn.
type Message struct {
	Role       string
	Wrote      string // the role as the client wrote it
	Content    string
	Parts      []Part // of a content that has pictures or recordings
	Name       string
	Reasoning  string     // of an assistant
	ToolCalls  []ToolCall // of an assistant
	ToolCallID string     // of a tool: the call it answers
}

// Part is a text, a picture or a recording of a content.
type Part struct {
	Text      string
	Picture   string // a data: URL
	Recording string // base64
}

// Seen tells whether the part is a picture or a recording.
func (p Part) Seen() bool { return p.Picture != "" || p.Recording != "" }

// ToolCall is a call of a function as the model made it.
type ToolCall struct {
	ID        string
	Name      string
	Arguments string // JSON
}

// Tool is a function the model may call.
type Tool struct {
	Name        string
	Description string
	Parameters  json.RawMessage // a JSON schema
	Function    json.RawMessage // the function as the client wrote it
	Raw         json.RawMessage // the tool as the client wrote it
}

// Conversation is what a prompt is made of.
type Conversation struct {
	Messages []Message
	Tools    []Tool
	Now      time.Time

	// The rest is for the model's own template alone.
	Documents []json.RawMessage
	Keywords  map[string]json.RawMessage // the template's own settings
	Continue  bool                       // the last message is gone on with
	NoCue     bool                       // no answer is begun
}

// Template is one of the formats that --prompt-template names.
type Template struct {
	Name string
	// Stops are the texts that end a turn.
	Stops []string
	// Tools tells whether the prompt can carry tools.
	Tools bool
	// Answer is how the model writes its answers.
	Answer answer.Format
	// Thinks is set where the prompt ends inside of <think>.
	Thinks bool
	// Own is set for the model's own template, whose prompts the host writes out.
	Own bool
	// InWords is set for one that has no tools, which are told in words.
	InWords bool

	reads  []string // the settings of its own that it knows, nil where nobody tells
	render func(Conversation) (string, error)
}

// ErrNoMessages is the error for a conversation without a message.
var ErrNoMessages = errors.New("'messages' is empty; a conversation has one message or more")

// Render is the prompt of a conversation, up to where the assistant's answer begins.
func (t *Template) Render(conversation Conversation) (string, error) {
	if len(conversation.Messages) == 0 {
		return "", ErrNoMessages
	}
	return t.render(conversation)
}

// Find is the template of that name, or nil.
func Find(name string) *Template {
	for _, template := range templates {
		if template.Name == name {
			return template
		}
	}
	return nil
}

// Names are the templates in the order of the help text: first the model's own, last the two
// names that stand for a model that is given no prompt by a template.
func Names() []string {
	names := []string{Auto}
	for _, template := range templates {
		names = append(names, template.Name)
	}
	return append(names, Embedding, None)
}

// The names of --prompt-template that have no template: for embedding models, and for models
// that only complete.
const (
	Embedding = "embedding"
	None      = "none"
)

// ParseTool reads a tool as OpenAI's API has it; a bare function is one too.
func ParseTool(raw json.RawMessage) (Tool, error) {
	tool := Tool{Raw: raw, Function: raw}
	var outer struct {
		Type     string          `json:"type"`
		Function json.RawMessage `json:"function"`
	}
	if err := json.Unmarshal(raw, &outer); err != nil {
		return tool, err
	}
	if outer.Type != "" && outer.Type != "function" {
		return tool, errors.New("tools of type '" + outer.Type + "' are not supported; function is")
	}
	if outer.Function != nil {
		tool.Function = outer.Function
	}
	var function struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Parameters  json.RawMessage `json:"parameters"`
	}
	if err := json.Unmarshal(tool.Function, &function); err != nil {
		return tool, err
	}
	if function.Name == "" {
		return tool, errors.New("a function has no name")
	}
	tool.Name, tool.Description, tool.Parameters = function.Name, function.Description, function.Parameters
	return tool, nil
}
