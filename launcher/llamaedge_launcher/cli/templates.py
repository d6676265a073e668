"""Which prompt template each model is served with."""

import logging
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from llamaedge_host.ggml.chat.sources import DEFAULT, sources
from llamaedge_host.ggml.llama.gguf import Gguf
from llamaedge_host.paths import expanded

from ..errors import LauncherError
from ..models.embeds import embeds

_log = logging.getLogger(__name__)

AUTO, EMBEDDING, NONE = "auto", "embedding", "none"
NAMES = (
    "llama-2-chat", "llama-3-chat", "llama-3-tool", "mistral-instruct", "mistral-tool",
    "mistrallite", "openchat", "codellama-instruct", "codellama-super-instruct",
    "human-assistant", "vicuna-1.0-chat", "vicuna-1.1-chat", "vicuna-llava", "chatml",
    "chatml-tool", "internlm-2-tool", "baichuan-2", "wizard-coder", "zephyr", "stablelm-zephyr",
    "intel-neural", "deepseek-chat", "deepseek-coder", "deepseek-chat-2", "deepseek-chat-25",
    "solar-instruct", "phi-2-chat", "phi-2-instruct", "phi-3-chat", "phi-3-instruct",
    "gemma-instruct", "octopus", "glm-4-chat", "groq-llama3-tool", "mediatek-breeze",
    "nemotron-chat", "nemotron-tool", "functionary-32", "functionary-31", "llama-4-chat",
    "mistral-small-chat", "mistral-small-tool", "chatml-think", "deepseek-chat-3", "phi-4-chat",
    "gemma-3", "falcon3", "megrez", "moxin-chat", "moxin-instruct", "exaone-chat",
    "exaone-deep-chat", "minicpmv", "qwen2-vision", "qwen3-no-think", "qwen3-agent",
    "seed-instruct", "seed-reasoning", "seed-oss-think", "seed-oss-no-think", "smol3-no-think",
    "smol-vl", "smol-vision", "gpt-oss",
)  # fmt: skip
"""The names that the bundled server takes, beside auto, embedding and none."""

SIGNATURES = (
    (r"<\|start_header_id\|>.*<function=", "", "functionary-31"),
    (r"<\|start_header_id\|>.*>>>", "", "functionary-32"),
    (r"<\|start_header_id\|>", "", "llama-3-chat"),
    (r"<\|header_start\|>", "", "llama-4-chat"),
    (r"<\|channel\|>.*<\|message\|>", "", "gpt-oss"),
    (r"<\|im_sep\|>", "", "phi-4-chat"),
    (r"<\|im_start\|>", "qwen2vl|qwen25vl", "qwen2-vision"),
    (r"<\|im_start\|>", "smollm3", "smol3-no-think"),
    (r"<\|im_start\|>", "qwen3(moe)?", "qwen3-agent"),
    (r"<\|im_start\|>", "", "chatml"),
    (r"\[SYSTEM_PROMPT\]", "", "mistral-small-chat"),
    (r"\[INST\].*<<SYS>>", "", "llama-2-chat"),
    (r"\[INST\]", "", "mistral-instruct"),
    (r"<start_of_turn>", "gemma3", "gemma-3"),
    (r"<start_of_turn>", "", "gemma-instruct"),
    (r"<\|user\|>.*<\|end\|>", "", "phi-3-chat"),
    (r"\[gMASK\]<sop>", "", "glm-4-chat"),
    (r"<\|user\|>", "falcon3|falcon-h1", "falcon3"),
    (r"<\|user\|>", "stablelm", "stablelm-zephyr"),
    (r"<\|user\|>.*eos_token|<\|user\|>.*</s>", "", "zephyr"),
    (r"GPT4 Correct", "", "openchat"),
    (r"<\|role_start\|>", "", "megrez"),
    (r"<\uff5cUser\uff5c>.*<think>", "", "deepseek-chat-3"),
    (r"<\uff5cUser\uff5c>", "", "deepseek-chat-25"),
    (r"### Instruction:.*<\|EOT\|>", "", "deepseek-coder"),
    (r"User: .*Assistant: ?", "deepseek2?", "deepseek-chat-2"),
    (r"<extra_id_1>", "", "nemotron-chat"),
    (r"\[\|assistant\|\].*<thought>", "", "exaone-deep-chat"),
    (r"\[\|assistant\|\]", "", "exaone-chat"),
    (r"<\|prompter\|>", "", "mistrallite"),
    (r"<reserved_106>", "", "baichuan-2"),
    (r"<seed:bos>", "", "seed-oss-think"),
    (r"USER:.*ASSISTANT:", "", "vicuna-1.1-chat"),
    (r"### User:.*### Assistant:", "", "solar-instruct"),
)
"""What a template has in it, of which architecture ("" for any), and the name of its format."""


