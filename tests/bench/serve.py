"""One streamed answer of 200 tokens through `llamaedge run`, against a bare llama.cpp loop.

Both decode greedily after the same prompt with the same threads, in turns.
"""

import json
import socket
import time
from itertools import pairwise

from bare import Bare
from report import Report
from server import Server, model_file

QUESTION = "Write a long story about a lighthouse keeper and the sea."
PROMPT = f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
TOKENS = 200
TEXT = b'"delta":{"content":'


def measure(report: Report, rounds: int) -> None:
    bare = Bare(model_file())
    prompt = bare.tokenize(PROMPT)

    def alone() -> float:
        bare.prefill(prompt)
        tokens, seconds = bare.generate(TOKENS)
        return (len(tokens) - 1) / seconds

    def served() -> float:
        count, seconds, first = stream(server, TOKENS)
        report.add("llamaedge run, time to first token", first * 1e3, "ms")
        return (count - 1) / seconds

    with Server() as server:
        stream(server, 8)
        for _ in range(rounds):
            report.compare("tokens/s", {"bare llama.cpp": alone, "llamaedge run": served})
    bare.close()


def stream(server: Server, most: int) -> tuple[int, float, float]:
    """Tokens of one answer, seconds from its first frame to its last, seconds to the first."""
    first, *others = frames(server, most, QUESTION)
    return most, sum(others), first


def frames(server: Server, most: int, question: str) -> list[float]:
    """Seconds to the first frame with text of an answer of ``most`` tokens, and between frames.

    The client is a bare socket: whatever it computes it takes from the model's CPUs.
    """
    body = json.dumps(
        {
            "model": "default",
            "messages": [{"role": "user", "content": question}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0,
            "max_tokens": most,
        }
    ).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    head += b"Content-Type: application/json\r\n"
    received: list[tuple[float, bytes]] = []
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        started = time.perf_counter()
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        while not received or b"[DONE]" not in received[-1][1]:
            data = connection.recv(65536)
            assert data, b"".join(data for _, data in received)
            received.append((time.perf_counter(), data))
    times = [when for when, data in received if TEXT in data]
    text = b"".join(data for _, data in received)
    assert b'"completion_tokens":%d,' % most in text, text[-500:]
    return [after - before for before, after in pairwise([started, *times])]
