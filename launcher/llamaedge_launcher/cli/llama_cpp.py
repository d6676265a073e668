"""The options of llama.cpp's server, in those of ``llamaedge run``.

What has another name here is obeyed, what is so anyway is left out, and of what is not to be had
one line says so. Source: llama.cpp's tools/server/README.md.
"""

from collections import deque
from collections.abc import Mapping, Sequence

import click

RENAMED = {
    "-hf": "--hf-repo", "-hfr": "--hf-repo", "-mu": "--model", "--model-url": "--model",
    "-t": "--threads", "-tb": "--threads-batch", "-np": "--parallel",
    "--predict": "--n-predict", "-ub": "--ubatch-size", "-s": "--seed", "--temperature": "--temp",
    "-ngl": "--n-gpu-layers", "--gpu-layers": "--n-gpu-layers",
    "-sm": "--split-mode", "-ts": "--tensor-split", "-mg": "--main-gpu",
    "-ctk": "--cache-type-k", "-ctv": "--cache-type-v", "-cram": "--cache-ram",
    "-mm": "--llava-mmproj", "--mmproj": "--llava-mmproj", "-mv": "--model-vocoder",
    "-md": "--draft-model", "--model-draft": "--draft-model",
    "--spec-draft-model": "--draft-model", "--draft": "--draft-max", "--draft-n": "--draft-max",
    "--spec-draft-n-max": "--draft-max", "--lora-scaled": "--lora",
    "--chat-template-file": "--chat-template", "-rea": "--reasoning", "-j": "--json-schema",
    "--path": "--web-ui", "--api-prefix": "--root-path", "--cors-origins": "--cors-origin",
    "--ssl-cert-file": "--ssl-certfile", "--ssl-key-file": "--ssl-keyfile",
}  # fmt: skip
"""Options with a value, and what they are here."""

SWITCHES = {
    "--no-webui": "--no-web-ui", "--no-ui": "--no-web-ui",
    "-v": "--log-level=debug", "--verbose": "--log-level=debug",
    "--log-verbose": "--log-level=debug", "--log-disable": "--log-level=error",
    "--log-jsonl": "--log-format=json",
    "--context-shift": "--truncation=auto", "--no-context-shift": "--truncation=disabled",
}  # fmt: skip
"""Options without a value, and what they are here."""

SO_ANYWAY = {
    "--jinja", "-cb", "--cont-batching", "--metrics", "--slots", "--cache-prompt", "--mmap",
    "--webui", "--ui", "--rerank", "--reranking", "--embedding", "--no-warmup", "--kv-offload",
    "-kvo", "--mmproj-auto", "--models-autoload",
}  # fmt: skip
"""Options without a value that ask for what is always so here."""

FIELDS = {
    "--top-k": "top_k", "--min-p": "min_p", "--top-nsigma": "top_n_sigma",
    "--top-n-sigma": "top_n_sigma", "--typical": "typical_p", "--typical-p": "typical_p",
    "--xtc-probability": "xtc_probability", "--xtc-threshold": "xtc_threshold",
    "--repeat-last-n": "repeat_last_n", "--dry-multiplier": "dry_multiplier",
    "--dry-base": "dry_base", "--dry-allowed-length": "dry_allowed_length",
    "--dry-penalty-last-n": "dry_penalty_last_n",
    "--dry-sequence-breaker": "dry_sequence_breakers", "--dynatemp-range": "dynatemp_range",
    "--dynatemp-exp": "dynatemp_exponent", "--mirostat": "mirostat",
    "--mirostat-lr": "mirostat_eta", "--mirostat-ent": "mirostat_tau", "--samplers": "samplers",
    "-l": "logit_bias", "--logit-bias": "logit_bias", "--ignore-eos": "ignore_eos",
    "--chat-template-kwargs": "chat_template_kwargs", "--reasoning-effort": "reasoning_effort",
    "--no-cache-prompt": "cache_prompt",
}  # fmt: skip
"""Options that requests have instead, and the fields' names."""

INSTEAD = {
    "-hff": "the file's name stands after the repository's: -hf ORG/REPO:FILE",
    "--hf-file": "the file's name stands after the repository's: -hf ORG/REPO:FILE",
    "-hft": "set HF_TOKEN in the environment",
    "--hf-token": "set HF_TOKEN in the environment",
    "--offline": "set HF_HUB_OFFLINE=1 in the environment",
    "--list-devices": "llamaedge doctor lists them",
    "-cl": "llamaedge list lists them",
    "--cache-list": "llamaedge list lists them",
    "-to": "--request-timeout says how long a request may take in all",
    "--timeout": "--request-timeout says how long a request may take in all",
    "--log-file": "the log goes to stderr: 2>FILE writes it to a file",
    "-lv": "--log-level says how much to tell",
    "--verbosity": "--log-level says how much to tell",
    "--log-verbosity": "--log-level says how much to tell",
    "--grammar-file": 'give the grammar itself: --grammar "$(cat FILE)"',
    "-jf": 'give the schema itself: --json-schema "$(cat FILE)"',
    "--json-schema-file": 'give the schema itself: --json-schema "$(cat FILE)"',
    "-mmu": "--llava-mmproj takes a file; -hf brings a model with its projector",
    "--mmproj-url": "--llava-mmproj takes a file; -hf brings a model with its projector",
    "--mlock": "memory is not locked; --no-mmap true reads the model into it",
    "-lm": "--no-mmap true reads the model into memory, else it is mapped",
    "--load-mode": "--no-mmap true reads the model into memory, else it is mapped",
    "--models-dir": "--nn-preload names models, and requests load those that llamaedge list shows",
    "--models-preset": "--nn-preload names models, and --config a file of options",
    "--no-models-autoload": "--strict-model refuses models that the command line does not name",
    "--props": "a server that runs is not changed; requests say what is other for them",
    "--no-jinja": "--prompt-template NAME takes a format that has a name",
    "--pooling": "the model's file says how it pools",
    "--tools": "the server runs no tools; clients do, as requests offer them",
    "-hfd": "--draft-model takes a file",
    "--hf-repo-draft": "--draft-model takes a file",
    "--spec-draft-hf": "--draft-model takes a file",
}
"""Options that have no equal here, and what to do."""

