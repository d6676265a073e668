"""openai (Python), with chat completions; its answers must be of its types."""

from typing import Any

import openai
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion
from protocol import Said, Task, refusal, serve, user


class Client:
    def __init__(self, task: Task) -> None:
        self._task = task
        self._client = self._made(task.key)

    def _made(self, key: str, *, strict: bool = True) -> openai.OpenAI:
        return openai.OpenAI(
            base_url=self._task.base_url,
            api_key=key,
            max_retries=0,
            _strict_response_validation=strict,
        )

    def _ask(self, *messages: Any, client: openai.OpenAI | None = None, **more: Any) -> Any:
        asked = (client or self._client).chat.completions.with_raw_response
        raw = asked.create(model=self._task.model, messages=list(messages), **more)
        ChatCompletion.model_validate_json(raw.text, strict=True)
        return raw.parse().choices[0].message

    def list(self) -> Said:
        return {"models": [each.id for each in self._client.models.list()]}

    def chat(self) -> Said:
        return {"text": self._ask(user(self._task.question)).content}

    def stream(self) -> Said:
        with self._client.chat.completions.stream(
            model=self._task.model,
            messages=[user(self._task.question)],
            stream_options={"include_usage": True},
        ) as stream:
            pieces = [event.delta for event in stream if event.type == "content.delta"]
            usage = stream.get_final_completion().usage
        assert usage
        assert usage.completion_tokens
        return {"pieces": pieces}

    def tools(self) -> Said:
        task = self._task
        tools = [task.function]
        said = self._ask(user(task.call), tools=tools, tool_choice="required")
        (call,) = said.tool_calls
        result = {"role": "tool", "tool_call_id": call.id, "content": task.result}
        turns = [user(task.call), said.model_dump(exclude_none=True), result]
        answer = self._ask(*turns, tools=tools).content
        function = call.function
        return {"name": function.name, "arguments": function.arguments, "answer": answer}

    def structured(self) -> Said:
        layout = self._task.layout
        return {"value": self._ask(user(self._task.asks), response_format=layout).content}

    def embed(self) -> Said:
        asked = self._client.embeddings.with_raw_response
        given: Any = {"model": self._task.embedding_model, "input": self._task.texts}
        raw = asked.create(**given, encoding_format="float")
        CreateEmbeddingResponse.model_validate_json(raw.text, strict=True)
        packed = self._made(self._task.key, strict=False).embeddings.create(**given)
        plain = [each.embedding for each in raw.parse().data]
        for one, other in zip(plain, packed.data, strict=True):
            assert max(abs(a - b) for a, b in zip(one, other.embedding, strict=True)) < 1e-6
        return {"vectors": plain}

    def error(self) -> Said:
        def ask() -> None:
            self._ask(user(self._task.too_long))

        def ask_as_stranger() -> None:
            self._ask(user("Hi"), client=self._made("wrong"))

        return {
            "refused": refusal(ask, openai.BadRequestError),
            "stranger": refusal(ask_as_stranger, openai.AuthenticationError),
        }

    def cancel(self) -> Said:
        stream = self._client.chat.completions.create(
            model=self._task.model, messages=[user(self._task.long)], stream=True
        )
        next(iter(stream))
        stream.close()
        return {}


if __name__ == "__main__":
    serve(Client)
