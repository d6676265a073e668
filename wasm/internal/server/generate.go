package server

import (
	"context"
	"errors"

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
	if result.prompt, err = model.start(used, work); err != nil {
		return result, err
	}
	filter := newFilter(work.stops, work.keep)
	for result.finish == "" {
		if err := ctx.Err(); err != nil {
			return result, err
		}
		text := ""
		if result.completion == work.limit {
			result.finish = finishLength
		} else if result.finish, err = step(used); err != nil {
			return result, model.explain(err, result.prompt)
		}
		if result.finish == "" {
			piece, err := used.OutputSingle(nn.Text)
			if err != nil {
				return result, model.explain(err, result.prompt)
			}
			result.completion++
			if text = filter.push(piece); filter.stopped() {
				result.finish = finishStop
			}
		} else {
			text = filter.flush()
		}
		if text != "" {
			if err := emit(text); err != nil {
				return result, err
			}
		}
		s.pace.rest()
	}
	return result, nil
}

// start gives the context its settings and its prompt; nothing else runs in between, because a
// graph's settings are shared. It answers the prompt's size in tokens.
func (m *Model) start(used nn.Context, work generation) (int, error) {
	settings, err := m.with(work.changes)
	if err != nil {
		return 0, err
	}
	if err := used.SetInput(nn.Metadata, settings); err != nil {
		return 0, m.explain(err, 0)
	}
	if err := used.SetInput(nn.Text, []byte(work.prompt)); err != nil {
		return 0, m.explain(err, 0)
	}
	counts, err := nn.ReadCounts(used)
	if err != nil {
		return 0, m.explain(err, 0)
	}
	if m.CtxSize > 0 && counts.Input > m.CtxSize-reserve {
		return counts.Input, contextLengthExceeded(m.CtxSize, counts.Input)
	}
	return counts.Input, nil
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

// filter makes text of the pieces of tokens.
type filter struct {
	whole   whole
	stopper stopper
	keep    []string
}

func newFilter(stops, keep []string) *filter {
	return &filter{stopper: stopper{stops: stops}, keep: keep}
}

func (f *filter) push(piece []byte) string {
	if f.hides(string(piece)) {
		return ""
	}
	return f.stopper.push(f.whole.push(piece))
}

func (f *filter) flush() string {
	return f.stopper.push(f.whole.flush()) + f.stopper.flush()
}

func (f *filter) stopped() bool { return f.stopper.stopped }
