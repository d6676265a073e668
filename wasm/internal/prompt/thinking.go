package prompt

import (
	"strings"

	"llama-api-server/internal/answer"
)

var seedAnswers = answer.Format{Think: [2]string{"<seed:think>", "</seed:think>"}}

// seedOSS is ByteDance-Seed/Seed-OSS's template without tools; silent tells the model not to
// reason.
type seedOSS struct{ silent bool }

func (s seedOSS) render(conversation Conversation) (string, error) {
	var prompt strings.Builder
	write := func(role, text string) {
		prompt.WriteString("<seed:bos>" + role + "\n" + text + "<seed:eos>")
	}
	system, found, messages := split(conversation.Messages)
	if found {
		write(System, system)
	}
	if s.silent {
		write(System, "You are an intelligent assistant that can answer questions in one step without the need for reasoning and thinking, that is, your thinking budget is 0. Next, please skip the thinking process and directly start answering the user's questions.\n")
	}
	for _, message := range messages {
		text := message.text()
		if message.Role == Assistant {
			text = strings.TrimSpace(text)
		}
		write(message.Role, text)
	}
	prompt.WriteString("<seed:bos>assistant\n")
	if s.silent {
		prompt.WriteString("<seed:think>\n<seed:cot_budget_reflect>The current thinking budget is 0, so I will directly start answering the question.</seed:cot_budget_reflect>\n</seed:think>")
	}
	return prompt.String(), nil
}

// renderSmol3 is HuggingFaceTB/SmolLM3's template with its reasoning off.
func renderSmol3(conversation Conversation) (string, error) {
	system, _, messages := split(conversation.Messages)
	for _, mode := range []string{"/no_think", "/think"} {
		system = strings.ReplaceAll(system, mode, "")
	}
	system = strings.TrimRight(system, " \t\r\n")
	if system == "" {
		system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face."
	}
	const silence = "<think>\n\n</think>\n"
	var prompt strings.Builder
	chatml.write(&prompt, chatml.system, "## Metadata\n\nKnowledge Cutoff Date: June 2025\nReasoning Mode: /no_think\n\n## Custom Instructions\n\n"+system+"\n\n")
	for _, message := range messages {
		switch message.Role {
		case Assistant:
			chatml.write(&prompt, chatml.assistant, silence+strings.TrimLeft(message.text(), "\n"))
		case System:
		default:
			chatml.write(&prompt, chatml.user, message.Content)
		}
	}
	return prompt.String() + chatml.cue + silence, nil
}
