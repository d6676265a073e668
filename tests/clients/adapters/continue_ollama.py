"""Continue with the provider ollama, as its core/llm/llms/Ollama.ts asks."""

from typing import Any

from protocol import serve
from recorded import OverOllama


class Client(OverOllama):
    chat_fields = {  # noqa: RUF012
        "options": {"num_predict": 500, "num_ctx": 2048, "temperature": 0, "num_thread": 1},
        "keep_alive": 1800,
    }

    def _turns(self, call: Any) -> Any:
        said = {"role": "assistant", "content": "", "tool_calls": [{"function": call["function"]}]}
        return [said, {"role": "tool", "content": self._task.result}]


if __name__ == "__main__":
    serve(Client)
