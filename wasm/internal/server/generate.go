package server

import (
	"context"
	"errors"
	"maps"
	"time"

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
	prompt     string
	own        bool              // the prompt is metadata, such as a conversation, which the host writes out
	param      string            // the request's parameter that the prompt is made from
	constraint string            // the one that says what the answer has to be, if one does
	changes    map[string]any    // of the model's metadata
	prompted   func(text string) // is told the prompt as the model sees it
	limit      int               // tokens; below 0 is no limit but the context's
	stops      []string
	keep       []string // control tokens that are text to what reads the answer
	numbers    bool     // tokens are told, with what they were chosen among where the changes ask for it
	progress   bool     // how far the prompt is read is told
	begun      func()   // is called with the first token, if set
	speech     *[]byte  // takes what was made as a WAV file, if set
}

// piece is what an answer grows by: text, the tokens that it is made of as far as they are told,
// and how far the answer is.
type piece struct {
	text   string
	tokens []chance
	sofar  *outcome
	read   *progress // of the prompt; there is no text then
}

// outcome is how an answer ended, its size in tokens, and when its first token was made and
// its last.
type outcome struct {
	finish     string
	full       bool   // the context is
	stop       string // the text that ended it
	prompt     int
	completion int
	cached     *int // tokens of the prompt that were computed before, where the host tells
	began      time.Time
	first      time.Time
	ended      time.Time
}

// writing is an answer that is being made.
type writing struct {
	generation
	text    *answer.Text
	chances chances
	reading reading
	result  outcome
}

// generate makes one answer and gives its text to emit as it grows: whole code points, without
// stops and control tokens. It ends early with emit's error, or with ctx's when the client is
// gone; then nothing is computed any more.
func (m *Model) generate(ctx context.Context, work generation, emit func(piece) error) (outcome, error) {
	made := &writing{generation: work, text: answer.NewText(work.stops, work.keep)}
	result := &made.result
	used, err := m.acquire(ctx)
	if err != nil {
		return *result, err
	}
	defer m.release(used)
	result.began = time.Now()
	for result.finish == "" {
		if err := ctx.Err(); err != nil {
			return *result, err
		}
		more, err := m.turn(used, made)
		if err != nil {
			return *result, err
		}
		if work.progress && result.first.IsZero() {
			if err := made.tellRead(used, emit); err != nil {
				return *result, err
			}
		}
		if result.first.IsZero() && result.completion > 0 {
			result.first = time.Now()
			if work.begun != nil {
				work.begun()
			}
		}
		if more.text != "" || len(more.tokens) > 0 {
			if err := emit(more); err != nil {
				return *result, err
			}
		}
	}
	if work.speech != nil {
		if err := m.hear(used, made); err != nil {
			return *result, err
		}
	}
	result.ended = time.Now()
	if counts, err := nn.ReadCounts(used); err == nil {
		result.cached = counts.Cached
	}
	return *result, nil
}

// turn makes one token, the first with the settings and the prompt, and answers what it adds.
// The host may take longer over a token than a turn lasts; then there is none yet.
func (m *Model) turn(used nn.Context, made *writing) (piece, error) {
	m.pace.take()
	defer m.pace.give()
	result := &made.result
	if result.prompt == 0 {
		if err := m.start(used, made.generation, result); err != nil {
			return piece{}, err
		}
	}
	if result.completion == made.limit {
		return made.end(finishLength), nil
	}
	finish, err := step(used)
	if err == nn.Busy {
		return piece{}, nil
	}
	result.full = finish == finishLength
	if err != nil {
		return piece{}, m.explain(used, err, made.fault(result))
	}
	if finish != "" {
		return made.end(finish), nil
	}
	token, err := used.OutputSingle(nn.Text)
	if err != nil {
		return piece{}, m.explain(used, err, made.fault(result))
	}
	result.completion++
	return made.push(used, token)
}

