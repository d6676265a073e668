"""Files become chunks with vectors, in the background."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from ..files.splitter import SplitError, splitting
from ..files.text import NotTextError
from ..storage.database import Damaged, Unreachable
from .embedding import Embedder, Refused, check_same, patiently
from .library import Library
from .records import Entry

_log = logging.getLogger(__name__)

PATIENCE = 600.0
"""Seconds for which a model that is busy, or being loaded, is asked again."""
_AT_ONCE = 2  # files: one is split while the other is embedded
_BATCH, _BATCH_LENGTH = 16, 32768  # chunks of a request, and their characters
_SPLIT_WITHIN = 600.0  # seconds
_PAUSE = 1.0  # seconds after a fault of the disk, which may be there still
_REST = 5.0  # seconds after which a store that does not answer is asked again
_SERVER, _UNSUPPORTED, _INVALID = "server_error", "unsupported_file", "invalid_file"
Locate = Callable[[str], AbstractAsyncContextManager[Path | None]]


class Indexer:
    """Indexes what ``library`` has to be indexed; ``locate`` has a file here by its id.

    A file has one request at the embedding model at a time, so that others get their turn.
    """

    def __init__(self, library: Library, embedder: Embedder, locate: Locate) -> None:
        self._library = library
        self._embedder = embedder
        self._locate = locate
        self._busy: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = 0

    def wake(self) -> None:
        """There is something to index."""
        self._woken += 1
        if len(self._tasks) < _AT_ONCE:
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self) -> None:
        woken = -1
        while woken != self._woken:
            woken = self._woken
            while (entry := await self._next()) is not None:
                self.wake()
                await self._index(entry)
        this = asyncio.current_task()
        assert this is not None
        self._tasks.discard(this)

    async def _index(self, entry: Entry) -> None:
        try:
            await self._judge(entry)
        except Damaged:
            _log.warning("the file %s is indexed again", entry.file)
            await asyncio.sleep(_PAUSE)
        except Unreachable as error:
            _log.warning("the file %s is indexed later: %s", entry.file, error)
            await asyncio.sleep(_REST)
        except OSError as error:
            _log.warning("the file %s is not indexed: %s", entry.file, error)
            with suppress(OSError):
                await self._fail(entry, _SERVER, error.strerror or str(error))
            await asyncio.sleep(_PAUSE)
        except Exception:
            _log.exception("the file %s is not indexed", entry.file)
            with suppress(OSError):
                await self._fail(entry, _SERVER, "the server's log has the details")
        finally:
            self._busy.discard(entry.number)

    async def _next(self) -> Entry | None:
        try:
            entry = await run_in_threadpool(self._library.catalogue.next, frozenset(self._busy))
        except Unreachable as error:
            _log.warning("files are indexed later: %s", error)
            await asyncio.sleep(_REST)
            return await self._next()
        except OSError as error:
            _log.warning("files cannot be indexed: %s", error)
            return None
        if entry is not None and entry.number in self._busy:
            return await self._next()
        if entry is not None:
            self._busy.add(entry.number)
        return entry

    async def _judge(self, entry: Entry) -> None:
        """Index an entry, or say in it why not."""
        try:
            async with self._locate(entry.file) as path:
                if path is None:
                    message = f"there is no file {entry.file!r} any more"
                    await self._fail(entry, _INVALID, message)
                else:
                    await self._take_in(entry, path)
        except NotTextError as error:
            await self._fail(entry, _UNSUPPORTED, f"{entry.filename!r} is not taken: {error}")
        except TimeoutError:
            message = f"the text was not split within {_SPLIT_WITHIN:.0f} s"
            await self._fail(entry, _INVALID, message)
        except SplitError:
            message = "the text could not be split; the server's log has the details"
            await self._fail(entry, _SERVER, message)
        except Refused as error:
            await self._fail(entry, _SERVER, str(error))

    async def _take_in(self, entry: Entry, path: Path) -> None:
        number, library = entry.number, self._library
        await run_in_threadpool(library.forget, [number])
        chunks, usage = 0, 0
        async with splitting(
            path, kind="any", most=entry.most, overlap=entry.overlap, within=_SPLIT_WITHIN
        ) as texts:
            async for batch in _batches(texts):
                usage += await self._add(entry, chunks, batch)
                chunks += len(batch)
                if not await run_in_threadpool(library.catalogue.is_wanted, number):
                    break
        if not chunks:
            await self._fail(entry, _INVALID, f"there is no text in {entry.filename!r}")
        elif not await run_in_threadpool(self._complete, number, chunks, usage):
            await run_in_threadpool(library.forget, [number])

    def _complete(self, number: int, chunks: int, usage: int) -> bool:
        return self._library.catalogue.complete(number, chunks=chunks, usage=usage)

    async def _add(self, entry: Entry, first: int, texts: list[str]) -> int:
        """Add chunks of an entry; the bytes that they take."""
        catalogue = self._library.catalogue
        store = await run_in_threadpool(catalogue.store, entry.store)
        if store is None:
            return 0
        found = await patiently(self._embedder, texts, store.model, patience=PATIENCE)
        probe = found.probe.tobytes()
        store = await run_in_threadpool(catalogue.bind, entry.store, found.model, probe)
        if store is None:
            return 0
        check_same(store, found)
        await run_in_threadpool(
            self._library.guarded,
            lambda vectors: vectors.add(entry.number, first, texts, found.vectors),
        )
        return sum(len(text.encode()) for text in texts) + found.vectors.nbytes

    async def _fail(self, entry: Entry, code: str, message: str) -> None:
        await run_in_threadpool(self._library.catalogue.fail, entry.number, code, message)
        await run_in_threadpool(self._library.forget, [entry.number])


async def _batches(texts: AsyncIterator[str]) -> AsyncIterator[list[str]]:
    """What goes to the model together: some texts, of some length."""
    batch: list[str] = []
    async for text in texts:
        if batch and (len(batch) == _BATCH or sum(map(len, batch)) + len(text) > _BATCH_LENGTH):
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch
