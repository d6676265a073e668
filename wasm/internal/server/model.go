package server

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"llama-api-server/internal/nn"
	"llama-api-server/internal/options"
	"llama-api-server/internal/prompt"
)

// turnMilliseconds is how long a computation may take in one turn: longer than a token takes,
// and short beside a prompt, so that other answers go on while one is read. WasmEdge, which
// does not know it, takes as long as it takes.
const turnMilliseconds = 50

// randomSeed is another one for each answer.
const randomSeed = math.MaxUint32

// Model is a loaded model with the settings its requests begin from.
type Model struct {
	Name     string
	Alias    string
	Kind     string // "chat" or "embedding"
	Template *prompt.Template
	CtxSize  int // tokens
	Batch    int // tokens
	Ubatch   int // tokens
	Counts   nn.Counts

	graph    nn.Graph
	metadata map[string]any
	idle     []nn.Context
	places   chan struct{} // one for each computation that may be under way
	pace     *pace         // of all models
	able     nn.Abilities  // what this host does and WasmEdge does not
	written  int           // tokens that the model's own template adds to a conversation
}

// Load asks the host for the model preloaded as alias, set up with config (JSON).
type Load func(alias, config string) (nn.Graph, error)

// LoadModels asks the host for every model of the options.
func LoadModels(settings *options.Options, debug bool, load Load) ([]*Model, error) {
	var models []*Model
	pace := newPace()
	for index := range settings.Templates {
		model, err := loadModel(settings, index, debug, load)
		if err != nil {
			return nil, err
		}
		model.pace = pace
		models = append(models, model)
	}
	return models, nil
}

func loadModel(settings *options.Options, index int, debug bool, load Load) (*Model, error) {
	template := settings.Templates[index]
	model := &Model{
		Name:     settings.ModelNames[index],
		Alias:    settings.ModelAliases[index],
		Kind:     "chat",
		Template: prompt.Find(template),
		CtxSize:  settings.CtxSizes[index],
		Batch:    settings.BatchSizes[index],
		Ubatch:   settings.UbatchSizes[index],
	}
	if template == prompt.Embedding {
		model.Kind = "embedding"
	}
	model.metadata = metadata(settings, index, model.Kind, debug)
	config, err := json.Marshal(model.metadata)
	if err != nil {
		return nil, err
	}
	model.graph, err = load(model.Alias, string(config))
	if err != nil {
		return nil, model.notLoaded(err)
	}
	context, err := model.graph.NewContext()
	if err != nil {
		return nil, fmt.Errorf("making a context for the model '%s' failed: %w", model.Alias, err)
	}
	model.idle = append(model.idle, context)
	if counts, err := nn.ReadCounts(context); err == nil {
		model.Counts = counts
	}
	model.able = nn.ReadAbilities(context)
	for key, value := range model.defaults() {
		if _, said := model.metadata[key]; !said {
			model.metadata[key] = value
		}
	}
	if template == prompt.Auto {
		if err := model.takeOwn(context); err != nil {
			return nil, err
		}
	}
	model.places = make(chan struct{}, max(1, model.Counts.Parallel))
	return model, nil
}

func (m *Model) notLoaded(err error) error {
	switch err {
	case nn.NotFound:
		return fmt.Errorf("no model is preloaded as '%s'; give --nn-preload %s:GGML:AUTO:<file>", m.Alias, m.Alias)
	case nn.ModelNotFound:
		return fmt.Errorf("the file of the model preloaded as '%s' does not exist; correct --nn-preload", m.Alias)
	}
	return fmt.Errorf("loading the model '%s' failed: %w", m.Alias, err)
}

// metadata is what the host is told of the index'th model: what the options set, and every key
// that a request can set. What else the command line does not say, the host chooses.
func metadata(settings *options.Options, index int, kind string, debug bool) map[string]any {
	values := map[string]any{
		"enable-log":       debug,
		"enable-debug-log": debug,
		"embedding":        kind == "embedding",
		"single-wait":      turnMilliseconds,
	}
	maps.Copy(values, settings.Metadata(index))
	if settings.Seed != nil && *settings.Seed == -1 {
		delete(values, "seed")
	}
	if kind == "embedding" {
		delete(values, "mmproj")
		delete(values, "model-vocoder")
		delete(values, "json-schema")
	} else {
		setSchema(values, settings.JSONSchema)
	}
	values["tts"] = false
	values["enable-chat-template"] = kind == "chat" && settings.Templates[index] == prompt.Auto
	return values
}

// setSchema sets or clears the schema of answers. An empty one must not be sent under the
// interface's name: WasmEdge dies of it. Under the official server's name a host that knows it
// clears the schema, and WasmEdge ignores it and takes the empty grammar.
func setSchema(values map[string]any, schema string) {
	delete(values, "json-schema")
	delete(values, "json_schema")
	if schema == "" {
		values["json_schema"] = ""
	} else {
		values["json-schema"] = schema
	}
}

// with is the model's metadata with a request's changes, as JSON.
func (m *Model) with(changes map[string]any) ([]byte, error) {
	values := maps.Clone(m.metadata)
	maps.Copy(values, changes)
	schema, found := changes["json-schema"].(string)
	if _, grammar := changes["grammar"]; found || grammar {
		setSchema(values, schema)
	}
	return json.Marshal(values)
}

// tell adds a setting that WasmEdge does not have, where the host has it.
func (m *Model) tell(changes map[string]any, key string, value any) {
	if slices.Contains(m.able.Keys, key) {
		changes[key] = value
	}
}

// acquire waits for a place and answers a context that nothing else computes on. The error is
// the context's or the host's.
func (m *Model) acquire(ctx context.Context) (nn.Context, error) {
	select {
	case m.places <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if last := len(m.idle) - 1; last >= 0 {
		idle := m.idle[last]
		m.idle = m.idle[:last]
		return idle, nil
	}
	made, err := m.graph.NewContext()
	if err != nil {
		<-m.places
		return nil, internal("making a context for the model '%s' failed: %v", m.Name, err)
	}
	return made, nil
}

// release ends what the context computes and gives the place on.
func (m *Model) release(used nn.Context) {
	used.FiniSingle()
	m.idle = append(m.idle, used)
	<-m.places
}

// plugin is the build of llama.cpp under the model, as /v1/info words it; a host may not know
// the build's number.
func (m *Model) plugin() string {
	if m.Counts.BuildNumber == 0 {
		return "commit " + m.Counts.Commit
	}
	return fmt.Sprintf("b%d (commit %s)", m.Counts.BuildNumber, m.Counts.Commit)
}

// fingerprint tells apart the builds of llama.cpp whose answers may differ, as llama.cpp's server
// writes it where the build's number is known.
func (m *Model) fingerprint() string {
	if m.Counts.BuildNumber == 0 {
		return "build-" + m.Counts.Commit
	}
	return fmt.Sprintf("b%d-%s", m.Counts.BuildNumber, m.Counts.Commit)
}