// push adds a token to the answer.
func (w *writing) push(used nn.Context, token []byte) (piece, error) {
	if w.numbers && !w.text.Hides(token) {
		told, err := used.OutputSingle(nn.Probabilities)
		if err == nil {
			err = w.chances.push(told, len(token))
		}
		if err != nil {
			return piece{}, err
		}
	}
	more := w.piece(w.text.Push(token))
	if w.text.Stopped() {
		w.result.finish, w.result.stop = finishStop, w.text.Stop()
	}
	return more, nil
}

func (w *writing) piece(text string) piece {
	more := piece{text: text, sofar: &w.result}
	if text != "" && w.numbers {
		more.tokens = w.chances.take(text)
	}
	return more
}

// end is what was held back of an answer that no stop has ended.
func (w *writing) end(finish string) piece {
	w.result.finish = finish
	more := w.piece(w.text.Flush())
	more.tokens = append(more.tokens, w.chances.rest()...)
	return more
}

// start gives the context its settings and its prompt. A graph's settings are shared, and a
// computation takes them with its first token, so both have to be in one turn.
func (m *Model) start(used nn.Context, work generation, result *outcome) error {
	changes := maps.Clone(work.changes)
	m.tell(changes, "single-limit", max(work.limit, -1))
	settings, err := m.with(changes)
	if err != nil {
		return err
	}
	if err := used.SetInput(nn.Metadata, settings); err != nil {
		return m.explain(used, err, fault{param: work.constraint})
	}
	tokens, err := m.input(used, work.param, work.prompt, work.own)
	if err != nil {
		return err
	}
	if err := work.tell(used); err != nil {
		return m.explain(used, err, work.fault(result))
	}
	if tokens == 0 {
		return invalid(work.param, "The prompt is empty.")
	}
	if m.CtxSize > 0 && tokens > m.CtxSize-reserve {
		return contextLengthExceeded(fault{param: work.param, tokens: tokens}, m.CtxSize)
	}
	result.prompt = tokens
	return nil
}

// tell gives the prompt as it is written out to what waits for it.
func (g generation) tell(used nn.Context) error {
	if g.prompted == nil {
		return nil
	}
	text := g.prompt
	if g.own {
		written, err := used.Output(nn.Prompt)
		if err != nil {
			return err
		}
		text = string(written)
	}
	g.prompted(text)
	return nil
}

// input gives the context a prompt, or a conversation that becomes one, and answers its size in
// tokens.
func (m *Model) input(used nn.Context, param, prompt string, own bool) (int, error) {
	index := nn.Text
	if own {
		index = nn.Metadata
	}
	if err := used.SetInput(index, []byte(prompt)); err != nil {
		return 0, m.explain(used, err, fault{param: param, bytes: len(prompt)})
	}
	counts, err := nn.ReadCounts(used)
	if err != nil {
		return 0, m.explain(used, err, fault{param: param})
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

// fault is what of a request an error of the host is about: a parameter, and the size of the
// prompt as far as it is known.
type fault struct {
	param         string
	tokens, bytes int
}

// fault is what an error of the computation is about: it reads a constraint with the first token.
func (g generation) fault(result *outcome) fault {
	if g.constraint != "" && result.completion == 0 {
		return fault{g.constraint, result.prompt, len(g.prompt)}
	}
	return fault{g.param, result.prompt, len(g.prompt)}
}

// explain is the host's error as the client's, with the reason where the host tells it.
func (m *Model) explain(used nn.Context, err error, about fault) error {
	var errno nn.Errno
	errors.As(err, &errno)
	reason := ""
	if counts, err := nn.ReadCounts(used); err == nil {
		reason = counts.Error
	}
	switch errno {
	case nn.PromptTooLong:
		return contextLengthExceeded(about, m.CtxSize)
	case nn.InvalidArgument, nn.InvalidEncoding:
		if reason == "" {
			return invalid("", "the model does not accept the request's settings, its text or an image: %v", errno)
		}
		param, reason := blamed(reason, about.param)
		return invalid(param, "%s", reason)
	}
	if reason == "" {
		reason = err.Error()
	}
	return internal("computing failed: %s", reason)
}
