"""`llamaedge pull`: huggingface-hub's real client against a hub with faults."""

import errno
import io
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants, hf_hub_download, scan_cache_dir
from huggingface_hub.utils import WeakFileLock

from llamaedge_launcher.models import download

from . import hub as fake
from .conftest import MODEL, REPO, Run
from .hub import COMMIT, TOKEN, Fault, Hub

Output = pytest.CaptureFixture[str]


def pulled(out: Output) -> Path:
    """The path that the command wrote to stdout."""
    captured = out.readouterr()
    return Path(captured.out.rstrip("\n"))


def whole_blobs() -> list[Path]:
    """What the cache holds that is not a part."""
    blobs = Path(constants.HF_HUB_CACHE).glob("*/blobs/*")
    return [path for path in blobs if path.suffix != ".incomplete"]


def test_a_model_comes_into_the_hubs_own_cache(
    hub: Hub, run: Run, gguf: bytes, capsys: Output
) -> None:
    assert run(f"pull {REPO}:Q4_K_M") == 0
    captured = capsys.readouterr()
    path = Path(captured.out.rstrip("\n"))
    assert path.read_bytes() == gguf
    assert path.name == MODEL
    assert f"fetching {MODEL}" in captured.err
    assert f"llamaedge run {REPO}:Q4_K_M" in captured.err
    hub.asked.clear()
    assert Path(hf_hub_download(REPO, MODEL)) == path
    assert hub.ranges() == []
    [repo] = scan_cache_dir(constants.HF_HUB_CACHE).repos
    assert list(repo.refs) == ["main"]


def test_what_is_here_is_not_fetched_again(hub: Hub, run: Run, capsys: Output) -> None:
    assert run(f"pull {REPO}:Q4_K_M") == run(f"pull {REPO}:Q4_K_M") == 0
    assert hub.ranges() == ["0"]


@pytest.mark.parametrize(
    "name", [REPO, f"hf:{REPO}", f"hf.co/{REPO}:q4_k_m", f"{REPO}:{MODEL}", f"{REPO}@{COMMIT}"]
)
def test_a_model_has_several_names(hub: Hub, run: Run, capsys: Output, name: str) -> None:
    assert run(f"pull {name}") == 0
    assert pulled(capsys).name == MODEL


@pytest.mark.parametrize("path", ["", f"/resolve/main/{MODEL}", f"/blob/main/{MODEL}?x=1"])
def test_a_hubs_page_is_a_name(hub: Hub, run: Run, capsys: Output, path: str) -> None:
    assert run(f"pull {hub.url}/{REPO}{path}") == 0
    assert Path(constants.HF_HUB_CACHE) in pulled(capsys).parents


def test_without_lfs_the_checksum_is_gits(hub: Hub, run: Run, capsys: Output) -> None:
    hub.repos[REPO].lfs = False
    hub.faults = [fake.other(lambda content: content[:-1] + b"?")]
    assert run(f"pull {REPO}") == 1
    assert "its checksum is" in capsys.readouterr().err
    assert run(f"pull {REPO}") == 0


