package server

import (
	"time"

	"llama-api-server/internal/nn"
)

// progress is how far a prompt is read, as llama.cpp's server tells it: its tokens, those of them
// that were computed before, and those that have been by now.
type progress struct {
	Total     int     `json:"total"`
	Cache     int     `json:"cache"`
	Processed int     `json:"processed"`
	Time      float64 `json:"time_ms"`
}

// timings of an answer that has no token yet.
func (p *progress) timings() *timings {
	made := timings{Cached: p.Cache, Prompt: p.Processed - p.Cache}
	if made.Prompt > 0 {
		took := time.Duration(p.Time * float64(time.Millisecond))
		made.PromptMS, made.PromptEach, made.PromptRate = rates(took, made.Prompt)
	}
	return &made
}

// reading is what has been told of a prompt.
type reading struct {
	last  progress
	begun bool
}

// to are the steps that bring it to so many tokens: the first has those that were computed before.
func (r *reading) to(processed, cache, total int, took time.Duration) []progress {
	var steps []progress
	if !r.begun {
		r.begun = true
		r.last = progress{Total: total, Cache: cache, Processed: cache}
		steps = append(steps, r.last)
	}
	if processed > r.last.Processed {
		r.last.Processed, r.last.Time = processed, float64(took.Microseconds())/1000
		steps = append(steps, r.last)
	}
	return steps
}

// tellRead tells how far the prompt is read, if that is news.
func (w *writing) tellRead(used nn.Context, emit func(piece) error) error {
	counts, err := nn.ReadCounts(used)
	if err != nil || counts.Cached == nil {
		return err
	}
	read := counts.Read
	if w.result.completion > 0 {
		read = w.result.prompt
	}
	if read == 0 {
		return nil // it waits for its turn
	}
	for _, step := range w.reading.to(read, *counts.Cached, w.result.prompt, time.Since(w.result.began)) {
		if err := emit(piece{sofar: &w.result, read: &step}); err != nil {
			return err
		}
	}
	return nil
}
