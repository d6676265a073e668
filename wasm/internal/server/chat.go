package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"llama-api-server/internal/http1"
	"time"

	"llama-api-server/internal/prompt"
)

type chatRequest struct {
	sampling
	Messages []chatMessage `json:"messages"`
}

type chatResponse struct {
	ID      string       `json:"id"`
	Object  string       `json:"object"`
	Created int64        `json:"created"`
	Model   string       `json:"model"`
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
	Role      string     `json:"role,omitempty"`
	Content   *string    `json:"content,omitempty"`
	Reasoning string     `json:"reasoning_content,omitempty"`
	ToolCalls []toolCall `json:"tool_calls,omitempty"`
}

func (s *Server) chat(w *http1.Response, r *http1.Request) error {
	var request chatRequest
	if err := decode(r, &request); err != nil {
		return err
	}
	model, err := s.model("chat", request.Model)
	if err != nil {
		return err
	}
	if err := request.check(); err != nil {
		return err
	}
	work, err := s.chatWork(model, &request)
	if err != nil {
		return err
	}
	answer := chatResponse{ID: "chatcmpl-" + uuid(), Created: time.Now().Unix(), Model: model.Name}
	if request.Stream {
		return s.streamChat(r.Context(), eventStream{w}, model, &request, work, answer)
	}
	return s.wholeChat(w, r, model, &request, work, answer)
}

// chatWork is the generation of a chat request.
func (s *Server) chatWork(model *Model, request *chatRequest) (generation, error) {
	work := generation{limit: request.limit(s.Options.NPredict)}
	if model.Template == nil {
		return work, invalid("model", "The model '%s' has no prompt template; use /v1/completions.", model.Name)
	}
	conversation := prompt.Conversation{Now: time.Now()}
	for index := range request.Messages {
		turn, err := request.Messages[index].turn(index, s.Options.Mmproj != "")
		if err != nil {
			return work, err
		}
		conversation.Messages = append(conversation.Messages, turn)
	}
	text, err := model.Template.Render(conversation)
	if err != nil {
		return work, invalid("messages", "%v", err)
	}
	if s.Options.LogPrompts || s.Options.LogAll || s.Log.Enabled("debug") {
		s.Log.Info("prompt: %s", text)
	}
	work.prompt = text
	work.stops = s.stops(model.Template.Stops, request.Stop)
	return work, nil
}

// stops are the texts that end an answer: the template's, the request's and the command line's.
func (s *Server) stops(template, request []string) []string {
	stops := append(append([]string{}, template...), request...)
	if s.Options.ReversePrompt != "" {
		stops = append(stops, s.Options.ReversePrompt)
	}
	return stops
}

func (s *Server) wholeChat(w *http1.Response, r *http1.Request, model *Model, request *chatRequest, work generation, answer chatResponse) error {
	answer.Object = "chat.completion"
	answer.Usage = &usage{}
	for index := range request.choices() {
		work.changes = request.changes(index)
		text := ""
		result, err := s.generate(r.Context(), model, work, func(more string) error {
			text += more
			return nil
		})
		if err != nil {
			return err
		}
		answer.Usage.add(result)
		answer.Choices = append(answer.Choices, chatChoice{
			Index:        index,
			Message:      &chatAnswer{Role: prompt.Assistant, Content: &text},
			FinishReason: &result.finish,
		})
	}
	return writeJSON(w, 200, answer)
}

func (s *Server) streamChat(ctx context.Context, events eventStream, model *Model, request *chatRequest, work generation, answer chatResponse) error {
	answer.Object = "chat.completion.chunk"
	total := usage{}
	for index := range request.choices() {
		work.changes = request.changes(index)
		send := func(delta chatDelta, finish *string) error {
			answer.Choices = []chatChoice{{Index: index, Delta: &delta, FinishReason: finish}}
			return events.send(answer)
		}
		started := false
		start := func() error {
			if started {
				return nil
			}
			started = true
			return send(chatDelta{Role: prompt.Assistant, Content: new(string)}, nil)
		}
		result, err := s.generate(ctx, model, work, func(text string) error {
			if err := start(); err != nil {
				return err
			}
			return send(chatDelta{Content: &text}, nil)
		})
		if err == nil {
			err = start()
		}
		if err != nil {
			return events.fail(err)
		}
		total.add(result)
		if err := send(chatDelta{}, &result.finish); err != nil {
			return err
		}
	}
	if request.includeUsage(s.Options.IncludeUsage) {
		answer.Choices, answer.Usage = []chatChoice{}, &total
		if err := events.send(answer); err != nil {
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
