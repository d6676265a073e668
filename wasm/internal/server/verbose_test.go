package server

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"llama-api-server/internal/nn/nntest"
)

// decoded are a stream's chunks.
func decoded(t *testing.T, body string) []map[string]any {
	t.Helper()
	var chunks []map[string]any
	for _, frame := range frames(t, body) {
		if frame == "[DONE]" {
			continue
		}
		chunk := map[string]any{}
		if err := json.Unmarshal([]byte(frame), &chunk); err != nil {
			t.Fatal(err)
		}
		chunks = append(chunks, chunk)
	}
	return chunks
}

func TestAVerboseAnswerTellsItsPromptAndEverySetting(t *testing.T) {
	graph := &nntest.Graph{Pieces: []string{"a\n", "b", "STOP", "c"}}
	address := serve(t, graph, "-p", "chatml", "--seed", "7", "--temp", "0.5")
	fields := `"verbose":true,"stop":["STOP"],"top_k":3,"max_tokens":9,"logit_bias":{"5":false},"return_tokens":true`
	chat := do(t, "POST", address+"/v1/chat/completions", chatBody(fields))
	completion := do(t, "POST", address+"/v1/completions", `{"prompt":"How is it?",`+fields+"}")
	streamed := decoded(t, do(t, "POST", address+"/v1/chat/completions", chatBody(fields+`,"stream":true`)).body)
	pieces := decoded(t, do(t, "POST", address+"/v1/completions", `{"prompt":"How is it?","stream":true,`+fields+"}").body)
	for name, answer := range map[string]any{
		"chat": chat.json, "completion": completion.json, "the stream's end": streamed[len(streamed)-1], "the pieces' end": pieces[len(pieces)-1],
	} {
		told := at(t, answer, "__verbose").(map[string]any)
		for field, want := range map[string]any{
			"content": "a\nb", "stop": true, "stop_type": "word", "stopping_word": "STOP", "has_new_line": true,
			"truncated": false, "tokens_predicted": 3.0, "model": "default",
		} {
			if told[field] != want {
				t.Errorf("%s: %s is %v, not %v", name, field, told[field], want)
			}
		}
		if fmt.Sprint(told["tokens"]) != "[1 2]" || !strings.Contains(told["prompt"].(string), "How is it?") {
			t.Errorf("%s: %v", name, told)
		}
		settings := told["generation_settings"].(map[string]any)
		for setting, want := range map[string]any{
			"top_k": 3.0, "temperature": 0.5, "seed": 7.0, "n_predict": 9.0, "min_p": 0.05, "ignore_eos": false, "adaptive_target": -1.0,
			"stop": []any{"STOP"}, "logit_bias": []any{map[string]any{"token": 5.0, "bias": nil}}, "samplers": []any{}, "n_probs": 0.0,
		} {
			if fmt.Sprint(settings[setting]) != fmt.Sprint(want) {
				t.Errorf("%s: %s is %v, not %v", name, setting, settings[setting], want)
			}
		}
	}
	quiet := do(t, "POST", address+"/v1/chat/completions", chatBody(`"verbose":false`))
	if strings.Contains(quiet.body, "__verbose") {
		t.Error(quiet.body)
	}
}

func TestTheServerMayTellOfEveryAnswer(t *testing.T) {
	address := serve(t, &nntest.Graph{Pieces: []string{"a"}}, "-p", "chatml", "--verbose-answers")
	for path, body := range map[string]string{"/v1/chat/completions": chatBody(""), "/v1/completions": `{"prompt":"p"}`} {
		if got := do(t, "POST", address+path, body); at(t, got.json, "__verbose", "content") != "a" {
			t.Errorf("%s: %s", path, got.body)
		}
	}
}

func TestHowAnAnswerEndedIsTold(t *testing.T) {
	for _, row := range []struct {
		graph     *nntest.Graph
		fields    string
		kind      string
		truncated bool
	}{
		{&nntest.Graph{Pieces: []string{"a"}}, `"n_predict":9`, "eos", false},
		{&nntest.Graph{Pieces: []string{"a", "b"}}, `"n_predict":1`, "limit", false},
		{&nntest.Graph{Pieces: []string{"a", "b", "c"}, CtxSize: 3}, `"n_predict":-1`, "limit", true},
	} {
		got := do(t, "POST", serve(t, row.graph)+"/v1/completions", `{"prompt":"p","verbose":true,`+row.fields+"}")
		told := at(t, got.json, "__verbose").(map[string]any)
		if told["stop_type"] != row.kind || told["truncated"] != row.truncated || told["stopping_word"] != "" {
			t.Errorf("%s: %v", row.fields, told)
		}
	}
}

func TestSeveralVerboseAnswersEachHaveTheirOwn(t *testing.T) {
	got := do(t, "POST", serve(t, &nntest.Graph{Pieces: []string{"a"}})+"/v1/completions", `{"prompt":["p","q"],"verbose":true}`)
	for index, prompt := range []string{"p", "q"} {
		told := at(t, got.json, "choices", index, "__verbose").(map[string]any)
		if told["prompt"] != prompt || told["index"] != float64(index) {
			t.Errorf("%d: %v", index, told)
		}
	}
}

func TestTokensThatEndAnAnswerAreBarredWhereTheyAreIgnored(t *testing.T) {
	got := do(t, "POST", serve(t, &nntest.Graph{Pieces: []string{"a"}})+"/v1/completions", `{"prompt":"p","verbose":true,"ignore_eos":true}`)
	if told := at(t, got.json, "__verbose", "generation_settings", "logit_bias"); fmt.Sprint(told) != "[map[bias:<nil> token:98] map[bias:<nil> token:99]]" {
		t.Error(told)
	}
}

func TestChoicesHaveTheNumbersOfTheirTokens(t *testing.T) {
	address := serve(t, &nntest.Graph{Pieces: []string{"a", "b"}})
	for path, body := range map[string]string{
		"/v1/chat/completions": chatBody(`"return_tokens":true`), "/v1/completions": `{"prompt":"p","return_tokens":true}`,
	} {
		got := do(t, "POST", address+path, body)
		if numbers := at(t, got.json, "choices", 0, "tokens"); fmt.Sprint(numbers) != "[1 2]" || at(t, got.json, "choices", 0, "logprobs") != nil {
			t.Errorf("%s: %s", path, got.body)
		}
		var numbers []any
		for _, chunk := range decoded(t, do(t, "POST", address+path, body[:len(body)-1]+`,"stream":true}`).body) {
			more, _ := at(t, chunk, "choices", 0, "tokens").([]any)
			numbers = append(numbers, more...)
		}
		if fmt.Sprint(numbers) != "[1 2]" {
			t.Errorf("%s streamed %v", path, numbers)
		}
	}
	got := do(t, "POST", serve(t, &nntest.Graph{Plain: true})+"/v1/completions", `{"prompt":"p","return_tokens":true}`)
	if got.status != 400 || at(t, got.json, "error", "param") != "return_tokens" {
		t.Errorf("on WasmEdge: %d %s", got.status, got.body)
	}
}

func TestTheProgressOfAPromptIsTold(t *testing.T) {
	graph := &nntest.Graph{Pieces: []string{"a", "b"}, Busy: 2}
	address := serve(t, graph)
	for path, body := range map[string]string{
		"/v1/chat/completions": chatBody(""), "/v1/completions": `{"prompt":"one two three four five"}`,
	} {
		body = body[:len(body)-1] + `,"stream":true,"return_progress":true,"timings_per_token":true}`
		var steps []string
		for _, chunk := range decoded(t, do(t, "POST", address+path, body).body) {
			if step, found := chunk["prompt_progress"].(map[string]any); found {
				steps = append(steps, fmt.Sprint(step["processed"], "/", step["total"], " ", step["cache"], " ", at(t, chunk, "timings", "prompt_n")))
			}
		}
		if joined := strings.Join(steps, ", "); joined != "1/5 1 0, 2/5 1 1, 3/5 1 2, 5/5 1 4" {
			t.Errorf("%s: %s", path, joined)
		}
	}
	plain := do(t, "POST", address+"/v1/completions", `{"prompt":"p","stream":true}`)
	if strings.Contains(plain.body, "prompt_progress") {
		t.Error(plain.body)
	}
}

func TestTheFirstTokenTakesNoTimeOfItsOwn(t *testing.T) {
	address := serve(t, &nntest.Graph{Pieces: []string{"a", "b"}})
	one := do(t, "POST", address+"/v1/completions", `{"prompt":"p","max_tokens":1}`)
	if at(t, one.json, "timings", "predicted_n") != 1.0 || at(t, one.json, "timings", "predicted_per_second") != 0.0 {
		t.Error(one.body)
	}
	chunks := decoded(t, do(t, "POST", address+"/v1/completions", `{"prompt":"p","stream":true,"timings_per_token":true}`).body)
	for index, chunk := range chunks {
		if made := at(t, chunk, "timings", "predicted_n"); made != float64(min(index+1, 2)) {
			t.Errorf("%d: %v", index, made)
		}
	}
}
