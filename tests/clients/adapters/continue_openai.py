"""Continue with the provider openai, as its packages/openai-adapters asks.

It says how long answers may be, asks for usage at the end of each stream, and for completions of
what is being typed.
"""

from protocol import Said, serve
from recorded import OverOpenAI


class Client(OverOpenAI):
    headers = {"Accept": "application/json"}  # noqa: RUF012
    chat_fields = {"max_tokens": 1000, "temperature": 0}  # noqa: RUF012

    def chat(self) -> Said:
        asked = {
            "model": self._task.model,
            "prompt": "The capital of France is",
            "max_tokens": 8,
            "temperature": 0,
            "stop": ["\n\n", "```"],
            "stream": True,
        }
        texts = [chunk["choices"][0]["text"] for chunk in self._lines("/completions", asked)]
        assert "Paris" in "".join(texts)
        return super().chat()


if __name__ == "__main__":
    serve(Client)
