package options

import "math"

// Option is a row of the command line's table: what the help text, docs/options.md, the launcher's
// options and the models' metadata are made of.
type Option struct {
	Short    string `json:"short,omitempty"`
	Long     string `json:"long"`
	Value    string `json:"value,omitempty"` // its name in the help; none for a switch
	Default  string `json:"default,omitempty"`
	Help     string `json:"help"`
	Metadata string `json:"metadata,omitempty"` // the key it sets
	rule
}

func (o *Option) usage() string {
	if o.Value == "" {
		return "--" + o.Long
	}
	return "--" + o.Long + " <" + o.Value + ">"
}

// Table is the options in the order of the help text.
func Table(templates []string) []Option { return table(&Options{}, templates) }

// Metadata is what the options set of the index'th model's metadata; what they leave to the host
// is not there.
func (o *Options) Metadata(index int) map[string]any {
	values := map[string]any{}
	for _, option := range table(o, nil) {
		if option.Metadata == "" {
			continue
		}
		if value := option.get(index); value != nil {
			values[option.Metadata] = value
		}
	}
	return values
}

// What the host takes at most.
const (
	mostBatch = 1 << 20 // tokens
	mostGPU   = 255
	mostDraft = 31 // tokens
)

// cacheTypes are the types that a KV cache can be of, by ggml's names for them: its ggml_type.
var cacheTypes = map[string]int{
	"f32": 0, "f16": 1, "bf16": 30, "q8_0": 8, "q5_1": 7, "q5_0": 6, "q4_1": 3, "q4_0": 2, "iq4_nl": 20,
}

