"""pydantic-ai."""

import asyncio
from typing import Any, Literal

from protocol import Said, Task, refusal, serve
from pydantic import BaseModel
from pydantic_ai import Agent, Embedder, NativeOutput
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


class City(BaseModel):
    """A city"""

    city: Literal["Paris", "Rome"]
    old: bool


class Client:
    def __init__(self, task: Task) -> None:
        self._task = task
        self._model = self._made(task.key)

    def _provider(self, key: str) -> OpenAIProvider:
        return OpenAIProvider(base_url=self._task.base_url, api_key=key)

    def _made(self, key: str) -> OpenAIChatModel:
        return OpenAIChatModel(self._task.model, provider=self._provider(key))

    def chat(self) -> Said:
        return {"text": Agent(self._model).run_sync(self._task.question).output}

    def stream(self) -> Said:
        async def read() -> list[str]:
            async with Agent(self._model).run_stream(self._task.question) as run:
                return [each async for each in run.stream_text(delta=True, debounce_by=None)]

        return {"pieces": asyncio.run(read())}

    def tools(self) -> Said:
        task, called = self._task, []
        agent: Any = Agent(self._model)

        def get_weather(city: Literal["Paris", "Rome"]) -> str:
            """The weather in a city"""
            called.append(city)
            return task.result

        agent.tool_plain(get_weather)
        answer = agent.run_sync(task.call).output
        return {"name": "get_weather", "arguments": {"city": called[0]}, "answer": answer}

    def structured(self) -> Said:
        values = [
            Agent(self._model, output_type=kind).run_sync(self._task.asks).output
            for kind in (City, NativeOutput(City))
        ]
        assert all(isinstance(each, City) for each in values)
        return {"value": values[1].model_dump()}

    def embed(self) -> Said:
        task = self._task
        model = OpenAIEmbeddingModel(task.embedding_model, provider=self._provider(task.key))
        return {"vectors": Embedder(model).embed_documents_sync(task.texts).embeddings}

    def error(self) -> Said:
        def ask(model: OpenAIChatModel, text: str) -> None:
            Agent(model).run_sync(text)

        return {
            "refused": refusal(lambda: ask(self._model, self._task.too_long), ModelHTTPError),
            "stranger": refusal(lambda: ask(self._made("wrong"), "Hi"), ModelHTTPError),
        }

    def cancel(self) -> Said:
        async def leave() -> None:
            async with Agent(self._model).run_stream(self._task.long) as run:
                async for _ in run.stream_text(delta=True, debounce_by=None):
                    return

        asyncio.run(leave())
        return {}


if __name__ == "__main__":
    serve(Client)
