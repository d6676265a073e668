package server

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"time"

	"llama-api-server/internal/http1"
)

type completionRequest struct {
	sampling
	Prompt   json.RawMessage `json:"prompt"`
	Suffix   json.RawMessage `json:"suffix"`
	Echo     bool            `json:"echo"`
	BestOf   *int            `json:"best_of"`
	Logprobs json.RawMessage `json:"logprobs"`

	prompts     []source // what Prompt and Suffix are
	constrained string   // the field that says what the text follows
}

type completionResponse struct {
	ID      string             `json:"id"`
	Object  string             `json:"object"`
	Created int64              `json:"created"`
	Model   string             `json:"model"`
	System  string             `json:"system_fingerprint"`
	Choices []completionChoice `json:"choices"`
	Usage   *usage             `json:"usage,omitempty"`
	Timings *timings           `json:"timings,omitempty"`
	Read    *progress          `json:"prompt_progress,omitempty"`
	Verbose *verbose           `json:"__verbose,omitempty"`
}

type completionChoice struct {
	Index        int                 `json:"index"`
	Text         string              `json:"text"`
	Logprobs     *completionLogprobs `json:"logprobs"`
	Tokens       []int               `json:"tokens,omitempty"`
	FinishReason *string             `json:"finish_reason"`
	StopReason   string              `json:"stop_reason,omitempty"` // the request's text that ended it
	Verbose      *verbose            `json:"__verbose,omitempty"`

	timings *timings
	read    *progress
}

func (c *completionRequest) check(fields given, model *Model) error {
	if err := c.sampling.check(fields, forCompletions, model); err != nil {
		return err
	}
	var err error
	if c.prompts, err = sources(c.Prompt, c.Suffix, model); err != nil {
		return err
	}
	if c.BestOf != nil && *c.BestOf != c.choices() {
		return invalid("best_of", "'best_of' is %d and 'n' is %d; no other number than 'n' is supported.", *c.BestOf, c.choices())
	}
	asked, err := c.asked()
	if err != nil {
		return err
	}
	if asked.told && c.Echo {
		return invalid("logprobs", "'logprobs' does not go with 'echo': the prompt's tokens have no probabilities here.")
	}
	if err := c.tell("logprobs", asked, model); err != nil {
		return err
	}
	schema, param, err := c.constraint()
	if c.constrained = param; schema != "" {
		c.settings["json-schema"] = schema
	}
	return err
}

// asked is what 'logprobs' says: a number, or true.
func (c *completionRequest) asked() (logprobsAsked, error) {
	text := string(c.Logprobs)
	if value, err := strconv.ParseBool(text); err == nil && len(text) > 1 {
		return logprobsAsked{0, value}, nil
	}
	if !isSet(c.Logprobs) {
		return logprobsAsked{}, nil
	}
	count, err := wholeNumber(c.Logprobs)
	if err != nil || count < 0 || count > mostTold {
		return logprobsAsked{}, invalid("logprobs", "'logprobs' is %.60s; a whole number from 0 to %d is allowed.", text, mostTold)
	}
	return logprobsAsked{int(count), true}, nil
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
	request.Verbose = request.Verbose || s.Options.VerboseAnswers
	answer := completionResponse{
		ID: "cmpl-" + uuid(), Object: "text_completion", Created: time.Now().Unix(), Model: model.Name, System: model.fingerprint(),
	}
	made := &completing{Server: s, model: model, request: &request}
	if request.Stream {
		return made.stream(r.Context(), eventStream{w}, answer)
	}
	answer.Choices = make([]completionChoice, len(request.prompts)*request.choices())
	err = made.each(r.Context(), func(more completionChoice) error {
		choice := &answer.Choices[more.Index]
		choice.Index, choice.FinishReason, choice.StopReason = more.Index, more.FinishReason, more.StopReason
		choice.Text += more.Text
		choice.Logprobs = choice.Logprobs.joined(more.Logprobs)
		choice.Tokens = append(choice.Tokens, more.Tokens...)
		choice.Verbose = more.Verbose
		return nil
	})
	if err != nil {
		return err
	}
	if len(answer.Choices) == 1 {
		answer.Verbose, answer.Choices[0].Verbose = answer.Choices[0].Verbose, nil
	}
	answer.Usage, answer.Timings = &made.total, made.timings
	return writeJSON(w, 200, answer)
}

