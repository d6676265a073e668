"""The front process with fake workers.

``front.py SETTINGS LIMIT INSTANCES KNOWN_ONLY GUEST [ARG ...]``: SETTINGS is a
JSON object of Settings' fields, and log_format. Prints its port, then "ready".
"""

import json
import sys
from functools import partial
from pathlib import Path

from llamaedge_launcher import log
from llamaedge_launcher.address import Address
from llamaedge_launcher.control import WorkerConfig
from llamaedge_launcher.errors import LauncherError
from llamaedge_launcher.serve import serve
from llamaedge_launcher.settings import Settings
from llamaedge_launcher.supervisor import WorkerProcess

FAKE = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))


def say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main() -> int:
    given, limit, instances, known_only, guest, *args = sys.argv[1:]
    fields = json.loads(given)
    log.configure("info", fields.pop("log_format", log.TEXT))
    paths = {name: Path(fields[name]) for name in ("data_dir", "web_ui") if name in fields}
    settings = Settings(**fields | paths)
    config = WorkerConfig(
        *("", guest, tuple(args), {}, (), (), int(instances), None, "info"),
        hang_timeout=settings.hang_timeout,
    )
    listener = Address(port=0).listen()
    say(listener.getsockname()[1])
    start = partial(WorkerProcess, config, FAKE)
    try:
        return serve(
            listener,
            start(),
            start,
            settings,
            limit=int(limit),
            known_only=known_only == "known",
            on_ready=lambda: say("ready"),
        )
    except LauncherError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
