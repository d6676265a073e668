package options

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Option is a row of the command line's table.
type Option struct {
	Short   string
	Long    string
	Value   string // the value's name in the help; none for a flag
	Default string
	Allowed []string
	Help    string
	set     func(value string) error
}

func (o *Option) usage() string {
	if o.Value == "" {
		return "--" + o.Long
	}
	return "--" + o.Long + " <" + o.Value + ">"
}

// Table is the options in the order of the help text.
func Table(templates []string) []Option { return table(&Options{}, templates) }

func table(o *Options, templates []string) []Option {
	return []Option{
		{"m", "model-name", "MODEL_NAME", "default", nil,
			"Names of the chat and embedding models in requests, separated by a comma",
			names(&o.ModelNames)},
		{"a", "model-alias", "MODEL_ALIAS", "default,embedding", nil,
			"Aliases of the chat and embedding models, as --nn-preload names them",
			names(&o.ModelAliases)},
		{"c", "ctx-size", "CTX_SIZE", "4096,384", nil,
			"Context sizes of the chat and embedding models in tokens",
			sizes(&o.CtxSizes, 0)},
		{"b", "batch-size", "BATCH_SIZE", "512,512", nil,
			"Logical batch sizes of the chat and embedding models in tokens",
			sizes(&o.BatchSizes, 1)},
		{"u", "ubatch-size", "UBATCH_SIZE", "512,512", nil,
			"Physical batch sizes of the chat and embedding models in tokens",
			sizes(&o.UbatchSizes, 1)},
		{"p", "prompt-template", "PROMPT_TEMPLATE", "", templates,
			"Prompt template of each model; an embedding model's is 'embedding'",
			choices(&o.Templates, templates)},
		{"r", "reverse-prompt", "REVERSE_PROMPT", "", nil,
			"Text at which an answer ends", text(&o.ReversePrompt)},
		{"n", "n-predict", "N_PREDICT", "1024", nil,
			"Most tokens of an answer; -1 is until the context is full",
			number(&o.NPredict, -2, math.MaxInt32)},
		{"g", "n-gpu-layers", "N_GPU_LAYERS", "100", nil,
			"Layers of the model to run on the GPU", number(&o.NGPULayers, 0, math.MaxInt32)},
		{"", "split-mode", "SPLIT_MODE", "layer", splitModes,
			"How to split the model over GPUs", choice(&o.SplitMode, splitModes)},
		{"", "main-gpu", "MAIN_GPU", "", nil,
			"The main GPU", optional(&o.MainGPU, 0)},
		{"", "tensor-split", "TENSOR_SPLIT", "", nil,
			"Parts of the model for each GPU, such as '3,2' for 60% and 40%",
			fractions(&o.TensorSplit)},
		{"", "threads", "THREADS", "", nil,
			"Threads to compute with [default: the host chooses]", optional(&o.Threads, 1)},
		{"", "no-mmap", "NO_MMAP", "", []string{"true", "false"},
			"Read the chat model into memory instead of mapping its file", boolean(&o.NoMmap)},
		{"", "temp", "TEMP", "1.0", nil,
			"Sampling temperature; 0 takes the likeliest token always", real(&o.Temp, 0, math.MaxFloat32)},
		{"", "top-p", "TOP_P", "1.0", nil,
			"Sample among the likeliest tokens that make up this probability; 1.0 is all",
			real(&o.TopP, 0, 1)},
		{"", "repeat-penalty", "REPEAT_PENALTY", "1.1", nil,
			"Penalty for tokens that were there lately; 1.0 is none", real(&o.RepeatPenalty, 0, math.MaxFloat32)},
		{"", "presence-penalty", "PRESENCE_PENALTY", "0.0", nil,
			"Penalty for every token that was there; 0.0 is none", real(&o.PresencePenalty, -math.MaxFloat32, math.MaxFloat32)},
		{"", "frequency-penalty", "FREQUENCY_PENALTY", "0.0", nil,
			"Penalty for tokens by how often they were there; 0.0 is none", real(&o.FrequencyPenalty, -math.MaxFloat32, math.MaxFloat32)},
		{"", "grammar", "GRAMMAR", "", nil,
			"GBNF grammar that every answer follows", text(&o.Grammar)},
		{"", "json-schema", "JSON_SCHEMA", "", nil,
			"JSON schema that every answer follows, such as '{}' for any object", text(&o.JSONSchema)},
		{"", "llava-mmproj", "LLAVA_MMPROJ", "", nil,
			"Path of the multimodal projector", text(&o.Mmproj)},
		{"", "include-usage", "", "", nil,
			"End every stream with a usage chunk", flag(&o.IncludeUsage)},
		{"", "strict-model", "", "", nil,
			"Refuse requests for a model of another name than --model-name says", flag(&o.StrictModel)},
		{"", "socket-addr", "SOCKET_ADDR", "", nil,
			"Address to listen on, such as '0.0.0.0:8080'; not with --port", address(&o.SocketAddr)},
		{"", "port", "PORT", "8080", nil,
			"Port to listen on, on every address", number(&o.Port, 1, 65535)},
		{"", "web-ui", "WEB_UI", "chatbot-ui", nil,
			"Folder of the web UI's files", text(&o.WebUI)},
		{"", "log-prompts", "", "", nil,
			"Print the prompts (deprecated: LLAMA_LOG=debug)", flag(&o.LogPrompts)},
		{"", "log-stat", "", "", nil,
			"Print statistics (deprecated: LLAMA_LOG=debug)", flag(&o.LogStat)},
		{"", "log-all", "", "", nil,
			"Print all log information (deprecated: LLAMA_LOG=trace)", flag(&o.LogAll)},
		{"h", "help", "", "", nil, "Print help", nil},
		{"V", "version", "", "", nil, "Print version", nil},
	}
}

