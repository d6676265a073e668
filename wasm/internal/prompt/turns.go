package prompt

import "strings"

// affix is what stands around a turn's text.
type affix struct{ before, after string }

// turns is a format that writes one turn after the other, each between two fixed texts.
type turns struct {
	start     string // before everything
	otherwise string // the system turn's text if the conversation has none
	system    affix
	user      affix
	assistant affix
	tool      affix
	cue       string // where the answer begins
	trim      bool   // texts are stripped of white space
}

func (t turns) render(conversation Conversation) (string, error) {
	var prompt strings.Builder
	prompt.WriteString(t.start)
	if t.otherwise != "" && conversation.Messages[0].Role != System {
		t.write(&prompt, t.system, t.otherwise)
	}
	for _, message := range conversation.Messages {
		t.write(&prompt, t.affix(message.Role), message.Content)
	}
	prompt.WriteString(t.cue)
	return prompt.String(), nil
}

func (t turns) affix(role string) affix {
	return map[string]affix{System: t.system, User: t.user, Assistant: t.assistant, ToolRole: t.tool}[role]
}

func (t turns) write(prompt *strings.Builder, affix affix, text string) {
	if t.trim {
		text = strings.TrimSpace(text)
	}
	prompt.WriteString(affix.before)
	prompt.WriteString(text)
	prompt.WriteString(affix.after)
}
