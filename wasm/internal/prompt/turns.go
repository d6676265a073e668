package prompt

import (
	"encoding/json"
	"strings"
)

// affix is what stands around a turn's text.
type affix struct{ before, after string }

// turns is a format that writes one turn after the other, each between two fixed texts.
type turns struct {
	start     string // before everything
	otherwise string // the system turn's text if the conversation has none
	system    affix
	user      affix
	later     string // begins a user turn after the first, where it differs
	assistant affix
	tool      affix  // where it is empty, a tool's turn is a user's
	cue       string // where the answer begins
	trim      bool   // texts are stripped of white space
	fold      bool   // the system's turn is inside of the first user's
	silent    bool   // a system's turn is left out
}

func (t turns) render(conversation Conversation) (string, error) {
	var prompt strings.Builder
	prompt.WriteString(t.start)
	messages := conversation.Messages
	if t.otherwise != "" && messages[0].Role != System {
		messages = append([]Message{{Role: System, Content: t.otherwise}}, messages...)
	}
	if t.fold {
		messages = t.folded(messages)
	}
	first := true
	for _, message := range messages {
		if t.silent && message.Role == System {
			continue
		}
		affix := t.affix(message.Role)
		if message.Role == User {
			if !first && t.later != "" {
				affix.before = t.later
			}
			first = false
		}
		t.write(&prompt, affix, message.text())
	}
	prompt.WriteString(t.cue)
	return prompt.String(), nil
}

// folded is the messages without a system's at the start, whose text the first user's begins
// with.
func (t turns) folded(messages []Message) []Message {
	if messages[0].Role != System {
		return messages
	}
	text := t.system.before + messages[0].Content + t.system.after
	if len(messages) == 1 || messages[1].Role != User {
		return append([]Message{{Role: User, Content: text}}, messages[1:]...)
	}
	second := messages[1]
	second.Content = text + second.Content
	return append([]Message{second}, messages[2:]...)
}

func (t turns) affix(role string) affix {
	switch {
	case role == System && t.fold, role == ToolRole && t.tool == affix{}:
		return t.user
	case role == System:
		return t.system
	case role == Assistant:
		return t.assistant
	case role == ToolRole:
		return t.tool
	}
	return t.user
}

func (t turns) write(prompt *strings.Builder, affix affix, text string) {
	if t.trim {
		text = strings.TrimSpace(text)
	}
	prompt.WriteString(affix.before)
	prompt.WriteString(text)
	prompt.WriteString(affix.after)
}

// text is the message's content, or its calls as JSON if it has nothing else.
func (m Message) text() string {
	if m.Content != "" {
		return m.Content
	}
	var calls []string
	for _, call := range m.ToolCalls {
		calls = append(calls, `{"name": `+pyQuote(call.Name)+`, "arguments": `+pyJSON(json.RawMessage(call.Arguments), 0)+`}`)
	}
	return strings.Join(calls, "\n")
}

// split is the text of a system's message at the start, and the other messages.
func split(messages []Message) (system string, found bool, rest []Message) {
	if len(messages) > 0 && messages[0].Role == System {
		return messages[0].Content, true, messages[1:]
	}
	return "", false, messages
}
