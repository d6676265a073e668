// Package nntest is a model for tests: it answers with pieces it was given.
package nntest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"llama-api-server/internal/nn"
)

// Keys are the metadata keys that a host obeys and WasmEdge does not.
var Keys = []string{
	"cache-prompt", "dry-sequence-breakers", "frequency-penalty", "id-slot", "reasoning-budget", "reasoning-open", "reasoning-close", "logit-bias", "lora", "mirostat-tau", "n-probs",
	"post-sampling-probs", "presence-penalty", "samplers", "single-limit", "top-n-sigma",
}

// Graph is a model whose every answer is Pieces, one a token, and then End.
type Graph struct {
	Pieces   []string
	End      error            // EndOfSequence where it is nil
	Refused  map[uint32]error // what inputs are answered, by their index
	Reason   string           // of the errors, for hosts that tell it
	CtxSize  int              // tokens; a prompt's tokens are its words
	Parallel int
	Build    int // llama.cpp's number
	// Infill is a model that fills in what stands between two texts.
	Infill bool
	// Speech is a host that makes what was computed a WAV file, which is the pieces here.
	Speech bool
	// Plain is a host that obeys nothing that WasmEdge does not.
	Plain bool
	// Template is what the host tells of the model's own template, as JSON; a conversation is
	// written out as its messages' texts and Cue.
	Template string
	Cue      string
	// Answer, if set, makes the pieces from the prompt.
	Answer func(prompt string) []string
	Busy   int // times each token is asked for in vain
	// Computed is called with each token, before it is made, Given with each prompt.
	Computed func()
	Given    func(prompt string)

	mutex         sync.Mutex
	Settings      []map[string]any // every metadata input
	Conversations []map[string]any // every conversation
	Prompts       []string         // every text input, and what conversations were written out as
	Made          int              // contexts
	Tokens        int              // computed
	Finished      int              // computations ended
}

// Load is the graph for every name but "missing", and "gone" and "damaged".
func (g *Graph) Load(name, config string) (nn.Graph, error) {
	switch name {
	case "missing":
		return nil, nn.NotFound
	case "gone":
		return nil, nn.ModelNotFound
	case "damaged":
		return nil, nn.InvalidArgument
	}
	var settings map[string]any
	if err := json.Unmarshal([]byte(config), &settings); err != nil {
		return nil, nn.InvalidEncoding
	}
	g.Settings = append(g.Settings, settings)
	return g, nil
}

// NewContext makes a context.
func (g *Graph) NewContext() (nn.Context, error) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.Made++
	return &context{graph: g}, nil
}

type context struct {
	graph  *Graph
	prompt string
	pieces []string
	next   int
	asked  int // for the next token
	failed error
}

func (c *context) SetInput(index uint32, data []byte) error {
	if index != nn.Metadata && c.graph.Given != nil {
		c.graph.Given(string(data))
	}
	c.graph.mutex.Lock()
	defer c.graph.mutex.Unlock()
	if c.failed = c.graph.Refused[index]; c.failed != nil {
		return c.failed
	}
	if index != nn.Metadata {
		c.take(string(data))
		return nil
	}
	var settings map[string]any
	if err := json.Unmarshal(data, &settings); err != nil {
		return nn.InvalidEncoding
	}
	if conversation, found := settings["conversation"].(map[string]any); found {
		if c.failed = c.graph.Refused[nn.Prompt]; c.failed != nil {
			return c.failed
		}
		c.graph.Conversations = append(c.graph.Conversations, conversation)
		c.take(written(conversation) + c.graph.Cue)
		return nil
	}
	for _, name := range []string{"prompt", "infill"} {
		if parts, found := settings[name]; found {
			if c.failed = c.graph.Refused[nn.Prompt]; c.failed != nil {
				return c.failed
			}
			c.take(fmt.Sprint(name, " ", parts))
			return nil
		}
	}
	c.graph.Settings = append(c.graph.Settings, settings)
	return nil
}

func (c *context) take(prompt string) {
	c.prompt, c.next = prompt, 0
	c.pieces = c.graph.Pieces
	if c.graph.Answer != nil {
		c.pieces = c.graph.Answer(c.prompt)
	}
	c.graph.Prompts = append(c.graph.Prompts, c.prompt)
}

