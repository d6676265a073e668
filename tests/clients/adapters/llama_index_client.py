"""llama-index, with its clients for what is like OpenAI."""

from typing import Any

import openai
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from protocol import Said, Task, refusal, serve


class Client:
    def __init__(self, task: Task) -> None:
        self._task = task
        self._model = self._made(task.key)

    def _made(self, key: str) -> OpenAILike:
        return OpenAILike(
            api_base=self._task.base_url,
            api_key=key,
            model=self._task.model,
            is_chat_model=True,
            is_function_calling_model=True,
            temperature=0,
            max_retries=0,
        )

    def chat(self) -> Said:
        question = ChatMessage(role="user", content=self._task.question)
        return {"text": self._model.chat([question]).message.content}

    def stream(self) -> Said:
        question = ChatMessage(role="user", content=self._task.question)
        return {
            "pieces": [each.delta for each in self._model.stream_chat([question]) if each.delta]
        }

    def tools(self) -> Said:
        task = self._task

        def get_weather(city: str) -> Any:
            return task.result

        tool = FunctionTool.from_defaults(get_weather, description=task.tool["description"])
        said = self._model.chat_with_tools([tool], user_msg=task.call, tool_required=True)
        (call,) = self._model.get_tool_calls_from_response(said)
        result = ChatMessage(
            role="tool",
            content=str(tool(**call.tool_kwargs).raw_output),
            additional_kwargs={"tool_call_id": call.tool_id},
        )
        turns = [ChatMessage(role="user", content=task.call), said.message, result]
        last = self._model.chat_with_tools([tool], chat_history=turns)
        answer = last.message.content
        return {"name": call.tool_name, "arguments": call.tool_kwargs, "answer": answer}

    def structured(self) -> Said:
        asked = [ChatMessage(role="user", content=self._task.asks)]
        answer = self._model.chat(asked, response_format=self._task.layout)
        return {"value": answer.message.content}

    def embed(self) -> Said:
        task = self._task
        model = OpenAILikeEmbedding(
            api_base=task.base_url, api_key=task.key, model_name=task.embedding_model
        )
        return {"vectors": model.get_text_embedding_batch(task.texts)}

    def error(self) -> Said:
        def ask(model: OpenAILike, text: str) -> None:
            model.chat([ChatMessage(role="user", content=text)])

        return {
            "refused": refusal(
                lambda: ask(self._model, self._task.too_long), openai.BadRequestError
            ),
            "stranger": refusal(lambda: ask(self._made("wrong"), "Hi"), openai.AuthenticationError),
        }

    def cancel(self) -> Said:
        stream = self._model.stream_chat([ChatMessage(role="user", content=self._task.long)])
        next(stream)
        stream.close()
        return {}


if __name__ == "__main__":
    serve(Client)
