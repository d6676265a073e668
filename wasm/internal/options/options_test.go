package options

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
)

var names3 = []string{"auto", "chatml", "llama-3-chat", "embedding", "none"}

func TestParse(t *testing.T) {
	one, three, seven, no := 1, 3, 7, true
	table := []struct {
		name      string
		arguments string
		change    func(*Options)
	}{
		{"defaults", "-p chatml", func(o *Options) {}},
		{"an equals sign", "--prompt-template=chatml", func(o *Options) {}},
		{"attached", "-pchatml -c512 -b=32", func(o *Options) { o.CtxSizes = []int{512}; o.BatchSizes = []int{32} }},
		{"lists", "-p llama-3-chat,embedding -m a,b -a x,y -c 1,2 -b 3,4 -u 5,6", func(o *Options) {
			o.Templates = []string{"llama-3-chat", "embedding"}
			o.ModelNames, o.ModelAliases = []string{"a", "b"}, []string{"x", "y"}
			o.CtxSizes, o.BatchSizes, o.UbatchSizes = []int{1, 2}, []int{3, 4}, []int{5, 6}
		}},
		{"numbers", "-p chatml -n -1 -g 0 --main-gpu 1 --threads 1 --seed 7 --temp 0 --top-p 0.5 --repeat-penalty 1 --presence-penalty -0.5 --frequency-penalty 2", func(o *Options) {
			o.NPredict, o.NGPULayers, o.MainGPU, o.Threads = -1, 0, &one, &one
			o.Seed = &seven
			o.Temp, o.TopP, o.RepeatPenalty, o.PresencePenalty, o.FrequencyPenalty = 0, .5, 1, -.5, 2
		}},
		{"texts", "-p chatml -r STOP --grammar root --json-schema {} --llava-mmproj m.gguf --web-ui ui --tensor-split 3,2 --split-mode row --no-mmap true", func(o *Options) {
			o.ReversePrompt, o.Grammar, o.JSONSchema, o.Mmproj, o.WebUI = "STOP", "root", "{}", "m.gguf", "ui"
			o.TensorSplit, o.SplitMode, o.NoMmap = "3,2", "row", &no
		}},
		{"cache", "-p chatml --cache-type-k q8_0 --cache-type-v bf16 --threads-batch 3", func(o *Options) {
			o.CacheTypeK, o.CacheTypeV, o.ThreadsBatch = "q8_0", "bf16", &three
		}},
		{"flags", "-p chatml --include-usage --strict-model --log-prompts --log-stat --log-all", func(o *Options) {
			o.IncludeUsage, o.StrictModel, o.LogPrompts, o.LogStat, o.LogAll = true, true, true, true, true
		}},
		{"port", "-p chatml --port 9000", func(o *Options) { o.Port = 9000 }},
	}
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			want := &Options{
				ModelNames: []string{"default"}, ModelAliases: []string{"default", "embedding"},
				CtxSizes: []int{4096, 384}, BatchSizes: []int{512, 512}, UbatchSizes: []int{512, 512},
				Templates: []string{"chatml"}, Reasoning: "auto", ReasoningBudget: -1, ReasoningFormat: "auto", Truncation: "auto", NPredict: 1024, NGPULayers: 100, SplitMode: "layer",
				DraftMax: 31,
				Temp:     1, TopP: 1, RepeatPenalty: 1.1, Port: 8080, WebUI: "chatbot-ui",
			}
			row.change(want)
			got, err := Parse(strings.Fields(row.arguments), names3)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestAddress(t *testing.T) {
	for arguments, want := range map[string]string{
		"-p chatml": "0.0.0.0:8080", "-p chatml --port 1": "0.0.0.0:1",
		"-p chatml --socket-addr 127.0.0.1:81": "127.0.0.1:81", "-p chatml --socket-addr [::1]:81": "[::1]:81",
	} {
		settings, err := Parse(strings.Fields(arguments), names3)
		if err != nil || settings.Address().String() != want {
			t.Errorf("%s: %v, %v", arguments, settings, err)
		}
	}
}

func TestErrors(t *testing.T) {
	table := []struct{ arguments, want string }{
		{"-p llama3", "is it llama-3-chat? --help lists all"},
		{"-p chatmi", "is it chatml? --help lists all"},
		{"--chat-template x -p chatml", "'--chat-template' is for the model's own template"},
		{"-p qqqq", "invalid value 'qqqq' for '--prompt-template <PROMPT_TEMPLATE>': possible values: auto, chatml, llama-3-chat"},
		{"-p", "a value is required for '--prompt-template <PROMPT_TEMPLATE>'"},
		{"-p chatml --nope", "unexpected argument '--nope'"},
		{"-p chatml -x 1", "unexpected argument '-x'"},
		{"-p chatml word", "unexpected argument 'word'"},
		{"-p chatml -c x", "invalid value 'x' for '--ctx-size <CTX_SIZE>': a whole number from 0"},
		{"-p chatml -c 1,2,3", "at most 2 values"},
		{"-p chatml -b 0", "a whole number from 1"},
		{"-p chatml -n 0", "invalid value '0' for '--n-predict <N_PREDICT>': 0 leaves nothing to do"},
		{"-p chatml --port 0", "a whole number from 1 to 65535"},
		{"-p chatml --port 70000", "a whole number from 1 to 65535"},
		{"-p chatml --temp hot", "invalid value 'hot' for '--temp <TEMP>': a number from 0 up"},
		{"-p chatml --temp nan", "a number from 0 up"},
		{"-p chatml --top-p 2", "a number from 0 to 1"},
		{"-p chatml --no-mmap yes", "possible values: true, false"},
		{"-p chatml --no-mmap", "a value is required for '--no-mmap <NO_MMAP>'"},
		{"-p chatml --split-mode x", "possible values: none, layer, row"},
		{"-p chatml --tensor-split 1,x", "numbers from 0 up"},
		{"-p chatml --socket-addr localhost:1", "an IP address and a port"},
		{"-p chatml --socket-addr 127.0.0.1:1 --port 2", "cannot be used with"},
		{"-p chatml --port 1 --port 2", "cannot be used multiple times"},
		{"-p chatml --include-usage=1", "unexpected value '1' for '--include-usage'"},
		{"-p chatml -m a,b", "names 2 models"},
		{"-p chatml -m a,", "a name is empty"},
		{"-p chatml,chatml -m a,b", "the second must be 'embedding'"},
		{"-p chatml,embedding -m a,a", "names both models 'a'"},
		{"-p chatml,embedding -m a,b -c 1", "'--ctx-size' has 1 value"},
		{"-p chatml,embedding,none -m a,b", "names 3 templates"},
	}
	for _, row := range table {
		if _, err := Parse(strings.Fields(row.arguments), names3); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q: %v, want %s", row.arguments, err, row.want)
		}
	}
}

