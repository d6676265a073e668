"""litellm, with its provider for what is like OpenAI."""

import os
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from protocol import Said, Task, refusal, serve, user


class Client:
    def __init__(self, task: Task) -> None:
        self._task = task
        self._place: Any = {"api_base": task.base_url, "api_key": task.key, "max_retries": 0}

    def _ask(self, *messages: Any, **more: Any) -> Any:
        given = {**self._place, **more}
        return litellm.completion(f"openai/{self._task.model}", list(messages), **given)

    def list(self) -> Said:
        task = self._task
        found = litellm.get_valid_models(
            check_provider_endpoint=True,
            custom_llm_provider="openai",
            api_key=task.key,
            api_base=task.url,
        )
        return {"models": [each.removeprefix("openai/") for each in found]}

    def chat(self) -> Said:
        return {"text": self._ask(user(self._task.question)).choices[0].message.content}

    def stream(self) -> Said:
        parts = self._ask(user(self._task.question), stream=True)
        pieces = [each.choices[0].delta.content for each in parts]
        return {"pieces": [piece for piece in pieces if piece]}

    def tools(self) -> Said:
        task = self._task
        tools = [task.function]
        said = self._ask(user(task.call), tools=tools, tool_choice="required").choices[0].message
        (call,) = said.tool_calls
        result = {"role": "tool", "tool_call_id": call.id, "content": task.result}
        answer = self._ask(user(task.call), said, result, tools=tools).choices[0].message.content
        function = call.function
        return {"name": function.name, "arguments": function.arguments, "answer": answer}

    def structured(self) -> Said:
        answer = self._ask(user(self._task.asks), response_format=self._task.layout)
        return {"value": answer.choices[0].message.content}

    def embed(self) -> Said:
        task = self._task
        answer = litellm.embedding(
            f"openai/{task.embedding_model}", task.texts, encoding_format="float", **self._place
        )
        return {"vectors": [each["embedding"] for each in answer.data]}

    def error(self) -> Said:
        return {
            "refused": refusal(
                lambda: self._ask(user(self._task.too_long)), litellm.ContextWindowExceededError
            ),
            "stranger": refusal(
                lambda: self._ask(user("Hi"), api_key="wrong"), litellm.AuthenticationError
            ),
        }

    def cancel(self) -> Said:
        stream = self._ask(user(self._task.long), stream=True)
        next(stream)
        stream.completion_stream.close()
        return {}


if __name__ == "__main__":
    serve(Client)
