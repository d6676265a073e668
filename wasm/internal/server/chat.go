package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"llama-api-server/internal/answer"
	"llama-api-server/internal/http1"
	"llama-api-server/internal/prompt"
)

type chatRequest struct {
	sampling
	Messages      []chatMessage     `json:"messages"`
	Tools         []json.RawMessage `json:"tools"`
	ToolChoice    json.RawMessage   `json:"tool_choice"`
	ParallelCalls *bool             `json:"parallel_tool_calls"`
	templateSettings
}

func isSet(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

type chatResponse struct {
	ID      string       `json:"id"`
	Object  string       `json:"object"`
	Created int64        `json:"created"`
	Model   string       `json:"model"`
	System  string       `json:"system_fingerprint"`
	Choices []chatChoice `json:"choices"`
	Usage   *usage       `json:"usage,omitempty"`
}

type chatChoice struct {
	Index        int         `json:"index"`
	Message      *chatAnswer `json:"message,omitempty"`
	Delta        *chatDelta  `json:"delta,omitempty"`
	Logprobs     *struct{}   `json:"logprobs"`
	FinishReason *string     `json:"finish_reason"`
}

type chatAnswer struct {
	Role      string     `json:"role"`
	Content   *string    `json:"content"`
	Reasoning string     `json:"reasoning_content,omitempty"`
	ToolCalls []toolCall `json:"tool_calls,omitempty"`
}

type chatDelta struct {
	Role      string      `json:"role,omitempty"`
	Content   *string     `json:"content,omitempty"`
	Reasoning string      `json:"reasoning_content,omitempty"`
	ToolCalls []callDelta `json:"tool_calls,omitempty"`
}

// chatWork is a chat request made ready.
type chatWork struct {
	generation
	reader  func(prompt string) answer.Reader
	schema  string
	dropped int // messages that did not fit into the context
}

func (s *Server) chat(w *http1.Response, r *http1.Request) error {
	var request chatRequest
	fields, err := decode(r, &request)
	if err != nil {
		return err
	}
	fields.tell(w, forChat)
	model, err := s.model("chat", request.Model)
	if err != nil {
		return err
	}
	if err := request.check(fields, forChat, model); err != nil {
		return err
	}
	work, err := s.chatWork(r.Context(), model, &request)
	if err != nil {
		return err
	}
	if work.dropped > 0 {
		w.Set("X-Dropped-Messages", strconv.Itoa(work.dropped))
	}
	reply := chatResponse{ID: "chatcmpl-" + uuid(), Created: time.Now().Unix(), Model: model.Name, System: model.fingerprint()}
	if request.Stream {
		return s.streamChat(r.Context(), eventStream{w}, model, &request, work, reply)
	}
	return s.wholeChat(w, r, model, &request, work, reply)
}

// chatWork judges the request and makes its prompt.
func (s *Server) chatWork(ctx context.Context, model *Model, request *chatRequest) (*chatWork, error) {
	template := model.Template
	if template == nil {
		return nil, invalid("model", "The model '%s' has no prompt template; use /v1/completions.", model.Name)
	}
	conversation := prompt.Conversation{Now: time.Now()}
	for index := range request.Messages {
		turn, err := request.Messages[index].turn(index, s.Options.Mmproj != "")
		if err != nil {
			return nil, err
		}
		conversation.Messages = append(conversation.Messages, turn)
	}
	tools, choice, err := request.tools(template)
	if err != nil {
		return nil, err
	}
	conversation.Tools = tools
	bound, err := request.bind(template, tools, choice)
	if err != nil {
		return nil, err
	}
	if err := request.templateSettings.give(template, &conversation); err != nil {
		return nil, err
	}
	work := &chatWork{schema: bound.schema}
	work.param, work.constraint, work.own = "messages", bound.param, template.Own
	work.reader = func(prompt string) answer.Reader {
		reader := bound.format.NewReader(choice != choiceNone, template.Reasons(prompt) && !bound.text())
		if request.ParallelCalls != nil && !*request.ParallelCalls {
			reader = answer.FirstCall(reader)
		}
		return reader
	}
	work.limit = request.limit(s.Options.NPredict)
	work.stops = s.stops(template.Stops, request.Stop.texts)
	work.keep = bound.format.Keep
	if work.prompt, work.dropped, err = model.fit(ctx, conversation); err != nil {
		return nil, err
	}
	return work, nil
}

// bound is what an answer has to be: how it is written, and what it follows, by which field.
type bound struct {
	format answer.Format
	schema string
	param  string
}

// text tells whether the answer follows something, and so is no reasoning.
func (b *bound) text() bool { return b.param != "" }

// bind says what the answer has to be.
func (c *chatRequest) bind(template *prompt.Template, tools []prompt.Tool, choice string) (*bound, error) {
	format := template.Answer
	format.Text = textParameters(tools)
	made := &bound{format: format}
	var err error
	if made.schema, made.param, err = c.constraint(); err != nil {
		return nil, err
	}
	switch {
	case choice == choiceNone:
	case made.param == "grammar":
		return nil, invalid("grammar", "'grammar' does not go with tools that may be called; set 'tool_choice' to none.")
	case choice == choiceRequired:
		made.format, made.schema, made.param = formatOf(tools), anyOf(callSchemas(tools)), "tools"
	case made.schema != "":
		made.format, made.schema = formatOf(tools), callOrAnswer(tools, made.schema)
	}
	return made, nil
}

// choice is the work of a request's index'th choice, whose reader is there once its prompt is.
func (s *Server) choice(c *chatWork, request *chatRequest, index int, reader *answer.Reader) generation {
	work := c.generation
	work.prompted = func(prompt string) {
		if *reader = c.reader(prompt); index == 0 {
			s.Log.Prompt(prompt)
		}
	}
	work.changes = request.changes(index)
	if c.schema != "" {
		work.changes["json-schema"] = c.schema
	}
	return work
}

// stops are the texts that end an answer: the template's, the request's and the command line's.
func (s *Server) stops(template, request []string) []string {
	stops := append(append([]string{}, template...), request...)
	if s.Options.ReversePrompt != "" {
		stops = append(stops, s.Options.ReversePrompt)
	}
	return stops
}

func (s *Server) wholeChat(w *http1.Response, r *http1.Request, model *Model, request *chatRequest, work *chatWork, reply chatResponse) error {
	reply.Object = "chat.completion"
	reply.Usage = &usage{}
	for index := range request.choices() {
		var reader answer.Reader
		var parts []answer.Part
		result, err := model.generate(r.Context(), s.choice(work, request, index, &reader), func(text string) error {
			parts = append(parts, reader.Push(text)...)
			return nil
		})
		if err != nil {
			return err
		}
		reply.Usage.add(result)
		s.Log.Statistics(result)
		message := wholeAnswer(append(parts, reader.Flush()...))
		if len(message.ToolCalls) > 0 && result.finish == finishStop {
			result.finish = finishCalls
		}
		reply.Choices = append(reply.Choices, chatChoice{Index: index, Message: message, FinishReason: &result.finish})
	}
	return writeJSON(w, 200, reply)
}

// wholeAnswer joins the parts of an answer; its content is null if it is calls alone.
func wholeAnswer(parts []answer.Part) *chatAnswer {
	content, reasoning, calls := answer.Join(parts)
	message := &chatAnswer{Role: prompt.Assistant, Reasoning: reasoning, ToolCalls: toolCalls(calls)}
	if content != "" || len(calls) == 0 {
		message.Content = &content
	}
	return message
}

func (s *Server) streamChat(ctx context.Context, events eventStream, model *Model, request *chatRequest, work *chatWork, reply chatResponse) error {
	reply.Object = "chat.completion.chunk"
	total := usage{}
	for index := range request.choices() {
		chunks := chunks{events: events, reply: reply, index: index}
		var reader answer.Reader
		result, err := model.generate(ctx, s.choice(work, request, index, &reader), func(text string) error {
			return chunks.send(reader.Push(text))
		})
		if err == nil {
			err = chunks.send(reader.Flush())
		}
		if err == nil {
			err = chunks.finish(result.finish)
		}
		if err != nil {
			return events.fail(err)
		}
		total.add(result)
		s.Log.Statistics(result)
	}
	if request.includeUsage(s.Options.IncludeUsage) {
		reply.Choices, reply.Usage = []chatChoice{}, &total
		if err := events.send(reply); err != nil {
			return err
		}
	}
	return events.done()
}

// chunks are the frames of one choice: the role once, then what the answer is made of.
type chunks struct {
	events eventStream
	reply  chatResponse
	index  int
	begun  bool
	calls  int
	texts  *textFrames
}

func (c *chunks) send(parts []answer.Part) error {
	for _, part := range parts {
		if err := c.part(part); err != nil {
			return err
		}
	}
	return nil
}

func (c *chunks) part(part answer.Part) error {
	switch {
	case part.Content != "":
		return c.text(part.Content)
	case part.Call != nil:
		c.calls++
		return c.call(beginCall(c.calls-1, part.Call))
	case part.Arguments != "":
		return c.call(goOnWithCall(c.calls-1, part.Arguments))
	}
	return c.delta(chatDelta{Reasoning: part.Reasoning}, nil)
}

func (c *chunks) call(call callDelta) error {
	return c.delta(chatDelta{ToolCalls: []callDelta{call}}, nil)
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

func (c *chunks) finish(reason string) error {
	if c.calls > 0 && reason == finishStop {
		reason = finishCalls
	}
	return c.delta(chatDelta{}, &reason)
}

// begin sends the role before everything else.
func (c *chunks) begin() error {
	if c.begun {
		return nil
	}
	c.begun = true
	return c.delta(chatDelta{Role: prompt.Assistant, Content: new(string)}, nil)
}

func (c *chunks) delta(delta chatDelta, finish *string) error {
	if err := c.begin(); err != nil {
		return err
	}
	c.reply.Choices = []chatChoice{{Index: c.index, Delta: &delta, FinishReason: finish}}
	return c.events.send(c.reply)
}

// uuid is a random UUID, version 4.
func uuid() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
