"""Open WebUI with a connection of OpenAI's kind, as its backend's routers/openai.py asks.

Beside the chat it asks for titles, tags and further questions, which are not streamed.
"""

from protocol import Said, serve, user
from recorded import OverOpenAI


class Client(OverOpenAI):
    headers = {  # noqa: RUF012
        "X-OpenWebUI-User-Name": "User",
        "X-OpenWebUI-User-Id": "7f1c",
        "X-OpenWebUI-User-Email": "user@localhost",
        "X-OpenWebUI-User-Role": "admin",
    }

    def chat(self) -> Said:
        body = self._body(user(self._task.question), stream=False, max_completion_tokens=1000)
        answer = self._post("/chat/completions", body)
        return {"text": answer["choices"][0]["message"]["content"]}


if __name__ == "__main__":
    serve(Client)
