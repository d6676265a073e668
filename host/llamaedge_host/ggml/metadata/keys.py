"""Every metadata key, in one table: its type, default, range, what it sets, what a change does.

Source: WasmEdge's GGML/metadata/metadata_parser.cpp. The defaults are llama.cpp's common_params,
with WasmEdge's changes. A key whose change does nothing is accepted and kept.
"""

from dataclasses import dataclass
from enum import Enum

INT32 = (-(2**31), 2**31 - 1)


class Scope(Enum):
    """What a key belongs to."""

    MODEL = "model"
    CONTEXT = "llama context"
    SAMPLING = "sampling"
    GUEST = "execution context"
    LOG = "log"
    TOOL = "llama.cpp's tools"


class Change(Enum):
    """When a value that metadata changes after loading takes effect."""

    RELOAD = "at once: the model and its llama context are set up again"
    RECREATE = "at once: the llama context is set up again"
    NOW = "at once"
    PROMPT = "at the next prompt"
    LATER = "when something else sets the llama context up again"
    NEVER = "never: it is kept, and nothing here reads it"


@dataclass(frozen=True)
class Key:
    """A row of the table. ``low`` and ``high`` bound a number, ``choices`` a string."""

    name: str
    kind: type
    default: bool | int | float | str
    scope: Scope
    change: Change
    meaning: str
    low: float = INT32[0]
    high: float = INT32[1]
    choices: tuple[str, ...] = ()
    clamped: bool = False
    aliases: tuple[str, ...] = ()
    added: bool = False
    """Whether WasmEdge does not know it, or does not obey it."""


_M, _C, _S, _G, _T = Scope.MODEL, Scope.CONTEXT, Scope.SAMPLING, Scope.GUEST, Scope.TOOL
_RELOAD, _RECREATE, _PROMPT = Change.RELOAD, Change.RECREATE, Change.PROMPT
_LATER, _NEVER, _NOW = Change.LATER, Change.NEVER, Change.NOW
_ANY = float("inf")


def _flag(
    name: str,
    scope: Scope,
    change: Change,
    meaning: str,
    default: bool = False,
    *,
    added: bool = False,
) -> Key:
    return Key(name, bool, default, scope, change, meaning, added=added)


def _real(
    name: str,
    default: float,
    scope: Scope,
    change: Change,
    meaning: str,
    low: float = -_ANY,
    *,
    clamped: bool = False,
    added: bool = False,
) -> Key:
    return Key(
        name, float, default, scope, change, meaning, low, _ANY, clamped=clamped, added=added
    )


def _text(
    name: str,
    default: str,
    scope: Scope,
    change: Change,
    meaning: str,
    *choices: str,
    added: bool = False,
) -> Key:
    return Key(name, str, default, scope, change, meaning, choices=choices, added=added)


