package server

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"llama-api-server/internal/nn/nntest"
)

var update = flag.Bool("update", false, "write anew what is made of the table of fields")

var words = map[use]string{obeyed: "obeyed", ignored: "ignored", refused: "refused", unknown: ""}

// page is docs/fields.md.
func page() string {
	text := `# Fields of requests

What the bundled guest does with each field of a request. A field that is *ignored* changes nothing
that a client could see here. One that is *refused* is a 400 that names it, unless its value asks for
nothing: null, false, 0, -1, or empty. A field that is not in this table does nothing; the response's
header ` + "`" + unknownInHeader + "`" + ` names it. A setting with a star is one that WasmEdge does not have: there
it is a 400. So are negative penalties. Made by ` + "`go test ./internal/server -update`" + ` in wasm/.

| field | /v1/chat/completions | /v1/completions | /v1/embeddings | what it is, or why it is not obeyed |
|---|---|---|---|---|
`
	for _, row := range fields {
		name := "`" + row.name + "`"
		if row.sets != nil && row.sets.beyond == beyondAll {
			name += " *"
		}
		cells := []string{name}
		for endpoint := range endpoints {
			cells = append(cells, words[row.use(endpoint)])
		}
		text += "| " + strings.Join(append(cells, row.note), " | ") + " |\n"
	}
	return text
}

// same compares a file with what the table makes of it.
func same(t *testing.T, path, want string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if string(text) == want {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the table of fields makes (%v); run: go test ./internal/server -update", path, err)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestThePageOfFields(t *testing.T) { same(t, "../../../docs/fields.md", page()) }

// What the front describes of the settings in /openapi.json.
func TestTheDescriptionOfSettings(t *testing.T) {
	settings := map[string]map[string]any{}
	for _, row := range fields {
		if row.sets == nil || row.use(forChat) != obeyed || row.use(forCompletions) != obeyed {
			continue
		}
		settings[row.name] = map[string]any{"description": row.note}
		maps.Copy(settings[row.name], row.sets.shape)
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(settings); err != nil {
		t.Fatal(err)
	}
	same(t, "../../../launcher/llamaedge_launcher/proxy/guest_settings.json", text.String())
}

func TestTheTableOfFields(t *testing.T) {
	names := map[string]bool{}
	for _, row := range fields {
		if names[row.name] || len(row.uses) != endpoints || row.note == "" {
			t.Errorf("the row of %s: %q, %q", row.name, row.uses, row.note)
		}
		names[row.name] = true
		for endpoint := range endpoints {
			if _, found := words[row.use(endpoint)]; !found {
				t.Errorf("%s is %c", row.name, row.use(endpoint))
			}
		}
	}
}

// A field that is refused is named, and what is ignored is taken, on each endpoint.
func TestFieldsThatAreNotObeyed(t *testing.T) {
	bodies := []string{chatBody(""), `{"prompt":"x"}`, `{"input":"x"}`}
	paths := []string{"/v1/chat/completions", "/v1/completions", "/v1/embeddings"}
	address := serve(t, &nntest.Graph{Pieces: []string{"a"}}, "-p", "chatml,embedding", "-m", "a,b")
	for _, row := range fields {
		for endpoint, body := range bodies {
			use := row.use(endpoint)
			if use != refused && use != ignored {
				continue
			}
			for value, status := range map[string]int{`{"x":1}`: map[byte]int{byte(refused): 400, byte(ignored): 200}[byte(use)], "null": 200, "false": 200, "[ ]": 200} {
				got := do(t, "POST", address+paths[endpoint], body[:len(body)-1]+`,"`+row.name+`":`+value+"}")
				if got.status != status || status == 400 && at(t, got.json, "error", "param") != row.name {
					t.Errorf("%s %s %s: %d %s", paths[endpoint], row.name, value, got.status, got.body)
				}
			}
		}
	}
}

func TestFieldsThatNobodyKnowsAreNamed(t *testing.T) {
	address := serve(t, &nntest.Graph{Pieces: []string{"a"}})
	many := make([]string, mostUnknown+1)
	for number := range many {
		many[number] = fmt.Sprintf("x%02d", number)
	}
	for fields, want := range map[string]string{
		`"temprature":0,"a,b\r\nc":{"x":[1]},"top_p":1`: "a?b??c, temprature", `"top_p":1`: "", `"zzz":null`: "",
		`"` + strings.Repeat("x", 100) + `":1`: strings.Repeat("x", longestUnknown), `"prompt":"x"`: "prompt",
		`"` + strings.Join(many, `":1,"`) + `":1`: strings.Join(many[:mostUnknown], ", ") + ", ...",
	} {
		got := do(t, "POST", address+"/v1/chat/completions", chatBody(fields))
		if got.status != 200 || got.header.Get(unknownInHeader) != want {
			t.Errorf("%s: %d, %q", fields, got.status, got.header.Get(unknownInHeader))
		}
	}
}
