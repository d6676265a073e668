package server

import (
	"slices"
	"testing"

	"llama-api-server/internal/nn/nntest"
)

// What a request sets is the model's for that request alone.
func TestSettings(t *testing.T) {
	graph := &nntest.Graph{Pieces: []string{"{}"}}
	address := serve(t, graph, "-p", "chatml", "--temp", "0.7", "--threads", "3", "--grammar", "root ::= [a-z]+")
	do(t, "POST", address+"/v1/chat/completions", chatBody(`"temperature":0,"top_p":0.5,"top_k":7,"min_p":1,"seed":11,"presence_penalty":0.25,"response_format":{"type":"json_object"}`))
	do(t, "POST", address+"/v1/chat/completions", chatBody(""))
	for key, want := range map[string][3]any{
		"temp": {.7, 0.0, .7}, "top-p": {1.0, .5, 1.0}, "top-k": {nil, 7.0, 40.0}, "seed": {nil, 11.0, 4294967295.0},
		"min-p": {nil, 1.0, .05}, "presence-penalty": {0.0, .25, 0.0}, "json-schema": {nil, `{"type":"object"}`, nil}, "json_schema": {"", nil, ""},
		"threads": {3.0, 3.0, 3.0}, "grammar": {"root ::= [a-z]+", "root ::= [a-z]+", "root ::= [a-z]+"},
		"enable-log": {false, false, false}, "embedding": {false, false, false}, "ctx-size": {4096.0, 4096.0, 4096.0},
	} {
		for index, value := range want {
			if got := graph.Settings[index][key]; got != value {
				t.Errorf("%s, input %d: %v, want %v", key, index, got, value)
			}
		}
	}
}

// samples are values for fields that become metadata, and what of it they become.
var samples = map[string][2]any{
	"temperature": {"0.5", .5}, "top_p": {"0.5", .5}, "top_k": {"-1", -1.0}, "min_p": {"0", 0.0}, "typical_p": {"0.5", .5},
	"top_n_sigma": {"2", 2.0}, "xtc_probability": {"0.5", .5}, "xtc_threshold": {"0.2", .2}, "dynatemp_range": {"1", 1.0},
	"dynatemp_exponent": {"2", 2.0}, "presence_penalty": {"-2", -2.0}, "frequency_penalty": {"-0.5", -.5},
	"repeat_penalty": {"1.5", 1.5}, "repetition_penalty": {"1.5", 1.5}, "repeat_last_n": {"7", 7.0}, "dry_multiplier": {"1", 1.0},
	"dry_base": {"2", 2.0}, "dry_allowed_length": {"5", 5.0}, "dry_penalty_last_n": {"9", 9.0},
	"dry_sequence_breakers": {`["x"]`, `["x"]`}, "mirostat": {"2", 2.0}, "mirostat_tau": {"3", 3.0}, "mirostat_eta": {"0.3", .3},
	"min_keep": {"2.0", 2.0}, "samplers": {`["top_k","temperature"]`, "top_k;temperature"}, "logit_bias": {`{"5":1}`, "[[5,1]]"},
	"lora": {`[{"id":0,"scale":0.5}]`, `[{"id":0,"scale":0.5}]`},
	"seed": {"11", 11.0}, "ignore_eos": {"true", true}, "grammar": {`"root ::= \"a\""`, `root ::= "a"`},
	"json_schema": {`{"type":"object"}`, `{"type":"object"}`}, "cache_prompt": {"false", false}, "id_slot": {"1", 1.0}, "n_probs": {"3", 3.0},
	"post_sampling_probs": {"true", true}, "reasoning_budget": {"5", 5.0}, "reasoning_budget_tokens": {"6", 6.0},
	"thinking_budget_tokens": {"0", 0.0},
}