func TestHelpAndVersion(t *testing.T) {
	var help Help
	for _, word := range []string{"-h", "--help"} {
		if _, err := Parse([]string{word}, names3); !errors.As(err, &help) {
			t.Errorf("%s: %v", word, err)
		}
	}
	for _, option := range Table(names3) {
		if !strings.Contains(help.Text, option.usage()+"\n") {
			t.Errorf("the help text lacks %s", option.usage())
		}
		if option.Default != "" && !strings.Contains(help.Text, "[default: "+option.Default+"]") {
			t.Errorf("the help text lacks the default of %s", option.usage())
		}
	}
	var version ShowVersion
	if _, err := Parse([]string{"-V"}, names3); !errors.As(err, &version) || version.Text != "llama-api-server "+Version {
		t.Errorf("-V: %v", err)
	}
}

// The options of LlamaEdge's documents: short names, names, values and defaults. The documents'
// default for --threads, 2, is left to the host, which knows its processors, and they have none
// for --prompt-template.
func TestTheDocumentsOptions(t *testing.T) {
	text, err := os.ReadFile("testdata/options.txt")
	if err != nil {
		t.Fatal(err)
	}
	table := Table(names3)
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimRight(line, "\n"), "\t")
		option := find(table, "--"+fields[1])
		if option == nil {
			t.Errorf("--%s is missing", fields[1])
			continue
		}
		switch fields[1] {
		case "threads":
			fields[3] = ""
		case "prompt-template":
			fields[3] = "auto"
		}
		if option.Short != fields[0] || option.Value != fields[2] || option.Default != fields[3] {
			t.Errorf("--%s: got %q %q %q", fields[1], option.Short, option.Value, option.Default)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("-p chatml -c 4096,384 --temp=1.5")
	f.Fuzz(func(t *testing.T, line string) {
		if settings, err := Parse(strings.Fields(line), names3); err == nil && len(settings.Templates) == 0 {
			t.Error("no template")
		}
	})
}
