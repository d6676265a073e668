"""Programs that are not installed: their requests, as they send them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from protocol import Said, Task, refusal, user


class Recorded:
    """Sends requests with ``headers``, to paths below ``base``."""

    headers: dict[str, str] = {}  # noqa: RUF012
    base = ""

    def __init__(self, task: Task) -> None:
        self._task = task

    @contextmanager
    def _client(self, key: str | None = None) -> Iterator[httpx.Client]:
        shown = {"Authorization": f"Bearer {key or self._task.key}", **self.headers}
        base = self._task.url + self.base
        with httpx.Client(base_url=base, headers=shown, timeout=300) as client:
            yield client

    def _get(self, path: str) -> Any:
        with self._client() as client:
            return client.get(path).raise_for_status().json()

    def _post(self, path: str, body: Any, *, key: str | None = None) -> Any:
        with self._client(key) as client:
            return _checked(client.post(path, json=body)).json()

    def _lines(self, path: str, body: Any) -> Iterator[Any]:
        """The objects of a stream, of events or of lines."""
        with self._client() as client, client.stream("POST", path, json=body) as response:
            _checked(response)
            for line in response.iter_lines():
                text = line.removeprefix("data: ")
                if text.startswith("{"):
                    yield json.loads(text)


class RefusedError(Exception):
    def __init__(self, response: httpx.Response) -> None:
        error = response.json()["error"]
        super().__init__(error["message"] if isinstance(error, dict) else error)
        self.status_code = response.status_code


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_error:
        response.read()
        raise RefusedError(response)
    return response


class OverOpenAI(Recorded):
    """A program with a connection of OpenAI's kind; ``chat_fields`` are in each of its chats."""

    base = "/v1"
    chat_fields: dict[str, Any] = {}  # noqa: RUF012

    def _body(self, *messages: Any, **more: Any) -> Any:
        return {"model": self._task.model, "messages": messages, **self.chat_fields, **more}

    def _stream(self, *messages: Any, **more: Any) -> Any:
        """The pieces of the content, and the calls, of a streamed answer."""
        body = self._body(*messages, stream=True, stream_options={"include_usage": True}, **more)
        pieces, calls, usage = [], {}, None
        for chunk in self._lines("/chat/completions", body):
            usage = chunk.get("usage") or usage
            for choice in chunk["choices"]:
                pieces.append(choice["delta"].get("content"))
                for call in choice["delta"].get("tool_calls") or ():
                    known = calls.setdefault(call["index"], {"name": "", "arguments": ""})
                    known["id"] = call.get("id") or known.get("id")
                    for name in ("name", "arguments"):
                        known[name] += call["function"].get(name) or ""
        assert usage
        return [each for each in pieces if each], list(calls.values())

    def list(self) -> Said:
        return {"models": [each["id"] for each in self._get("/models")["data"]]}

    def chat(self) -> Said:
        answer = self._post("/chat/completions", self._body(user(self._task.question)))
        return {"text": answer["choices"][0]["message"]["content"]}

    def stream(self) -> Said:
        pieces, _ = self._stream(user(self._task.question))
        return {"pieces": pieces}

    def tools(self) -> Said:
        task = self._task
        tools = [task.function]
        _, (call,) = self._stream(user(task.call), tools=tools)
        function = {"name": call["name"], "arguments": call["arguments"]}
        made = {"index": 0, "id": call["id"], "type": "function", "function": function}
        said = {"role": "assistant", "content": "", "tool_calls": [made]}
        result = {"role": "tool", "tool_call_id": call["id"], "content": task.result}
        pieces, _ = self._stream(user(task.call), said, result, tools=tools)
        return {**function, "answer": "".join(pieces)}

    def structured(self) -> Said:
        layout = {"response_format": self._task.layout}
        pieces, _ = self._stream(user(self._task.asks), **layout)
        return {"value": "".join(pieces)}

    def embed(self) -> Said:
        body = {"input": self._task.texts, "model": self._task.embedding_model}
        return {"vectors": [each["embedding"] for each in self._post("/embeddings", body)["data"]]}

    def error(self) -> Said:
        def ask(text: str, key: str | None = None) -> None:
            self._post("/chat/completions", self._body(user(text)), key=key)

        return {
            "refused": refusal(lambda: ask(self._task.too_long), RefusedError),
            "stranger": refusal(lambda: ask("Hi", "wrong"), RefusedError),
        }

    def cancel(self) -> Said:
        lines = self._lines("/chat/completions", self._body(user(self._task.long), stream=True))
        next(lines)
        lines.close()
        return {}


class OverOllama(Recorded):
    """A program with a connection of Ollama's kind; ``chat_fields`` are in each of its chats."""

    chat_fields: dict[str, Any] = {}  # noqa: RUF012
    tagged = False
    """Whether it says :latest behind a model's name that has no tag."""

    def _body(self, *messages: Any, **more: Any) -> Any:
        model = f"{self._task.model}:latest" if self.tagged else self._task.model
        return {"model": model, "messages": messages, **self.chat_fields, **more}

    def list(self) -> Said:
        assert self._get("/api/version")["version"]
        assert self._get("/api/ps")["models"]
        shown = self._post("/api/show", {"name": self._task.model})
        assert "completion" in shown["capabilities"]
        return {"models": [each["model"] for each in self._get("/api/tags")["models"]]}

    def chat(self) -> Said:
        answer = self._post("/api/chat", self._body(user(self._task.question), stream=False))
        return {"text": answer["message"]["content"]}

    def stream(self) -> Said:
        body = self._body(user(self._task.question), stream=True)
        *parts, last = self._lines("/api/chat", body)
        assert last["done"]
        return {"pieces": [each["message"]["content"] for each in parts]}

    def tools(self) -> Said:
        task = self._task
        more = {"tools": [task.function], "stream": False}
        said = self._post("/api/chat", self._body(user(task.call), **more))["message"]
        (call,) = said["tool_calls"]
        turns = [user(task.call), *self._turns(call)]
        last = self._post("/api/chat", self._body(*turns, **more))["message"]
        return {**call["function"], "answer": last["content"]}

    def _turns(self, call: Any) -> Any:
        """A call and its result, as they go back."""
        raise NotImplementedError

    def structured(self) -> Said:
        body = self._body(user(self._task.asks), format=self._task.schema, stream=False)
        return {"value": self._post("/api/chat", body)["message"]["content"]}

    def embed(self) -> Said:
        body = {"model": self._task.embedding_model, "input": self._task.texts}
        return {"vectors": self._post("/api/embed", body)["embeddings"]}

    def error(self) -> Said:
        def ask(text: str, key: str | None = None) -> None:
            self._post("/api/chat", self._body(user(text), stream=False), key=key)

        return {
            "refused": refusal(lambda: ask(self._task.too_long), RefusedError),
            "stranger": refusal(lambda: ask("Hi", "wrong"), RefusedError),
        }

    def cancel(self) -> Said:
        lines = self._lines("/api/chat", self._body(user(self._task.long), stream=True))
        next(lines)
        lines.close()
        return {}
