"""What the endpoints of vector stores share: the library, the indexer, the embedding model."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from starlette.concurrency import run_in_threadpool

from ...retrieval.catalogue import CATALOGUE
from ...retrieval.embedding import Busy, Embedded, Embedder, Refused, check_same, embed
from ...retrieval.indexer import Indexer
from ...retrieval.library import Library
from ...retrieval.records import Batch, Entry, Store
from ...storage.database import Damaged
from ...storage.records import Records
from ..errors import ApiError, retry_after
from ..files import Files
from ..forward import refusing
from ..storing import storing

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_log = logging.getLogger(__name__)

_QUICKLY = 5.0  # seconds in which a model says whether it is there; else indexing finds out


class Shelf:
    """The vector stores in ``records`` of the files of ``files``; opened when first used.

    Every public method raises ApiError.
    """

    def __init__(self, records: Records, files: Files, embedder: Embedder) -> None:
        self._records = records
        self._files = files
        self._embedder = embedder
        self._opening = threading.Lock()
        self._library: Library | None = None
        self._indexer: Indexer | None = None
        self._beginning: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Go on with what the last process left undone, if there are stores."""
        if self._records.has(CATALOGUE):
            self._beginning = asyncio.create_task(self._begin())

    async def _begin(self) -> None:
        try:
            await self.library()
        except ApiError as error:
            _log.warning("%s", error)

    async def library(self) -> Library:
        """The library; what its last process left undone is done from now on."""
        loop = asyncio.get_running_loop()
        library = await self._call(self._open, lambda: self._wake_from(loop))
        if self._indexer is None:
            self._indexer = Indexer(library, self._embedder, self._locate)
            self._indexer.wake()
        return library

    def _open(self, on_work: Callable[[], None]) -> Library:
        with self._opening:
            if self._library is None:
                self._library = Library(self._records, on_work)
            return self._library

    def _wake_from(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to index, as another thread says."""
        if self._indexer is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._indexer.wake)

    async def ask(self, work: Callable[[Library], Result]) -> Result:
        """What ``work`` makes of the library, in a thread."""
        return await self._call(work, await self.library())

    async def _call(
        self, work: Callable[Parameters, Result], *args: Parameters.args, **kw: Parameters.kwargs
    ) -> Result:
        with storing("vector stores"):
            try:
                return await run_in_threadpool(work, *args, **kw)
            except Damaged as error:
                if self._indexer is not None:
                    self._indexer.wake()
                message = "the index was damaged; the files are being indexed again"
                again = retry_after(5)
                raise ApiError(503, message, code="index_damaged", headers=again) from error

    @asynccontextmanager
    async def _locate(self, id_: str) -> AsyncIterator[Path | None]:
        """A file that was uploaded, None if it is no more. Raises OSError."""
        file = await self._files.look_for(id_)
        if file is None:
            yield None
            return
        async with self._files.local(file) as path:
            yield path

    async def store(self, id_: str) -> Store:
        """The store of this id. One that has expired is emptied."""
        library = await self.library()
        store = await self._call(library.catalogue.store, id_)
        if store is None:
            message = f"there is no vector store {id_!r}"
            raise ApiError(404, message, code="vector_store_not_found", param="vector_store_id")
        if store.expired:
            await self._call(lambda: library.forget(library.catalogue.empty_store(id_)))
        return store

    async def living(self, id_: str) -> Store:
        """The store of this id, which has not expired."""
        store = await self.store(id_)
        if store.expired:
            message = f"the vector store {id_!r} has expired; make a new one"
            raise ApiError(400, message, code="vector_store_expired", param="vector_store_id")
        return store

    async def entry(self, store: str, file: str) -> Entry:
        """The entry of a file in a store."""
        library = await self.library()
        entry = await self._call(library.catalogue.entry, store, file)
        if entry is None:
            message = f"there is no file {file!r} in the vector store {store!r}"
            raise ApiError(404, message, code="file_not_found", param="file_id")
        return entry

    async def batch(self, store: str, id_: str) -> Batch:
        """The batch of this id."""
        library = await self.library()
        batch = await self._call(library.catalogue.batch, id_)
        if batch is None or batch.store != store:
            message = f"there is no file batch {id_!r} in the vector store {store!r}"
            raise ApiError(404, message, code="batch_not_found", param="batch_id")
        return batch

    async def filename(self, file: str) -> str:
        """The name of a file that was uploaded."""
        return (await self._files.find(file)).filename

    async def add(self, entries: list[Entry], batch: Batch | None = None) -> None:
        """Add entries, and begin to index them."""
        library = await self.library()
        await self._call(library.add, entries, batch)
        assert self._indexer is not None, "the library is open"
        self._indexer.wake()

    async def forget(self, file: str) -> None:
        """Remove a file, which is no more, from all stores."""
        if self._library is None and not self._records.has(CATALOGUE):
            return
        library = await self.library()
        await self._call(lambda: library.forget(library.catalogue.remove(None, file)))

    async def embed(self, texts: Iterable[str], store: Store) -> Embedded:
        """The vectors of ``texts`` as the store's are."""
        try:
            found = await embed(self._embedder, list(texts), store.model)
            check_same(store, found)
        except Busy as error:
            with refusing():
                raise error.cause from error
        except Refused as error:
            if error.missing:
                raise ApiError(400, str(error), code="no_embedding_model") from error
            raise ApiError(502, str(error), code="embedding_failed") from error
        return found

    async def check_model(self, store: Store) -> None:
        """There is an embedding model for the store, or one is being loaded."""
        try:
            await asyncio.wait_for(self.embed((), store), _QUICKLY)
        except TimeoutError:
            return
        except ApiError as error:
            if error.status == 400:
                raise
