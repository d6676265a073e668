"""usage: python scripts/bundle.py PROJECT.whl BINDINGS.whl FOLDER

Writes a wheel of the project that has the bindings to llama.cpp inside, with its libraries, to
FOLDER. The bindings' own requirements take their place among the wheel's.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PLACE = "llamaedge_host/bundled"
"""Where llamaedge_host.bundled looks."""
KEPT = ("llama_cpp", "*.dist-info")
"""Of the bindings' wheel; the rest are headers, and what llama.cpp installs besides."""
NAME = re.compile(r"Requires-Dist: llama-cpp-python\b.*\n")


def main(project: str, bindings: str, folder: str) -> int:
    """Write the wheel and print its path."""
    with tempfile.TemporaryDirectory() as scratch:
        ours, theirs = _unpacked(project, scratch, "ours"), _unpacked(bindings, scratch, "theirs")
        place = ours / PLACE
        for pattern in KEPT:
            for found in theirs.glob(pattern):
                shutil.copytree(found, place / found.name)
        information = next(ours.glob("*.dist-info"))
        _require(information / "METADATA", next(place.glob("*.dist-info")) / "METADATA")
        _platform(information / "WHEEL", next(theirs.glob("*.dist-info")) / "WHEEL")
        packed, repaired = Path(scratch, "packed"), Path(scratch, "repaired")
        packed.mkdir()
        _run("wheel", "pack", str(ours), "--dest-dir", str(packed))
        (made,) = packed.glob("*.whl")
        _run("auditwheel", "repair", "--strip", "--wheel-dir", str(repaired), str(made))
        (made,) = repaired.glob("*.whl")
        Path(folder).mkdir(parents=True, exist_ok=True)
        print(shutil.copy(made, folder))
    return 0


def _unpacked(wheel: str, scratch: str, name: str) -> Path:
    folder = Path(scratch, name)
    _run("wheel", "unpack", wheel, "--dest", str(folder))
    (inside,) = folder.iterdir()
    return inside


def _require(ours: Path, theirs: Path) -> None:
    """Put what the bindings require in the place of the bindings."""
    needed = re.findall(r"^Requires-Dist: (?!.*extra ==).*\n", theirs.read_text(), re.MULTILINE)
    text, count = NAME.subn("".join(needed), ours.read_text())
    if count != 1:
        raise SystemExit(f"{ours.parent.name} requires llama-cpp-python {count} times, not once")
    ours.write_text(text)


def _platform(ours: Path, theirs: Path) -> None:
    """Say that the wheel is for the bindings' platform."""
    tag = re.search(r"^Tag: py3-none-(\S+)$", theirs.read_text(), re.MULTILINE)
    if tag is None:
        raise SystemExit("the bindings' wheel is not for any Python 3 of a platform")
    text = ours.read_text().replace("Root-Is-Purelib: true", "Root-Is-Purelib: false")
    ours.write_text(re.sub(r"(?m)^Tag: .*$", f"Tag: py3-none-{tag[1]}", text))


def _run(*words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
