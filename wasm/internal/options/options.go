// Package options is the server's command line.
package options

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Version is what -V prints and /v1/info tells; the build sets it to the distribution's.
var Version = "unversioned"

// Options are the settings of one server. A list has the chat model's value first, then the
// embedding model's.
type Options struct {
	ModelNames       []string
	ModelAliases     []string
	OtherNames       []string // of the first model
	CtxSizes         []int    // tokens
	BatchSizes       []int    // tokens
	UbatchSizes      []int    // tokens
	Templates        []string
	ChatTemplate     string
	ReversePrompt    string
	Reasoning        string // "on", "off" or "auto"
	ReasoningBudget  int    // tokens; below 0 is no limit
	Truncation       string // "auto" drops the oldest turns that have no room, "disabled" refuses
	ReasoningFormat  string // "auto" is apart from the answer, "none" in it
	NPredict         int    // tokens; below 0 is no limit but the context's
	NGPULayers       int
	SplitMode        string
	MainGPU          *int
	TensorSplit      string
	Threads          *int
	ThreadsBatch     *int
	CacheTypeK       string // ggml's name of a type of numbers; none is for the host to choose
	CacheTypeV       string
	DraftMax         int // tokens
	Seed             *int
	DraftModel       string
	NoMmap           *bool
	Temp             float64
	TopP             float64
	RepeatPenalty    float64
	PresencePenalty  float64
	FrequencyPenalty float64
	Grammar          string
	JSONSchema       string
	Mmproj           string
	Vocoder          string
	IncludeUsage     bool
	VerboseAnswers   bool
	StrictModel      bool
	SocketAddr       netip.AddrPort
	Port             int
	WebUI            string
	LogPrompts       bool
	LogStat          bool
	LogAll           bool
}

// Address is where the server listens.
func (o *Options) Address() netip.AddrPort {
	if o.SocketAddr.IsValid() {
		return o.SocketAddr
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(o.Port))
}

// Help and ShowVersion are the errors of Parse for -h and -V: the text to print.
type (
	Help        struct{ Text string }
	ShowVersion struct{ Text string }
)

func (h Help) Error() string        { return h.Text }
func (v ShowVersion) Error() string { return v.Text }

// Parse reads the arguments that follow the program's name; templates are the names that
// --prompt-template takes. Its error is Help, ShowVersion or one line that names the option,
// the value and what is allowed.
func Parse(arguments, templates []string) (*Options, error) {
	settings := &Options{}
	table := table(settings, templates)
	for i := range table {
		if table[i].Default != "" {
			if err := table[i].set(table[i].Default); err != nil {
				return nil, fmt.Errorf("the default of --%s: %w", table[i].Long, err)
			}
		}
	}
	given := map[string]bool{}
	for len(arguments) > 0 {
		option, value, rest, err := next(table, arguments)
		if err != nil {
			return nil, err
		}
		arguments = rest
		switch option.Long {
		case "help":
			return nil, Help{HelpText(templates)}
		case "version":
			return nil, ShowVersion{"llama-api-server " + Version}
		}
		if given[option.Long] {
			return nil, fmt.Errorf("the argument '%s' cannot be used multiple times", option.usage())
		}
		given[option.Long] = true
		if err := option.set(value); err != nil {
			return nil, fmt.Errorf("invalid value '%s' for '%s': %w", value, option.usage(), err)
		}
	}
	return settings, settings.check(given)
}

// next takes one option and its value from the arguments: --name value, --name=value,
// -n value, -n=value or -nvalue.
func next(table []Option, arguments []string) (*Option, string, []string, error) {
	word, rest := arguments[0], arguments[1:]
	name, value, attached := strings.Cut(word, "=")
	if len(word) > 2 && word[0] == '-' && word[1] != '-' {
		name, value, attached = word[:2], strings.TrimPrefix(word[2:], "="), true
	}
	option := find(table, name)
	if option == nil {
		return nil, "", nil, fmt.Errorf("unexpected argument '%s'; see --help", word)
	}
	if option.Value == "" {
		if attached {
			return nil, "", nil, fmt.Errorf("unexpected value '%s' for '%s'; it takes none", value, option.usage())
		}
		return option, "", rest, nil
	}
	if !attached {
		if len(rest) == 0 || (find(table, rest[0]) != nil && strings.HasPrefix(rest[0], "-")) {
			return nil, "", nil, fmt.Errorf("a value is required for '%s' but none was given", option.usage())
		}
		value, rest = rest[0], rest[1:]
	}
	return option, value, rest, nil
}

func find(table []Option, name string) *Option {
	for i := range table {
		if name == "--"+table[i].Long || (table[i].Short != "" && name == "-"+table[i].Short) {
			return &table[i]
		}
	}
	return nil
}

// check judges the options together.
func (o *Options) check(given map[string]bool) error {
	if given["socket-addr"] && given["port"] {
		return errors.New("the argument '--socket-addr <SOCKET_ADDR>' cannot be used with '--port <PORT>'")
	}
	if o.ChatTemplate != "" && o.Templates[0] != "auto" {
		return fmt.Errorf("'--chat-template' is for the model's own template; it cannot be used with '--prompt-template %s'", o.Templates[0])
	}
	models := len(o.Templates)
	if models > 2 {
		return fmt.Errorf("'--prompt-template' names %d templates; one for a chat model and one for an embedding model are allowed", models)
	}
	if models == 2 && (o.Templates[0] == "embedding" || o.Templates[1] != "embedding") {
		return fmt.Errorf("'--prompt-template %s': of two templates the second must be 'embedding', and only it", strings.Join(o.Templates, ","))
	}
	if len(o.ModelNames) != models {
		return fmt.Errorf("'--model-name' names %d models and '--prompt-template' %d templates; give one template for each model", len(o.ModelNames), models)
	}
	if models == 2 && o.ModelNames[0] == o.ModelNames[1] {
		return fmt.Errorf("'--model-name' names both models '%s'; give them different names", o.ModelNames[0])
	}
	for name, count := range map[string]int{
		"model-alias": len(o.ModelAliases), "ctx-size": len(o.CtxSizes),
		"batch-size": len(o.BatchSizes), "ubatch-size": len(o.UbatchSizes),
	} {
		if count < models {
			return fmt.Errorf("'--%s' has %d value; %d models need one each, separated by a comma", name, count, models)
		}
	}
	return nil
}
