"""How a model is named: a file, a repository of a Hugging Face hub, or a URL."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from llamaedge_host.paths import expanded

MAIN = "main"
LATEST = ":latest"
"""What Ollama's clients add to a name that has no tag."""
_NAME = r"[A-Za-z0-9_][\w.-]*"
_REPO = re.compile(rf"(?P<repo>{_NAME}/{_NAME})(?:@(?P<revision>[\w./-]+))?(?::(?P<choice>.+))?")
_PREFIXES = ("hf:", "hf.co/", "huggingface.co/")
_HOSTS = {"hf.co", "huggingface.co", "www.huggingface.co"}
_IN_REPO = re.compile(r"(?:resolve|blob|raw|tree)/(?P<revision>[^/]+)(?:/(?P<file>.+))?")


@dataclass(frozen=True)
class HubModel:
    """``org/repo[@revision][:choice]``: ``choice`` is a quantization or a file's name."""

    repo: str
    choice: str | None = None
    revision: str = MAIN

    def __str__(self) -> str:
        revision = "" if self.revision == MAIN else f"@{self.revision}"
        choice = f":{self.choice}" if self.choice else ""
        return f"{self.repo}{revision}{choice}"


@dataclass(frozen=True)
class WebModel:
    """A GGUF file at ``url``."""

    url: str

    @property
    def name(self) -> str:
        """The file's name."""
        return Path(unquote(urlsplit(self.url).path)).name

    def __str__(self) -> str:
        return self.url


Reference = Path | HubModel | WebModel


def parse(text: str) -> Reference:
    """What ``text`` names; a file that is there before anything else.

    ``org/repo``, ``hf:org/repo:Q4_K_M``, a hub's page or file as a browser shows it, another URL,
    or a path.
    """
    path = expanded(text)
    return path if path.is_file() else parse_name(text) or path


def parse_name(text: str) -> HubModel | WebModel | None:
    """As parse(), for what is no path; no file is looked for."""
    if text.startswith(("http://", "https://")):
        return _from_url(text)
    text = called(text)
    prefix = next((each for each in _PREFIXES if text.startswith(each)), "")
    found = _REPO.fullmatch(text[len(prefix) :].removeprefix("//"))
    if found is None or (not prefix and _looks_like_a_path(text)):
        return None
    return HubModel(found["repo"], found["choice"], found["revision"] or MAIN)


def called(name: str) -> str:
    """``name`` without the :latest that says nothing."""
    return name.removesuffix(LATEST)


def names_hub(text: str) -> bool:
    """Whether ``text`` says itself that it is of a hub, or a URL: it is no path in any case."""
    return text.startswith((*_PREFIXES, "http://", "https://"))


def _looks_like_a_path(text: str) -> bool:
    return text.startswith((".", "/", "~")) or (":" not in text and text.endswith(".gguf"))


def _from_url(url: str) -> HubModel | WebModel:
    """A hub's page is the hub's, so that its token, cache and checksums serve."""
    parts = urlsplit(url)
    endpoint = urlsplit(os.environ.get("HF_ENDPOINT", ""))
    if parts.hostname not in _HOSTS and (not endpoint.netloc or parts.netloc != endpoint.netloc):
        return WebModel(url)
    organization, _, rest = unquote(parts.path).strip("/").partition("/")
    name, _, rest = rest.partition("/")
    name, _, choice = name.partition(":")
    place = _IN_REPO.fullmatch(rest)
    if not re.fullmatch(_NAME, organization) or not re.fullmatch(_NAME, name):
        return WebModel(url)
    if place is None and name.endswith(".gguf"):
        return WebModel(url)
    if place is None:
        return HubModel(f"{organization}/{name}", choice or None)
    file = place["file"]
    wanted = file if file and file.endswith(".gguf") else None
    return HubModel(f"{organization}/{name}", wanted, place["revision"])
