"""Text from SmolLM2, whole and token by token."""

import json
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llamaedge_host.ggml.context import GgmlContext
from llamaedge_host.ggml.llama.library import llama
from llamaedge_host.nn import NnErrno
from llamaedge_host.nn.backend import BackendError

from .conftest import FRANCE, Load, counts, run, stream

PARIS = b"The capital of France is Paris."
END = b"<|im_end|>"


def test_compute_gives_the_text_with_its_end(context: GgmlContext) -> None:
    assert run(context, FRANCE) == PARIS + END
    assert counts(context) == (16, 8)
    assert json.loads(context.output(1))["llama_build_number"] > 10_000
    assert set(json.loads(context.output(1))) == {
        *("input_tokens", "output_tokens", "llama_build_number", "llama_commit", "n_parallel"),
        *("cached_tokens", "read_tokens"),
    }


def test_compute_single_gives_the_same_in_pieces(context: GgmlContext) -> None:
    pieces, errno = stream(context, FRANCE)
    assert (b"".join(pieces), errno) == (PARIS, NnErrno.END_OF_SEQUENCE)
    assert counts(context) == (16, 8)
    assert context.output(0) == PARIS + END


def test_a_guest_need_not_wait_for_a_prompt_to_be_read(load: Load) -> None:
    prompt = b"Once upon a time there was a lighthouse keeper who lived by the sea. " * 12
    context = load().context()
    context.set_input(1, 3, b'{"single-wait": 1}')
    context.set_input(0, 3, prompt)
    errnos = [context.compute_single()]
    while errnos.count(NnErrno.SUCCESS) < 4:
        errnos.append(context.compute_single())
    assert errnos[0] is NnErrno.BUSY
    assert set(errnos) == {NnErrno.BUSY, NnErrno.SUCCESS}
    text = context.output(0)
    context.set_input(1, 3, b'{"single-wait": -1, "n-predict": 4}')
    assert run(context, prompt) == text


def test_how_far_a_prompt_is_read_is_told(load: Load) -> None:
    prompt = b"Once upon a time there was a lighthouse keeper who lived by the sea. " * 12
    context = load().context()
    context.set_input(1, 3, b'{"single-wait": 1, "n-predict": 1, "cache-prompt": false}')
    context.set_input(0, 3, prompt)
    total = json.loads(context.output(1))["input_tokens"]
    read = []
    while context.compute_single() is NnErrno.BUSY:
        read.append(json.loads(context.output(1))["read_tokens"])
    read.append(json.loads(context.output(1))["read_tokens"])
    assert read == sorted(read)
    assert read[0] < total
    assert read[-1] == total


def test_the_end_stays_until_a_new_prompt(context: GgmlContext) -> None:
    stream(context, FRANCE)
    for _ in range(3):
        assert context.compute_single() is NnErrno.END_OF_SEQUENCE
    assert counts(context) == (16, 8)
    assert stream(context, FRANCE)[1] is NnErrno.END_OF_SEQUENCE
    context.fini_single()
    assert context.output(0) == b""
    assert context.compute_single() is NnErrno.SUCCESS


def test_n_predict_and_reverse_prompt_bound_compute(load: Load) -> None:
    context = load(n_predict=3).context()
    assert run(context, FRANCE) == b"The capital of"
    context.set_input(1, 3, b'{"n-predict": -1, "reverse-prompt": "l of F"}')
    assert run(context, FRANCE) == b"The capital of France"
    context.set_input(1, 3, b'{"n-predict": 0}')
    assert run(context, FRANCE) == b""
    assert len(stream(context, FRANCE)[0]) == 7


def test_a_prompt_can_be_computed_again(load: Load, tiny_llama: Path) -> None:
    context = load(tiny_llama, n_predict=12, ignore_eos=True).context()
    text = run(context, b"the sea")
    assert context.compute() is NnErrno.SUCCESS
    assert context.output(0) == text
    assert context.compute_single() is NnErrno.SUCCESS
    assert text.startswith(context.output(0))
    context.fini_single()
    assert (context.output(0), context.output_single(0)) == (b"", b"")
    assert counts(context) == (9, 0)
    assert context.compute() is NnErrno.SUCCESS
    assert context.output(0) == text


def test_metadata_amid_a_stream_waits_for_the_next_prompt(load: Load, tiny_llama: Path) -> None:
    context = load(tiny_llama, n_predict=12, ignore_eos=True).context()
    text = run(context, b"the sea")
    context.set_input(0, 3, b"the sea")
    assert context.compute_single() is NnErrno.SUCCESS
    context.set_input(1, 3, b'{"temp": 3.0, "seed": 1, "n-predict": 2, "top-k": 0}')
    for _ in range(11):
        assert context.compute_single() is NnErrno.SUCCESS
    assert context.output(0) == text
    assert run(context, b"the sea") != text[:2]
    assert counts(context)[1] == 2


def test_contexts_of_one_graph_do_not_disturb_each_other(load: Load) -> None:
    graph = load(n_predict=20)
    one, other = graph.context(), graph.context()
    one.set_input(0, 3, FRANCE)
    assert one.compute_single() is NnErrno.SUCCESS
    assert b"Rome" in run(other, FRANCE.replace(b"France", b"Italy"))
    pieces = [one.output_single(0)]
    while not one.compute_single():
        pieces.append(one.output_single(0))
    assert b"".join(pieces) == PARIS
    one.close()
    other.close()


