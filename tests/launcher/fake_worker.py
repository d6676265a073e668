"""A worker that speaks the control protocol, with scripted HTTP servers for guests.

The configuration's ``guest`` names what it does; ``args`` are its parameters. A request's
JSON body says how the guest answers it: ``answer`` is a key of ANSWERS.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from llamaedge_host.ggml.engine.counters import Counters
from llamaedge_launcher.control import (
    ALIVE,
    STATISTICS,
    Alive,
    Answered,
    Ended,
    Event,
    Failed,
    Listening,
    Question,
    Statistics,
    WorkerConfig,
    encode_event,
)

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
FRAME = b'data: {"piece": %d}\n\n'
running = 0
most = 0
dropped = 0


class Guest:
    """A server on a Unix socket."""

    def __init__(self, tell: Callable[[Event], None], path: str) -> None:
        self.tell = tell
        self.path = path

    async def start(self) -> None:
        self.server = await asyncio.start_unix_server(self.answer, self.path)
        self.tell(Listening(self.path))

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        global running, most, dropped
        running += 1
        most = max(most, running)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            headers = {
                name.lower(): value for name, value in (line.split(": ", 1) for line in lines)
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            request: dict[str, Any] = {"line": first, "headers": headers, "body": body.decode()}
            wanted = json.loads(body) if body.startswith(b"{") else {}
            await ANSWERS[wanted.get("answer", "echo")](self, writer, request | wanted)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            dropped += 1
        finally:
            running -= 1
            writer.close()


async def echo(guest: Guest, writer: asyncio.StreamWriter, request: dict[str, Any]) -> None:
    state = {"most": most, "running": running, "dropped": dropped, "pid": os.getpid()}
    body = json.dumps(request | state | {"path": guest.path}).encode()
    writer.write(OK + b"X-Guest: fake\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


async def stream(guest: Guest, writer: asyncio.StreamWriter, request: dict[str, Any]) -> None:
    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    for number in range(request.get("count", 5)):
        frame = FRAME % number
        if "text" in request:
            frame = b'data: {"text": "%s"}\n\n' % request["text"].encode()
        writer.write(b"%x\r\n%s\r\n" % (len(frame), frame))
        await writer.drain()
        await asyncio.sleep(request.get("gap", 0.0))
        if number == request.get("die_after"):
            os.kill(os.getpid(), signal.SIGKILL)
        if number == request.get("cut_after"):
            return
    writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


async def die(guest: Guest, writer: asyncio.StreamWriter, request: dict[str, Any]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def trap(guest: Guest, writer: asyncio.StreamWriter, request: dict[str, Any]) -> None:
    guest.server.close()
    guest.tell(Ended(guest.path, "the guest fake.wasm trapped: unreachable"))
    await asyncio.sleep(request.get("after", 0.0))
    await Guest(guest.tell, guest.path + "+").start()


async def crash(guest: Guest, writer: asyncio.StreamWriter, request: dict[str, Any]) -> None:
    """As trap, but those that follow end before they listen."""
    guest.server.close()
    guest.tell(Ended(guest.path, "the guest fake.wasm trapped: unreachable"))
    guest.tell(Ended(None, "the guest fake.wasm ended with exit code 1 before it listened"))


async def vanish(guest: Guest, writer: asyncio.StreamWriter, request: dict[str, Any]) -> None:
    """As trap, but the guest's socket is gone before its end is told."""
    guest.server.close()
    Path(guest.path).unlink(missing_ok=True)
    writer.close()
    await asyncio.sleep(request.get("untold", 0.3))
    await trap(guest, writer, request)


async def hang(guest: Guest, writer: asyncio.StreamWriter, request: dict[str, Any]) -> None:
    """The guest does not answer, and what looks after it gives it up."""
    guest.tell(Ended(guest.path, "the guest fake.wasm hung", cut=True))
    await Guest(guest.tell, guest.path + "+").start()
    await asyncio.sleep(3600)


async def freeze(guest: Guest, writer: asyncio.StreamWriter, request: dict[str, Any]) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


async def wait(guest: Guest, writer: asyncio.StreamWriter, request: dict[str, Any]) -> None:
    await asyncio.sleep(request.get("seconds", 0.2))
    await echo(guest, writer, request)


async def plain_error(guest: Guest, writer: asyncio.StreamWriter, request: dict[str, Any]) -> None:
    head = f"HTTP/1.1 {request.get('status', 500)} Some Reason\r\n{request.get('head', '')}"
    writer.write(head.encode() + b"content-length: 9\r\n\r\nno luck\r\n")


