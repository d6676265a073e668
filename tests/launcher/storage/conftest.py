"""Stores that several servers see: each test gets new ones, of each kind that is here."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from databases import MISSING, Postgres, programs

from llamaedge_launcher.storage.records import FolderRecords, PostgresRecords, Records

S3 = "S3-like stores are tested by scripts/test --s3, or with LLAMAEDGE_S3=1"
OpenRecords = Callable[[], Records]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    found = programs()
    if found is None:
        pytest.skip(MISSING)
    server = Postgres(found)
    yield server
    server.end()


@pytest.fixture
def database(postgres: Postgres) -> str:
    """The URL of a new database."""
    return postgres.database()


@pytest.fixture(params=["sqlite", "postgres"])
def open_records(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenRecords]:
    """Opens the same records again and again, each time as another server does."""
    opened: list[PostgresRecords] = []
    if request.param == "sqlite":
        yield lambda: FolderRecords(tmp_path / "records")
        return
    url = request.getfixturevalue("database")

    def open_() -> PostgresRecords:
        opened.append(PostgresRecords(url))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


@pytest.fixture(scope="session")
def s3(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a folder in a bucket of a server that speaks S3."""
    if not (request.config.getoption("--s3") or os.environ.get("LLAMAEDGE_S3")):
        pytest.skip(S3)
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="files")
        yield "s3://files/of/tests"
    server.stop()


@pytest.fixture(params=["file", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store of files."""
    if request.param == "file":
        return f"file://{tmp_path / 'objects'}"
    return f"{request.getfixturevalue('s3')}/{tmp_path.name}"