def change_a_byte(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


FAULTS: dict[str, tuple[list[Fault], str | None, bool | None]] = {
    "cut once": ([fake.cut(5000)], None, True),
    "cut at once": ([fake.cut(0)], None, False),
    "cut again and again": ([fake.cut(5000)] + [fake.cut(0)] * 3, "not come whole: .*", True),
    "never a byte": ([fake.cut(0)] * 3, "not come whole: .*", False),
    "another checksum": ([fake.other(change_a_byte)], "damaged: its checksum is", False),
    "too short": ([fake.other(lambda it: it[:7000])] * 9, None, True),
    "too long": ([fake.other(lambda it: it + b"more")], "sends more than the", None),
    "a page": ([fake.page], "sends a web page instead of the file", False),
    "a page, half-way": ([fake.cut(5000), fake.page], "sends a web page instead", True),
    "other bytes": ([fake.other(lambda it: b"PK" + it[2:])], "is no GGUF file: .*PK", False),
    "401": ([fake.status(401)], "it asks for a token; set HF_TOKEN", False),
    "403": ([fake.status(403)], "it is not allowed; set HF_TOKEN", False),
    "404": ([fake.status(404)], "it is not there", False),
    "416": ([fake.cut(5000), fake.status(416)], None, True),
    "429": ([fake.status(429)] * 3, "429 Too Many Requests; the same command goes on", False),
    "429, a while": ([fake.status(429, retry_after="0")], None, False),
    "429, long": ([fake.status(429, retry_after="900")], "asks to wait 900 s", False),
    "503": ([fake.status(503)] * 3, "503 Service Unavailable; the same command", False),
    "503 once": ([fake.status(503)], None, False),
    "500": ([fake.status(500)] * 3, "500 Internal Server Error", False),
}
"""Faults, what is said of them (None: it comes nevertheless), and whether a later request goes on
from where the first one broke off (None: either)."""


@pytest.mark.parametrize(("faults", "said", "resumes"), list(FAULTS.values()), ids=list(FAULTS))
def test_faults_of_the_hub(
    hub: Hub,
    run: Run,
    gguf: bytes,
    capsys: Output,
    faults: list[Fault],
    said: str | None,
    resumes: bool | None,
) -> None:
    hub.faults = list(faults)
    code = run(f"pull {REPO}")
    captured = capsys.readouterr()
    if said is None:
        assert code == 0, captured.err
    else:
        *_, line = captured.err.splitlines()
        assert (code, captured.out) == (1, "")
        assert re.match(f"error: .*{said}", line), captured.err
        assert "Traceback" not in captured.err
        assert whole_blobs() == []
        hub.faults = []
        assert run(f"pull {REPO}") == 0
        captured = capsys.readouterr()
    assert Path(captured.out.rstrip("\n")).read_bytes() == gguf
    if resumes is not None:
        assert any(start != "0" for start in hub.ranges()) == resumes, hub.asked


REFUSALS: dict[str, tuple[Callable[[Hub], object], str]] = {
    "no repository": (lambda hub: hub.repos.clear(), "has no repository acme/tiny-GGUF, or a priv"),
    "gated": (lambda hub: vars(hub.repos[REPO]).update(gated=True), "is gated: accept its terms"),
    "a page": (
        lambda hub: vars(hub).update(refusal=lambda _: fake.page(_, b"")),
        "answers with a page instead of data",
    ),
    "no model": (
        lambda hub: hub.repos[REPO].files.pop(MODEL),
        "has no GGUF files; llamaedge search tiny-GGUF finds",
    ),
    "two sizes": (lambda hub: vars(hub).update(told_size=5), "tells two sizes or checksums"),
    "two checksums": (
        lambda hub: vars(hub).update(told_digest="ab" * 32),
        "tells two sizes or checksums",
    ),
    "a name that is a path": (
        lambda hub: vars(hub).update(told_digest="../../x"),
        "not as a Hugging Face hub does",
    ),
    "no GGUF": (
        lambda hub: hub.repos[REPO].files.update({MODEL: b"GGUF" + bytes(90)}),
        "tiny-Q4_K_M.gguf cannot be used: it is GGUF version 0",
    ),
    **{
        str(code): (
            lambda hub, code=code: vars(hub).update(refusal=lambda _: fake.status(code)(_, b"")),
            said,
        )
        for code, said in {
            401: "it asks for a token; set HF_TOKEN",
            403: "it is not allowed",
            404: "it is not there",
            429: "there were too many requests; try again later",
            500: "it has a fault",
            503: "it is down",
            418: "status 418",
        }.items()
    },
}


@pytest.mark.parametrize(("change", "said"), list(REFUSALS.values()), ids=list(REFUSALS))
def test_refusals_of_the_hub(
    hub: Hub, run: Run, capsys: Output, change: Callable[[Hub], object], said: str
) -> None:
    change(hub)
    assert run(f"pull {REPO}") == 1
    captured = capsys.readouterr()
    *_, line = captured.err.splitlines()
    assert re.match(f"error: .*{said}", line), captured.err
    assert captured.out == ""
    assert whole_blobs() == []


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        (f"{REPO}:Q2_K", 1, f"{REPO} has no Q2_K; it has Q4_K_M"),
        (f"{REPO}:none.gguf", 1, "has no none.gguf; it has Q4_K_M"),
        (f"{REPO}@old", 1, f"{REPO} has no revision old"),
        ("tiny", 2, "tiny is neither ORG/REPO nor a URL; there is nothing to fetch"),
        ("acme/-", 2, "acme/- is neither ORG/REPO nor a URL"),
        ("acme/a..b", 1, "is not a repository's name, as org/name is"),
        ("http://127.0.0.1:1/x.gguf", 1, "cannot be fetched: .*refused"),
        ("http://127.0.0.1:1/x.bin", 2, "does not end with the name of a .gguf file"),
    ],
)
def test_names_that_lead_nowhere(
    hub: Hub, run: Run, capsys: Output, name: str, code: int, said: str
) -> None:
    assert run(f"pull {name}") == code
    captured = capsys.readouterr()
    assert re.match(f"error: .*{said}.*\n$", captured.err), captured.err


