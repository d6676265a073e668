"""Open WebUI with a connection of Ollama's kind, as its backend's routers/ollama.py asks.

utils/payload.py makes its messages.
"""

from typing import Any

from protocol import serve
from recorded import OverOllama


class Client(OverOllama):
    chat_fields = {"options": {}}  # noqa: RUF012
    tagged = True

    def _turns(self, call: Any) -> Any:
        made = {"index": 0, "id": "call_0", "function": call["function"]}
        result = {"role": "tool", "content": self._task.result, "tool_call_id": "call_0"}
        return [{"role": "assistant", "tool_calls": [made], "content": ""}, result]


if __name__ == "__main__":
    serve(Client)
