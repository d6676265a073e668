"""What requests can ask of the model, on the real one behind the front."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion

from .running import running

FRANCE: Any = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="module")
def url(
    tmp_path_factory: pytest.TempPathFactory, smollm2: Path, module_cache: Path
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("fields")
    with running(folder, "--ctx-size", "512", "--parallel", "4", "--temp", "0") as server:
        yield server.wait_ready()


@pytest.fixture
def client(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60)


def ask(client: OpenAI, **options: Any) -> ChatCompletion:
    """The whole answer to FRANCE, with fields that the client's types need not know."""
    known = {name: options.pop(name) for name in list(options) if name in OPENAIS}
    answer = client.chat.completions.create(
        **{"model": "default", "messages": FRANCE, "max_tokens": 8} | known, extra_body=options
    )
    assert isinstance(answer, ChatCompletion)
    return answer


OPENAIS = {"logprobs", "top_logprobs", "logit_bias", "n", "seed", "temperature", "max_tokens"}


def prompt_tokens(url: str) -> int:
    """Prompt tokens that the engine has computed."""
    text = httpx.get(f"{url}/metrics").text
    found = re.findall(r"^llamacpp:prompt_tokens_total(?:\{.*\})? (\S+)$", text, re.M)
    assert found, text
    return int(sum(map(float, found)))


def test_probabilities_are_of_the_text(client: OpenAI) -> None:
    answer = ask(client, logprobs=True, top_logprobs=4)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None and logprobs.content is not None
    assert "".join(token.token for token in logprobs.content) == answer.choices[0].message.content
    for token in logprobs.content:
        assert bytes(token.bytes or []).decode() == token.token
        assert token.logprob <= 0
        assert token.top_logprobs[0].token == token.token, "greedy"
        assert len(token.top_logprobs) == 4
    stream: Any = client.chat.completions.create(
        model="default", messages=FRANCE, max_tokens=8, logprobs=True, stream=True
    )
    told = [chunk.choices[0].logprobs for chunk in stream if chunk.choices]
    streamed = [token for logprobs in told if logprobs for token in logprobs.content]
    assert [token.logprob for token in streamed] == pytest.approx(
        [token.logprob for token in logprobs.content], abs=0.05
    )


def test_completions_have_probabilities_of_their_own_shape(client: OpenAI) -> None:
    answer = client.completions.create(
        model="default", prompt="The capital of France is", max_tokens=4, logprobs=3
    )
    assert answer.system_fingerprint
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None and logprobs.tokens and logprobs.top_logprobs
    assert "".join(logprobs.tokens) == answer.choices[0].text
    assert logprobs.text_offset is not None and logprobs.text_offset[0] == 0
    assert logprobs.text_offset[1] == len(logprobs.tokens[0])
    assert all(len(top) == 3 for top in logprobs.top_logprobs)


def test_a_bias_keeps_a_token_out(client: OpenAI) -> None:
    plain = ask(client, n_probs=1)
    assert plain.choices[0].logprobs and plain.choices[0].logprobs.content
    first: Any = plain.choices[0].logprobs.content[0]
    for bias in ({str(first.id): -100}, [[first.id, False]], [[first.token, -100]]):
        answer = ask(client, logit_bias=bias)
        assert (answer.choices[0].message.content or "")[: len(first.token)] != first.token


def test_what_an_answer_follows(client: OpenAI) -> None:
    answer = ask(client, grammar='root ::= "yes" | "no"')
    assert answer.choices[0].message.content in ("yes", "no")
    assert ask(client, json_schema={"const": 42}).choices[0].message.content == "42"
    with pytest.raises(openai.BadRequestError) as raised:
        ask(client, grammar="root ::= (")
    assert raised.value.param == "grammar"


