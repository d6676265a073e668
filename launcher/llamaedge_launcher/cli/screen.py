"""What the terminal shows of a server's start."""

import json
import logging
import threading
import time
import webbrowser

from rich.text import Text

from llamaedge_host.ggml.llama.split import paths
from llamaedge_host.wording import counted

from .. import keys, log
from ..address import Address
from ..control import ModelSize, Sized
from ..models.sizes import size_text
from ..settings import Settings
from . import templates
from .console import stderr
from .plan import Plan
from .units import TEMPLATE, Unit

_log = logging.getLogger(__name__)


class Screen:
    """Writes to stderr, where the log goes."""

    def __init__(self, plan: Plan, settings: Settings, *bound: Address) -> None:
        self._plan = plan
        self._settings = settings
        self._bound = bound
        self._console = stderr(soft_wrap=True)
        self._started = time.monotonic()

    def show_plan(self) -> None:
        """What is being loaded and where it will be served."""
        from .. import __version__

        self._console.print(Text(f"llamaedge {__version__}", "bold"))
        for unit in self._plan.units:
            for preload, model in zip(unit.preloads, unit.models, strict=False):
                size = size_text(sum(each.stat().st_size for each in paths(preload.path)))
                self._row("model", f"{model.id}: {preload.path.name}, {size}")
            self._row("template", _template(unit))
        if not self._plan.bundled:
            self._row("server", str(self._plan.guest))
        self._row("address", f"{', '.join(map(str, self._bound))}, loading")
        reached = ", ".join(str(each) for each in self._bound if not each.is_loopback)
        if reached and not self._settings.keys:
            self._console.print(
                f"warning: {reached} is open to other machines, and no key is asked for;"
                f" to ask for one, add: --api-key {keys.suggestion()}",
                style="yellow",
            )

    def show_sizes(self, sized: Sized) -> None:
        """What each model takes of the memory, part by part."""
        for model in sized.models:
            name = f"{model.name}: " if len(sized.models) > 1 else ""
            self._row("context", f"{name}{_context(model)}")
            self._row("memory", f"{name}{_memory(model)}; {size_text(sized.free)} are free")
            self._row("device", f"{name}{_device(model)}")

    @property
    def url(self) -> str:
        """The API's address, as this machine reaches it."""
        scheme = "https" if self._settings.tls else "http"
        return f"{scheme}://{self._reachable()}/v1"

    def show_ready(self) -> None:
        """That it answers, and how to ask."""
        question = {"role": "user", "content": "Who was Robert Oppenheimer?"}
        body = json.dumps(
            {"messages": [question], "model": self._plan.model_name}, separators=(",", ":")
        )
        url = self.url
        seconds = time.monotonic() - self._started
        if self._settings.opens_page:
            threading.Thread(target=self._open_page, daemon=True).start()  # it may take its time
        if log.is_json():
            fields = log.with_fields({"url": url, "seconds": round(seconds, 3)})
            _log.info("ready in %.1f s: %s", seconds, url, extra=fields)
            return
        self._console.print(Text.assemble(f"ready in {seconds:.1f} s: ", (url, "bold green")))
        if self._settings.web_ui is not None:
            self._console.print(Text.assemble("  in a browser: ", (self._page(), "bold green")))
        key = " -H 'Authorization: Bearer KEY'" if self._settings.keys else ""
        self._console.print(
            f"  curl {url}/chat/completions{key} -H 'Content-Type: application/json' -d '{body}'",
            markup=False,
        )

    def _open_page(self) -> None:
        if not webbrowser.open(self._page()):
            self._console.print(
                f"warning: no browser could be opened; open {self._page()}", style="yellow"
            )

    def _page(self) -> str:
        return self.url.removesuffix("v1")

    def _row(self, name: str, value: str) -> None:
        if log.is_json():
            _log.info("%s: %s", name, value, extra=log.with_fields({name: value}))
        else:
            self._console.print(Text.assemble((f"{name:<9}", "cyan"), value))

    def _reachable(self) -> Address:
        local = {"0.0.0.0": "127.0.0.1", "::": "::1"}
        first = self._bound[0]
        return Address(local.get(first.host, first.host), first.port)


def _context(model: ModelSize) -> str:
    tokens = f"{model.context:,} tokens"
    if model.context < model.trained:
        tokens += f" of the model's {model.trained:,}"
    return f"{tokens}, {counted(model.parallel, 'answer')} at once"


def _memory(model: ModelSize) -> str:
    taken = " as used" if model.on_use else ""
    if model.smaller:
        taken += " (of q8_0: f16 does not fit)"
    listed = (
        f"weights {size_text(model.weights)}, cache {size_text(model.cache)}{taken},"
        f" buffers {size_text(model.buffers)}"
    )
    there = f", {size_text(model.on_gpu)} of it on the GPU" if model.on_gpu else ""
    most = "up to " if model.on_use else ""
    return f"{most}{size_text(model.total)}: {listed}{there}"


def _device(model: ModelSize) -> str:
    cpu = f"CPU, {counted(model.threads, 'thread')}"
    if not model.gpu_layers:
        return cpu
    return f"GPU, {model.gpu_layers} of {model.layers} layers; {cpu}"


def _template(unit: Unit) -> str:
    """The names of its models' prompt templates."""
    given = dict(each.partition("=")[::2] for each in unit.arguments)
    if "--chat-template" in given:
        return "from --chat-template"
    names = given.get(TEMPLATE, templates.AUTO).split(",")
    return ", ".join("the model's own" if name == templates.AUTO else name for name in names)
