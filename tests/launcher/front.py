"""The front process with fake workers, or a real one where the guest is a .wasm file.

``front.py SETTINGS LIMIT INSTANCES KNOWN_ONLY MODELS GUEST [ARG ...]``: SETTINGS is a
JSON object of Settings' fields, log_format and machine (see Machine); MODELS is one of guests by
the models' ids, each with its arguments after spaces. Prints its port, then "ready".
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from llamaedge_launcher import log
from llamaedge_launcher.address import Address
from llamaedge_launcher.control import WorkerConfig
from llamaedge_launcher.early import COMMAND
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
    """Of a model that is for embeddings if its id says so; its words are its version."""
    guest, *args = words
    config = WorkerConfig(
        *("", guest, tuple(args), {}, (), (), instances, None, "info"), hang_timeout=hang
    )
    kind: Kind = "embeddings" if "embed" in id_ else "chat"
    path = Path(f"{id_}.gguf")
    model = Model(id_, f"acme/{id_}", kind, path, version=" ".join(words))
    return Recipe((model,), config, limit)


class Machine:
    """A Local of the JSON file at ``path``, as it is when it is asked.

    ``models`` are guests by ids, ``sizes`` bytes by ids, and ``free`` are bytes that they share.
    """

    def __init__(self, path: Path | None, make: Callable[[str, list[str]], Recipe]) -> None:
        self._path = path
        self._make = make

    def _told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._path.read_text()) if self._path else {}
        return told

    def may_have(self, name: str) -> bool:
        return name.startswith("acme/")

    def find(self, name: str) -> Recipe | None:
        id_ = name.removeprefix("acme/")
        line = self._told().get("models", {}).get(id_)
        if line == "unfit":
            raise LauncherError("it has no template")
        return self._make(id_, line.split()) if line else None

    def refreshed(self, recipe: Recipe) -> Recipe:
        return self.find(recipe.models[0].name) or recipe

    def models(self) -> list[Model]:
        found = self._told().get("models", {}).items()
        return [self._make(id_, line.split()).models[0] for id_, line in found]

    def needed(self, recipe: Recipe) -> int:
        return int(self._told().get("sizes", {}).get(recipe.id, 0))

    def free(self) -> int:
        return int(self._told().get("free", 0))


def main() -> int:
    given, limit, instances, known_only, models, guest, *args = sys.argv[1:]
    fields = json.loads(given)
    log.configure("info", fields.pop("log_format", log.TEXT))
    for name, value in fields.pop("patience", {}).items():
        setattr(connection, name, value)
    if "tls" in fields:
        fields["tls"] = Tls(*map(Path, fields["tls"]))
    machine = Path(fields.pop("machine")) if "machine" in fields else None
    paths = {
        name: Path(fields[name])
        for name in ("data_dir", "web_ui", "slot_save_path", "media_path")
        if name in fields
    }
    settings = Settings(**fields | paths)
    guests = {"default": [guest, *args]}
    guests |= {id_: line.split() for id_, line in json.loads(models).items()}

    def make(id_: str, words: list[str]) -> Recipe:
        return recipe(id_, words, int(instances), int(limit), settings.hang_timeout)

    recipes = [make(id_, words) for id_, words in guests.items()]
    listener = Address(port=0).listen()
    say(listener.getsockname()[1])
    launch = partial(WorkerProcess, command=COMMAND if guest.endswith(".wasm") else FAKE)
    try:
        return serve(
            [listener],
            Fleet(recipes, launch, settings, Machine(machine, make)),
            settings,
            known_only=known_only == "known",
            on_ready=lambda: say("ready"),
        )
    except LauncherError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
