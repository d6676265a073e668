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
		"temp": {.7, 0.0, .7}, "top-p": {1.0, .5, 1.0}, "top-k": {40.0, 7.0, 40.0}, "seed": {4294967295.0, 11.0, 4294967295.0},
		"min-p": {.05, 1.0, .05}, "presence-penalty": {0.0, .25, 0.0}, "json-schema": {nil, `{"type":"object"}`, nil}, "json_schema": {"", nil, ""},
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

// Whatever a request can set, the others set to what it was.
func TestEveryRequestSetsEveryKey(t *testing.T) {
	var request chatRequest
	fields := chatBody(`"temperature":1,"top_p":1,"top_k":1,"min_p":1,"seed":1,"presence_penalty":1,"frequency_penalty":1,"repeat_penalty":1`)
	if err := unmarshal([]byte(fields), &request); err != nil {
		t.Fatal(err)
	}
	graph := &nntest.Graph{Pieces: []string{"a"}}
	do(t, "POST", serve(t, graph)+"/v1/chat/completions", chatBody(""))
	changes := request.changes(0)
	if len(changes) != 9 {
		t.Errorf("the request sets %v", changes)
	}
	for key := range changes {
		if _, found := graph.Settings[1][key]; !found {
			t.Errorf("a request that does not set %s does not say so", key)
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
		if !slices.Equal(seeds, want) {
			t.Errorf("%s: %v, want %v", fields, seeds, want)
		}
	}
}
