package server

import (
	"encoding/json"
	"fmt"

	"llama-api-server/internal/nn"
	"llama-api-server/internal/prompt"
)

// takeOwn makes the model's own template, or the one given for it, its template.
func (m *Model) takeOwn(used nn.Context) error {
	const named = "name one with --prompt-template, such as chatml or llama-3-chat (--help lists them)"
	told := m.Counts.Template
	switch {
	case len(told) == 0:
		return fmt.Errorf("this host does not write out a model's own chat template; %s", named)
	case string(told) == "null":
		return fmt.Errorf("the model '%s' has no chat template of its own; %s, or give a Jinja file with --chat-template", m.Alias, named)
	}
	var abilities prompt.Abilities
	if err := json.Unmarshal(told, &abilities); err != nil {
		return fmt.Errorf("the host tells of the chat template of '%s' what cannot be read: %w", m.Alias, err)
	}
	if abilities.Error != "" {
		return fmt.Errorf("the model '%s': %s; %s", m.Alias, abilities.Error, named)
	}
	m.Template = prompt.Own(abilities)
	m.written = m.overhead(used)
	return nil
}

// overhead is the tokens that the template writes of a conversation without words.
func (m *Model) overhead(used nn.Context) int {
	text, err := m.Template.Render(prompt.Conversation{Messages: []prompt.Message{{Role: prompt.User, Content: "-"}}})
	if err != nil {
		return 0
	}
	tokens, err := m.input(used, "messages", text, true)
	if err != nil {
		return 0
	}
	return tokens
}

// templateSettings are what a request tells the model's own template.
type templateSettings struct {
	Keywords        map[string]json.RawMessage `json:"chat_template_kwargs"`
	ReasoningEffort string                     `json:"reasoning_effort"`
	Documents       []json.RawMessage          `json:"documents"`
	AddCue          *bool                      `json:"add_generation_prompt"`
	Continue        bool                       `json:"continue_final_message"`
	Reasoning       string                     `json:"reasoning_format"`
}

// give tells them to a conversation, or says that a named template does not take them.
func (t *templateSettings) give(template *prompt.Template, conversation *prompt.Conversation, reasoning string) error {
	if !template.Own {
		for param, given := range map[string]bool{
			"chat_template_kwargs": len(t.Keywords) > 0, "documents": len(t.Documents) > 0,
			"continue_final_message": t.Continue, "add_generation_prompt": t.AddCue != nil && !*t.AddCue,
			"reasoning_effort": t.ReasoningEffort == "none" && template.Thinks,
		} {
			if given {
				return invalid(param, "'%s' is for the model's own template; the server was started with --prompt-template %s.", param, template.Name)
			}
		}
		return nil
	}
	if t.Continue && t.AddCue != nil && *t.AddCue {
		return invalid("add_generation_prompt", "'add_generation_prompt' begins another message than 'continue_final_message' goes on with.")
	}
	conversation.Keywords, conversation.Documents = map[string]json.RawMessage{}, t.Documents
	conversation.Continue, conversation.NoCue = t.Continue, t.AddCue != nil && !*t.AddCue
	for name, value := range t.Keywords {
		conversation.Keywords[name] = value
	}
	if err := t.effort(conversation.Keywords); err != nil {
		return err
	}
	if _, given := conversation.Keywords[enableThinking]; !given && reasoning != "auto" {
		conversation.Keywords[enableThinking] = json.RawMessage(fmt.Sprint(reasoning == "on"))
	}
	return nil
}

// unread are the settings that change nothing, since the template does not know them. Programs send
// a reasoning_effort to every model, so it is none that a request could be refused for.
func (t *templateSettings) unread(template *prompt.Template) []string {
	if t.ReasoningEffort == "" || template == nil || template.MayRead("reasoning_effort") || template.MayRead(enableThinking) {
		return nil
	}
	return []string{"reasoning_effort"}
}

// enableThinking is what most templates are told to reason by.
const enableThinking = "enable_thinking"

// effort is OpenAI's reasoning_effort in the words of the templates.
func (t *templateSettings) effort(keywords map[string]json.RawMessage) error {
	if t.ReasoningEffort == "" {
		return nil
	}
	written, err := json.Marshal(t.ReasoningEffort)
	if err != nil {
		return err
	}
	for name, value := range map[string]json.RawMessage{
		"reasoning_effort": written,
		enableThinking:     json.RawMessage(fmt.Sprint(t.ReasoningEffort != "none")),
	} {
		if _, given := keywords[name]; !given {
			keywords[name] = value
		}
	}
	return nil
}
