package server

import (
	"context"
	"strings"

	"llama-api-server/internal/nn"
	"llama-api-server/internal/prompt"
)

// promptShare is the part of a context that a prompt may take while older turns can be dropped
// instead, as a fraction: the rest is for the answer.
const (
	promptShare      = 4
	promptShareParts = 5
)

// A prompt is too long without a count, which would hold up every other answer, where it is with
// as few tokens as texts have on average, and as messages have at least.
const (
	mostBytesOfAToken     = 8
	leastTokensOfAMessage = 2
)

// fit is the prompt of a conversation, without as many of its oldest turns as it takes to leave
// room for an answer; the system's turn and the last user's stay. It answers how many messages
// were dropped. A prompt that is too long even so is for the computation to refuse.
func (m *Model) fit(ctx context.Context, conversation prompt.Conversation) (string, int, error) {
	text, err := m.render(conversation)
	if err != nil {
		return "", 0, err
	}
	limit := m.CtxSize * promptShare / promptShareParts
	turns := turnStarts(conversation.Messages)
	// No token is shorter than a byte.
	if m.CtxSize == 0 || m.written+len(text) <= limit || len(turns) < 2 {
		return text, 0, nil
	}
	used, err := m.acquire(ctx)
	if err != nil {
		return "", 0, err
	}
	defer m.release(used)
	work := fitting{ctx, used, conversation, turns, limit}
	if fits, err := m.hasRoom(work, 0, text); fits || err != nil {
		return text, 0, err
	}
	return m.trim(work)
}

// fitting is the search for the turns of a conversation that have room.
type fitting struct {
	ctx          context.Context
	used         nn.Context
	conversation prompt.Conversation
	turns        []int // where they start among the messages
	limit        int   // tokens of a prompt
}

// trim looks for the most turns at the end that have room: twice as many each time until there
// are too many, then by halves. So no prompt is counted that is much longer than what has room.
func (m *Model) trim(work fitting) (string, int, error) {
	kept, tooMany := len(work.turns)-1, 0
	best, err := m.render(work.from(kept))
	for step := 1; err == nil && kept-tooMany > 1; step *= 2 {
		first := max(kept-step, (kept+tooMany)/2)
		var text string
		if text, err = m.render(work.from(first)); err != nil {
			break
		}
		var fits bool
		if fits, err = m.hasRoom(work, first, text); fits {
			kept, best = first, text
		} else {
			tooMany = first
		}
	}
	return best, work.turns[kept] - work.turns[0], err
}

// hasRoom counts the prompt text of the turns from first on, in a turn of its own.
func (m *Model) hasRoom(work fitting, first int, text string) (bool, error) {
	if err := work.ctx.Err(); err != nil {
		return false, err
	}
	if work.least(first) > work.limit {
		return false, nil
	}
	m.pace.take()
	defer m.pace.give()
	tokens, err := m.input(work.used, "messages", text, m.Template.Own)
	return err == nil && tokens <= work.limit, err
}

// least is about as few tokens as the turns from first on can have; a picture has a few, too.
func (f fitting) least(first int) int {
	tokens := 0
	for _, message := range f.conversation.Messages[f.turns[first]:] {
		tokens += leastTokensOfAMessage
		if !strings.Contains(message.Content, pictureStart) {
			tokens += len(message.Content) / mostBytesOfAToken
		}
	}
	return tokens
}

// from is the conversation without the turns before first.
func (f fitting) from(first int) prompt.Conversation {
	messages := f.conversation.Messages
	kept := append([]prompt.Message{}, messages[:f.turns[0]]...)
	f.conversation.Messages = append(kept, messages[f.turns[first]:]...)
	return f.conversation
}

func (m *Model) render(conversation prompt.Conversation) (string, error) {
	text, err := m.Template.Render(conversation)
	if err != nil {
		return "", invalid("messages", "%v", err)
	}
	return text, nil
}

// turnStarts is where the turns start that can be dropped, and the last: at the first message
// that is not the system's, and at every user's after it.
func turnStarts(messages []prompt.Message) []int {
	first := 0
	if len(messages) > 0 && messages[0].Role == prompt.System {
		first = 1
	}
	starts := []int{first}
	for index := first + 1; index < len(messages); index++ {
		if messages[index].Role == prompt.User {
			starts = append(starts, index)
		}
	}
	return starts
}