def test_a_prompt_too_long_names_both_numbers(load: Load) -> None:
    context = load(ctx_size=64).context()
    context.set_input(0, 3, b"word " * 300)
    with pytest.raises(BackendError, match=r"301 tokens, .* 60 \(ctx-size 64\)") as raised:
        context.compute()
    assert raised.value.errno == NnErrno.PROMPT_TOO_LONG
    assert context.compute_single() is NnErrno.PROMPT_TOO_LONG
    assert counts(context) == (301, 0)
    assert (context.output(0), context.output_single(0)) == (b"", b"")
    context.fini_single()
    with pytest.raises(BackendError):
        context.compute_single()
    assert context.compute_single() is NnErrno.PROMPT_TOO_LONG


def test_a_prompt_of_megabytes_is_refused_at_once(load: Load, tiny_llama: Path) -> None:
    context = load(tiny_llama, ctx_size=512).context()
    with pytest.raises(BackendError, match=r"10000000 bytes, .* 512 tokens .* 65536") as raised:
        context.set_input(0, 3, b"<s>a" * 2_500_000)
    assert raised.value.errno == NnErrno.PROMPT_TOO_LONG


def test_a_full_context_keeps_what_was_made(load: Load, tiny_llama: Path) -> None:
    context = load(tiny_llama, ctx_size=256, ignore_eos=True).context()
    context.set_input(0, 3, b"a" * 240)
    assert context.compute() is NnErrno.CONTEXT_FULL
    told, made = counts(context)
    assert told + made == 257  # the last one is made, but no place is left to evaluate it
    pieces, errno = stream(context, b"a" * 240)
    assert errno is NnErrno.CONTEXT_FULL
    assert len(pieces) == made - 1
    assert context.compute_single() is NnErrno.CONTEXT_FULL


def test_an_empty_prompt_is_refused(context: GgmlContext) -> None:
    with pytest.raises(BackendError, match="no prompt") as raised:
        context.compute()
    assert raised.value.errno == NnErrno.INVALID_ARGUMENT
    context.set_input(0, 3, b"")
    with pytest.raises(BackendError, match="no prompt"):
        context.compute_single()


def test_characters_come_whole(load: Load) -> None:
    context = load(grammar='root ::= "\U0001f600\U0001f680é漢"').context()
    pieces, _ = stream(context, FRANCE)
    assert b"".join(pieces).decode() == "\U0001f600\U0001f680é漢"
    assert all(piece.decode() is not None for piece in pieces)


def greedy(path: Path, prompt: bytes, most: int) -> list[int]:
    """llama.cpp's own greedy loop, in a thread of its own as every computation must be."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_greedy, path, prompt, most).result()


def _greedy(path: Path, prompt: bytes, most: int) -> list[int]:
    model = llama.llama_model_load_from_file(str(path).encode(), llama.llama_model_default_params())
    asked = llama.llama_context_default_params()
    asked.n_threads = asked.n_threads_batch = 1
    made = llama.llama_init_from_model(model, asked)
    vocab = llama.llama_model_get_vocab(model)
    buffer = (llama.llama_token * 512)()
    count = llama.llama_tokenize(vocab, prompt, len(prompt), buffer, 512, True, True)
    sampler = llama.llama_sampler_init_greedy()
    tokens: list[int] = []
    batch = llama.llama_batch_get_one(buffer, count)
    while len(tokens) < most:
        assert llama.llama_decode(made, batch) == 0
        token = llama.llama_sampler_sample(sampler, made, -1)
        tokens.append(token)
        if llama.llama_vocab_is_eog(vocab, token):
            break
        batch = llama.llama_batch_get_one((llama.llama_token * 1)(token), 1)
    llama.llama_sampler_free(sampler)
    llama.llama_free(made)
    llama.llama_model_free(model)
    return tokens


QUESTIONS = (
    "Tell me about the sea.",
    "What is two and two?",
    "Name three colours.",
    "Who wrote Hamlet?",
    "Why is the sky blue?",
    "Write a haiku about rain.",
    "List five animals that can fly.",
    "Explain gravity to a child.",
    "Translate good morning into French.",
    "What is the largest planet?",
    "How does a bicycle stay upright?",
    "Count from one to ten.",
    "def fibonacci(n):",
    "Once upon a time",
    "What is 17 times 23?",
    "Give me a recipe for bread.",
    "Who was Robert Oppenheimer?",
    "Schreibe einen Satz auf Deutsch.",
    "\u4f60\u597d",
    '{"name": ',
)


@pytest.mark.parametrize("question", QUESTIONS)
def test_greedy_is_llama_cpps_own(load: Load, smollm2: Path, question: str) -> None:
    prompt = FRANCE.replace(b"What is the capital of France?", question.encode())
    graph = load(n_predict=24)
    text = run(graph.context(), prompt)
    piece = graph.model.vocabulary.piece
    assert text == b"".join(map(piece, greedy(smollm2, prompt, 24)))


def test_a_prompt_of_token_numbers(context: GgmlContext) -> None:
    vocabulary = context._graph.model.vocabulary
    tokens = vocabulary.tokenize(FRANCE)
    context.set_input(0, 4, struct.pack(f"<{len(tokens)}i", *tokens))
    context.compute()
    assert context.output(0) == PARIS + END
    for wrong in (b"abc", struct.pack("<i", -1), struct.pack("<i", vocabulary.size)):
        with pytest.raises(BackendError) as caught:
            context.set_input(0, 4, wrong)
        assert caught.value.errno == NnErrno.INVALID_ARGUMENT
