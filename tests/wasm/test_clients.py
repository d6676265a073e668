"""LangChain's and LlamaIndex's OpenAI clients against the guest; the extra 'clients' has them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .serving import START, serving

pytestmark = pytest.mark.timeout(START + 180)

REASON = "the extra 'clients' is not installed"
langchain_openai = pytest.importorskip("langchain_openai", reason=REASON)
openai_like = pytest.importorskip("llama_index.llms.openai_like", reason=REASON)
embeddings_like = pytest.importorskip("llama_index.embeddings.openai_like", reason=REASON)
core = pytest.importorskip("llama_index.core.llms", reason=REASON)
tools = pytest.importorskip("llama_index.core.tools", reason=REASON)

QUESTION = "What is the capital of France?"
CITY: Any = {
    "title": "City",
    "description": "A city",
    "type": "object",
    "properties": {"city": {"type": "string"}, "country": {"type": "string"}},
    "required": ["city", "country"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def chat_url(
    guest: Path, smollm2: Path, module_cache: Path, free_port_of_module: int
) -> Iterator[str]:
    arguments = ("-p", "chatml-tool", "-c", "1024", "--temp", "0")
    with serving(guest, smollm2, free_port_of_module, *arguments) as address:
        yield f"{address}/v1"


@pytest.fixture(scope="module")
def free_port_of_module() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    return number


@pytest.fixture
def embedding_url(guest: Path, smollm2: Path, free_port: int) -> Iterator[str]:
    with serving(guest, smollm2, free_port, "-p", "embedding", "-c", "256", "-b", "256") as address:
        yield f"{address}/v1"


@pytest.fixture
def langchain(chat_url: str) -> Any:
    return langchain_openai.ChatOpenAI(
        base_url=chat_url, api_key="none", model="default", max_tokens=40, max_retries=0
    )


@pytest.fixture
def llama_index(chat_url: str) -> Any:
    return openai_like.OpenAILike(
        api_base=chat_url,
        api_key="none",
        model="default",
        is_chat_model=True,
        is_function_calling_model=True,
        max_tokens=40,
        max_retries=0,
    )


def test_langchain_chats_and_streams(langchain: Any) -> None:
    whole = langchain.invoke(QUESTION)
    assert "Paris" in whole.content
    assert whole.usage_metadata["output_tokens"] > 0
    assert "".join(chunk.content for chunk in langchain.stream(QUESTION)) == whole.content


def test_langchain_calls_tools(langchain: Any) -> None:
    def get_weather(city: str) -> str:
        """Get the weather of a city."""
        return city

    bound = langchain.bind_tools([get_weather], tool_choice="required")
    (call,) = bound.invoke("How is the weather in Paris?").tool_calls
    assert call["name"] == "get_weather"
    assert set(call["args"]) == {"city"}


def test_langchain_follows_a_schema(langchain: Any) -> None:
    answer = langchain.with_structured_output(CITY, method="json_schema").invoke("Name a city.")
    assert set(answer) == {"city", "country"}


def test_langchain_embeds(embedding_url: str) -> None:
    client = langchain_openai.OpenAIEmbeddings(
        base_url=embedding_url, api_key="none", model="default", check_embedding_ctx_length=False
    )
    vectors = client.embed_documents(["Paris", "London"])
    assert len(vectors) == 2
    assert len(vectors[0]) == len(client.embed_query("Paris")) > 100


def test_llama_index_chats_and_streams(llama_index: Any) -> None:
    messages = [core.ChatMessage(role="user", content=QUESTION)]
    whole = llama_index.chat(messages).message.content
    assert "Paris" in whole
    assert [chunk.message.content for chunk in llama_index.stream_chat(messages)][-1] == whole


def test_llama_index_calls_tools(llama_index: Any) -> None:
    def get_weather(city: str) -> str:
        """Get the weather of a city."""
        return city

    tool = tools.FunctionTool.from_defaults(get_weather)
    response = llama_index.chat_with_tools(
        [tool], user_msg="How is the weather in Paris?", tool_required=True
    )
    (call,) = llama_index.get_tool_calls_from_response(response)
    assert call.tool_name == "get_weather"


def test_llama_index_completes(llama_index: Any) -> None:
    assert llama_index.complete(QUESTION).text


def test_llama_index_follows_a_schema(llama_index: Any) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY}}
    messages = [core.ChatMessage(role="user", content="Name a city.")]
    answer = llama_index.chat(messages, response_format=form).message.content
    assert set(json.loads(answer)) == {"city", "country"}


def test_llama_index_embeds(embedding_url: str) -> None:
    client = embeddings_like.OpenAILikeEmbedding(
        api_base=embedding_url, api_key="none", model_name="default"
    )
    vectors = client.get_text_embedding_batch(["Paris", "London"])
    assert len(vectors) == 2
    assert vectors[0] == pytest.approx(client.get_text_embedding("Paris"), abs=1e-6)
