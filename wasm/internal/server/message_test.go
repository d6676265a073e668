package server

import (
	"testing"

	"llama-api-server/internal/nn/nntest"
)

// Programs for other servers send the parts and fields of theirs in a chat's messages.
func TestMessagesOfOtherServers(t *testing.T) {
	for name, row := range map[string]struct {
		message string
		want    map[string]any
	}{
		"Responses' parts":    {`{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"text","text":"b"}]}`, map[string]any{"content": "a\nb"}},
		"an answer's parts":   {`{"role":"assistant","content":[{"type":"output_text","text":"a"},{"type":"refusal","refusal":"b"}]}`, map[string]any{"content": "a\nb"}},
		"Mistral's thinking":  {`{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"a"}]}`, map[string]any{"content": "a", "reasoning_content": "hm"}},
		"Anthropic's":         {`{"role":"assistant","content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"a"}]}`, map[string]any{"content": "a", "reasoning_content": "hm"}},
		"vLLM's reasoning":    {`{"role":"assistant","content":"a","reasoning":"hm"}`, map[string]any{"content": "a", "reasoning_content": "hm"}},
		"both names":          {`{"role":"assistant","content":"a","reasoning":"no","reasoning_content":"hm"}`, map[string]any{"reasoning_content": "hm"}},
		"reasoning's details": {`{"role":"assistant","content":"a","reasoning":{"effort":"low"}}`, map[string]any{"content": "a", "reasoning_content": nil}},
		"no result":           {`{"role":"tool","tool_call_id":"1","content":null}`, map[string]any{"content": ""}},
		"calls without ids":   {`{"role":"assistant","content":null,"tool_calls":[{"id":null,"type":"function","function":{"name":"f","arguments":null}}]}`, map[string]any{"content": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			graph := &nntest.Graph{Pieces: []string{"Hi"}, Template: plainTemplate}
			answer := ask(t, graph, `{"messages":[{"role":"user","content":"q"},`+row.message+`,{"role":"user","content":"q"}]}`)
			if answer.status != 200 {
				t.Fatal(answer.status, answer.body)
			}
			given := at(t, any(graph.Conversations[len(graph.Conversations)-1]), "messages", 1).(map[string]any)
			for field, want := range row.want {
				if given[field] != want {
					t.Errorf("%s: %v, want %v", field, given[field], want)
				}
			}
		})
	}
}

func TestACallNamesItsFunction(t *testing.T) {
	for _, call := range []string{`null`, `{}`, `{"function":{"arguments":"{}"}}`} {
		answer := ask(t, &nntest.Graph{Template: plainTemplate}, `{"messages":[{"role":"assistant","tool_calls":[`+call+`]}]}`)
		if answer.status != 400 || at(t, answer.json, "error", "param") != "messages[0].tool_calls[0].function" {
			t.Error(call, answer.status, answer.body)
		}
	}
}

func TestAPartOfTextHasIt(t *testing.T) {
	for _, part := range []string{`{"type":"text"}`, `{"type":"text","text":null}`} {
		answer := ask(t, &nntest.Graph{Template: plainTemplate}, `{"messages":[{"role":"user","content":[`+part+`]}]}`)
		if answer.status != 400 || at(t, answer.json, "error", "message") != "A part of type 'text' has no 'text'." {
			t.Error(part, answer.status, answer.body)
		}
	}
}

// A picture's URL may stand alone; that this model takes none is said either way.
func TestAPicturesURLMayStandAlone(t *testing.T) {
	for _, url := range []string{`"data:image/png;base64,AA=="`, `{"url":"data:image/png;base64,AA=="}`} {
		answer := ask(t, &nntest.Graph{Template: plainTemplate}, `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":`+url+`}]}]}`)
		if answer.status != 400 || at(t, answer.json, "error", "message") != "This model takes no images: the server was started without --llava-mmproj." {
			t.Error(url, answer.status, answer.body)
		}
	}
}

func TestAnEffortThatTheTemplateDoesNotKnowIsTold(t *testing.T) {
	for name, row := range map[string]struct {
		template, fields, told string
	}{
		"neither name":     {`{"tools": true, "reads": []}`, `"reasoning_effort":"low"`, "reasoning_effort"},
		"its own name":     {`{"tools": true, "reads": ["reasoning_effort"]}`, `"reasoning_effort":"low"`, ""},
		"on and off alone": {`{"tools": true, "reads": ["enable_thinking"]}`, `"reasoning_effort":"low"`, ""},
		"nobody tells":     {`{"tools": true}`, `"reasoning_effort":"low"`, ""},
		"not asked for":    {`{"tools": true, "reads": []}`, `"temperature":1`, ""},
		"beside others":    {`{"tools": true, "reads": []}`, `"reasoning_effort":"low","zeal":1`, "reasoning_effort, zeal"},
	} {
		answer := ask(t, &nntest.Graph{Pieces: []string{"Hi"}, Template: row.template}, chatBody(row.fields))
		if got := answer.header.Get("X-Unknown-Fields"); answer.status != 200 || got != row.told {
			t.Errorf("%s: %d, %q, want %q", name, answer.status, got, row.told)
		}
	}
	answer := do(t, "POST", serve(t, &nntest.Graph{Pieces: []string{"Hi"}})+"/v1/chat/completions", chatBody(`"reasoning_effort":"high"`))
	if got := answer.header.Get("X-Unknown-Fields"); answer.status != 200 || got != "reasoning_effort" {
		t.Error("a named template:", answer.status, got)
	}
}
