package server

import (
	"llama-api-server/internal/http1"
	"time"
)

type completionRequest struct {
	sampling
	Prompt oneOrMore `json:"prompt"`
	Echo   bool      `json:"echo"`
	BestOf *int      `json:"best_of"`

	constrained string // the field that says what the text follows
}

type completionResponse struct {
	ID      string             `json:"id"`
	Object  string             `json:"object"`
	Created int64              `json:"created"`
	Model   string             `json:"model"`
	Choices []completionChoice `json:"choices"`
	Usage   *usage             `json:"usage,omitempty"`
}

type completionChoice struct {
	Index        int       `json:"index"`
	Text         string    `json:"text"`
	Logprobs     *struct{} `json:"logprobs"`
	FinishReason *string   `json:"finish_reason"`
}

func (c *completionRequest) check(fields given, model *Model) error {
	if err := c.sampling.check(fields, forCompletions, model); err != nil {
		return err
	}
	if c.Prompt.wrong || len(c.Prompt.texts) == 0 {
		return invalid("prompt", "'prompt' is needed: a string or an array of strings.")
	}
	if c.BestOf != nil && *c.BestOf != c.choices() {
		return invalid("best_of", "'best_of' is %d and 'n' is %d; no other number than 'n' is supported.", *c.BestOf, c.choices())
	}
	schema, param, err := c.constraint()
	if c.constrained = param; schema != "" {
		c.settings["json-schema"] = schema
	}
	return err
}

func (s *Server) completions(w *http1.Response, r *http1.Request) error {
	var request completionRequest
	fields, err := decode(r, &request)
	if err != nil {
		return err
	}
	fields.tell(w, forCompletions)
	model, err := s.model("chat", request.Model)
	if err != nil {
		return err
	}
	if err := request.check(fields, model); err != nil {
		return err
	}
	answer := completionResponse{ID: "cmpl-" + uuid(), Object: "text_completion", Created: time.Now().Unix(), Model: model.Name}
	if request.Stream {
		return s.streamCompletions(r, eventStream{w}, model, &request, answer)
	}
	answer.Usage = &usage{}
	err = s.eachCompletion(r, model, &request, answer.Usage, func(index int) func(string, *string) error {
		answer.Choices = append(answer.Choices, completionChoice{Index: index})
		return func(text string, finish *string) error {
			answer.Choices[index].Text += text
			answer.Choices[index].FinishReason = finish
			return nil
		}
	})
	if err != nil {
		return err
	}
	return writeJSON(w, 200, answer)
}

func (s *Server) streamCompletions(r *http1.Request, events eventStream, model *Model, request *completionRequest, answer completionResponse) error {
	total := &usage{}
	err := s.eachCompletion(r, model, request, total, func(index int) func(string, *string) error {
		return func(text string, finish *string) error {
			answer.Choices = []completionChoice{{Index: index, Text: text, FinishReason: finish}}
			return events.send(answer)
		}
	})
	if err != nil {
		return events.fail(err)
	}
	if request.includeUsage(s.Options.IncludeUsage) {
		answer.Choices, answer.Usage = []completionChoice{}, total
		if err := events.send(answer); err != nil {
			return err
		}
	}
	return events.done()
}

// eachCompletion makes every choice of every prompt, one after the other; begin answers what
// takes the text of the index'th, and its finish reason with the last.
func (s *Server) eachCompletion(r *http1.Request, model *Model, request *completionRequest, total *usage, begin func(index int) func(string, *string) error) error {
	index := 0
	for _, prompt := range request.Prompt.texts {
		for choice := range request.choices() {
			emit := begin(index)
			index++
			work := generation{
				prompt:     prompt,
				param:      "prompt",
				constraint: request.constrained,
				changes:    request.changes(choice),
				limit:      request.limit(s.Options.NPredict),
				stops:      s.stops(nil, request.Stop.texts),
			}
			s.Log.Prompt(prompt)
			if request.Echo {
				if err := emit(prompt, nil); err != nil {
					return err
				}
			}
			result, err := model.generate(r.Context(), work, func(text string) error { return emit(text, nil) })
			if err != nil {
				return err
			}
			if err := emit("", &result.finish); err != nil {
				return err
			}
			s.Log.Statistics(result)
			if choice == 0 {
				total.Prompt += result.prompt
			}
			total.Completion += result.completion
			total.Total = total.Prompt + total.Completion
		}
	}
	return nil
}