func table(o *Options, templates []string) []Option {
	return []Option{
		{"m", "model-name", "MODEL_NAME", "default",
			"Names of the chat and embedding models in requests, separated by a comma", "",
			names(&o.ModelNames)},
		{"a", "model-alias", "MODEL_ALIAS", "default,embedding",
			"Aliases of the chat and embedding models, as --nn-preload names them", "",
			names(&o.ModelAliases)},
		{"", "alias", "ALIAS", "",
			"Further names of the first model in requests, separated by commas", "",
			anyNames(&o.OtherNames)},
		{"c", "ctx-size", "CTX_SIZE", "4096,384",
			"Context sizes of the chat and embedding models in tokens", "ctx-size",
			sizes(&o.CtxSizes, 0, math.MaxInt32)},
		{"b", "batch-size", "BATCH_SIZE", "512,512",
			"Logical batch sizes of the chat and embedding models in tokens", "batch-size",
			sizes(&o.BatchSizes, 1, mostBatch)},
		{"u", "ubatch-size", "UBATCH_SIZE", "512,512",
			"Physical batch sizes of the chat and embedding models in tokens", "ubatch-size",
			sizes(&o.UbatchSizes, 1, mostBatch)},
		{"p", "prompt-template", "PROMPT_TEMPLATE", "auto",
			"Prompt template of each model; 'auto' is the model's own, an embedding model's is 'embedding'", "",
			choices(&o.Templates, templates)},
		{"", "chat-template", "CHAT_TEMPLATE", "",
			"Jinja template instead of the model's own: its text, for llamaedge run its file", "chat-template",
			text(&o.ChatTemplate)},
		{"r", "reverse-prompt", "REVERSE_PROMPT", "",
			"Text at which an answer ends", "reverse-prompt", text(&o.ReversePrompt)},
		{"", "reasoning", "REASONING", "auto",
			"Whether the model's own template is told to reason, where a request does not say; auto leaves it to the template", "",
			choice(&o.Reasoning, "on", "off", "auto")},
		{"", "reasoning-budget", "REASONING_BUDGET", "-1",
			"Most tokens of an answer's reasoning, which is ended then; 0 is none, -1 no limit", "reasoning-budget",
			number(&o.ReasoningBudget, -1, math.MaxInt32)},
		{"", "reasoning-format", "REASONING_FORMAT", "auto",
			"Where reasoning is: auto and deepseek tell it apart from the answer, none leaves it in", "",
			choice(&o.ReasoningFormat, "auto", "deepseek", "none")},
		{"", "truncation", "TRUNCATION", "auto",
			"What becomes of a conversation that has no room: auto drops its oldest turns, disabled refuses it", "",
			choice(&o.Truncation, "auto", "disabled")},
		{"n", "n-predict", "N_PREDICT", "1024",
			"Most tokens of an answer; -1 is until the context is full", "n-predict",
			notZero(&o.NPredict, -2, math.MaxInt32)},
		{"g", "n-gpu-layers", "N_GPU_LAYERS", "100",
			"Layers of the model to run on the GPU", "n-gpu-layers", number(&o.NGPULayers, 0, math.MaxInt32)},
		{"", "split-mode", "SPLIT_MODE", "layer",
			"How to split the model over GPUs", "split-mode", choice(&o.SplitMode, "none", "layer", "row")},
		{"", "main-gpu", "MAIN_GPU", "",
			"The main GPU", "main-gpu", optional(&o.MainGPU, 0, mostGPU)},
		{"", "tensor-split", "TENSOR_SPLIT", "",
			"Parts of the model for each GPU, such as '3,2' for 60% and 40%", "tensor-split",
			fractions(&o.TensorSplit)},
		{"", "threads", "THREADS", "",
			"Threads to compute with [default: the host chooses]", "threads", optional(&o.Threads, 1, math.MaxInt32)},
		{"", "threads-batch", "THREADS_BATCH", "",
			"Threads to read prompts with [default: the host chooses]", "threads-batch",
			optional(&o.ThreadsBatch, 1, math.MaxInt32)},
		{"", "cache-type-k", "CACHE_TYPE_K", "",
			"Type of the numbers that the KV cache keeps of keys [default: the host chooses f16, or q8_0 where a context that is asked for fits only so]", "cache-type-k", cacheType(&o.CacheTypeK)},
		{"", "cache-type-v", "CACHE_TYPE_V", "",
			"Type of the numbers that the KV cache keeps of values [default: the host chooses f16, or q8_0 where a context that is asked for fits only so]", "cache-type-v", cacheType(&o.CacheTypeV)},
		{"", "draft-max", "DRAFT_MAX", "31",
			"Most tokens at once that are looked up in the text so far; 0 is none", "n-max-speculative",
			number(&o.DraftMax, 0, mostDraft)},
		{"", "draft-model", "DRAFT_MODEL", "",
			"Smaller model with the same tokens that drafts for the chat model: as --nn-preload names it, for llamaedge run also its file", "model-draft",
			text(&o.DraftModel)},
		{"", "no-mmap", "NO_MMAP", "",
			"Read the chat model into memory instead of mapping its file", "use-mmap", negated(&o.NoMmap)},
		{"", "temp", "TEMP", "1.0",
			"Sampling temperature; 0 takes the likeliest token always", "temp", real(&o.Temp, 0, math.MaxFloat32)},
		{"", "seed", "SEED", "",
			"Seed of answers whose requests give none; -1, or none given, is another one each time", "seed",
			optional(&o.Seed, -1, math.MaxUint32)},
		{"", "top-p", "TOP_P", "1.0",
			"Sample among the likeliest tokens that make up this probability; 1.0 is all", "top-p",
			real(&o.TopP, 0, 1)},
		{"", "repeat-penalty", "REPEAT_PENALTY", "1.1",
			"Penalty for tokens that were there lately; 1.0 is none", "repeat-penalty",
			real(&o.RepeatPenalty, 0, math.MaxFloat32)},
		{"", "presence-penalty", "PRESENCE_PENALTY", "0.0",
			"Penalty for every token that was there; 0.0 is none", "presence-penalty",
			real(&o.PresencePenalty, -math.MaxFloat32, math.MaxFloat32)},
		{"", "frequency-penalty", "FREQUENCY_PENALTY", "0.0",
			"Penalty for tokens by how often they were there; 0.0 is none", "frequency-penalty",
			real(&o.FrequencyPenalty, -math.MaxFloat32, math.MaxFloat32)},
		{"", "grammar", "GRAMMAR", "",
			"GBNF grammar that every answer follows", "grammar", told(&o.Grammar)},
		{"", "json-schema", "JSON_SCHEMA", "",
			"JSON schema that every answer follows, such as '{}' for any object", "json-schema", text(&o.JSONSchema)},
		{"", "llava-mmproj", "LLAVA_MMPROJ", "",
			"Path of the multimodal projector", "mmproj", text(&o.Mmproj)},
		{"", "model-vocoder", "MODEL_VOCODER", "",
			"Path of the vocoder, with which a model of OuteTTS's kind speaks", "model-vocoder", text(&o.Vocoder)},
		{"", "include-usage", "", "",
			"End every stream with a usage chunk", "", toggle(&o.IncludeUsage)},
		{"", "verbose-answers", "", "",
			"Tell of every answer what `verbose` in its request would", "", toggle(&o.VerboseAnswers)},
		{"", "strict-model", "", "",
			"Refuse requests for a model of another name than --model-name says", "", toggle(&o.StrictModel)},
		{"", "web-ui", "WEB_UI", "chatbot-ui",
			"Folder of the web UI's files", "", text(&o.WebUI)},
		{"", "log-prompts", "", "",
			"Print the prompts (deprecated: LLAMA_LOG=debug)", "", toggle(&o.LogPrompts)},
		{"", "log-stat", "", "",
			"Print statistics (deprecated: LLAMA_LOG=debug)", "", toggle(&o.LogStat)},
		{"", "log-all", "", "",
			"Print all log information (deprecated: LLAMA_LOG=trace)", "", toggle(&o.LogAll)},
		{"", "socket-addr", "SOCKET_ADDR", "",
			"Address to listen on, such as '0.0.0.0:8080'; not with --port", "", address(&o.SocketAddr)},
		{"", "port", "PORT", "8080",
			"Port to listen on, on every address", "", number(&o.Port, 1, 65535)},
		{"h", "help", "", "", "Print help", "", rule{Values: Values{Kind: kindSwitch}}},
		{"V", "version", "", "", "Print version", "", rule{Values: Values{Kind: kindSwitch}}},
	}
}
