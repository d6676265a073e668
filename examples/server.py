"""Starts a server, asks it, and stops it: ``python examples/server.py model.gguf QUESTION``."""

import sys
from pathlib import Path

import httpx

from llamaedge_launcher import Server


def ask(model: Path | str, question: str) -> str:
    """The model's answer; ``model`` is a file, or ORG/REPO of Hugging Face."""
    with Server(model, "--ctx-size", "2048") as server:
        answer = httpx.post(
            f"{server.base_url}/chat/completions",
            json={"messages": [{"role": "user", "content": question}], "max_tokens": 64},
            timeout=None,
        )
        content: str = answer.raise_for_status().json()["choices"][0]["message"]["content"]
        return content


if __name__ == "__main__":
    print(ask(sys.argv[1], sys.argv[2]))
