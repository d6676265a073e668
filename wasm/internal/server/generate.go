package server

import (
	"context"
	"errors"

	"llama-api-server/internal/answer"
	"llama-api-server/internal/nn"
)

// The finish reasons of an answer.
const (
	finishStop   = "stop"
	finishLength = "length"
	finishCalls  = "tool_calls"
)

// reserve is the number of tokens the host keeps free behind a prompt.
const reserve = 4

// generation is one answer to make.
type generation struct {
	prompt  string
	changes map[string]any // of the model's metadata
	limit   int            // tokens; below 0 is no limit but the context's
	stops   []string
	keep    []string // control tokens that are text to what reads the answer
}

// outcome is how an answer ended, and its size in tokens.
type outcome struct {
	finish     string
	prompt     int
	completion int
}

// generate makes one answer and gives its text to emit as it grows: whole code points, without
// stops and control tokens. It ends early with emit's error, or with ctx's when the client is
// gone; then nothing is computed any more.
func (s *Server) generate(ctx context.Context, model *Model, work generation, emit func(string) error) (outcome, error) {
	var result outcome
	used, err := model.acquire(ctx)
	if err != nil {
		return result, err
	}
	defer model.release(used)
	first, err := model.start(used, work, &result)
	if err != nil {
		return result, err
	}
	text := answer.NewText(work.stops, work.keep)
	for result.finish == "" {
		if err := ctx.Err(); err != nil {
			return result, err
		}
		more := ""
		if result.completion == work.limit {
			result.finish = finishLength
		} else if result.finish, err = first.step(used); err != nil {
			return result, model.explain(err, result.prompt)
		}
		if result.finish != "" {
			more = text.Flush()
		} else {
			piece, err := used.OutputSingle(nn.Text)
			if err != nil {
				return result, model.explain(err, result.prompt)
			}
			result.completion++
			if more = text.Push(piece); text.Stopped() {
				result.finish = finishStop
			}
		}
		if more != "" {
			if err := emit(more); err != nil {
				return result, err
			}
		}
		s.pace.rest()
	}
	return result, nil
}

// start gives the context its settings and its prompt and makes the first token. A graph's
// settings are shared, and a computation takes them when it begins, so nothing else starts in
// between.
func (m *Model) start(used nn.Context, work generation, result *outcome) (*firstStep, error) {
	m.starting.Lock()
	defer m.starting.Unlock()
	settings, err := m.with(work.changes)
	if err != nil {
		return nil, err
	}
	if err := used.SetInput(nn.Metadata, settings); err != nil {
		return nil, m.explain(err, 0)
	}
	if result.prompt, err = m.input(used, work.prompt); err != nil {
		return nil, err
	}
	if m.CtxSize > 0 && result.prompt > m.CtxSize-reserve {
		return nil, contextLengthExceeded(m.CtxSize, result.prompt)
	}
	finish, err := step(used)
	return &firstStep{finish, err, true}, nil
}

// input gives the context a prompt and answers its size in tokens.
func (m *Model) input(used nn.Context, prompt string) (int, error) {
	if err := used.SetInput(nn.Text, []byte(prompt)); err != nil {
		return 0, m.explain(err, 0)
	}
	counts, err := nn.ReadCounts(used)
	if err != nil {
		return 0, m.explain(err, 0)
	}
	return counts.Input, nil
}

// firstStep is the step that start has made, to be taken before further ones are.
type firstStep struct {
	finish string
	err    error
	fresh  bool
}

func (f *firstStep) step(used nn.Context) (string, error) {
	if f.fresh {
		f.fresh = false
		return f.finish, f.err
	}
	return step(used)
}

// step makes one token; it answers the finish reason if there is none any more.
func step(used nn.Context) (string, error) {
	switch err := used.ComputeSingle(); err {
	case nn.EndOfSequence:
		return finishStop, nil
	case nn.ContextFull:
		return finishLength, nil
	default:
		return "", err
	}
}

// explain is the host's error as the client's.
func (m *Model) explain(err error, tokens int) error {
	var errno nn.Errno
	switch errors.As(err, &errno); errno {
	case nn.PromptTooLong:
		return contextLengthExceeded(m.CtxSize, tokens)
	case nn.InvalidArgument, nn.InvalidEncoding:
		return invalid("", "the model does not accept the request's settings or its text: %v", errno)
	}
	return internal("computing failed: %v", err)
}
