package answer

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
)

// written is an answer as a model's template writes it.
type written struct {
	Model     string            `json:"model"`
	Calls     Calls             `json:"calls"`
	Think     []string          `json:"think"`
	Texts     []string          `json:"texts"` // parameters
	Text      string            `json:"text"`
	Want      []json.RawMessage `json:"want"`
	Content   string            `json:"content"`
	Reasoning string            `json:"reasoning"`
}

// The answers of published templates come in a file, which the tests of the host's side write.
func TestPublishedAnswers(t *testing.T) {
	path := os.Getenv("LLAMAEDGE_ANSWERS")
	if path == "" {
		t.Skip("no answers: tests/ggml/test_calls.py gives them")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var answers []written
	if err := json.Unmarshal(text, &answers); err != nil {
		t.Fatal(err)
	}
	if len(answers) == 0 {
		t.Fatal("no answers")
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, answer := range answers {
		t.Run(answer.Model, func(t *testing.T) {
			for size := range 8 {
				answer.check(t, func(rest string) int { return size + 1 })
			}
			answer.check(t, func(rest string) int { return len(rest) })
			for range 40 {
				answer.check(t, func(rest string) int { return 1 + random.IntN(min(len(rest), 24)) })
			}
		})
	}
}

// check reads the answer in pieces of the sizes that next chooses.
func (w written) check(t *testing.T, next func(rest string) int) {
	t.Helper()
	format := w.Calls.Format()
	format.Think = [2]string{w.Think[0], w.Think[1]}
	format.Text = func(function, parameter, _ string) (bool, bool) {
		for _, name := range w.Texts {
			if name == parameter {
				return true, true
			}
		}
		return false, true
	}
	reader := format.NewReader(true, false)
	var parts []Part
	var pieces []string
	for rest := w.Text; rest != ""; {
		size := min(next(rest), len(rest))
		parts = append(parts, reader.Push(rest[:size])...)
		pieces, rest = append(pieces, rest[:size]), rest[size:]
	}
	content, reasoning, calls := Join(append(parts, reader.Flush()...))
	if strings.TrimSpace(content) != w.Content || reasoning != w.Reasoning {
		t.Fatalf("content %q, reasoning %q of %q", content, reasoning, pieces)
	}
	if len(calls) != len(w.Want) {
		t.Fatalf("%d calls, want %d of %q: %q", len(calls), len(w.Want), pieces, calls)
	}
	for index, call := range calls {
		got := map[string]any{"name": call.Name, "arguments": decoded(t, call.Arguments)}
		if want := decoded(t, string(w.Want[index])); !reflect.DeepEqual(any(got), want) {
			t.Fatalf("call %d: %v, want %v of %q", index, got, want, pieces)
		}
	}
}

func decoded(t *testing.T, text string) any {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return value
}