// written is the texts of a conversation, a line each.
func written(conversation map[string]any) string {
	var text strings.Builder
	messages, _ := conversation["messages"].([]any)
	for _, message := range messages {
		fmt.Fprintln(&text, message.(map[string]any)["content"])
	}
	return text.String()
}

func (c *context) SetTokens(tokens []int32) error {
	if slices.Max(tokens) > 99 {
		return nn.InvalidArgument
	}
	return c.SetInput(nn.Text, fmt.Append(nil, tokens))
}

func (c *context) tokens() int { return len(strings.Fields(c.prompt)) }

func (c *context) ComputeSingle() error {
	if c.graph.Computed != nil {
		c.graph.Computed()
	}
	c.graph.mutex.Lock()
	defer c.graph.mutex.Unlock()
	if c.graph.CtxSize > 0 && c.tokens()+c.next >= c.graph.CtxSize {
		return nn.ContextFull
	}
	if c.next == len(c.pieces) {
		if c.failed = c.graph.End; c.failed != nil {
			return c.failed
		}
		return nn.EndOfSequence
	}
	if c.asked++; c.asked <= c.graph.Busy {
		return nn.Busy
	}
	c.asked = 0
	c.next++
	c.graph.Tokens++
	return nil
}

// chance is a token as a host tells it, whose probability is 1 of 2 to its number.
func chance(number int, piece string, other map[string]any) map[string]any {
	bytes := []int{}
	for _, value := range []byte(piece) {
		bytes = append(bytes, int(value))
	}
	made := map[string]any{"id": number, "bytes": bytes, "logprob": -float64(number)}
	if other != nil {
		made["top"] = []any{chance(number, piece, nil), other}
	}
	return made
}

func (c *context) Compute() error { return nil }

func (c *context) OutputSingle(index uint32) ([]byte, error) {
	if index == nn.Probabilities {
		return json.Marshal(chance(c.next, c.pieces[c.next-1], chance(0, "x", nil)))
	}
	return []byte(c.pieces[c.next-1]), nil
}

func (c *context) Output(index uint32) ([]byte, error) {
	if index == nn.Metadata {
		counts := map[string]any{
			"input_tokens": c.tokens(), "output_tokens": c.next, "n_parallel": c.graph.Parallel,
			"llama_build_number": c.graph.Build, "llama_commit": "c0ffee",
		}
		if !c.graph.Plain {
			counts["cached_tokens"] = c.tokens() - 1
			if c.graph.Busy > 0 {
				counts["cached_tokens"] = 1
			}
			counts["read_tokens"] = min(1+c.asked, c.tokens())
		}
		if c.graph.Template != "" {
			counts["chat_template"] = json.RawMessage(c.graph.Template)
		}
		if c.failed != nil && c.graph.Reason != "" {
			counts["error"] = c.graph.Reason
		}
		return json.Marshal(counts)
	}
	if index == nn.Able {
		if c.graph.Plain {
			return nil, nil
		}
		return json.Marshal(map[string]any{
			"keys": Keys, "prompt": true, "infill": c.graph.Infill, "token": true, "ends": []int{98, 99},
			"speech": c.graph.Speech,
		})
	}
	if index == nn.Tokens {
		tokens := []any{}
		for number, word := range strings.Fields(c.prompt) {
			tokens = append(tokens, chance(number, word, nil))
		}
		return json.Marshal(tokens)
	}
	if index == nn.Speech {
		if c.failed = c.graph.Refused[nn.Speech]; c.failed != nil {
			return nil, c.failed
		}
		return []byte("RIFF" + strings.Join(c.pieces[:c.next], "")), nil
	}
	if index == nn.Prompt {
		return []byte(c.prompt), nil
	}
	return fmt.Appendf(nil, `{"n_embedding": 3, "embedding": [%d,0.5,-0.25]}`, len(c.prompt)), nil
}

func (c *context) FiniSingle() error {
	c.graph.mutex.Lock()
	defer c.graph.mutex.Unlock()
	c.graph.Finished++
	return nil
}
