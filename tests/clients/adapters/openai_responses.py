"""openai (Python), with responses; they must be of its types."""

from typing import Any

import openai
from openai.types.responses import Response
from protocol import Said, Task, refusal, serve


class Client:
    def __init__(self, task: Task) -> None:
        self._task = task
        self._client = self._made(task.key)

    def _made(self, key: str) -> openai.OpenAI:
        return openai.OpenAI(
            base_url=self._task.base_url,
            api_key=key,
            max_retries=0,
            _strict_response_validation=True,
        )

    def _ask(self, asked: Any, *, client: openai.OpenAI | None = None, **more: Any) -> Any:
        made = (client or self._client).responses.with_raw_response
        raw = made.create(model=self._task.model, input=asked, **more)
        Response.model_validate_json(raw.text, strict=True)
        return raw.parse()

    def chat(self) -> Said:
        return {"text": self._ask(self._task.question).output_text}

    def stream(self) -> Said:
        with self._client.responses.stream(
            model=self._task.model, input=self._task.question
        ) as stream:
            events = list(stream)
            final = stream.get_final_response()
        pieces = [each.delta for each in events if each.type == "response.output_text.delta"]
        assert [each.sequence_number for each in events] == list(range(len(events)))
        assert final.output_text == "".join(pieces)
        return {"pieces": pieces}

    def tools(self) -> Said:
        task = self._task
        tools = [{"type": "function", **task.tool, "strict": True}]
        said = self._ask(task.call, tools=tools, tool_choice="required")
        (call,) = said.output
        result = {"type": "function_call_output", "call_id": call.call_id, "output": task.result}
        last = self._ask([result], tools=tools, previous_response_id=said.id)
        return {"name": call.name, "arguments": call.arguments, "answer": last.output_text}

    def structured(self) -> Said:
        layout = {"type": "json_schema", "name": "city", "schema": self._task.schema}
        return {"value": self._ask(self._task.asks, text={"format": layout}).output_text}

    def error(self) -> Said:
        return {
            "refused": refusal(lambda: self._ask(self._task.too_long), openai.BadRequestError),
            "stranger": refusal(
                lambda: self._ask("Hi", client=self._made("wrong")), openai.AuthenticationError
            ),
        }

    def cancel(self) -> Said:
        stream = self._client.responses.create(
            model=self._task.model, input=self._task.long, stream=True
        )
        for event in stream:
            if event.type == "response.output_text.delta":
                break
        stream.close()
        return {}


if __name__ == "__main__":
    serve(Client)