def check(options: dict[str, str | bool]) -> None:
    """Raise LauncherError for a template's name that is a slip, and read --chat-template.

    That is a file, or the template itself as llama.cpp's server takes it.
    """
    for name in str(options.get("--prompt-template", "")).split(","):
        if name and name not in (*NAMES, AUTO, EMBEDDING, NONE) and (near := _near(name)):
            message = f"--prompt-template: {name!r} is not known; is it {' or '.join(near)}?"
            raise LauncherError(message, exit_code=2)
    file = options.get("--chat-template")
    if file is not None and not _WRITTEN_OUT.search(str(file)):
        options["--chat-template"] = _read(expanded(str(file)))


def complete(
    options: dict[str, str | bool], headers: Sequence[Gguf | None], *, bundled: bool
) -> None:
    """Name the templates that ``options`` do not, for models with ``headers``.

    The bundled server has a model's own template written out; others need its format's name.
    Raises LauncherError where that cannot be told.
    """
    if not bundled and "--chat-template" in options:
        raise LauncherError(
            "--chat-template is for the bundled server; others need --prompt-template",
            exit_code=2,
        )
    given = str(options.get("--prompt-template", "")).split(",")
    if given == [""]:
        first = [EMBEDDING if embeds(header) else AUTO for header in headers[:1]]
        given = first + [EMBEDDING for _ in headers[1:]]
    if AUTO not in given and "--prompt-template" in options:
        return
    if not bundled:
        pairs = zip(given, [*headers, *[None] * len(given)], strict=False)
        given = [_named(header) if name == AUTO else name for name, header in pairs]
    elif given[0] == AUTO and "--chat-template" not in options:
        _need_template(headers[0])
    if given != [AUTO] or not bundled:
        options["--prompt-template"] = ",".join(given)


def _need_template(header: Gguf | None) -> None:
    if header is not None and not sources(header.metadata):
        raise LauncherError(
            "the model has no chat template of its own: name its format with --prompt-template,"
            " such as chatml or llama-3-chat (none for completions alone), or give a Jinja file"
            " with --chat-template",
            exit_code=2,
        )


def _named(header: Gguf | None) -> str:
    """The format's name of a model, told by its template."""
    found = sources(header.metadata) if header else {}
    if not header or not found:
        raise LauncherError(
            f"the model has no chat template to tell its format; {_CANDIDATES}", exit_code=2
        )
    template = found.get(DEFAULT) or next(iter(found.values()))
    for pattern, architecture, name in SIGNATURES:
        fits = not architecture or re.fullmatch(architecture, header.architecture)
        if fits and re.search(pattern, template, re.DOTALL):
            _log.info("prompt template: %s, as the model's own template tells", name)
            return name
    raise LauncherError(
        f"the model's own template ({header.architecture}) is of no format that has a name here;"
        f" {_CANDIDATES}",
        exit_code=2,
    )


_WRITTEN_OUT = re.compile(r"\{[{%]")
_CANDIDATES = f"name the nearest with --prompt-template: {', '.join(NAMES)}"


def _near(name: str) -> list[str]:
    bare = {re.sub(r"[^a-z0-9]", "", each): each for each in (AUTO, EMBEDDING, NONE, *NAMES)}
    asked = re.sub(r"[^a-z0-9]", "", name.lower())
    begun = [each for known, each in bare.items() if asked and known.startswith(asked)]
    return (begun or [bare[each] for each in get_close_matches(asked, bare, 2)])[:2]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        names = _near(str(path)) if isinstance(error, FileNotFoundError) else []
        hint = f"; for a format by its name: --prompt-template {names[0]}" if names else ""
        raise LauncherError(
            f"--chat-template: cannot read {path}: {error.strerror}{hint}"
        ) from error
    except UnicodeDecodeError as error:
        raise LauncherError(f"--chat-template: {path} is no text") from error