_WORKING = (
    _flag("enable-log", Scope.LOG, _NOW, "show llama.cpp's log"),
    _flag("enable-debug-log", Scope.LOG, _NOW, "show what each call does"),
    Key("main-gpu", int, 0, _M, _LATER, "the GPU of split-mode none", 0, 255),
    Key("n-gpu-layers", int, -1, _M, _RELOAD, "layers on the GPU; negative: all"),
    _flag("cpu-moe", _M, _LATER, "experts of every layer stay on the CPU"),
    Key("n-cpu-moe", int, 0, _M, _LATER, "experts of the first N layers stay on the CPU", 0, 4096),
    _text("tensor-split", "", _M, _LATER, "each GPU's share, as in 3,2"),
    _text("split-mode", "layer", _M, _LATER, "how GPUs share a model", "none", "layer", "row"),
    _flag("embedding", _C, _RECREATE, "compute embeddings rather than text"),
    _text("mmproj", "", _M, _PROMPT, "projector: the guest's file, or the command line's"),
    _flag("tts", _M, _PROMPT, "compute speech"),
    _text("model-vocoder", "", _M, _PROMPT, "vocoder: the guest's file, or the command line's"),
    _text("tts-output-file", "output.wav", _M, _PROMPT, "the guest's file to write speech to"),
    _text("tts-speaker-file", "", _M, _PROMPT, "the guest's file of a speaker's JSON"),
    Key("ctx-size", int, 0, _C, _LATER, "tokens a sequence holds; 0: the model's own", 0),
    Key("batch-size", int, 2048, _C, _LATER, "tokens evaluated at once", 1, 1 << 20),
    Key("ubatch-size", int, 512, _C, _LATER, "tokens computed at once", 1, 1 << 20),
    Key("n-parallel", int, 1, _C, _LATER, "sequences at once; 1: as the host chooses", 1, 256),
    _flag("kv-unified", _C, _LATER, "one KV cache for all sequences, not one for each"),
    Key(
        "cache-ram",
        int,
        -1,
        _C,
        _LATER,
        "MiB for KV caches that made place for others; -1: as suits the machine",
        -1,
        1 << 24,
    ),
    _real("rope-freq-base", 0.0, _C, _LATER, "RoPE base frequency; 0: the model's"),
    _real("rope-freq-scale", 0.0, _C, _LATER, "RoPE frequency factor; 0: the model's"),
    _real("yarn-ext-factor", -1.0, _C, _LATER, "YaRN extrapolation mix; negative: the model's"),
    _real("yarn-attn-factor", -1.0, _C, _LATER, "YaRN magnitude factor; negative: the model's"),
    _real("yarn-beta-fast", -1.0, _C, _LATER, "YaRN low correction; negative: the model's"),
    _real("yarn-beta-slow", -1.0, _C, _LATER, "YaRN high correction; negative: the model's"),
    Key("yarn-orig-ctx", int, 0, _C, _LATER, "YaRN original context size; 0: the model's", 0),
    Key("rope-scaling-type", int, -1, _C, _LATER, "llama_rope_scaling_type", -1, 3),
    Key("pooling-type", int, -1, _C, _LATER, "llama_pooling_type", -1, 4),
    Key("attention-type", int, -1, _C, _LATER, "llama_attention_type", -1, 1),
    Key("numa", int, 0, _M, _LATER, "ggml_numa_strategy, for the process, once", 0, 4),
    Key("threads", int, -1, _C, _LATER, "threads that decode; below 1: the CPUs it may use", -1),
    Key("threads-batch", int, -1, _C, _LATER, "threads for prompts; below 1: as threads", -1),
    Key("min-keep", int, 0, _S, _PROMPT, "candidates that a sampler leaves at least", 0),
    Key("top-k", int, 40, _S, _PROMPT, "keep the K likeliest; below 1: all"),
    _real("min-p", 0.05, _S, _PROMPT, "least share of the likeliest's probability"),
    _real("xtc-probability", 0.0, _S, _PROMPT, "chance of excluding top choices"),
    _real("xtc-threshold", 0.1, _S, _PROMPT, "probability from which XTC excludes"),
    _real("typ-p", 1.0, _S, _PROMPT, "locally typical sampling"),
    _real("dynatemp-range", 0.0, _S, _PROMPT, "range of the dynamic temperature"),
    _real("dynatemp-exponent", 1.0, _S, _PROMPT, "exponent of the dynamic temperature"),
    Key("last-n-penalty", int, 64, _S, _PROMPT, "tokens that the penalties look back", -1, 1 << 20),
    _real("temp", 0.8, _S, _PROMPT, "temperature; 0: greedy", 0.0, clamped=True),
    _real("top-p", 0.95, _S, _PROMPT, "nucleus sampling", 0.0, clamped=True),
    _real("repeat-penalty", 1.0, _S, _PROMPT, "1, or 0: none", 0.0, clamped=True),
    _real("presence-penalty", 0.0, _S, _PROMPT, "0: none; negative favours what was there"),
    _real("frequency-penalty", 0.0, _S, _PROMPT, "0: none; negative favours what was there"),
    _real("dry-multipier", 0.0, _S, _PROMPT, "DRY's strength (so spelt); 0: none"),
    _real("dry-base", 1.75, _S, _PROMPT, "DRY's base; below 1: none"),
    Key("dry-allowed-length", int, 2, _S, _PROMPT, "repetitions DRY allows, in tokens", 0),
    Key("dry-last-n-penalty", int, -1, _S, _PROMPT, "tokens DRY looks back; -1: all", -1, 1 << 20),
    _text(
        "dry-sequence-breakers",
        "",
        _S,
        _PROMPT,
        'JSON array of the texts that end what DRY compares; empty: ["\\n", ":", "\\"", "*"]',
        added=True,
    ),
    Key("mirostat", int, 0, _S, _PROMPT, "0: off, 1, 2: its versions", 0, 2),
    _real("mirostat-eta", 0.1, _S, _PROMPT, "mirostat's learning rate"),
    _real("mirostat-tau", 5.0, _S, _PROMPT, "mirostat's entropy", added=True),
    _real(
        "top-n-sigma",
        -1.0,
        _S,
        _PROMPT,
        "deviations below the best logit; negative: all",
        added=True,
    ),
    _text(
        "samplers",
        "",
        _S,
        _PROMPT,
        "names of the samplers in their order, with ; between; empty: llama.cpp's",
        added=True,
    ),
    _text(
        "logit-bias",
        "",
        _S,
        _PROMPT,
        "JSON array of [token's number or text, number added to its logit, or null: never]",
        added=True,
    ),
    Key(
        "n-probs",
        int,
        0,
        _S,
        _PROMPT,
        "likeliest tokens told beside each token, see above; 0: none",
        0,
        1000,
        added=True,
    ),
    _flag(
        "post-sampling-probs",
        _S,
        _PROMPT,
        "tell their probabilities after the samplers",
        added=True,
    ),
    Key(
        "reasoning-budget",
        int,
        -1,
        _S,
        _PROMPT,
        "tokens of reasoning at most, then reasoning-close is made; negative: no limit",
        -1,
        added=True,
    ),
    _text("reasoning-open", "", _S, _PROMPT, "the tag that begins reasoning", added=True),
    _text("reasoning-close", "", _S, _PROMPT, "the tag that ends it", added=True),
    _text(
        "lora",
        "",
        _S,
        _PROMPT,
        'JSON array of {"id": number, "scale": number}, the adapters used; empty: the server\'s',
        added=True,
    ),
    _flag("ignore-eos", _S, _PROMPT, "make no end-of-generation token"),
    _text("grammar", "", _S, _PROMPT, "GBNF that the text must follow"),
    Key(
        "json-schema",
        str,
        "",
        _S,
        _PROMPT,
        "JSON schema that the text must follow",
        aliases=("json_schema",),
    ),
    Key(
        "n-max-speculative",
        int,
        31,
        _S,
        _PROMPT,
        "tokens at once that are looked up in the text so far; 0: none",
        0,
        31,
    ),
    _text(
        "model-draft",
        "",
        _C,
        _RECREATE,
        "name of the preloaded model that drafts, a smaller one with the same tokens; empty: none",
        added=True,
    ),
    Key("seed", int, 2**32 - 1, _S, _PROMPT, "-1 or 4294967295: random", -1, 2**32 - 1),
    _flag(
        "cache-prompt", _G, _PROMPT, "reuse what is known of the prompt", default=True, added=True
    ),
    Key("id-slot", int, -1, _G, _PROMPT, "slot that computes; -1: any", -1, 255, added=True),
    _flag("stream-stdout", _G, _PROMPT, "compute prints the pieces"),
    Key("n-predict", int, -1, _G, _PROMPT, "compute's tokens at most; negative: no limit"),
    _text("reverse-prompt", "", _G, _PROMPT, "compute ends at this text, which stays"),
    _flag("enable-chat-template", _G, _PROMPT, "the counts tell of the chat template"),
    _text("chat-template", "", _G, _PROMPT, "Jinja template of chats; empty: the model's own"),
    _text("image", "", _G, _PROMPT, "the guest's file of a picture"),
    Key(
        "single-wait",
        int,
        -1,
        _G,
        _PROMPT,
        "milliseconds that compute_single waits at most, then it answers 4, Busy; -1: no limit",
        -1,
        60_000,
    ),
    Key("single-limit", int, -1, _G, _PROMPT, "compute_single's tokens at most", -1, added=True),
    Key(
        "time-limit",
        int,
        -1,
        _G,
        _PROMPT,
        "milliseconds after which a computation ends, as at n-predict; -1: none",
        -1,
    ),
    _text(
        "flash-attn",
        "auto",
        _C,
        _LATER,
        "flash attention",
        "on",
        "enabled",
        "off",
        "disabled",
        "auto",
    ),
    _flag("use-mmap", _M, _LATER, "map the model file", default=True),
    _flag("use-mlock", _M, _LATER, "lock the model in memory"),
    _flag("no-kv-offload", _C, _LATER, "the KV cache stays on the CPU"),
    _flag("check-tensors", _M, _LATER, "check the weights' values when loading"),
    Key(
        "cache-type-k",
        int,
        -1,
        _C,
        _LATER,
        "ggml_type of the cache's keys: 0 f32, 1 f16, 30 bf16, 8 q8_0, 7 q5_1, 6 q5_0, 3 q4_1,"
        " 2 q4_0, 20 iq4_nl; -1: f16, or q8_0 where a ctx-size that is asked for fits only so",
        -1,
        42,
    ),
    Key(
        "cache-type-v",
        int,
        -1,
        _C,
        _LATER,
        "the same of its values; a quantised one needs flash-attn",
        -1,
        42,
    ),
    Key(
        "embd-normalize",
        int,
        2,
        _C,
        _PROMPT,
        "-1: none, 0: largest 32760, 1: taxicab, 2: euclidean, above: p-norm",
        -1,
    ),
    _flag("reranking", _C, _RECREATE, "compute scores: embedding, pooling-type 4"),
)

