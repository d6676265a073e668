"""The worker process, on its socket."""

import socket
import subprocess
from pathlib import Path

from llamaedge_launcher.control import Alive, Event, Failed, WorkerConfig, decode_event
from llamaedge_launcher.early import COMMAND


def first_event(config: WorkerConfig) -> Event:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(COMMAND, stdin=theirs.fileno(), stderr=subprocess.PIPE)
        theirs.close()
        ours.sendall(config.encode())
        ours.settimeout(60)
        with ours.makefile("rb") as lines:
            events = (decode_event(line) for line in lines)
            event = next(each for each in events if not isinstance(each, Alive))
    _, errors = process.communicate()
    assert b"Traceback" not in errors
    return event


def test_a_guest_that_gets_no_folder_is_an_event(tmp_path: Path) -> None:
    folder = tmp_path / "full"
    folder.touch()
    event = first_event(WorkerConfig(str(folder), "g.wasm", (), {}, (), (), 1, None, "info"))
    assert isinstance(event, Failed)
    assert event.message.startswith("the guest g.wasm cannot run: ")
    assert str(folder) in event.message
