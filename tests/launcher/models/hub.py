"""A Hugging Face hub on loopback, with faults to order.

It speaks what huggingface-hub asks: a repository's files, its search, and files by a redirect to
another host, as the hub's to its storage, with checksums, ranges and the headers of Xet storage.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from ..web import serving

COMMIT = "c0ffee" + "0" * 34
TOKEN = "hf_right"

Fault = Callable[[Request, bytes], Response | None]
"""Answers a request for a file's bytes in place of the hub, or None to let it."""


@dataclass
class Repo:
    """A repository's files, and who may read it."""

    files: dict[str, bytes]
    gated: bool = False
    lfs: bool = True


@dataclass
class Hub:
    """What it holds, what it was asked, and the faults that come first."""

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    refusal: Callable[[Request], Response | None] = lambda _: None
    told_size: int | None = None
    told_digest: str | None = None

    def app(self) -> Starlette:
        repo = "/{org}/{name}"
        return Starlette(
            routes=[
                Route("/api/models", self._search),
                Route(f"/api/models{repo}", self._info),
                Route(f"/api/models{repo}/revision/{{revision}}", self._info),
                Route(f"{repo}/resolve/{{revision}}/{{file:path}}", self._resolve),
                Route(f"/storage{repo}/{{file:path}}", self._bytes),
                Route("/plain/{file:path}", self._plain),
            ]
        )

    def ranges(self) -> list[str]:
        """The first bytes that were asked for, of each request for a file's bytes."""
        return [line.split()[-1] for line in self.asked if line.startswith("GET /storage")]

    def _search(self, request: Request) -> Response:
        words = request.query_params.get("search", "").lower()
        return self._refused(request) or JSONResponse(
            [
                {
                    "id": name,
                    "downloads": 1200 * (number + 1),
                    "likes": 3,
                    "gated": repo.gated,
                    "lastModified": "2026-01-31T12:00:00.000Z",
                }
                for number, (name, repo) in enumerate(self.repos.items())
                if words in name.lower()
            ]
        )

    def _info(self, request: Request) -> Response:
        found = self._refused(request)
        if found is not None:
            return found
        name = _repo(request)
        if request.path_params.get("revision", "main") not in ("main", COMMIT):
            return _error(404, "RevisionNotFound", "Invalid rev id")
        return JSONResponse({"id": name, "sha": COMMIT, "siblings": self._siblings(name)})

    def _siblings(self, name: str) -> list[dict[str, object]]:
        repo = self.repos[name]
        rows: list[dict[str, object]] = []
        for file, content in repo.files.items():
            row: dict[str, object] = {
                "rfilename": file,
                "size": len(content),
                "blobId": git(content),
            }
            if repo.lfs:
                row["lfs"] = {"sha256": sha256(content), "size": len(content), "pointerSize": 130}
            rows.append(row)
        return rows

    def _resolve(self, request: Request) -> Response:
        found = self._refused(request)
        if found is not None:
            return found
        repo, file = self.repos[_repo(request)], request.path_params["file"]
        if file not in repo.files:
            return _error(404, "EntryNotFound", "Entry not found")
        content = repo.files[file]
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{git(content)}"'}
        if not repo.lfs:
            return self._content(request, content, headers)
        headers |= {
            "X-Linked-Etag": f'"{self.told_digest or sha256(content)}"',
            "X-Linked-Size": str(self.told_size or len(content)),
            "X-Xet-Hash": "0" * 64,
            "Link": f'<{self.url}/api/xet>; rel="xet-auth"',
        }
        storage = self.url.replace("127.0.0.1", "localhost")
        return RedirectResponse(f"{storage}/storage/{_repo(request)}/{file}", 302, headers)

    def _bytes(self, request: Request) -> Response:
        content = self.repos[_repo(request)].files[request.path_params["file"]]
        return self._content(request, content, {})

    def _plain(self, request: Request) -> Response:
        found = self._refused(request)
        if found is not None:
            return found
        for repo in self.repos.values():
            content = repo.files.get(request.path_params["file"])
            if content is not None:
                return self._content(request, content, {"ETag": f'"{git(content)}"'})
        return Response(status_code=404)

    def _content(self, request: Request, content: bytes, headers: dict[str, str]) -> Response:
        start = int(request.headers.get("Range", "bytes=0-")[6:].partition("-")[0])
        self.asked.append(f"{request.method} {request.url.path} {start}")
        if self.faults and request.method == "GET":
            answer = self.faults.pop(0)(request, content)
            if answer is not None:
                return answer
        if request.headers.get("If-Range", headers.get("ETag")) != headers.get("ETag"):
            start = 0
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return Response(content[start:], 206 if start else 200, headers)

    def _refused(self, request: Request) -> Response | None:
        self.asked.append(f"{request.method} {request.url.path}")
        found = self.refusal(request)
        if found is not None or "org" not in request.path_params:
            return found
        repo, key = self.repos.get(_repo(request)), request.headers.get("Authorization")
        if repo is None:
            return _error(401, "RepoNotFound", "Repository not found")
        if repo.gated and key != f"Bearer {TOKEN}":
            return _error(403 if key else 401, "GatedRepo", "Access to model is restricted")
        return None


def _repo(request: Request) -> str:
    return f"{request.path_params['org']}/{request.path_params['name']}"


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse(
        {"error": message}, status, {"X-Error-Code": code, "X-Error-Message": message}
    )


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def cut(after: int) -> Fault:
    """The connection ends after so many bytes of what is asked for."""

    def answer(request: Request, content: bytes) -> Response:
        start = int(request.headers.get("Range", "bytes=0-")[6:].partition("-")[0])

        async def pieces() -> AsyncIterator[bytes]:
            yield content[start : start + after]
            raise ConnectionAbortedError

        headers = {"Content-Length": str(len(content) - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return StreamingResponse(pieces(), 206 if start else 200, headers)

    return answer


def stall(after: int) -> Fault:
    """So many bytes of what is asked for come, and then nothing does."""

    def answer(request: Request, content: bytes) -> Response:
        start = int(request.headers.get("Range", "bytes=0-")[6:].partition("-")[0])

        async def pieces() -> AsyncIterator[bytes]:
            yield content[start : start + after]
            await asyncio.sleep(60)

        headers = {"Content-Length": str(len(content) - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return StreamingResponse(pieces(), 206 if start else 200, headers)

    return answer


def status(code: int, **headers: str) -> Fault:
    """A status in place of the bytes."""
    return lambda request, content: Response(
        "no", code, {name.replace("_", "-"): value for name, value in headers.items()}
    )


def page(request: Request, content: bytes) -> Response:
    """A log-in page in place of the bytes."""
    return HTMLResponse("<!doctype html><title>Log in</title>")


def other(change: Callable[[bytes], bytes]) -> Fault:
    """Other bytes, from the beginning."""
    return lambda request, content: Response(change(content))


@contextmanager
def running() -> Iterator[Hub]:
    """A hub without repositories, on a free port."""
    hub = Hub()
    with serving(hub.app()) as hub.url:
        yield hub
