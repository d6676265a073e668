"""Writes the reference page of the metadata keys.

Run it by ``python -m llamaedge_host.ggml.metadata.reference``.
"""

import sys

from .keys import INT32, KEYS, Key, Scope

HEAD = """\
# Metadata keys

The configuration of `load_by_name_with_config` and the input at index 1 of `set_input` are a JSON
object of these keys. A missing key keeps its value, an unknown one is ignored. A value of a wrong
type or out of its range answers 1 (InvalidArgument), text that is not JSON 2 (InvalidEncoding), and
then nothing changes. A key that takes effect at the next prompt belongs to the execution context
that it is given to: it begins with the value that the graph was loaded with, and no other context
sees a change. All others change the graph.

Beside these keys the input at index 1 takes `conversation`, an object that becomes the prompt by
the model's chat template: `messages` and `tools` as in OpenAI's API, `documents`,
`chat_template_kwargs`, `add_generation_prompt` (default true) and `continue_final_message`. In its
place may stand `prompt`, an array of texts and token numbers (or an object of it as `parts`, with
`special` and `control` false where a text gets no tokens that the model expects, and has no control
tokens), or `infill`, an object of such arrays, `prefix` and `suffix`: the prompt is then by the
model's own tokens for what stands between. The output at index 2 is then the prompt's text. With
`enable-chat-template` the output at index 1 has `chat_template`: null where the model has none,
`error` for one that cannot be used, else what it can do. WasmEdge ignores all of it.

The output at index 4 is a JSON object: `keys` are those that a guest may set here and WasmEdge does
not know or does not obey, `prompt` and `infill` tell whether these may be given. There this output
is the text, which is empty before the first computation. `token` tells of the single output at
index 3, and `ends` are the tokens that end an answer. The single output at index 3 is, after each
token of `compute_single`, `{"id", "bytes"}`: the token's number and the numbers of its piece's
bytes. With `n-probs` it has `logprob`, the natural logarithm of the token's probability (-9999 for
none), and `top`, the same of the likeliest tokens, the likeliest first. Probabilities are the
model's own, before every sampler; with `post-sampling-probs` they are those that the samplers left.
The output at index 5 is the prompt's tokens, an array of `id` and `bytes`. The counts have
`cached_tokens`, those of the prompt that were in a KV cache already, and `read_tokens`, those that
have been evaluated so far, the former among them. Made by `python -m
llamaedge_host.ggml.metadata.reference`.
"""
_KINDS = {bool: "boolean", int: "integer", float: "number", str: "string"}
_COLUMNS = ("key", "type", "default", "range", "a change takes effect", "meaning")


def page() -> str:
    """The page, in Markdown: a table for each scope."""
    parts = [HEAD]
    for scope in Scope:
        rows = [_COLUMNS, ("---",) * len(_COLUMNS)]
        rows += [_row(key) for key in KEYS if key.scope is scope]
        parts.append(f"\n## Of the {scope.value}\n")
        parts += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(parts) + "\n"


def _row(key: Key) -> tuple[str, ...]:
    names = ", ".join(f"`{name}`" for name in (key.name, *key.aliases))
    default = str(key.default).lower() if key.kind is bool else str(key.default)
    return names, _KINDS[key.kind], default, _range(key), key.change.value, key.meaning


def _range(key: Key) -> str:
    if key.kind in (bool, str):
        return ", ".join(key.choices)
    low = "" if key.low in (-float("inf"), INT32[0]) else f"{key.low:g} or more"
    if key.clamped:
        return f"below {key.low:g} is {key.low:g}"
    if key.high in (float("inf"), INT32[1]):
        return low
    return f"{key.low:.10g} to {key.high:.10g}"


if __name__ == "__main__":
    sys.stdout.write(page())
