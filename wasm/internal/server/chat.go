package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	Logprobs      bool              `json:"logprobs"`
	TopLogprobs   int               `json:"top_logprobs"`
	Truncation    string            `json:"truncation"`
	llamaCpp      bool              // it came by a path of llama.cpp's
	templateSettings
}

func (c *chatRequest) check(fields given, model *Model) error {
	if err := c.sampling.check(fields, forChat, model); err != nil {
		return err
	}
	if c.TopLogprobs < 0 || c.TopLogprobs > mostTold {
		return invalid("top_logprobs", "'top_logprobs' is %d; a number from 0 to %d is allowed.", c.TopLogprobs, mostTold)
	}
	if c.TopLogprobs > 0 && !c.Logprobs {
		return invalid("top_logprobs", "'top_logprobs' needs 'logprobs' to be true.")
	}
	return c.tell("logprobs", logprobsAsked{c.TopLogprobs, c.Logprobs}, model)
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
	Timings *timings     `json:"timings,omitempty"`
	Read    *progress    `json:"prompt_progress,omitempty"`
	Verbose *verbose     `json:"__verbose,omitempty"`
}

type chatChoice struct {
	Index        int           `json:"index"`
	Message      *chatAnswer   `json:"message,omitempty"`
	Delta        any           `json:"delta,omitempty"`
	Logprobs     *chatLogprobs `json:"logprobs"`
	Tokens       []int         `json:"tokens,omitempty"`
	FinishReason *string       `json:"finish_reason"`
	StopReason   string        `json:"stop_reason,omitempty"` // the request's text that ended it
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

// firstDelta begins a stream as llama.cpp's server does it.
type firstDelta struct {
	Role    string  `json:"role"`
	Content *string `json:"content"`
}

// chatWork is a chat request made ready.
type chatWork struct {
	generation
	reader  func(prompt string) answer.Reader
	schema  string
	tags    [2]string // around reasoning
	dropped int       // messages that did not fit into the context
	written string    // the prompt as the model sees it
}

func (s *Server) chat(w *http1.Response, r *http1.Request) error {
	var request chatRequest
	fields, err := decode(r, &request)
	if err != nil {
		return err
	}
	model, err := s.model("chat", request.Model)
	if err != nil {
		return err
	}
	fields.tell(w, forChat, request.unread(model.Template)...)
	if err := request.check(fields, model); err != nil {
		return err
	}
	request.Verbose = request.Verbose || s.Options.VerboseAnswers
	if request.llamaCpp = r.Header[dialectHeader] == llamaCpp; request.llamaCpp {
		if err := request.prefill(model.Template); err != nil {
			return err
		}
	}
	if request.Truncation, err = request.truncation(r.Header[truncationHeader], s.Options.Truncation); err != nil {
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
	conversation, bound, err := s.conversation(model, request)
	if err != nil {
		return nil, err
	}
	template := model.Template
	if err := request.reasoning(s.Options.ReasoningFormat, &bound.format); err != nil {
		return nil, err
	}
	work := &chatWork{schema: bound.schema, tags: bound.format.Tags()}
	work.param, work.constraint, work.own = "messages", bound.param, template.Own
	work.reader = func(prompt string) answer.Reader {
		reader := bound.format.NewReader(bound.calls, template.Reasons(prompt) && !bound.text())
		if request.ParallelCalls != nil && !*request.ParallelCalls {
			reader = answer.FirstCall(reader)
		}
		return reader
	}
	work.limit = request.limit(s.Options.NPredict)
	work.numbers = request.logprobs.told || request.ReturnTokens
	work.stops = s.stops(template.Stops, request.Stop.texts)
	work.keep = bound.format.Keep
	if request.Truncation == truncationDisabled {
		work.prompt, err = model.render(*conversation)
	} else {
		work.prompt, work.dropped, err = model.fit(ctx, *conversation)
	}
	if err != nil {
		return nil, err
	}
	return work, nil
}

// bound is what an answer has to be: how it is written, and what it follows, by which field.
type bound struct {
	format answer.Format
	schema string
	param  string
	calls  bool // it may be calls
}

// text tells whether the answer follows something, and so is no reasoning.
func (b *bound) text() bool { return b.param != "" }

// bind says what the answer has to be.
func (c *chatRequest) bind(template *prompt.Template, tools []prompt.Tool, choice string) (*bound, error) {
	format := template.Answer
	format.Text = textParameters(tools)
	made := &bound{format: format, calls: choice != choiceNone}
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
func (s *Server) choice(model *Model, c *chatWork, request *chatRequest, index int, reader *answer.Reader, begun func()) generation {
	work := c.generation
	work.begun = begun
	work.prompted = func(prompt string) {
		if *reader = c.reader(prompt); index == 0 {
			s.Log.Prompt(prompt)
		}
		c.written = prompt
	}
	work.progress = request.Progress && request.Stream && index == 0
	work.changes = request.changes(index)
	if c.schema != "" {
		work.changes["json-schema"] = c.schema
	}
	model.tell(work.changes, "reasoning-open", c.tags[0])
	model.tell(work.changes, "reasoning-close", c.tags[1])
	return work
}

// reasoning lets the format leave reasoning in the answer, if the request or the server asks for it.
func (c *chatRequest) reasoning(otherwise string, format *answer.Format) error {
	switch asked := cmp.Or(c.Reasoning, otherwise); asked {
	case "none":
		format.Plain = true
		tags := format.Tags()
		format.Keep = append(slices.Clone(format.Keep), tags[0], tags[1])
	case "auto", "deepseek":
	default:
		return invalid("reasoning_format", "'reasoning_format' is '%s'; auto, deepseek or none is allowed.", asked)
	}
	return nil
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
	reply.Choices = make([]chatChoice, request.choices())
	err := together(r.Context(), request.choices(), func(ctx context.Context, index int, begun func()) error {
		var reader answer.Reader
		var parts []answer.Part
		var tokens []chance
		var text strings.Builder
		one := s.choice(model, work, request, index, &reader, begun)
		result, err := model.generate(ctx, one, func(more piece) error {
			parts = append(parts, reader.Push(more.text)...)
			tokens = append(tokens, more.tokens...)
			text.WriteString(more.text)
			return nil
		})
		if err != nil {
			return err
		}
		reply.Usage.add(result, index)
		s.Log.Statistics(result)
		if index == 0 {
			reply.Timings = result.timings()
			reply.Verbose = request.verbosely(model, &one, index, work.written, text.String(), tokens, &result)
		}
		message := wholeAnswer(append(parts, reader.Flush()...))
		if len(message.ToolCalls) > 0 && result.finish == finishStop {
			result.finish = finishCalls
		}
		reply.Choices[index] = chatChoice{
			Index: index, Message: message, Logprobs: request.logprobs.chat(tokens),
			FinishReason: &result.finish, StopReason: request.stopReason(result),
		}
		if request.ReturnTokens {
			reply.Choices[index].Tokens = numbersOf(tokens)
		}
		return nil
	})
	if err != nil {
		return err
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

// streamChat sends the choices' chunks as they come; Go on WebAssembly has one thread, but a
// write may let another choice write, so the stream has a lock.
func (s *Server) streamChat(ctx context.Context, events eventStream, model *Model, request *chatRequest, work *chatWork, reply chatResponse) error {
	reply.Object = "chat.completion.chunk"
	total := usage{}
	var last *timings
	var writing sync.Mutex
	err := together(ctx, request.choices(), func(ctx context.Context, index int, begun func()) error {
		chunks := chunks{events: events, reply: reply, index: index, request: request}
		var reader answer.Reader
		var text strings.Builder
		var tokens []chance
		one := s.choice(model, work, request, index, &reader, begun)
		result, err := model.generate(ctx, one, func(more piece) error {
			writing.Lock()
			defer writing.Unlock()
			if more.read != nil {
				return chunks.progress(more.read)
			}
			if request.Verbose {
				text.WriteString(more.text)
				tokens = append(tokens, more.tokens...)
			}
			return chunks.send(reader.Push(more.text), more)
		})
		if err != nil {
			return err
		}
		writing.Lock()
		defer writing.Unlock()
		if err := chunks.send(reader.Flush(), piece{sofar: &result}); err != nil {
			return err
		}
		total.add(result, index)
		s.Log.Statistics(result)
		timings := result.timings()
		if index == 0 {
			last = timings
		}
		chunks.reply.Verbose = request.verbosely(model, &one, index, work.written, text.String(), tokens, &result)
		return chunks.finish(result, timings)
	})
	if err != nil {
		return events.fail(err)
	}
	if request.includeUsage(s.Options.IncludeUsage) {
		reply.Choices, reply.Usage, reply.Timings = []chatChoice{}, &total, last
		if err := events.send(reply); err != nil {
			return err
		}
	}
	return events.done()
}

// uuid is a random UUID, version 4.
func uuid() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
