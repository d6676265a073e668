"""anthropic (Python); its answers must be of its types."""

from typing import Any

import anthropic
from anthropic.types import Message
from protocol import Said, Task, refusal, serve, user


class Client:
    def __init__(self, task: Task) -> None:
        self._task = task
        self._client = self._made(task.key)

    def _made(self, key: str) -> anthropic.Anthropic:
        return anthropic.Anthropic(
            base_url=self._task.url, api_key=key, max_retries=0, _strict_response_validation=True
        )

    def _ask(self, *messages: Any, client: anthropic.Anthropic | None = None, **more: Any) -> Any:
        asked: Any = {"model": self._task.model, "max_tokens": 60, "messages": list(messages)}
        raw = (client or self._client).messages.with_raw_response.create(**asked, **more)
        Message.model_validate_json(raw.text(), strict=True)
        return raw.parse()

    def list(self) -> Said:
        return {"models": [each.id for each in self._client.models.list()]}

    def chat(self) -> Said:
        return {"text": self._ask(user(self._task.question)).content[0].text}

    def stream(self) -> Said:
        with self._client.messages.stream(
            model=self._task.model, max_tokens=60, messages=[user(self._task.question)]
        ) as stream:
            pieces = list(stream.text_stream)
            assert stream.get_final_message().usage.output_tokens
        return {"pieces": pieces}

    def tools(self) -> Said:
        task = self._task
        tool = dict(task.tool)
        tools = [{"input_schema": tool.pop("parameters"), **tool}]
        said = self._ask(user(task.call), tools=tools, tool_choice={"type": "any"})
        (use,) = said.content
        result = {"type": "tool_result", "tool_use_id": use.id, "content": task.result}
        turns = [user(task.call), {"role": "assistant", "content": said.content}]
        last = self._ask(*turns, {"role": "user", "content": [result]}, tools=tools)
        return {"name": use.name, "arguments": use.input, "answer": last.content[0].text}

    def structured(self) -> Said:
        layout = {"format": {"type": "json_schema", "schema": self._task.schema}}
        said = self._ask(user(self._task.asks), output_config=layout)
        return {"value": said.content[0].text}

    def error(self) -> Said:
        return {
            "refused": refusal(
                lambda: self._ask(user(self._task.too_long)), anthropic.BadRequestError
            ),
            "stranger": refusal(
                lambda: self._ask(user("Hi"), client=self._made("wrong")),
                anthropic.AuthenticationError,
            ),
        }

    def cancel(self) -> Said:
        with self._client.messages.stream(
            model=self._task.model, max_tokens=2000, messages=[user(self._task.long)]
        ) as stream:
            next(iter(stream.text_stream))
        return {}


if __name__ == "__main__":
    serve(Client)
