"""langchain-openai."""

from typing import Any

import openai
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from protocol import Said, Task, refusal, serve


class Client:
    def __init__(self, task: Task) -> None:
        self._task = task
        self._model = self._made(task.key)

    def _made(self, key: str) -> ChatOpenAI:
        task = self._task
        return ChatOpenAI(base_url=task.base_url, api_key=key, model=task.model, max_retries=0)

    def chat(self) -> Said:
        answer = self._model.invoke(self._task.question)
        assert answer.usage_metadata["output_tokens"]
        return {"text": answer.content}

    def stream(self) -> Said:
        pieces = [chunk.content for chunk in self._model.stream(self._task.question)]
        return {"pieces": [piece for piece in pieces if piece]}

    def tools(self) -> Said:
        task = self._task
        bound = self._model.bind_tools([task.function], tool_choice="required")
        turns: list[Any] = [HumanMessage(task.call)]
        said = bound.invoke(turns)
        (call,) = said.tool_calls
        turns += [said, ToolMessage(task.result, tool_call_id=call["id"])]
        answer = self._model.bind_tools([task.function]).invoke(turns).content
        return {"name": call["name"], "arguments": call["args"], "answer": answer}

    def structured(self) -> Said:
        answers = [
            self._model.with_structured_output(self._task.schema, method=method).invoke(
                self._task.asks
            )
            for method in ("function_calling", "json_schema")
        ]
        assert set(answers[0]) == set(answers[1])
        return {"value": answers[1]}

    def embed(self) -> Said:
        task = self._task
        model = OpenAIEmbeddings(
            base_url=task.base_url,
            api_key=task.key,
            model=task.embedding_model,
            check_embedding_ctx_length=False,
        )
        return {"vectors": model.embed_documents(task.texts)}

    def error(self) -> Said:
        return {
            "refused": refusal(
                lambda: self._model.invoke(self._task.too_long), openai.BadRequestError
            ),
            "stranger": refusal(
                lambda: self._made("wrong").invoke("Hi"), openai.AuthenticationError
            ),
        }

    def cancel(self) -> Said:
        stream = self._model.stream(self._task.long)
        next(stream)
        stream.close()
        return {}


if __name__ == "__main__":
    serve(Client)
