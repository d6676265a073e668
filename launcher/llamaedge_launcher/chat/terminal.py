"""The chat itself: reads what the user types, shows what the model answers."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.text import Text

from ..errors import LauncherError
from .client import Client
from .conversation import Conversation
from .keyboard import quiet
from .page import Page, Plain

PROMPT = "> "
MORE = ". "
HELP = """\
/attach PATH   add a picture or a text file to the next message
/system TEXT   tell the model who it is; without TEXT: nothing
/clear         forget what was said
/help          this list
/bye           end the chat, as Ctrl-D does
Ctrl-C stops an answer. A line that ends with a backslash goes on in the next."""


class Chat:
    """A conversation over ``client`` on ``console``; ``options`` go with every request."""

    def __init__(
        self,
        client: Client,
        conversation: Conversation,
        console: Console,
        options: dict[str, Any],
    ) -> None:
        self._client = client
        self._conversation = conversation
        self._console = console
        self._options = options
        self._commands: dict[str, Callable[[str], object]] = {
            "/attach": self._attach,
            "/system": self._system,
            "/clear": self._clear,
            "/help": lambda _: self._say(HELP),
            "/?": lambda _: self._say(HELP),
        }

    def run(self, read: Callable[[str], str]) -> None:
        """Talk until ``read``, which gives a line for a prompt, raises EOFError, or /bye."""
        while True:
            try:
                text = _message(read)
            except EOFError:
                self._say("")
                return
            except KeyboardInterrupt:
                self._say("\nCtrl-D or /bye ends the chat")
                continue
            if text in ("/bye", "/exit", "/quit"):
                return
            with suppress(KeyboardInterrupt):
                self._take(text)

    def ask(self, text: str) -> None:
        """Ask, and show the answer. Raises LauncherError if there is none."""
        self._conversation.ask(text)
        answer: list[str] = []
        pieces = self._client.ask(self._conversation.messages, self._options)
        try:
            with quiet(), Page(self._console) if self._console.is_terminal else Plain() as page:
                for piece in pieces:
                    page.add(piece)
                    if not piece.thought:
                        answer.append(piece.text)
        except KeyboardInterrupt:
            self._say("stopped")
        except LauncherError:
            if not answer:
                self._conversation.take_back()
            raise
        finally:
            pieces.close()  # type: ignore[attr-defined]
            if answer:
                self._conversation.answer("".join(answer))

    def _take(self, text: str) -> None:
        word, _, rest = text.partition(" ")
        command = self._commands.get(word)
        try:
            if command is not None:
                command(rest.strip())
            elif word.startswith("/") and "/" not in word[1:]:
                self._say(f"there is no {word}; /help lists what there is")
            elif text:
                self.ask(text)
        except LauncherError as error:
            self._console.print(Text(str(error), "red"))

    def _attach(self, name: str) -> None:
        self._say(f"attached: {self._conversation.attach(name)}")

    def _system(self, text: str) -> None:
        self._conversation.system = text or None
        self._say("the model is told so" if text else "the model is told nothing")

    def _clear(self, _: str) -> None:
        self._conversation.clear()
        self._say("forgotten")

    def _say(self, text: str) -> None:
        self._console.print(Text(text, "dim"))


def _message(read: Callable[[str], str]) -> str:
    lines = [read(PROMPT)]
    while lines[-1].endswith("\\"):
        lines[-1] = lines[-1].removesuffix("\\")
        lines.append(read(MORE))
    return "\n".join(lines).strip()
