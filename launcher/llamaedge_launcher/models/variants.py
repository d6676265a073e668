"""The models that a repository holds: its GGUF files, by quantization, split ones together."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from llamaedge_host.ggml.llama import split

from ..errors import LauncherError
from .reference import HubModel
from .sizes import size_text

_LABEL = re.compile(
    r"(?:^|[-._/])(?P<label>(?:UD-)?(?:I?Q\d(?:_[A-Z0-9]+)*|TQ\d_\d|MXFP4(?:_MOE)?|NVFP4"
    r"|BF16|F16|FP16|F32|FP32))(?=$|[-._/])",
    re.IGNORECASE,
)
_SPELLINGS = {"FP16": "F16", "FP32": "F32"}
_NO_MODELS = ("mmproj", "imatrix")
_PROJECTOR_ORDER = ("F16", "BF16", "Q8_0", "F32")


@dataclass(frozen=True)
class File:
    """A file of a repository. ``size`` in bytes; ``digest`` in hexadecimal.

    The digest is a SHA-256 of 64 digits, or the SHA-1 of a git blob of 40.
    """

    name: str
    size: int
    digest: str = ""


@dataclass(frozen=True)
class Variant:
    """A model: its ``files``, the first one first, and what its name says of the quantization."""

    label: str
    files: tuple[File, ...]

    @property
    def name(self) -> str:
        """The first file's."""
        return self.files[0].name

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def whole(self) -> bool:
        """Whether all of its files are there."""
        return len(self.files) == len(split.files(self.name))

    def __str__(self) -> str:
        return f"{self.label or PurePosixPath(self.name).name} ({size_text(self.size)})"


def label(name: str) -> str:
    """The quantization that a file's name tells, such as ``Q4_K_M``; "" if it tells none."""
    path = PurePosixPath(name)
    for text in (path.stem, path.parent.name):
        found = [match["label"].upper() for match in _LABEL.finditer(text)]
        if found:
            return _SPELLINGS.get(found[-1], found[-1])
    return ""


def variants(files: Iterable[File]) -> tuple[Variant, ...]:
    """The models among ``files``, the largest first."""
    by_name = {file.name: file for file in files if file.name.endswith(".gguf")}
    found = []
    for name in by_name:
        plain = PurePosixPath(name).name.lower()
        parts = split.files(name)
        if any(word in plain for word in _NO_MODELS) or name != parts[0]:
            continue
        found.append(
            Variant(label(name), tuple(by_name[each] for each in parts if each in by_name))
        )
    return tuple(sorted(found, key=lambda each: (-each.size, each.name)))


def projector(files: Iterable[File]) -> File | None:
    """The projector among ``files`` that suits most machines, or None where there is none."""
    found = [
        file
        for file in files
        if file.name.endswith(".gguf") and "mmproj" in PurePosixPath(file.name).name.lower()
    ]
    order = {name: number for number, name in enumerate(_PROJECTOR_ORDER)}
    return min(found, key=lambda file: (order.get(label(file.name), 9), file.name), default=None)


def matching(model: HubModel, offered: Sequence[Variant]) -> list[Variant]:
    """Those of ``offered`` that ``model`` names: all, if it names none."""
    if model.choice is None:
        return list(offered)
    if model.choice.lower().endswith(".gguf"):
        return [
            each
            for each in offered
            if any(model.choice in (it.name, PurePosixPath(it.name).name) for it in each.files)
        ]
    wanted = model.choice.upper()
    exact = [each for each in offered if each.label == wanted]
    return exact or [each for each in offered if each.label.removeprefix("UD-") == wanted]


def choose(model: HubModel, offered: Sequence[Variant]) -> list[Variant]:
    """As ``matching``: whole ones, one if ``model`` names one.

    Raises LauncherError, which says what there is, if there is none such.
    """
    if not offered:
        raise LauncherError(
            f"{model.repo} has no GGUF files; llamaedge search {model.repo.partition('/')[2]}"
            " finds repositories that have"
        )
    found = matching(model, offered)
    if not found:
        there = ", ".join(dict.fromkeys(map(str, offered)))
        raise LauncherError(f"{model.repo} has no {model.choice}; it has {there}")
    if model.choice is not None and len(found) > 1:
        names = " or ".join(f"{model.repo}:{each.name}" for each in found)
        raise LauncherError(f"{model} is one of {len(found)} models; name {names}")
    whole = [each for each in found if each.whole]
    if not whole:
        count, total = len(found[0].files), len(split.files(found[0].name))
        raise LauncherError(f"{model}: {model.repo} has only {count} of the {total} files")
    return whole
