"""The front process with fake workers.

``front.py SETTINGS LIMIT INSTANCES KNOWN_ONLY MODELS GUEST [ARG ...]``: SETTINGS is a
JSON object of Settings' fields, and log_format; MODELS is one of guests by the models' ids, each
with its arguments after spaces. Prints its port, then "ready".
"""

import json
import sys
from functools import partial
from pathlib import Path

from llamaedge_launcher import log
from llamaedge_launcher.address import Address
from llamaedge_launcher.control import WorkerConfig
from llamaedge_launcher.errors import LauncherError
from llamaedge_launcher.fleet.fleet import Fleet
from llamaedge_launcher.fleet.recipe import Kind, Model, Recipe
from llamaedge_launcher.proxy import connection
from llamaedge_launcher.serve import serve
from llamaedge_launcher.settings import Settings
from llamaedge_launcher.supervisor import WorkerProcess
from llamaedge_launcher.tls import Tls

FAKE = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))


def say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def recipe(id_: str, words: list[str], instances: int, limit: int, hang: float) -> Recipe:
    """Of a model that is for embeddings if its id says so."""
    guest, *args = words
    config = WorkerConfig(
        *("", guest, tuple(args), {}, (), (), instances, None, "info"), hang_timeout=hang
    )
    kind: Kind = "embeddings" if "embed" in id_ else "chat"
    return Recipe((Model(id_, f"acme/{id_}", kind, Path(f"{id_}.gguf")),), config, limit)


def main() -> int:
    given, limit, instances, known_only, models, guest, *args = sys.argv[1:]
    fields = json.loads(given)
    log.configure("info", fields.pop("log_format", log.TEXT))
    for name, value in fields.pop("patience", {}).items():
        setattr(connection, name, value)
    if "tls" in fields:
        fields["tls"] = Tls(*map(Path, fields["tls"]))
    paths = {name: Path(fields[name]) for name in ("data_dir", "web_ui") if name in fields}
    settings = Settings(**fields | paths)
    guests = {"default": [guest, *args]}
    guests |= {id_: line.split() for id_, line in json.loads(models).items()}
    recipes = [
        recipe(id_, words, int(instances), int(limit), settings.hang_timeout)
        for id_, words in guests.items()
    ]
    listener = Address(port=0).listen()
    say(listener.getsockname()[1])
    launch = partial(WorkerProcess, command=FAKE)
    try:
        return serve(
            listener,
            Fleet(recipes, launch, max_queue=settings.max_queue),
            settings,
            known_only=known_only == "known",
            on_ready=lambda: say("ready"),
        )
    except LauncherError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
