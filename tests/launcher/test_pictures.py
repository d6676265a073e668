"""Pictures in chats: `llamaedge run` on a model of random weights, with OpenAI's own client."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI, Stream
from openai.types.chat import ChatCompletion

from ..models import pictures, tiny
from .running import running

RED, BLUE = pictures.png((255, 0, 0)), pictures.png((0, 0, 255))
Part = dict[str, Any]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, module_cache: Path) -> Iterator[OpenAI]:
    folder = tmp_path_factory.mktemp("server")
    model = tiny.llama(folder / "model.gguf")
    projector = tiny.projector(folder / "mmproj.gguf")
    with running(
        folder,
        *("--nn-preload", f"default:GGML:AUTO:{model}", "-p", "chatml"),
        *("--llava-mmproj", str(projector), "--ctx-size", "512"),
    ) as server:
        url = server.wait_ready()
        yield OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60)
        assert server.process.poll() is None
        assert "Traceback" not in server.terminal.read_text()


def text(said: str) -> Part:
    return {"type": "text", "text": said}


def image(picture: bytes) -> Part:
    return {"type": "image_url", "image_url": {"url": pictures.url(picture)}}


def chat(client: OpenAI, messages: list[Any], **options: Any) -> Any:
    """The answer, whole or as a stream."""
    return client.chat.completions.create(
        model="default", messages=messages, temperature=0, max_completion_tokens=12, **options
    )


def ask(client: OpenAI, *parts: Part) -> ChatCompletion:
    """The whole answer to a message of ``parts``."""
    answer = chat(client, [{"role": "user", "content": parts}], stream=False)
    assert isinstance(answer, ChatCompletion)
    return answer


def said(answer: ChatCompletion) -> str:
    return answer.choices[0].message.content or ""


def streamed(client: OpenAI, *parts: Part) -> str:
    answer = chat(client, [{"role": "user", "content": parts}], stream=True)
    assert isinstance(answer, Stream)
    return "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)


def test_the_answer_depends_on_the_picture(client: OpenAI) -> None:
    red = ask(client, text("what is it"), image(RED))
    blue = ask(client, text("what is it"), image(BLUE))
    plain = ask(client, text("what is it"))
    assert len({said(red), said(blue), said(plain)}) == 3
    assert said(ask(client, text("what is it"), image(RED))) == said(red)
    assert red.usage is not None and blue.usage is not None and plain.usage is not None
    assert red.usage.prompt_tokens == blue.usage.prompt_tokens
    assert red.usage.prompt_tokens >= plain.usage.prompt_tokens + tiny.PATCHES**2


def test_a_stream_gives_what_the_whole_answer_gives(client: OpenAI) -> None:
    parts = (image(RED), text("the"), image(BLUE), text("and the sea"))
    assert streamed(client, *parts) == said(ask(client, *parts))


def test_parts_keep_their_order(client: OpenAI) -> None:
    one = ask(client, text("see"), image(RED), text("and"), image(BLUE))
    other = ask(client, text("see"), image(BLUE), text("and"), image(RED))
    assert said(one) != said(other)


@pytest.mark.parametrize(
    "file", [pictures.jpeg(200), pictures.gif((9, 9, 9)), pictures.bmp((9, 9, 9))]
)
def test_other_formats_are_read(client: OpenAI, file: bytes) -> None:
    assert ask(client, image(file), text("sea")).choices


def test_a_picture_of_ten_megabytes_is_read(client: OpenAI) -> None:
    assert ask(client, image(pictures.bmp((9, 99, 9), 1900)), text("sea")).choices


def test_a_conversation_keeps_its_picture(client: OpenAI) -> None:
    def second(picture: bytes) -> str:
        messages = [
            {"role": "user", "content": [image(picture), text("the sea")]},
            {"role": "assistant", "content": "a"},
            {"role": "user", "content": "and"},
        ]
        return said(chat(client, messages))

    assert second(RED) != second(BLUE)


def test_a_prompt_may_have_pictures_too(client: OpenAI) -> None:
    def content(*files: bytes) -> str:
        data = [base64.b64encode(file).decode() for file in files]
        prompt = {"prompt_string": "see <__media__> and", "multimodal_data": data}
        body = {"prompt": prompt, "n_predict": 12, "temperature": 0}
        response = httpx.post(str(client.base_url.join("/completion")), json=body, timeout=60)
        assert response.status_code == 200, response.text
        told = response.json()
        assert told["prompt"].endswith("see <__media__> and")
        assert told["tokens_evaluated"] > tiny.PATCHES**2
        return str(told["content"])

    assert content(RED) == content(RED) != content(BLUE)


BAD = {
    "an address": ("https://127.0.0.1/sea.png", "fetches no pictures.*--image-urls"),
    "WebP": ("data:image/webp;base64,UklGRiQAAABXRUJQVlA4IBgA", "format WebP; PNG, JPEG, GIF and"),
    "no base64": ("data:image/png;base64,!!!", "base64"),
    "no picture": ("data:image/png;base64,AAAA", "of no format that is known"),
    "cut off": (pictures.url(RED[:60]), "the image cannot be read: it is damaged"),
    "a bomb": (pictures.url(pictures.png((1, 2, 3), size=40_000, rows=1)), "40000 x 40000 pixels"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("stream", [False, True])
def test_a_bad_picture_is_the_clients_error(client: OpenAI, name: str, stream: bool) -> None:
    url, message = BAD[name]
    part = {"type": "image_url", "image_url": {"url": url}}
    with pytest.raises(openai.BadRequestError, match=message) as raised:
        (streamed if stream else ask)(client, part, text("what is it"))
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["type"] == "invalid_request_error"
    assert said(ask(client, image(RED), text("sea")))


def test_clients_at_once_see_their_own_pictures(client: OpenAI) -> None:
    def seen(number: int) -> str:
        return said(ask(client, image(pictures.png((40 * number, 0, 255))), text("sea")))

    alone = [seen(number) for number in range(5)]
    with ThreadPoolExecutor(5) as threads:
        assert list(threads.map(seen, range(5))) == alone


def test_more_pictures_than_the_context_holds(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="context size of 512 tokens") as raised:
        ask(client, *[image(RED)] * 40, text("sea"))
    assert raised.value.code == "context_length_exceeded"