var splitModes = []string{"none", "layer", "row"}

func names(target *[]string) func(string) error {
	return func(value string) error {
		parts := strings.Split(value, ",")
		if slices.Contains(parts, "") {
			return errors.New("a name is empty")
		}
		if len(parts) > 2 {
			return errors.New("at most two values are allowed")
		}
		*target = parts
		return nil
	}
}

func sizes(target *[]int, least int) func(string) error {
	return func(value string) error {
		var parts []int
		for _, part := range strings.Split(value, ",") {
			var size int
			if err := number(&size, least, math.MaxInt32)(part); err != nil {
				return err
			}
			parts = append(parts, size)
		}
		if len(parts) > 2 {
			return errors.New("at most two values are allowed")
		}
		*target = parts
		return nil
	}
}

func choices(target *[]string, allowed []string) func(string) error {
	return func(value string) error {
		parts := strings.Split(value, ",")
		for _, part := range parts {
			if err := choice(new(string), allowed)(part); err != nil {
				return err
			}
		}
		*target = parts
		return nil
	}
}

func choice(target *string, allowed []string) func(string) error {
	return func(value string) error {
		if !slices.Contains(allowed, value) {
			return fmt.Errorf("possible values: %s", strings.Join(allowed, ", "))
		}
		*target = value
		return nil
	}
}

func text(target *string) func(string) error {
	return func(value string) error {
		*target = value
		return nil
	}
}

func flag(target *bool) func(string) error {
	return func(string) error {
		*target = true
		return nil
	}
}

func boolean(target **bool) func(string) error {
	return func(value string) error {
		if value != "true" && value != "false" {
			return errors.New("possible values: true, false")
		}
		on := value == "true"
		*target = &on
		return nil
	}
}

func number(target *int, least, most int) func(string) error {
	return func(value string) error {
		parsed, err := strconv.Atoi(value)
		if err != nil || parsed < least || parsed > most {
			return fmt.Errorf("a whole number from %d to %d is allowed", least, most)
		}
		*target = parsed
		return nil
	}
}

func optional(target **int, least int) func(string) error {
	return func(value string) error {
		*target = new(int)
		return number(*target, least, math.MaxInt32)(value)
	}
}

func real(target *float64, least, most float64) func(string) error {
	return func(value string) error {
		parsed, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsNaN(parsed) || parsed < least || parsed > most {
			if most >= math.MaxFloat32 {
				if least < 0 {
					return errors.New("a number is allowed")
				}
				return fmt.Errorf("a number from %g up is allowed", least)
			}
			return fmt.Errorf("a number from %g to %g is allowed", least, most)
		}
		*target = parsed
		return nil
	}
}

func fractions(target *string) func(string) error {
	return func(value string) error {
		for _, part := range strings.Split(value, ",") {
			if err := real(new(float64), 0, math.MaxFloat32)(part); err != nil {
				return errors.New("numbers from 0 up are allowed, separated by commas")
			}
		}
		*target = value
		return nil
	}
}

func address(target *netip.AddrPort) func(string) error {
	return func(value string) error {
		parsed, err := netip.ParseAddrPort(value)
		if err != nil {
			return errors.New("an IP address and a port are allowed, such as 127.0.0.1:8080")
		}
		*target = parsed
		return nil
	}
}