// Every field that becomes metadata does, on each endpoint, for that request alone.
func TestEveryFieldIsObeyedAndNothingStays(t *testing.T) {
	for _, row := range fields {
		if row.sets == nil {
			continue
		}
		sample, found := samples[row.name]
		if !found {
			t.Errorf("there is no sample of %s", row.name)
			continue
		}
		for path, body := range map[string]string{"/v1/chat/completions": chatBody(""), "/v1/completions": `{"prompt":"x"}`} {
			if path == "/v1/completions" && row.use(forCompletions) == unknown {
				continue
			}
			graph := &nntest.Graph{Pieces: []string{"{}"}}
			address := serve(t, graph, "-p", "chatml", "--grammar", "root ::= [a-z]+")
			with := body[:len(body)-1] + `,"` + row.name + `":` + sample[0].(string) + "}"
			if got := do(t, "POST", address+path, with); got.status != 200 {
				t.Errorf("%s %s: %s", path, row.name, got.body)
				continue
			}
			if told := graph.Settings[len(graph.Settings)-1][row.sets.key]; told != sample[1] {
				t.Errorf("%s %s: the host is told %v, not %v", path, row.name, told, sample[1])
			}
			do(t, "POST", address+path, body)
			before, after := graph.Settings[0], graph.Settings[len(graph.Settings)-1]
			told, isTold := after[row.sets.key]
			if row.sets.key == "json-schema" {
				told, isTold = after["json_schema"], after["json_schema"] != nil
			}
			if !isTold || told == sample[1] {
				t.Errorf("%s %s: then the host is told %v (at first %v)", path, row.name, told, before[row.sets.key])
			}
		}
	}
}

// What a host does not have is refused, unless it asks for what there is anyway.
func TestAPlainHost(t *testing.T) {
	for fields, param := range map[string]any{
		`"logit_bias":{"5":1}`: "logit_bias", `"presence_penalty":-1`: "presence_penalty", `"samplers":["top_k"]`: "samplers",
		`"cache_prompt":false`: "cache_prompt", `"logit_bias":{}`: nil, `"presence_penalty":1`: nil, `"cache_prompt":true`: nil,
		`"min_p":0.5`: nil, `"mirostat_tau":5`: nil,
	} {
		graph := &nntest.Graph{Pieces: []string{"a"}, Plain: true}
		got := do(t, "POST", serve(t, graph)+"/v1/chat/completions", chatBody(fields))
		if param == nil && got.status == 200 {
			if _, told := graph.Settings[1]["logit-bias"]; told {
				t.Errorf("%s: the host is told what it does not know", fields)
			}
			continue
		}
		if got.status != 400 || at(t, got.json, "error", "param") != param {
			t.Errorf("%s: %d %s", fields, got.status, got.body)
		}
	}
}

func TestSeeds(t *testing.T) {
	const random = 4294967295.0
	for fields, want := range map[string][]any{
		"": {random}, `"seed":null`: {random}, `"seed":-1`: {random}, `"seed":0`: {0.0}, `"seed":-2`: {2147483646.0},
		`"seed":-1,"n":2`: {random, random}, `"n":2`: {random, random}, `"seed":5,"n":3`: {5.0, 6.0, 7.0},
	} {
		graph := &nntest.Graph{Pieces: []string{"a"}}
		do(t, "POST", serve(t, graph)+"/v1/chat/completions", chatBody(fields))
		var seeds []any
		for _, settings := range graph.Settings[1:] {
			seeds = append(seeds, settings["seed"])
		}
		slices.SortFunc(seeds, func(one, other any) int { return int(one.(float64) - other.(float64)) })
		if !slices.Equal(seeds, want) {
			t.Errorf("%s: %v, want %v", fields, seeds, want)
		}
	}
}

func TestSeedOption(t *testing.T) {
	const random = 4294967295.0
	for _, row := range []struct {
		option, fields string
		want           []any
	}{
		{"9", "", []any{9.0}}, {"9", `"n":2`, []any{9.0, 10.0}}, {"9", `"seed":5`, []any{5.0}}, {"9", `"seed":-1`, []any{random}},
		{"-1", "", []any{random}},
	} {
		graph := &nntest.Graph{Pieces: []string{"a"}}
		do(t, "POST", serve(t, graph, "-p", "chatml", "--seed", row.option)+"/v1/chat/completions", chatBody(row.fields))
		var seeds []any
		for _, settings := range graph.Settings[1:] {
			seeds = append(seeds, settings["seed"])
		}
		slices.SortFunc(seeds, func(one, other any) int { return int(one.(float64) - other.(float64)) })
		if !slices.Equal(seeds, row.want) {
			t.Errorf("--seed %s, %s: %v, want %v", row.option, row.fields, seeds, row.want)
		}
	}
}