_KEPT_FLAGS = (
    "mask-valid strict-cpu mask-valid-batch strict-cpu-batch no-perf-sampling timing-per-token"
    " warmup always-regenerate-image-embd lora-init-without-apply hellaswag winogrande"
    " multiple-choice kl-divergence usage use-color special interactive interactive-first"
    " prompt-cache-all prompt-cache-ro escape multiline-input simple-io cont-batching no-perf"
    " ctx-shift input-prefix-bos verbose-prompt display-prompt webui"
    " endpoint-slots endpoint-props endpoint-metrics log-json is-pp-shared process-output"
    " compute-ppl spm-infill batched-bench-output-jsonl"
)
_KEPT_INTEGERS = (
    "n-keep n-chunks n-sequences grp-attn-n grp-attn-w n-print priority poll priority-batch"
    " poll-batch n-prev n-ctx-speculative n-min-speculative"
    " n-gpu-layers-speculative verbosity control-vector-layer-start control-vector-layer-end"
    " ppl-stride ppl-output-type hellaswag-tasks winogrande-tasks multiple-choice-tasks port"
    " timeout-read timeout-write n-threads-http n-cache-reuse n-pp n-tg n-pl chunk-size n-junk"
    " i-pos n-out-freq n-save-freq i-chunk n-pca-batch n-pca-iterations"
)
_KEPT_REALS = "p-split-speculative p-min-speculative slot-prompt-similarity"
_KEPT_TEXTS = (
    "hf-repo-vocoder hf-file-vocoder model-url-vocoder model-alias model-url hf-token hf-repo"
    " hf-file prompt-file path-prompt-cache input-prefix input-suffix lookup-cache-static"
    " lookup-cache-dynamic logits-file embd-out embd-sep hostname public-path"
    " ssl-file-key ssl-file-cert slot-save-path context-files chunk-separator out-file"
    " cvector-positive-file cvector-negative-file"
)

_UNREAD = "read by a tool of llama.cpp"

KEYS = (
    *_WORKING,
    *(_flag(name, _T, _NEVER, _UNREAD) for name in _KEPT_FLAGS.split()),
    *(Key(name, int, 0, _T, _NEVER, _UNREAD) for name in _KEPT_INTEGERS.split()),
    *(_real(name, 0.0, _T, _NEVER, _UNREAD) for name in _KEPT_REALS.split()),
    *(_text(name, "", _T, _NEVER, _UNREAD) for name in _KEPT_TEXTS.split()),
    _text(
        "cvector-dimre-method",
        "DIMRE_METHOD_PCA",
        _T,
        _NEVER,
        _UNREAD,
        "DIMRE_METHOD_PCA",
        "DIMRE_METHOD_MEAN",
    ),
)

ADDED = tuple(key.name for key in KEYS if key.added)
"""What guests may set here and not in WasmEdge."""
BY_NAME = {key.name: key for key in KEYS}
ALIASES = {alias: key for key in KEYS for alias in key.aliases}
