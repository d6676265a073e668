package server

import (
	"cmp"
	"context"
	"slices"
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

// A count holds up every other answer, so it is of a few messages at most, whose marks are taken
// for some bytes; and what is too long with as few tokens as texts have on average, and messages
// have at least, is not counted at all.
const (
	mostCounted       = 4096 // bytes
	bytesOfMarks      = 40
	mostBytesOfAToken = 8
	leastOfAMessage   = 2 // tokens
)

// What becomes of a conversation that has no room.
const (
	truncationAuto     = "auto"
	truncationDisabled = "disabled"
	truncationHeader   = "x-truncation"
)

// truncation is what a request says of it, the front for its path, or the command line.
func (c *chatRequest) truncation(header, otherwise string) (string, error) {
	asked := cmp.Or(c.Truncation, header, otherwise)
	if asked != truncationAuto && asked != truncationDisabled {
		return "", invalid("truncation", "'truncation' is '%s'; auto and disabled are allowed.", asked)
	}
	return asked, nil
}

// fit is the prompt of a conversation, without as many of its oldest turns as it takes to leave
// room for an answer; the system's turn and the last user's stay. It answers how many messages
// were dropped. A prompt that is too long even so is for the computation to refuse.
func (m *Model) fit(ctx context.Context, conversation prompt.Conversation) (string, int, error) {
	limit := m.CtxSize * promptShare / promptShareParts
	turns := turnStarts(conversation.Messages)
	if m.CtxSize == 0 || len(turns) < 2 {
		text, err := m.render(conversation)
		return text, 0, err
	}
	// No token is shorter than a byte.
	if length(conversation.Messages) <= limit {
		if text, err := m.render(conversation); err != nil || m.written+len(text) <= limit {
			return text, 0, err
		}
	}
	used, err := m.acquire(ctx)
	if err != nil {
		return "", 0, err
	}
	defer m.release(used)
	work := fitting{m, ctx, used, conversation, turns}
	kept, err := work.kept(limit)
	if err != nil {
		return "", 0, err
	}
	text, err := m.render(work.from(kept))
	return text, turns[kept] - turns[0], err
}

// length is that of messages' texts in bytes.
func length(messages []prompt.Message) int {
	bytes := 0
	for _, message := range messages {
		bytes += len(message.Content)
	}
	return bytes
}

// fitting is the search for the turns of a conversation that have room.
type fitting struct {
	model        *Model
	ctx          context.Context
	used         nn.Context
	conversation prompt.Conversation
	turns        []int // where they start among the messages
}

// kept is the first of the turns that have room in limit tokens. They are counted some at a time,
// the newest first, up to one that has none.
func (f *fitting) kept(limit int) (int, error) {
	kept, tooMany := len(f.turns)-1, -1
	always, err := f.count(f.from(kept))
	if err != nil {
		return 0, err
	}
	last := prompt.Message{Role: prompt.User, Content: "x"}
	alone, err := f.count(f.only(last))
	for room := limit - always; err == nil && kept-tooMany > 1; {
		first := f.before(kept)
		if tooMany >= 0 {
			first = max(first, (kept+tooMany)/2)
		}
		messages := f.conversation.Messages[f.turns[first]:f.turns[kept]]
		size := least(messages)
		if size <= room {
			size, err = f.count(f.only(append(slices.Clone(messages), last)...))
			size -= alone
		}
		if size <= room {
			kept, room = first, room-size
		} else {
			tooMany = first
		}
	}
	return kept, err
}

// before is the first of the turns before kept that are counted together: one at least.
func (f *fitting) before(kept int) int {
	first, size := kept, 0
	for first > 0 {
		for _, message := range f.conversation.Messages[f.turns[first-1]:f.turns[first]] {
			size += bytesOfMarks + len(message.Content)
		}
		if first < kept && size > mostCounted {
			break
		}
		first--
	}
	return first
}

// count is a conversation's tokens, found out in a turn of its own.
func (f *fitting) count(conversation prompt.Conversation) (int, error) {
	if err := f.ctx.Err(); err != nil {
		return 0, err
	}
	text, err := f.model.render(conversation)
	if err != nil {
		return 0, err
	}
	f.model.pace.take()
	defer f.model.pace.give()
	return f.model.input(f.used, "messages", text, f.model.Template.Own)
}

// least is about as few tokens as messages can have; a picture has a few, too.
func least(messages []prompt.Message) int {
	tokens := 0
	for _, message := range messages {
		tokens += leastOfAMessage
		if !strings.Contains(message.Content, pictureStart) {
			tokens += len(message.Content) / mostBytesOfAToken
		}
	}
	return tokens
}

// only is a conversation of these messages alone, which the template is told as much of as else.
func (f *fitting) only(messages ...prompt.Message) prompt.Conversation {
	return prompt.Conversation{Messages: messages, Keywords: f.conversation.Keywords, Now: f.conversation.Now}
}

// from is the conversation without the turns before first.
func (f *fitting) from(first int) prompt.Conversation {
	conversation := f.conversation
	kept := slices.Clone(conversation.Messages[:f.turns[0]])
	conversation.Messages = append(kept, conversation.Messages[f.turns[first]:]...)
	return conversation
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