def test_a_gated_repository_opens_with_a_token(
    hub: Hub, run: Run, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repos[REPO].gated = True
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert run(f"pull {REPO}") == 1
    assert "see that your token (HF_TOKEN, or hf auth login) may read it" in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert run(f"pull {REPO}") == 0


def test_a_hub_that_cannot_be_reached_is_said(
    hub: Hub, run: Run, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    assert run(f"pull {REPO}") == 1
    assert re.match(
        "error: http://127.0.0.1:1 cannot be reached: .*try again\n$", capsys.readouterr().err
    )


def test_offline_nothing_is_asked_for(
    hub: Hub, run: Run, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for name in (REPO, f"{hub.url}/plain/{MODEL}"):
        assert run(f"pull {name}") == 1
        assert "HF_HUB_OFFLINE forbids to fetch it" in capsys.readouterr().err
    assert hub.asked == []


def test_offline_what_is_here_is_taken(
    hub: Hub, run: Run, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(f"pull {REPO}") == 0
    path = pulled(capsys)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.asked.clear()
    assert run(f"pull {REPO}:q4_k_m") == 0
    assert pulled(capsys) == path
    assert hub.asked == []


def test_a_hub_that_falls_silent_is_left(
    hub: Hub, run: Run, gguf: bytes, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.faults = [fake.stall(0)]
    with monkeypatch.context() as patch:
        patch.setattr(download.constants, "HF_HUB_DOWNLOAD_TIMEOUT", 1)
        patch.setattr(download, "WAITS", ())
        assert run(f"pull {REPO}:Q4_K_M") == 1
    assert "nothing comes from the server; the same command goes on" in capsys.readouterr().err
    hub.faults = []
    assert run(f"pull {REPO}:Q4_K_M") == 0
    assert pulled(capsys).read_bytes() == gguf


def test_a_stopped_download_goes_on(
    hub: Hub, run: Run, gguf: bytes, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    hub.faults = [fake.cut(5000)]
    with monkeypatch.context() as patch:
        patch.setattr(download, "_wait", stop)
        assert run(f"pull {REPO}") == 130
    assert "stopped; the same command goes on from here\n" in capsys.readouterr().err
    assert run(f"pull {REPO}") == 0
    assert hub.ranges() == ["0", "5000"]


def test_two_processes_fetch_a_file_once(hub: Hub, run: Run, gguf: bytes, capsys: Output) -> None:
    locks = Path(constants.HF_HUB_CACHE, ".locks", "models--acme--tiny-GGUF")
    locks.mkdir(parents=True)
    with WeakFileLock(locks / f"{fake.sha256(gguf)}.lock"):
        other = threading.Thread(target=run, args=(f"pull {REPO}",))
        other.start()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not any("HEAD" in line for line in hub.asked):
            time.sleep(0.01)
        other.join(timeout=0.5)
        assert other.is_alive()
        assert hub.ranges() == []
    other.join(timeout=30)
    assert "another process is fetching it" in capsys.readouterr().err
    assert hub.ranges() == ["0"]


def test_a_disk_without_room_is_found_before_anything_comes(
    hub: Hub, run: Run, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: used._replace(free=1000))
    assert run(f"pull {REPO}") == 1
    assert re.search(
        f"error: {MODEL} takes .* and 1 kB are free in .*HF_HOME\n$", capsys.readouterr().err
    )
    assert hub.ranges() == []


class Disk(io.FileIO):
    """A file on a disk with room for 9,000 bytes more."""

    def write(self, data: object) -> int:
        assert isinstance(data, bytes)
        room = 9000 - self.tell()
        if len(data) > room:
            super().write(data[:room])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


def test_a_disk_that_fills_up_keeps_what_came(
    hub: Hub, run: Run, gguf: bytes, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = download._open

    def full(part: Path) -> io.FileIO:
        real(part).close()
        return Disk(part, "r+b")

    with monkeypatch.context() as patch:
        patch.setattr(download, "_open", full)
        assert run(f"pull {REPO}") == 1
    assert "error: acme/tiny-GGUF cannot be kept: the disk is full" in capsys.readouterr().err
    assert whole_blobs() == []
    assert run(f"pull {REPO}") == 0
    assert pulled(capsys).read_bytes() == gguf
    assert hub.ranges() == ["0", "9000"]


def test_a_split_model_comes_whole(hub: Hub, run: Run, gguf: bytes, capsys: Output) -> None:
    names = [f"big/big-Q8_0-{number:05}-of-00003.gguf" for number in (1, 2, 3)]
    hub.repos[REPO].files |= dict.fromkeys(names, gguf)
    assert run(f"pull {REPO}:Q8_0") == 0
    path = pulled(capsys)
    assert path.name == "big-Q8_0-00001-of-00003.gguf"
    assert len(list(path.parent.glob("*.gguf"))) == 3
    del hub.repos[REPO].files[names[1]]
    assert run(f"pull {REPO}:Q8_0") == 1
    assert "has only 2 of the 3 files" in capsys.readouterr().err


def test_a_projector_comes_along(hub: Hub, run: Run, eye: bytes, capsys: Output) -> None:
    hub.repos[REPO].files |= {"mmproj-tiny-F16.gguf": eye, "mmproj-tiny-F32.gguf": eye + bytes(8)}
    assert run(f"pull {REPO}:Q4_K_M") == 0
    path = pulled(capsys)
    assert sorted(each.name for each in path.parent.iterdir()) == ["mmproj-tiny-F16.gguf", MODEL]


def test_a_url_is_resumed_and_kept(hub: Hub, run: Run, gguf: bytes, capsys: Output) -> None:
    hub.faults = [fake.cut(6000)] + [fake.cut(0)] * 3
    url = f"{hub.url}/plain/{MODEL}"
    assert run(f"pull {url}") == 1
    assert "the same command goes on from here" in capsys.readouterr().err
    assert run(f"pull {url}") == 0
    assert pulled(capsys).read_bytes() == gguf
    assert [line for line in hub.asked if line.startswith("GET")][-1].endswith(" 6000")
    asked = len(hub.asked)
    assert run(f"pull {url}") == 0
    assert len(hub.asked) == asked


def test_a_url_whose_file_changed_begins_anew(
    hub: Hub, run: Run, gguf: bytes, eye: bytes, capsys: Output
) -> None:
    hub.faults = [fake.cut(6000)] + [fake.cut(0)] * 3
    url = f"{hub.url}/plain/{MODEL}"
    assert run(f"pull {url}") == 1
    hub.repos[REPO].files[MODEL] = eye
    capsys.readouterr()
    assert run(f"pull {url}") == 0
    assert pulled(capsys).read_bytes() == eye
