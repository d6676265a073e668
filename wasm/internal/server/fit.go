package server

import (
	"context"

	"llama-api-server/internal/nn"
	"llama-api-server/internal/prompt"
)

// promptShare is the part of a context that a prompt may take while older turns can be dropped
// instead, as a fraction: the rest is for the answer.
const (
	promptShare      = 4
	promptShareParts = 5
)

// fit is the prompt of a conversation, without as many of its oldest turns as it takes to leave
// room for an answer; the system's turn and the last user's stay. It answers how many messages
// were dropped. A prompt that is too long even so is for the computation to refuse.
func (m *Model) fit(ctx context.Context, conversation prompt.Conversation) (string, int, error) {
	text, err := m.Template.Render(conversation)
	if err != nil {
		return "", 0, invalid("messages", "%v", err)
	}
	limit := m.CtxSize * promptShare / promptShareParts
	// No token is shorter than a byte.
	if m.CtxSize == 0 || len(text) <= limit || oldest(conversation.Messages) == 0 {
		return text, 0, nil
	}
	used, err := m.acquire(ctx)
	if err != nil {
		return "", 0, err
	}
	defer m.release(used)
	m.pace.take()
	defer m.pace.give()
	return m.trim(used, conversation, text, limit)
}

func (m *Model) trim(used nn.Context, conversation prompt.Conversation, text string, limit int) (string, int, error) {
	dropped := 0
	for {
		tokens, err := m.input(used, "messages", text)
		if err != nil {
			return "", 0, err
		}
		count := oldest(conversation.Messages)
		if tokens <= limit || count == 0 {
			return text, dropped, nil
		}
		conversation.Messages = drop(conversation.Messages, count)
		dropped += count
		if text, err = m.Template.Render(conversation); err != nil {
			return "", 0, invalid("messages", "%v", err)
		}
	}
}

// oldest is the number of messages from the first that is not the system's up to the next
// user's: 0 if there is none to drop.
func oldest(messages []prompt.Message) int {
	first := 0
	if len(messages) > 0 && messages[0].Role == prompt.System {
		first = 1
	}
	for index := first + 1; index < len(messages); index++ {
		if messages[index].Role == prompt.User {
			return index - first
		}
	}
	return 0
}

// drop is the messages without the first count that are not the system's.
func drop(messages []prompt.Message, count int) []prompt.Message {
	first := 0
	if messages[0].Role == prompt.System {
		first = 1
	}
	return append(append([]prompt.Message{}, messages[:first]...), messages[first+count:]...)
}
