"""instructor: every answer has a form."""

import asyncio
from typing import Any, Literal

import instructor
import openai
from instructor.core.exceptions import InstructorRetryException
from protocol import Said, Task, refusal, serve, user
from pydantic import BaseModel


class City(BaseModel):
    """A city"""

    city: Literal["Paris", "Rome"]
    old: bool


class Capital(BaseModel):
    """A capital"""

    capital: Literal["Paris"]
    country: Literal["France"]


class Tale(BaseModel):
    """A long tale"""

    text: str


class Client:
    def __init__(self, task: Task) -> None:
        self._task = task
        self._client = self._made(task.key)

    def _made(self, key: str, mode: Any = instructor.Mode.JSON_SCHEMA) -> Any:
        client = openai.OpenAI(base_url=self._task.base_url, api_key=key, max_retries=0)
        return instructor.from_openai(client, mode=mode)

    def _ask(self, text: str, kind: Any, *, client: Any = None) -> Any:
        return (client or self._client).create(
            model=self._task.model, messages=[user(text)], response_model=kind, max_retries=1
        )

    def chat(self) -> Said:
        return {"text": self._ask(self._task.question, Capital).capital}

    def stream(self) -> Said:
        async def read() -> list[str]:
            return [str(each.capital) async for each in self._parts(self._task.question, Capital)]

        return {"pieces": asyncio.run(read())}

    def _parts(self, text: str, kind: Any) -> Any:
        """What there is of the answer, again and again."""
        task = self._task
        client = openai.AsyncOpenAI(base_url=task.base_url, api_key=task.key, max_retries=0)
        return instructor.from_openai(client, mode=instructor.Mode.JSON_SCHEMA).create_partial(
            model=task.model, messages=[user(text)], response_model=kind
        )

    def structured(self) -> Said:
        by_tool = self._made(self._task.key, instructor.Mode.TOOLS)
        assert isinstance(self._ask(self._task.asks, City, client=by_tool), City)
        return {"value": self._ask(self._task.asks, City).model_dump()}

    def error(self) -> Said:
        kinds = (openai.APIStatusError, InstructorRetryException)
        stranger = self._made("wrong")
        return {
            "refused": refusal(lambda: self._ask(self._task.too_long, City), *kinds),
            "stranger": refusal(lambda: self._ask("Hi", City, client=stranger), *kinds),
        }

    def cancel(self) -> Said:
        async def leave() -> None:
            async for _ in self._parts(self._task.long, Tale):
                return

        asyncio.run(leave())
        return {}


if __name__ == "__main__":
    serve(Client)
