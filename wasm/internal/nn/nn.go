// Package nn is the guest's view of wasi_ephemeral_nn: named graphs, execution contexts, and
// the errnos they answer with.
package nn

import (
	"encoding/json"
	"fmt"
)

// Errno is a result of a wasi-nn function, as WasmEdge defines them.
type Errno uint32

// The errnos the server tells apart.
const (
	InvalidArgument Errno = 1
	InvalidEncoding Errno = 2
	Busy            Errno = 4
	RuntimeError    Errno = 5
	TooLarge        Errno = 7
	NotFound        Errno = 8
	EndOfSequence   Errno = 100
	ContextFull     Errno = 101
	PromptTooLong   Errno = 102
	ModelNotFound   Errno = 103
)

var errnoNames = map[Errno]string{
	InvalidArgument: "invalid argument",
	InvalidEncoding: "invalid encoding",
	3:               "missing memory",
	Busy:            "busy",
	RuntimeError:    "runtime error",
	6:               "unsupported operation",
	TooLarge:        "too large",
	NotFound:        "not found",
	EndOfSequence:   "end of sequence",
	ContextFull:     "context full",
	PromptTooLong:   "prompt too long",
	ModelNotFound:   "model not found",
}

func (e Errno) Error() string {
	if name, ok := errnoNames[e]; ok {
		return name
	}
	return fmt.Sprintf("wasi-nn error %d", uint32(e))
}

// The inputs and outputs of a context.
const (
	Text     uint32 = 0
	Metadata uint32 = 1
	// Prompt is the output that a conversation was written out as; WasmEdge has none.
	Prompt uint32 = 2
	// Probabilities is the single output of the last token's number and, where that is asked for,
	// what it was chosen among; WasmEdge has none.
	Probabilities uint32 = 3
	// Able is the output of the host's abilities; WasmEdge has none.
	Able uint32 = 4
	// Tokens is the output of the prompt's tokens; WasmEdge has none.
	Tokens uint32 = 5
	// Speech is the output of what was made token by token as a WAV file; WasmEdge has none.
	Speech uint32 = 6
)

// Graph is a loaded model.
type Graph interface {
	// NewContext makes an execution context: one computation at a time.
	NewContext() (Context, error)
}

// Context is one execution context. Its errors are Errnos.
type Context interface {
	SetInput(index uint32, data []byte) error
	// SetTokens gives a prompt as the model's token numbers.
	SetTokens(tokens []int32) error
	// Compute runs the input to its end.
	Compute() error
	// ComputeSingle makes one token; it answers EndOfSequence or ContextFull after the last.
	ComputeSingle() error
	Output(index uint32) ([]byte, error)
	// OutputSingle is the bytes of the last token.
	OutputSingle(index uint32) ([]byte, error)
	// FiniSingle ends the computation, however far it is; the context can be used again.
	FiniSingle() error
}

// Counts is what a context tells of its computation, in tokens, and of its library. Parallel
// is how many contexts of a graph may compute at a time, and Error why the last call failed;
// WasmEdge says neither, and has one.
type Counts struct {
	Input       int    `json:"input_tokens"`
	Output      int    `json:"output_tokens"`
	BuildNumber int    `json:"llama_build_number"`
	Commit      string `json:"llama_commit"`
	Parallel    int    `json:"n_parallel"`
	Error       string `json:"error"`
	// Cached is how many tokens of the prompt were computed before; nil from WasmEdge.
	Cached *int `json:"cached_tokens"`
	// Read is how many tokens of the prompt were computed so far, cached ones among them.
	Read int `json:"read_tokens"`
	// Template is what the model's own template can do: null where it has none, nothing from
	// a host that does not write templates out.
	Template json.RawMessage `json:"chat_template"`
}

// ReadCounts asks a context for its counts.
func ReadCounts(context Context) (Counts, error) {
	var counts Counts
	text, err := context.Output(Metadata)
	if err != nil {
		return counts, err
	}
	err = json.Unmarshal(text, &counts)
	return counts, err
}

// Abilities are what a host does and WasmEdge does not: the metadata keys it obeys, whether it
// takes a prompt in parts, whether the model fills in what stands between two texts, whether it
// tells tokens by their numbers, which of them end an answer, and whether those that were made one
// by one can be heard.
type Abilities struct {
	Keys   []string `json:"keys"`
	Prompt bool     `json:"prompt"`
	Infill bool     `json:"infill"`
	Token  bool     `json:"token"`
	Ends   []int    `json:"ends"`
	Speech bool     `json:"speech"`
}

// ReadAbilities asks a fresh context for them; WasmEdge answers the text it has made, which is
// none, and has none.
func ReadAbilities(context Context) (able Abilities) {
	if text, err := context.Output(Able); err == nil {
		json.Unmarshal(text, &able)
	}
	return able
}
