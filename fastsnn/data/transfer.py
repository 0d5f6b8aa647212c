"""Resumable download of a file over HTTP, with limits of size and time.

A thread communicates with the server, and the caller writes the bytes that it receives. Whatever a
server does (endless redirects or headers, a byte every few seconds, names that never resolve), the
caller waits at most WINDOW_S seconds and then abandons the thread, which ends by its own timeouts.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urljoin

from fastsnn.data.files import brief

CHUNK = 1 << 14
TIMEOUT_S = 30  # seconds to connect, and to receive the next bytes
LEAST_BYTES, WINDOW_S = 60_000, 60  # fewer bytes in this many seconds count as no progress
REDIRECTS = 10


class Failed(Exception):
    """A mirror did not provide the file; the message is one line with the reason."""


class Limit(NamedTuple):
    """Maximum bytes of a file, and advice in case that a larger file is intended."""

    most: int
    advice: str = ""


def transfer(
    url: str, part: Path, limit: Limit, progress: Callable[[int, int | None], None]
) -> None:
    """Complete the file `part` from `url`, starting over if the server cannot resume.

    progress: called as ``progress(n_bytes, total_bytes)``. Raises Failed if the server does not
    provide the file, in which case `part` keeps the received bytes, and OSError if `part` cannot be
    written.
    """
    start = part.stat().st_size if part.exists() else 0
    if start > limit.most:
        start = 0
    if start and not _receive(url, part, start, limit, progress):
        start = 0
    if not start:
        _receive(url, part, 0, limit, progress)


def _receive(
    url: str, part: Path, start: int, limit: Limit, progress: Callable[[int, int | None], None]
) -> bool:
    """Send a request and write the answer. Return False if the server cannot resume at `start`."""
    source = _Source(url, start)
    try:
        status, headers = source.next()
        if start and status == 416:  # range not satisfiable: the file has no more bytes
            return False
        if status not in (200, 206):
            raise Failed(f"HTTPError: {status}, an unexpected status")
        if status == 206:
            first = re.match(r"bytes (\d+)-", headers.get("Content-Range", f"bytes {start}-"))
            if first is None or int(first[1]) != start:
                if start:
                    return False
                raise Failed("HTTPError: 206, partial content, although all was requested")
        start = start if status == 206 else 0
        total = _total(headers, start, limit)
        done = start
        with open(part, "ab" if start else "wb") as file:
            while chunk := source.next():
                done += len(chunk)
                if total is not None and done > total:
                    raise Failed(f"the server announced {total:,} bytes and sent more")
                if done > limit.most:
                    raise Failed(_too_large(f"{done:,} or more", limit))
                file.write(chunk)
                progress(done, total)
        if total is not None and done < total:
            raise Failed(f"the connection was closed after {done:,} of {total:,} bytes")
    finally:
        source.abandoned.set()
    return True


def _total(headers: Mapping[str, str], start: int, limit: Limit) -> int | None:
    """Return the size of the whole file as reported by the server; None if it is not reported."""
    text = headers.get("Content-Length")
    if text is None or "Transfer-Encoding" in headers:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Failed(f"Content-Length must be a number of bytes, is {brief(text, 40)!r}")
    total = start + int(text)
    if total > limit.most:
        raise Failed(_too_large(f"{total:,}", limit))
    return total


def _too_large(given: str, limit: Limit) -> str:
    most, advice = limit
    return f"the file must have at most {most:,} bytes, the server sends {given}{advice}"


class _Source:
    """Response of a server: `next()` returns (status, headers), then chunks, then b""."""

    def __init__(self, url: str, start: int) -> None:
        import requests  # here, so that the time limit does not include the import

        self.requests, self.url, self.start = requests, url, start
        self.arrived: queue.Queue[Any] = queue.Queue(64)  # bounded, to bound the memory
        self.abandoned = threading.Event()
        self.waited, self.counted = 0.0, 0
        threading.Thread(target=self._run, name="fastsnn-download", daemon=True).start()

    def next(self) -> Any:
        while True:
            began = time.monotonic()
            try:
                item = self.arrived.get(timeout=max(0.0, WINDOW_S - self.waited))
            except queue.Empty:
                item = None
            self.waited += time.monotonic() - began  # excludes the time of writing to disk
            if isinstance(item, Exception):
                raise Failed(f"{type(item).__name__}: {brief(_reason(item))}") from item
            self.counted += len(item) if isinstance(item, bytes) else 0
            if self.waited >= WINDOW_S and item != b"":
                if self.counted < LEAST_BYTES:
                    raise Failed(
                        f"too slow: {self.counted:,} bytes in {WINDOW_S} s, at least "
                        f"{LEAST_BYTES:,} are required"
                    )
                self.waited, self.counted = 0.0, 0
            if item is not None:
                return item

    def _run(self) -> None:
        headers = {"Accept-Encoding": "identity"}  # the checksum is that of the compressed file
        if self.start:
            headers["Range"] = f"bytes={self.start}-"
        try:
            with self.requests.Session() as session, self._answer(session, headers) as answer:
                if answer.status_code != 416:
                    answer.raise_for_status()
                self._put((answer.status_code, answer.headers))
                chunk = b"start"
                while chunk:
                    chunk = answer.raw.read(CHUNK, decode_content=False)
                    self._put(chunk)
        except _Abandoned:
            pass
        except Exception as error:  # a server can provoke exceptions in any library used here
            try:
                self._put(error)
            except _Abandoned:
                pass

    def _answer(self, session: Any, headers: dict[str, str]) -> Any:
        """Return the response after all redirects.

        The bodies of redirects are not read, because requests would read each, of any size, into
        memory.
        """
        target, url = session.get_redirect_target, self.url
        session.get_redirect_target = lambda answer: None
        for _ in range(REDIRECTS + 1):
            answer = session.get(url, headers=headers, stream=True, timeout=TIMEOUT_S)
            location = target(answer)
            if not location:
                return answer
            answer.close()
            url = urljoin(url, location)
        raise self.requests.TooManyRedirects(f"more than {REDIRECTS}, the last to {url}")

    def _put(self, item: object) -> None:
        while not self.abandoned.is_set():
            try:
                self.arrived.put(item, timeout=0.1)
                return
            except queue.Full:
                pass
        raise _Abandoned


class _Abandoned(Exception):
    """The caller has stopped waiting for the thread."""


def _reason(error: BaseException) -> object:
    """Return the system's message, without the object representations that a library adds."""
    inner = error.args[0] if error.args else None
    reason = getattr(inner, "reason", None)
    return error if reason is None else str(reason).rpartition(": ")[2] or reason
