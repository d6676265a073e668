"""A PostgreSQL server for tests, of the programs that this machine has."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import psycopg

MISSING = "PostgreSQL is not here (on Debian: apt install postgresql)"
PASSWORD = "p@ss/w:rd%"
QUOTED = "p%40ss%2Fw%3Ard%25"
_SPARING = ("fsync=off", "shared_buffers=16MB", "max_connections=80", "unix_socket_directories=")


def programs() -> Path | None:
    """The folder of the server's programs."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((each for each in folders if each.joinpath("postgres").exists()), None)


class Postgres:
    """A server in a folder of its own. It refuses to run as root, so root runs it as nobody."""

    def __init__(self, folder: Path) -> None:
        self._programs = folder
        self._place = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(self._place, "nobody", "nogroup")
        secret = self._place / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._run(
            *("initdb", "--pgdata=data", "--username=tester", "--auth=scram-sha-256"),
            *("--pwfile=password", "--no-sync", "--encoding=UTF8", "--locale=C"),
        )
        self._process = self.start()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        subprocess.run(
            command, cwd=self._place, check=True, stdout=subprocess.DEVNULL, **self._user
        )

    def start(self) -> "subprocess.Popen[bytes]":
        settings = (*_SPARING, "listen_addresses=127.0.0.1", f"port={self.port}")
        arguments = [word for each in settings for word in ("-c", each)]
        with self._place.joinpath("log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", "data", *arguments],
                cwd=self._place,
                stderr=log,
                **self._user,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
                return self._process
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, self._place.joinpath("log").read_text()
                time.sleep(0.05)

    def stop(self) -> None:
        """End it, and all connections to it."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait()

    def end(self) -> None:
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()
        shutil.rmtree(self._place)

    def url(self, name: str) -> str:
        return f"postgresql://tester:{QUOTED}@127.0.0.1:{self.port}/{name}"

    def database(self) -> str:
        """The URL of a new database."""
        name = f"d{uuid.uuid4().hex}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
        return self.url(name)
