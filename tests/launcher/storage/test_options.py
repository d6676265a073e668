"""What is said of stores that cannot be used, and that no password is in it."""

import importlib
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from databases import QUOTED, Postgres

from llamaedge_launcher import storage
from llamaedge_launcher.errors import LauncherError
from llamaedge_launcher.storage import urls
from llamaedge_launcher.storage.places import Places

from ..running import LLAMAEDGE

FILES, RECORDS = urls.OPTIONS


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://db/llm", None),
        ("postgresql://ada@db/llm", None),
        ("postgresql://ada:s3cret@db:5433/llm?sslmode=require", "ada:***@db:5433/llm?sslmode"),
        ("postgresql://ada:s3@cret@db/llm", "ada:***@db/llm"),
        ("postgresql://ada:s3/c?r#et@db/llm", "ada:***@db/llm"),
        ("postgresql://:s3cret@db/llm", "//:***@db/llm"),
        ("postgresql://db/llm?user=ada&password=s3cret&connect_timeout=3", "=***&connect_timeout"),
        ("sftp://ada:s3cret@files/llm", "sftp://ada:***@files/llm"),
        ("s3://files/a:b@c", None),
        ("s3://files/llm?secret_key=s3cret", "?secret_key=***"),
        ("ada:s3cret@db", "***@db"),
        ("/srv/a:b", None),
    ],
)
def test_no_password_is_shown(url: str, shown: str | None) -> None:
    assert urls.is_secret(url) is (shown is not None)
    if shown is None:
        assert urls.shown(url) == url
    else:
        assert shown in urls.shown(url)
        assert "s3" not in urls.shown(url).removeprefix("s3:")


def refusal(**given: str) -> str:
    """What is said of a server that keeps things there."""
    with pytest.raises(LauncherError) as raised:
        Places(data_dir=Path("unused"), **given).check()
    message = str(raised.value)
    assert "\n" not in message
    assert "s3cret" not in message
    return message


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A machine on which a package is not installed."""
    for name in ("psycopg", "psycopg_pool", "s3fs"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "llamaedge_launcher.storage.postgres", raising=False)
    monkeypatch.delattr(storage, "postgres", raising=False)
    registry = importlib.import_module("fsspec.registry")
    monkeypatch.setattr(registry, "_registry", {})
    monkeypatch.setattr(registry, "registry", {})


def test_an_extra_that_is_not_installed_is_named(without: None) -> None:
    install = "pip install 'llamaedge-host[store]'"
    message = refusal(records="postgresql://ada:s3cret@db/llm")
    assert message == f"{RECORDS} postgresql://ada:***@db/llm needs an extra: {install}"
    assert refusal(files="s3://files/llm").endswith(f"is not installed: {install}")
    assert "Please install gcsfs" in refusal(files="gs://files/llm")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "postgresql://ada:s3cret@127.0.0.1:{free}/llm",
            "the database does not answer: connection",
        ),
        ("postgresql://tester:s3cret@127.0.0.1:{port}/postgres", "password authentication failed"),
        ("postgresql://tester:{word}@127.0.0.1:{port}/none", 'database "none" does not exist'),
        ("postgresql://tester:s3cret%zz@127.0.0.1:{port}/none", "it is not of the form"),
        ("postgresql://ada:s3cret@db/llm?nonsense=1", "it is not of the form postgresql://USER:"),
    ],
)
def test_a_database_that_cannot_be_used_is_told(
    url: str, message: str, postgres: Postgres, free_port: int
) -> None:
    url = url.format(free=free_port, port=postgres.port, word=QUOTED)
    told = refusal(records=url)
    assert told.startswith(f"{RECORDS} postgresql://")
    assert message in told


def test_a_role_that_may_make_no_tables_is_told(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 's3cret'")
    url = f"postgresql://guest:s3cret@127.0.0.1:{postgres.port}/postgres"
    assert "permission denied for database" in refusal(records=url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense://ada:s3cret@files/llm", "fsspec has no such store: Protocol not known"),
        ("file://{folder}/taken/llm", "nothing can be kept there"),
    ],
)
def test_a_store_of_files_that_cannot_be_used_is_told(
    url: str, message: str, tmp_path: Path
) -> None:
    tmp_path.joinpath("taken").touch()
    told = refusal(files=url.format(folder=tmp_path))
    assert told.startswith(f"{FILES} ")
    assert message in told


def test_a_bucket_that_is_not_there_is_told(s3: str) -> None:
    assert "nothing can be kept there" in refusal(files="s3://none-of-this-name/llm")
    Places(data_dir=Path("unused"), files=s3).check()


def test_the_server_does_not_start_without_its_stores(
    smollm2: Path, free_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(urls.VARIABLES[RECORDS], f"postgresql://a:s3cret@127.0.0.1:{free_port}/b")
    command = [LLAMAEDGE, "run", "--port", "0", "--data-dir", str(tmp_path), str(smollm2)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert result.stderr.startswith(
        f"error: {RECORDS} postgresql://a:***@127.0.0.1:{free_port}/b: "
    )
    assert result.stderr.count("\n") == 1
