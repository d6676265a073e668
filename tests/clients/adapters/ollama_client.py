"""ollama (Python)."""

from typing import Any

import ollama
from protocol import Said, Task, refusal, serve, user


class Client:
    def __init__(self, task: Task) -> None:
        self._task = task
        self._client = self._made(task.key)

    def _made(self, key: str) -> ollama.Client:
        return ollama.Client(host=self._task.url, headers={"Authorization": f"Bearer {key}"})

    def _ask(self, *messages: Any, client: ollama.Client | None = None, **more: Any) -> Any:
        return (client or self._client).chat(self._task.model, list(messages), **more).message

    def list(self) -> Said:
        return {"models": [each.model for each in self._client.list().models]}

    def chat(self) -> Said:
        return {"text": self._ask(user(self._task.question)).content}

    def stream(self) -> Said:
        parts = list(
            self._client.chat(
                self._task.model,
                [user(self._task.question)],
                stream=True,
            )
        )
        assert parts[-1].done
        assert parts[-1].eval_count
        return {"pieces": [each.message.content for each in parts if each.message.content]}

    def tools(self) -> Said:
        task = self._task
        tools = [task.function]
        said = self._ask(user(task.call), tools=tools)
        (call,) = said.tool_calls
        result = {"role": "tool", "tool_name": call.function.name, "content": task.result}
        answer = self._ask(user(task.call), said, result, tools=tools).content
        function = call.function
        return {"name": function.name, "arguments": function.arguments, "answer": answer}

    def structured(self) -> Said:
        return {"value": self._ask(user(self._task.asks), format=self._task.schema).content}

    def embed(self) -> Said:
        task = self._task
        return {"vectors": self._client.embed(task.embedding_model, task.texts).embeddings}

    def error(self) -> Said:
        return {
            "refused": refusal(lambda: self._ask(user(self._task.too_long)), ollama.ResponseError),
            "stranger": refusal(
                lambda: self._ask(user("Hi"), client=self._made("wrong")), ollama.ResponseError
            ),
        }

    def cancel(self) -> Said:
        parts = self._client.chat(self._task.model, [user(self._task.long)], stream=True)
        next(iter(parts))
        parts.close()
        return {}


if __name__ == "__main__":
    serve(Client)
