"""HTTPS, with certificates that are made here."""

import os
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from websockets.sync.client import connect

from llamaedge_launcher.errors import LauncherError
from llamaedge_launcher.tls import Tls

from .conftest import StartFront
from .running import running

AUTHORITY = trustme.CA()
PASSWORD = "s3cret"


class Pair:
    """A certificate for localhost, and its key with and without a password."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        made = AUTHORITY.issue_cert("localhost", "127.0.0.1")
        key = made.private_key_pem.bytes()
        self.certificate = folder / "certificate.pem"
        self.key = folder / "key.pem"
        self.locked = folder / "locked.pem"
        self.both = folder / "both.pem"
        self.certificate.write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
        self.key.write_bytes(key)
        self.both.write_bytes(key + self.certificate.read_bytes())
        self.locked.write_bytes(
            load_pem_private_key(key, None).private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD.encode())
            )
        )


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path / "pair")


@pytest.fixture
def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


def test_a_server_speaks_tls(start_front: StartFront, pair: Pair, trusting: ssl.SSLContext) -> None:
    front = start_front(tls=[str(pair.certificate), str(pair.key)])
    url = f"https://127.0.0.1:{front.port}"
    with httpx.Client(base_url=url, verify=trusting, trust_env=False, timeout=20) as client:
        assert client.get("/v1/models").status_code == 200
        body = {"messages": [], "answer": "stream"}
        assert client.post("/v1/chat/completions", json=body).text.endswith("data: [DONE]\n\n")
        large = {"messages": [], "x": "x" * 5_000_000}
        assert client.post("/v1/chat/completions", json=large).status_code == 200
    address = f"wss://127.0.0.1:{front.port}/v1/chat/completions"
    with connect(address, ssl=trusting, proxy=None) as ws:
        ws.send('{"messages": [], "stream": true, "answer": "stream", "count": 1}')
        assert [ws.recv(timeout=20), ws.recv(timeout=20)] == ['{"piece": 0}', "[DONE]"]
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"http://127.0.0.1:{front.port}/health", trust_env=False)
    assert front.end() == 130
    assert "Traceback" not in front.log.read_text()


@pytest.mark.parametrize(
    ("certificate", "key", "password", "message"),
    [
        ("none", "key", "", "cannot read none: No such file"),
        ("certificate", "none", "", "cannot read none: No such file"),
        ("certificate", "other", "", "is not that of the certificate in"),
        ("certificate", "locked", "", "has a password: set LLAMAEDGE_SSL_KEY_PASSWORD"),
        ("certificate", "locked", "no", "LLAMAEDGE_SSL_KEY_PASSWORD does not open it"),
        ("key", "key", "", "are not a certificate and its key as PEM"),
        ("certificate", "certificate", "", "are not a certificate and its key as PEM"),
    ],
)
def test_files_that_are_no_pair_are_told(
    tmp_path: Path, pair: Pair, certificate: str, key: str, password: str, message: str
) -> None:
    files = {**vars(pair), "none": Path("none"), "other": Pair(tmp_path / "other").key}
    with pytest.raises(LauncherError) as raised:
        Tls(files[certificate], files[key], password).context()
    assert message in str(raised.value)


def test_one_file_may_hold_both_and_a_password_opens_a_key(pair: Pair) -> None:
    Tls(pair.both).context()
    Tls(pair.certificate, pair.locked, PASSWORD).context()
    assert PASSWORD not in repr(Tls(pair.certificate, pair.locked, PASSWORD))


def test_the_address_that_is_shown_is_https(
    tmp_path: Path,
    pair: Pair,
    trusting: ssl.SSLContext,
    smollm2: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LLAMAEDGE_SSL_KEY_PASSWORD", PASSWORD)
    options = ("--ssl-certfile", str(pair.certificate), "--ssl-keyfile", str(pair.locked))
    with running(tmp_path, *options) as server:
        deadline = time.monotonic() + 90
        while "ready in" not in (text := server.terminal.read_text()):
            assert server.process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.05)
        url = text.partition("ready in")[2].split()[2].partition("/v1")[0]
        assert url.startswith("https://127.0.0.1:")
        with httpx.Client(base_url=url, verify=trusting, trust_env=False) as client:
            assert client.get("/v1/models").status_code == 200
        worker = Path(f"/proc/{server.worker()}/environ").read_bytes()
        assert PASSWORD.encode() not in worker


def test_a_wrong_pair_ends_the_command_at_once(pair: Pair) -> None:
    command = ["llamaedge", "run", "--ssl-certfile", pair.certificate, "--ssl-keyfile", pair.both]
    pair.both.write_text("nothing")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "are not a certificate and its key as PEM" in done.stderr
    assert len(done.stderr.splitlines()) == 1
