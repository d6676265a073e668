"""llm, with its plugin for OpenAI, which a file tells of further models."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import llm
import openai
from protocol import Said, Task, refusal, serve


class Client:
    def __init__(self, task: Task) -> None:
        self._task = task
        row = {
            "model_id": "here",
            "model_name": task.model,
            "api_base": task.base_url,
            "api_key_name": "here",
            "supports_tools": True,
            "supports_schema": True,
        }
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        folder.joinpath("extra-openai-models.yaml").write_text(json.dumps([row]))
        folder.joinpath("keys.json").write_text(json.dumps({"here": task.key}))
        os.environ["LLM_USER_PATH"] = self._folder.name
        os.environ["OPENAI_BASE_URL"] = task.base_url
        self._model: Any = llm.get_model("here")

    def chat(self) -> Said:
        return {"text": self._model.prompt(self._task.question, stream=False).text()}

    def stream(self) -> Said:
        return {"pieces": [each for each in self._model.prompt(self._task.question) if each]}

    def tools(self) -> Said:
        task, called = self._task, []

        def get_weather(city: str) -> str:
            called.append(city)
            return str(task.result)

        tool = llm.Tool(
            name="get_weather",
            description=task.tool["description"],
            input_schema=task.tool["parameters"],
            implementation=get_weather,
        )
        answers = [each.text() for each in self._model.chain(task.call, tools=[tool]).responses()]
        return {"name": "get_weather", "arguments": {"city": called[0]}, "answer": answers[-1]}

    def structured(self) -> Said:
        answer = self._model.prompt(self._task.asks, schema=self._task.schema, stream=False)
        return {"value": answer.text()}

    def embed(self) -> Said:
        model = llm.get_embedding_model("text-embedding-3-small")
        model.key = self._task.key
        return {"vectors": list(model.embed_multi(self._task.texts))}

    def error(self) -> Said:
        def ask(text: str, key: str) -> None:
            self._model.prompt(text, stream=False, key=key).text()

        return {
            "refused": refusal(
                lambda: ask(self._task.too_long, self._task.key), openai.BadRequestError
            ),
            "stranger": refusal(lambda: ask("Hi", "wrong"), openai.AuthenticationError),
        }

    def cancel(self) -> Said:
        pieces = iter(self._model.prompt(self._task.long))
        next(pieces)
        pieces.close()
        return {}


if __name__ == "__main__":
    serve(Client)
