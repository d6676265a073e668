package server

import "llama-api-server/internal/prompt"

// The header by which the front tells whose API a request came by, and its value for llama.cpp's.
const (
	dialectHeader = "x-dialect"
	llamaCpp      = "llama.cpp"
)

// prefill lets the answer go on with a last message of the assistant's, as llama.cpp's server does
// by itself, where the template can and the request does not say.
func (c *chatRequest) prefill(template *prompt.Template) error {
	count := len(c.Messages)
	if count == 0 || c.Messages[count-1].Role != prompt.Assistant {
		return nil
	}
	if count > 1 && c.Messages[count-2].Role == prompt.Assistant {
		return invalid("messages", "'messages' ends with two messages of the assistant; an answer goes on with one at most.")
	}
	last := &c.Messages[count-1]
	if template != nil && template.Own && c.AddCue == nil && len(last.ToolCalls) == 0 {
		c.Continue = true
	}
	return nil
}