def test_choices_share_what_is_computed_of_their_prompt(url: str, client: OpenAI) -> None:
    messages = [{"role": "user", "content": "A tale of one who counts: " + "and one more, " * 40}]
    before = prompt_tokens(url)
    answer: Any = client.chat.completions.create(
        model="default", messages=messages, n=4, max_tokens=8, temperature=1, seed=3
    )
    computed = prompt_tokens(url) - before
    size = answer.usage.prompt_tokens
    assert size > 150
    assert computed <= size + 3, "the first reads it all, the others its last token"
    assert answer.usage.completion_tokens == 32
    assert len({choice.message.content for choice in answer.choices}) > 1
    again: Any = client.chat.completions.create(
        model="default", messages=messages, max_tokens=1, extra_body={"cache_prompt": True}
    )
    assert again.usage.prompt_tokens_details.cached_tokens == size - 1
    anew: Any = client.chat.completions.create(
        model="default", messages=messages, max_tokens=1, extra_body={"cache_prompt": False}
    )
    assert anew.usage.prompt_tokens_details.cached_tokens == 0


def test_an_answer_that_may_not_end_goes_on(client: OpenAI) -> None:
    answer: Any = ask(client, max_tokens=24, ignore_eos=True)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 24


def test_a_field_is_obeyed_or_named(url: str) -> None:
    body = {"messages": FRANCE, "max_tokens": 1}
    for field, value in {
        "logit_bias": {"999999": 1},
        "samplers": ["luck"],
        "verbosity": "low",
    }.items():
        answer = httpx.post(f"{url}/v1/chat/completions", json=body | {field: value}, timeout=60)
        assert answer.status_code == 400
        assert field.replace("_", "-") in answer.text or field in answer.text
    answer = httpx.post(f"{url}/v1/chat/completions", json=body | {"temprature": 1}, timeout=60)
    assert answer.headers["X-Unknown-Fields"] == "temprature"


def test_tokens_are_a_prompt(url: str) -> None:
    def complete(**body: Any) -> Any:
        return httpx.post(f"{url}/v1/completions", json={"max_tokens": 8} | body, timeout=60)

    text = "The capital of France is"
    made = complete(prompt=text, logprobs=0).raise_for_status().json()["choices"][0]
    tokens = [row["id"] for row in made["logprobs"]["content"]]
    for prompt in (tokens, [text, *tokens], [[*tokens], made["text"]]):
        answer = complete(prompt=prompt, echo=True, max_tokens=0).raise_for_status().json()
        assert answer["choices"][0]["text"].removeprefix(text) == made["text"]
    refused = complete(prompt=[10**6])
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "prompt")
    refused = complete(prompt="def f(", suffix="return 1")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "suffix")


def test_a_text_is_tokens_and_tokens_a_text(url: str) -> None:
    def post(path: str, **body: Any) -> Any:
        return httpx.post(f"{url}{path}", json=body, timeout=60).raise_for_status().json()

    text = "What of 媽 and 🤗?"
    tokens = post("/tokenize", content=text)["tokens"]
    assert post("/detokenize", tokens=tokens) == {"content": text}
    pieces = post("/tokenize", content=text, with_pieces=True)["tokens"]
    assert [piece["id"] for piece in pieces] == tokens
    assert any(isinstance(piece["piece"], list) for piece in pieces), "half a character"
    prompt = post("/apply-template", messages=FRANCE)["prompt"]
    assert "What is the capital of France?<|im_end|>" in prompt
    assert prompt.endswith("<|im_start|>assistant\n")


def test_llama_cpps_own_requests(url: str) -> None:
    def post(path: str, **body: Any) -> Any:
        answer = httpx.post(f"{url}{path}", json={"n_predict": 6} | body, timeout=60)
        return answer.raise_for_status().json()

    prompt = "The capital of France is"
    answer = post("/completion", prompt=prompt, n_probs=2, return_tokens=True)
    assert post("/detokenize", tokens=answer["tokens"])["content"] == answer["content"]
    assert len(answer["completion_probabilities"][0]["top_logprobs"]) == 2
    assert answer["timings"]["predicted_n"] == 6
    assert [each["index"] for each in post("/completion", prompt=[prompt, prompt])] == [0, 1]
    chats = [post(path, messages=FRANCE) for path in ("/chat/completions", "/v1/chat/completions")]
    assert chats[0]["choices"] == chats[1]["choices"]
