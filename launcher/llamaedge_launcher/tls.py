"""The certificate that the public server shows."""

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from .errors import LauncherError
from .variables import KEY_PASSWORD


@dataclass(frozen=True)
class Tls:
    """A certificate with its chain, and its private key, both PEM files.

    Without ``keyfile`` the key is in ``certfile`` too; ``password`` opens it.
    """

    certfile: Path
    keyfile: Path | None = None
    password: str = field(default="", repr=False)

    def context(self) -> ssl.SSLContext:
        """What a server needs. Raises LauncherError for files that are no pair."""
        key = self.keyfile or self.certfile
        for path in (self.certfile, key):
            try:
                path.open("rb").close()
            except OSError as error:
                raise LauncherError(f"cannot read {path}: {error.strerror}") from error
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.certfile, key, lambda: self.password)
        except ssl.SSLError as error:
            raise LauncherError(self._problem(key, error)) from error
        return context

    def _problem(self, key: Path, error: ssl.SSLError) -> str:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"the key in {key} is not that of the certificate in {self.certfile}"
        if _is_encrypted(key):
            wrong = f"{KEY_PASSWORD} does not open it" if self.password else f"set {KEY_PASSWORD}"
            return f"the key in {key} has a password: {wrong}"
        return f"{self.certfile} and {key} are not a certificate and its key as PEM"


def _is_encrypted(key: Path) -> bool:
    return b"ENCRYPTED" in key.read_bytes()


def take_password() -> str:
    """The key's password, which the processes that are started do not see."""
    return os.environ.pop(KEY_PASSWORD, "")