NOT_HERE = {
    "-C", "--cpu-mask", "-Cr", "--cpu-range", "--cpu-strict", "--prio", "--poll", "-Cb",
    "--cpu-mask-batch", "-Crb", "--cpu-range-batch", "--keep", "--swa-full", "--rope-scaling",
    "--rope-scale", "--rope-freq-base", "--rope-freq-scale", "--yarn-orig-ctx",
    "--yarn-ext-factor", "--yarn-attn-factor", "--yarn-beta-slow", "--yarn-beta-fast", "-nkvo",
    "--no-kv-offload", "-nr", "--no-repack", "-dt", "--defrag-thold", "--numa", "-dev",
    "--device", "-ot", "--override-tensor", "-cmoe", "--cpu-moe", "-ncmoe", "--n-cpu-moe",
    "-ncffn", "-fit", "--fit", "-fitt", "-fitc", "--check-tensors", "--override-kv",
    "--control-vector", "--control-vector-scaled", "-dr", "--docker-repo", "-ctkd", "-ctvd",
    "-bs", "--backend-sampling", "-lcs", "-lcd", "-ctxcp", "--ctx-checkpoints", "-cms", "-kvu",
    "--kv-unified", "-sp", "--special", "--warmup", "--spm-infill", "-nocb",
    "--no-cont-batching", "--no-mmproj", "--no-mmproj-auto", "--no-mmproj-offload", "-mmdev",
    "--embd-normalize", "--reuse-port", "-ag", "--agent", "--threads-http",
    "--cache-reuse", "-sps", "--slot-prompt-similarity",
    "--lora-init-without-apply", "-td", "-tbd", "-devd", "-ngld", "--gpu-layers-draft",
    "--spec-type", "--draft-min", "--draft-n-min", "--draft-p-min", "-e", "--escape",
    "--no-escape", "--perf", "--no-perf",
}  # fmt: skip
"""Options for which there is nothing."""

_VALUES: Mapping[str, Mapping[str, str | None]] = {
    "--n-gpu-layers": {"all": "999", "auto": None, "-1": None},
    "--threads": {"-1": None, "0": None},
    "--threads-batch": {"-1": None, "0": None},
    "--parallel": {"-1": None},
    "--models-max": {"0": None},
}
"""Values that are others here, or, with None, what is so without the option."""

_FLASH = {"-fa", "--flash-attn"}
_OFF = {"off", "0", "false", "disabled"}
_ON = {"on", "1", "true", "enabled", "auto", "-1"}
_MAPPED = "--no-mmap"
_EMBEDDINGS = "--embeddings"


def translated(words: Sequence[str], known: Mapping[str, bool]) -> list[str]:
    """``words`` with llama.cpp's options put into ``known`` ones, which tell if a value follows.

    What follows a .wasm file is the guest's, and stays. Raises click.UsageError.
    """
    found: list[str] = []
    rest = deque(words)
    while rest and rest[0] != "--" and not _is_guest(rest[0]):
        found += _option(rest.popleft(), rest, known)
    return [*found, *rest]


def _is_guest(word: str) -> bool:
    return word.endswith(".wasm") and not word.startswith("-")


def _option(word: str, rest: deque[str], known: Mapping[str, bool]) -> list[str]:
    """What ``word`` and the value after it, which leaves ``rest``, are here."""
    name, equals, value = word.partition("=")
    if name in _FLASH:
        return _flash(name, value if equals else _value_of(rest, {*_ON, *_OFF}))
    if name in (_MAPPED, _EMBEDDINGS) and not equals and (not rest or rest[0].startswith("-")):
        return [f"{name}=true"] if name == _MAPPED else []
    if name in SO_ANYWAY:
        return []
    if name in SWITCHES:
        return [SWITCHES[name]]
    if (ours := RENAMED.get(name, name)) in known:
        return _with_value(ours, word, rest, known)
    if name in FIELDS:
        raise click.UsageError(f"{name}: each request says it, in {FIELDS[name]!r}")
    if name in INSTEAD:
        raise click.UsageError(f"{name}: {INSTEAD[name]}")
    if name in NOT_HERE:
        raise click.UsageError(f"{name} of llama.cpp's server has no equal here")
    return [word]


def _with_value(ours: str, word: str, rest: deque[str], known: Mapping[str, bool]) -> list[str]:
    _, equals, value = word.partition("=")
    given = [value] if equals else [rest.popleft()] if known[ours] and rest else []
    changed = [_VALUES.get(ours, {}).get(each, each) for each in given]
    kept = [each for each in changed if each is not None]
    if len(kept) < len(given):
        return []
    return [f"{ours}={kept[0]}"] if equals else [ours, *kept]


def _value_of(rest: deque[str], values: set[str]) -> str:
    return rest.popleft() if rest and rest[0] in values else "on"


def _flash(name: str, value: str) -> list[str]:
    if value in _ON:
        return []
    raise click.UsageError(f"{name}: flash attention is used wherever llama.cpp can, not as asked")
