"""Responses in databases that several servers write to."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from databases import Postgres

from llamaedge_launcher.proxy.dialects.responses import store as store_module
from llamaedge_launcher.proxy.dialects.responses.store import RESPONSES, Kept, Store
from llamaedge_launcher.storage import postgres as postgres_module
from llamaedge_launcher.storage.database import Unreachable
from llamaedge_launcher.storage.records import PostgresRecords

from ..retrieval.serving import until
from .conftest import OpenRecords


def kept(id_: str, previous: str | None = None, given: str = "a") -> Kept:
    output = [{"id": f"msg_{id_}", "type": "message", "role": "assistant", "content": id_}]
    response = {"id": id_, "previous_response_id": previous, "output": output}
    return Kept(response, [{"role": "user", "content": given}])


def texts(store: Store, id_: str) -> list[str] | None:
    found = store.conversation(id_)
    return None if found is None else [each["content"] for each in found]


def test_what_one_server_keeps_another_goes_on_from_and_deletes(open_records: OpenRecords) -> None:
    first, second = Store(open_records()), Store(open_records())
    first.put(kept("1", given="\0 \u2400 \N{GRINNING FACE}"))
    second.put(kept("2", "1"))
    first.put(kept("3", "2"))
    assert second.get("1") == first.get("1") == kept("1", given="\0 \u2400 \N{GRINNING FACE}")
    assert second.item("msg_3") == kept("3").response["output"][0]
    assert second.delete("2")
    assert not first.delete("2")
    assert first.get("2") is None
    assert texts(first, "2") is None
    assert texts(second, "3") == ["\0 \u2400 \N{GRINNING FACE}", "1", "a", "2", "a", "3"]
    assert first.delete("1")
    assert second.delete("3")
    with open_records().database(RESPONSES).using() as database:
        for table in ("responses", "items"):
            assert database.execute(f"SELECT id FROM {table}").fetchall() == []


def test_the_most_are_those_of_all_servers(
    open_records: OpenRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them writes what it can at the same time as the others."""
    monkeypatch.setattr(store_module, "MOST", 5)
    stores = [Store(open_records()) for _ in range(3)]

    def fill(number: int) -> list[str]:
        ids = [f"{number}-{each}" for each in range(12)]
        for each in ids:
            stores[number].put(kept(each))
        return ids

    with ThreadPoolExecutor(len(stores)) as pool:
        ids = [each for found in pool.map(fill, range(len(stores))) for each in found]
    for store in stores:
        assert len([each for each in ids if store.get(each)]) == 5
        assert len([each for each in ids if store.item(f"msg_{each}")]) == 5
    with open_records().database(RESPONSES).using() as database:
        rows = database.execute("SELECT number FROM responses ORDER BY number").fetchall()
    assert [number for (number,) in rows] == list(range(32, 37))


def test_what_cannot_be_kept_whole_is_not_kept(open_records: OpenRecords) -> None:
    store = Store(open_records())
    store.put(kept("1"))
    again = kept("2")
    again.response["output"] = kept("1").response["output"]
    with pytest.raises(OSError):
        store.put(again)
    assert store.get("2") is None
    store.put(kept("2"))


def test_a_text_that_no_table_has_is_not_found(open_records: OpenRecords) -> None:
    store = Store(open_records())
    assert store.get("\0") is None
    assert not store.delete("%s'; DROP TABLE responses; --\0")
    store.put(kept("1"))


def test_tables_are_made_once_by_servers_that_start_together(database: str) -> None:
    def start(number: int) -> None:
        records = PostgresRecords(database)
        Store(records).put(kept(f"{number}"))
        records.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(start, range(6)))


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_module, "_PATIENCE", 1.0)


def test_a_database_that_is_away_is_told_and_used_when_it_is_back(
    postgres: Postgres, hasty: None
) -> None:
    records = PostgresRecords(postgres.database())
    store = Store(records)
    store.put(kept("1"))
    postgres.stop()
    try:
        with pytest.raises(Unreachable, match="the database does not answer") as raised:
            store.get("1")
        assert "p@ss" not in str(raised.value)
    finally:
        postgres.start()
    until(lambda: answers(store))
    assert store.get("1") == kept("1")
    records.close()


def answers(store: Store) -> bool:
    with suppress(Unreachable):
        store.get("1")
        return True
    return False


def test_a_server_that_is_lost_in_a_change_leaves_nothing_of_it(database: str) -> None:
    """Its connection ends in the middle, and with it the lock that lets in one at a time."""
    lost, other = PostgresRecords(database), PostgresRecords(database)
    store = Store(other)
    store.put(kept("0"))
    database_of_other = other.database(RESPONSES)
    insert = "INSERT INTO responses VALUES ('1', 1, NULL, TRUE, '{}', '[]')"
    with pytest.raises(Unreachable), lost.database(RESPONSES).changing() as changing:
        changing.execute(insert)
        with database_of_other.using() as using:
            using.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE state = 'idle in transaction' AND datname = current_database()"
            )
        changing.execute(insert)
    store.put(kept("2"))
    assert store.get("1") is None
    assert store.get("0") and store.get("2")
    lost.close()
    other.close()
