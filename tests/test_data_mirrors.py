"""Misbehaving mirrors: each costs little, is reported in one line, and the next one is tried."""

import gzip
import hashlib
import itertools
import threading

import pytest
from file_server import serving

from fastsnn.data import download, transfer
from fastsnn.data.locate import File, locate

CONTENT = bytes(range(256)) * 1000
SIZE = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
BOMB = gzip.compress(bytes(1 << 22))


def head(status="200 OK", **fields):
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items()]
    return f"HTTP/1.1 {status}\r\n{''.join(lines)}\r\n".encode()


def answer(*pieces):
    return lambda start: iter(pieces)


def endless(*pieces):
    return lambda start: itertools.chain(pieces, itertools.repeat(bytes(1 << 16)))


MIRRORS = {
    "416": (answer(head("416 No", Content_Length=0)), "HTTPError: 416, an unexpected status"),
    "no number": (answer(head(Content_Length="abc")), "must be a number of bytes, is 'abc'"),
    "negative": (answer(head(Content_Length=-5), CONTENT), "number of bytes, is '-5'"),
    "digits": (answer(head(Content_Length="9" * 5000)), "Content-Length must be a number of"),
    "several": (answer(head(Content_Length="5, 7"), b"12345"), "InvalidHeader"),
    "huge": (
        answer(head(Content_Length=10**12)),
        "at most 256,000 bytes, the server sends 1,000,0",
    ),
    "endless": (endless(head(Connection="close")), "at most 256,000 bytes, the server sends 2"),
    "endless chunks": (
        endless(head(Transfer_Encoding="chunked"), b"ffffffff\r\n"),
        "at most 256,000 bytes",
    ),
    "bad chunks": (answer(head(Transfer_Encoding="chunked"), b"xyz\r\n"), "IncompleteRead"),
    "an endless line": (
        lambda start: itertools.chain(
            [head(Transfer_Encoding="chunked")], itertools.repeat(b"1" * 1000)
        ),
        "LineTooLong",
    ),
    "endless headers": (lambda start: itertools.repeat(b"HTTP/1.1 200 OK\r\nX: y\r\n"), "headers"),
    "no http": (answer(b"SSH-2.0-OpenSSH\r\n"), "BadStatusLine"),
    "nothing": (answer(b""), "RemoteDisconnected"),
    "204": (answer(head("204 No Content")), "HTTPError: 204, an unexpected status"),
    "304": (answer(head("304 Not Modified")), "HTTPError: 304"),
    "a part": (
        answer(head("206 Part", Content_Length=5, Content_Range="bytes 7-11/12"), b"12345"),
        "206, partial content",
    ),
    "less than it says": (answer(head(Content_Length=200_000), b"12345"), "IncompleteRead"),
    "a program": (answer(head("302 Found", Location="file:///etc/passwd")), "InvalidSchema"),
    "a strange place": (answer(head("302 Found", Location="http://[::1")), "ValueError"),
    "controls": (answer(head("404 \x1b[31m" + "x" * 3000, Content_Length=0)), "404 Client Error"),
}


@pytest.fixture
def mirrors():
    with serving({f"/{name}": answer for name, (answer, _) in MIRRORS.items()}) as server:
        server.files["/good"] = CONTENT
        yield server


def get(server, folder, *names, checksum=SHA256, size=SIZE, **keywords):
    urls = [f"{server.url}/{name.replace(' ', '%20')}" for name in names]
    return download.fetch("f.gz", urls, checksum, folder, size=size, **keywords)


def refusal(*arguments, **keywords):
    with pytest.raises(RuntimeError) as error:
        get(*arguments, **keywords)
    assert "\n" not in str(error.value) and str(error.value).isprintable()
    return str(error.value)


@pytest.mark.parametrize("old", [b"", CONTENT[:1000]], ids=["new", "continued"])
@pytest.mark.parametrize("name", MIRRORS)
def test_an_unruly_mirror(mirrors, tmp_path, name, old):
    mirrors.files = {path.replace(" ", "%20"): value for path, value in mirrors.files.items()}
    (tmp_path / "f.gz.part").write_bytes(old)
    error = refusal(mirrors, tmp_path, name)
    assert error.startswith("f.gz: could not be downloaded") and len(error) < 700
    assert MIRRORS[name][1] in error
    assert len(mirrors.seen) <= 3  # the interrupted one, one from the start, and no more
    assert get(mirrors, tmp_path, name, "good").read_bytes() == CONTENT


def test_redirects_that_never_end(tmp_path):
    read = []

    def loop(start):
        yield head("302 Found", Location="/loop", Connection="close")
        for _ in range(1000):  # a body that must not be read
            yield bytes(1 << 16)
            read.append(1)

    with serving({"/loop": loop, "/good": CONTENT, "/moved": answer(
        head("301 Moved", Location="good", Content_Length=0)
    )}) as server:  # fmt: skip
        assert "TooManyRedirects: more than 10" in refusal(server, tmp_path, "loop")
        assert len(server.seen) == transfer.REDIRECTS + 1
        assert get(server, tmp_path, "moved").read_bytes() == CONTENT
    assert len(read) < 900 * len(server.seen)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 256000\r\n\r\n"])
def test_a_byte_now_and_then(tmp_path, monkeypatch, head):
    """Neither the time limit for the next bytes nor the end of the content is ever reached."""
    monkeypatch.setattr(transfer, "WINDOW_S", 0.3)

    def drip(start):
        yield from ([head] if head else [])
        yield from itertools.repeat(b"x")

    with serving({"/drip": drip, "/good": CONTENT}) as server:
        server.pause_s = 0.01
        assert "too slow: 0 bytes in 0.3 s, at least 60,000" in refusal(server, tmp_path, "drip")
        assert get(server, tmp_path, "drip", "good").read_bytes() == CONTENT
    for thread in threading.enumerate():
        if thread.name == "fastsnn-download":
            thread.join(20)
            assert not thread.is_alive()


def test_a_slow_mirror_that_makes_progress_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "WINDOW_S", 0.2)
    monkeypatch.setattr(transfer, "LEAST_BYTES", 1)
    pieces = [CONTENT[i : i + 16_000] for i in range(0, len(CONTENT), 16_000)]
    with serving({"/slow": answer(head(Content_Length=len(CONTENT)), *pieces)}) as server:
        server.pause_s = 0.05
        assert get(server, tmp_path, "slow").read_bytes() == CONTENT


def test_a_mirror_that_does_not_continue_there(tmp_path):
    def elsewhere(start):
        status = "206 Part" if start else "200 OK"
        yield head(status, Content_Range=f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}",
                   Content_Length=len(CONTENT))  # fmt: skip
        yield CONTENT

    (tmp_path / "f.gz.part").write_bytes(CONTENT[:1000])
    with serving({"/elsewhere": elsewhere}) as server:
        assert get(server, tmp_path, "elsewhere").read_bytes() == CONTENT
        assert server.seen == [("/elsewhere", 1000), ("/elsewhere", 0)]


def test_a_part_that_is_larger_than_the_file(tmp_path):
    (tmp_path / "f.gz.part").write_bytes(CONTENT * 2)
    with serving({"/good": CONTENT}) as server:
        assert get(server, tmp_path, "good").read_bytes() == CONTENT
        assert server.seen == [("/good", 0)]


# ---- limits


def test_the_limit_for_an_unknown_size(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTSNN_DOWNLOAD_LIMIT", "100000")
    with serving({"/good": CONTENT}) as server:
        error = refusal(server, tmp_path, "good", size=None)
        assert "at most 100,000 bytes, the server sends 256,000 (if this is intended" in error
        assert "set FASTSNN_DOWNLOAD_LIMIT to more bytes" in error
        monkeypatch.setenv("FASTSNN_DOWNLOAD_LIMIT", "256000")
        assert get(server, tmp_path, "good", size=None).read_bytes() == CONTENT
    monkeypatch.delenv("FASTSNN_DOWNLOAD_LIMIT")
    assert download.download_limit() == 4 << 30


@pytest.mark.parametrize("text", ["4G", "-1", "0", "1e9", "9" * 40, "\u0661"])
def test_limits_that_are_no_numbers(monkeypatch, text):
    monkeypatch.setenv("FASTSNN_DOWNLOAD_LIMIT", text)
    with pytest.raises(ValueError, match="FASTSNN_DOWNLOAD_LIMIT: must be a number of bytes"):
        download.download_limit()


def test_the_size_of_a_data_set_is_the_limit(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTSNN_CACHE", str(tmp_path))
    monkeypatch.delenv("FASTSNN_DATA", raising=False)
    with serving({"/good": CONTENT}) as server:
        file = File("f.gz", len(CONTENT) - 1, f"sha256:{SHA256}", True, (f"{server.url}/good",))
        with pytest.raises(RuntimeError, match="must have at most 255,999 bytes, the server"):
            locate("set", file)


def test_a_download_without_a_checksum_is_unpacked_within_a_limit(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTSNN_UNPACKED_LIMIT", str(1 << 20))
    with serving({"/bomb": BOMB}) as server:
        error = refusal(server, tmp_path, "bomb", checksum=None, size=None)
    assert "the file must have at most 1,048,576 bytes unpacked, has more" in error


def test_a_full_disk(tmp_path, monkeypatch):
    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *arguments):
            pass

        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(transfer, "open", lambda *arguments: Full(), raising=False)
    with serving({"/good": CONTENT}) as server:
        with pytest.raises(
            RuntimeError, match="cannot be stored in .*No space left.*FASTSNN_CACHE"
        ):
            get(server, tmp_path, "good")
