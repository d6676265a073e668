"""One streamed answer of 200 tokens through `llamaedge run`, against a bare llama.cpp loop.

Both decode greedily after the same prompt with the same threads, in turns.
"""

import json
import time

from bare import Bare
from report import Report
from server import Server, demo_model

QUESTION = "Write a long story about a lighthouse keeper and the sea."
PROMPT = f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
TOKENS = 200


def measure(report: Report, rounds: int) -> None:
    bare = Bare(demo_model())
    prompt = bare.tokenize(PROMPT)
    with Server() as server:
        stream(server, 8)
        for _ in range(rounds):
            bare.prefill(prompt)
            tokens, seconds = bare.generate(TOKENS)
            report.add("bare llama.cpp", (len(tokens) - 1) / seconds, "tokens/s")
            count, seconds, first = stream(server, TOKENS)
            report.add("llamaedge run", (count - 1) / seconds, "tokens/s")
            report.add("llamaedge run, time to first token", first * 1e3, "ms")
    report.ratio("llamaedge run / bare", "llamaedge run", "bare llama.cpp")
    bare.close()


def stream(server: Server, most: int) -> tuple[int, float, float]:
    """Tokens of one answer, seconds from its first frame to its last, seconds to the first."""
    body = {
        "model": "default",
        "messages": [{"role": "user", "content": QUESTION}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "max_tokens": most,
    }
    started = time.perf_counter()
    first = last = 0.0
    usage = {"completion_tokens": 0}
    with server.client.stream("POST", "/v1/chat/completions", json=body) as answer:
        assert answer.status_code == 200, answer.read()
        for line in answer.iter_lines():
            if not line.startswith("data: {"):
                continue
            frame = json.loads(line[6:])
            usage = frame.get("usage") or usage
            if frame["choices"] and frame["choices"][0]["delta"].get("content"):
                last = time.perf_counter()
                first = first or last
    assert usage["completion_tokens"] == most, usage
    return most, last - first, first - started