async def json_error(guest: Guest, writer: asyncio.StreamWriter, request: dict[str, Any]) -> None:
    body = b'{"error": {"message": "mine"}}'
    head = b"HTTP/1.1 422 Unprocessable\r\ncontent-type: application/json\r\n"
    writer.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)


async def garbage(guest: Guest, writer: asyncio.StreamWriter, request: dict[str, Any]) -> None:
    writer.write(b"this is not HTTP\r\n\r\n")


async def cut(guest: Guest, writer: asyncio.StreamWriter, request: dict[str, Any]) -> None:
    writer.write(OK + b"content-length: 99\r\n\r\n{")


ANSWERS: dict[str, Callable[[Guest, asyncio.StreamWriter, dict[str, Any]], Awaitable[None]]] = {
    each.__name__: each
    for each in (
        echo,
        stream,
        die,
        trap,
        crash,
        vanish,
        hang,
        freeze,
        wait,
        plain_error,
        json_error,
        garbage,
        cut,
    )
}


async def serve(config: WorkerConfig, tell: Callable[[Event], None]) -> None:
    guests = [Guest(tell, f"{config.folder}/{n}") for n in range(config.instances)]
    for guest in guests:
        await guest.start()
    await asyncio.Event().wait()


SLOT = {"index": 0, "cells": 512, "drafts": True, "tokens": 0, "busy": False}
WORKS = {"tokens": 9, "busy": True, "prompt": 7, "reused": 3, "made": 3, "left": 5}
PROPERTIES = {
    "cells": 512, "slots": 2, "build": "b0-fake", "template": "{{ messages }}",
    "tool_template": "", "bos_token": "<s>", "eos_token": "</s>",
}  # fmt: skip
KNOWN = {"slots": [SLOT, SLOT | WORKS | {"index": 1}], "properties": PROPERTIES}


def answered(question: Question) -> Answered:
    """What is KNOWN, or else what is asked."""
    if question.about == "adapters":
        return Answered(question.number, [{"path": "/a.gguf", "scale": 0.5}])
    if question.about == "erase":
        return Answered(question.number, question.given["slot"] + 40)
    if question.about in ("save", "restore"):
        if question.given["slot"] > 1:
            return Answered(question.number, problem="there is no slot", fault=True)
        Path(question.given["folder"], question.given["filename"]).touch()
        return Answered(question.number, {"tokens": 7, "bytes": 99, "seconds": 0.25})
    if question.about == "rank":
        ranked = [{"score": float(len(each)), "tokens": 5} for each in question.given["documents"]]
        return Answered(question.number, ranked)
    return Answered(question.number, KNOWN.get(question.about, question.given))


def follow_front(lines: BinaryIO, tell: Callable[[Event], None]) -> None:
    counters = Counters(prompt_tokens_evaluated=31, generated_tokens=6, decode_seconds=0.5)
    for tokens in (1, 3, 3, 5000):
        counters.batch_tokens.add(tokens)
        counters.step_seconds.add(0.03)
    with suppress(OSError):  # a front that is killed resets what it has not read
        for line in lines:
            if line == STATISTICS:
                tell(Statistics({"m.gguf": counters.as_dict()}))
            else:
                question = Question.decode(line)
                tell(answered(question))
    os._exit(0)


def main() -> None:
    front = socket.socket(fileno=os.dup(0))
    lines = front.makefile("rb")
    config = WorkerConfig.decode(lines.readline())

    def tell(event: Event) -> None:
        with suppress(OSError):  # the front has gone
            front.sendall(encode_event(event))

    def live() -> None:
        while True:
            tell(Alive())
            time.sleep(ALIVE / 2)

    threading.Thread(target=live, daemon=True).start()
    threading.Thread(target=follow_front, args=(lines, tell), daemon=True).start()
    match config.guest:
        case "serve":
            asyncio.run(serve(config, tell))
        case "slow":
            time.sleep(float(config.args[0]))
            asyncio.run(serve(config, tell))
        case "once":
            if not Path(config.args[0]).exists():
                Path(config.args[0]).touch()
                asyncio.run(serve(config, tell))
            tell(Failed("the model has gone"))
            time.sleep(60)
        case "fail":
            tell(Failed("the model does not load", int(config.args[0])))
            time.sleep(60)
        case "exit":
            sys.exit(3)
        case "babble":
            front.sendall(b"this is no event\n")
            time.sleep(60)


if __name__ == "__main__":
    main()
