package server

import (
	"llama-api-server/internal/answer"
	"llama-api-server/internal/prompt"
)

// chunks are the frames of one choice: the role once, then what the answer is made of.
type chunks struct {
	events  eventStream
	reply   chatResponse
	index   int
	request *chatRequest
	begun   bool
	calls   int
	tokens  []chance // that no chunk has told yet
	texts   *textFrames
}

// plain tells whether a chunk of text differs from others by its text alone.
func (c *chunks) plain() bool {
	return !c.request.TimesTokens && !c.request.ReturnTokens && !c.request.logprobs.told
}

// progress tells how far the prompt is read.
func (c *chunks) progress(read *progress) error {
	if err := c.begin(); err != nil {
		return err
	}
	reply := c.reply
	reply.Read = read
	if c.request.TimesTokens {
		reply.Timings = read.timings()
	}
	reply.Choices = []chatChoice{{Index: c.index, Delta: &chatDelta{}}}
	return c.events.send(reply)
}

func (c *chunks) send(parts []answer.Part, more piece) error {
	c.tokens = append(c.tokens, more.tokens...)
	if c.request.TimesTokens {
		c.reply.Timings = more.sofar.timings()
	}
	for _, part := range parts {
		if err := c.part(part); err != nil {
			return err
		}
	}
	return nil
}

func (c *chunks) part(part answer.Part) error {
	switch {
	case part.Content != "" && c.plain():
		return c.text(part.Content)
	case part.Content != "":
		return c.delta(chatDelta{Content: &part.Content})
	case part.Call != nil:
		c.calls++
		return c.call(beginCall(c.calls-1, part.Call))
	case part.Arguments != "":
		return c.call(goOnWithCall(c.calls-1, part.Arguments))
	}
	return c.delta(chatDelta{Reasoning: part.Reasoning})
}

func (c *chunks) call(call callDelta) error {
	return c.delta(chatDelta{ToolCalls: []callDelta{call}})
}

// text sends content, which most frames are.
func (c *chunks) text(content string) error {
	if err := c.begin(); err != nil {
		return err
	}
	if c.texts == nil {
		text := blank
		c.reply.Choices = []chatChoice{{Index: c.index, Delta: &chatDelta{Content: &text}}}
		texts, err := newTextFrames(c.reply)
		if err != nil {
			return err
		}
		c.texts = texts
	}
	frame, err := c.texts.frame(content)
	if err != nil {
		return err
	}
	return c.events.write(frame)
}

// finish tells how the answer ended.
func (c *chunks) finish(result outcome, timings *timings) error {
	if c.calls > 0 && result.finish == finishStop {
		result.finish = finishCalls
	}
	if err := c.begin(); err != nil {
		return err
	}
	c.reply.Timings = timings
	return c.choice(chatDelta{}, chatChoice{FinishReason: &result.finish, StopReason: c.request.stopReason(result)})
}

// begin sends the role before everything else.
func (c *chunks) begin() error {
	if c.begun {
		return nil
	}
	c.begun = true
	reply := c.reply
	reply.Timings, reply.Verbose = nil, nil
	reply.Choices = []chatChoice{{Index: c.index, Delta: &chatDelta{Role: prompt.Assistant}}}
	if c.request.llamaCpp {
		reply.Choices[0].Delta = firstDelta{Role: prompt.Assistant}
	}
	return c.events.send(reply)
}

func (c *chunks) delta(delta chatDelta) error { return c.choice(delta, chatChoice{}) }

// choice sends delta, with what else choice tells.
func (c *chunks) choice(delta chatDelta, choice chatChoice) error {
	if err := c.begin(); err != nil {
		return err
	}
	choice.Index, choice.Delta, choice.Logprobs = c.index, &delta, c.request.logprobs.chat(c.tokens)
	if c.request.ReturnTokens {
		choice.Tokens = numbersOf(c.tokens)
	}
	c.reply.Choices = []chatChoice{choice}
	c.tokens = nil
	return c.events.send(c.reply)
}