// completing is the work of a request: its counts, and how long its first answer took.
type completing struct {
	*Server
	model   *Model
	request *completionRequest
	total   usage
	timings *timings
}

func (c *completing) stream(ctx context.Context, events eventStream, answer completionResponse) error {
	var writing sync.Mutex
	err := c.each(ctx, func(more completionChoice) error {
		writing.Lock()
		defer writing.Unlock()
		answer.Verbose, more.Verbose = more.Verbose, nil
		answer.Timings, answer.Read = more.timings, more.read
		answer.Choices = []completionChoice{more}
		return events.send(answer)
	})
	if err != nil {
		return events.fail(err)
	}
	if c.request.includeUsage(c.Options.IncludeUsage) {
		answer.Choices, answer.Usage, answer.Timings = []completionChoice{}, &c.total, c.timings
		answer.Read, answer.Verbose = nil, nil
		if err := events.send(answer); err != nil {
			return err
		}
	}
	return events.done()
}

// each makes every choice of every prompt, the choices of one at once, and emits what they grow
// by, and with the last the finish reason.
func (c *completing) each(ctx context.Context, emit func(completionChoice) error) error {
	for number, prompt := range c.request.prompts {
		err := together(ctx, c.request.choices(), func(ctx context.Context, choice int, begun func()) error {
			return c.one(ctx, prompt, choice, begun, func(more completionChoice) error {
				more.Index = number*c.request.choices() + choice
				if more.Verbose != nil {
					more.Verbose.Index = more.Index
				}
				return emit(more)
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// one makes one choice of a prompt.
func (c *completing) one(ctx context.Context, prompt source, choice int, begun func(), emit func(completionChoice) error) error {
	request := c.request
	var echo, written string
	work := generation{
		prompt: prompt.text,
		own:    prompt.parts,
		param:  prompt.param,
		prompted: func(text string) {
			if choice == 0 {
				c.Log.Prompt(text)
			}
			if written = text; request.Echo {
				echo = text
			}
		},
		constraint: request.constrained,
		changes:    request.changes(choice),
		limit:      request.limit(c.Options.NPredict),
		stops:      c.stops(nil, request.Stop.texts),
		numbers:    request.logprobs.told || request.ReturnTokens,
		progress:   request.Progress && request.Stream && choice == 0,
		begun:      begun,
	}
	var text strings.Builder
	var tokens []chance
	result, err := c.model.generate(ctx, work, func(more piece) error {
		made := completionChoice{read: more.read}
		if request.TimesTokens && more.read != nil {
			made.timings = more.read.timings()
		} else if request.TimesTokens {
			made.timings = more.sofar.timings()
		}
		if more.read != nil {
			return emit(made)
		}
		made.Text, made.Logprobs = echo+more.text, request.logprobs.completion(more.tokens, text.Len())
		if request.ReturnTokens {
			made.Tokens = numbersOf(more.tokens)
		}
		text.WriteString(more.text)
		tokens = append(tokens, more.tokens...)
		echo = ""
		return emit(made)
	})
	if err != nil {
		return err
	}
	end := completionChoice{Text: echo, FinishReason: &result.finish, StopReason: request.stopReason(result)}
	end.Verbose = request.verbosely(c.model, &work, choice, written, text.String(), tokens, &result)
	if request.TimesTokens {
		end.timings = result.timings()
	}
	if err := emit(end); err != nil {
		return err
	}
	c.Log.Statistics(result)
	c.total.add(result, choice)
	if c.timings == nil {
		c.timings = result.timings()
	}
	return nil
}
