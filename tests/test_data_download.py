"""Downloads from a local server that fails in every way a mirror can."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fastsnn.data import download
from fastsnn.data.download import cache_folder, fetch

CONTENT = bytes(range(256)) * 4000  # 1 MB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """/whole ignores ranges, /ranges honours them, /cut breaks off half way, /wrong sends other
    bytes.
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.server.seen.append((self.path, start))
        self.close_connection = True
        data = {"/wrong": CONTENT[::-1], "/html": b"<html>Please log in</html>"}.get(
            self.path, CONTENT
        )
        if self.path not in ("/whole", "/ranges", "/cut", "/wrong", "/html"):
            return self.send_error(404)
        if self.path != "/ranges":
            start = 0
        if start >= len(data):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if self.path == "/ranges":  # a server may declare this for contents that it sends unchanged
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(data[start : len(data) // 2 if self.path == "/cut" else None])
        return None

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = False  # so that closing the server waits for its threads
        server.seen = []
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def get(server, folder, *paths, **keywords):
    return fetch("f.gz", [server.url + path for path in paths], SHA256, folder, **keywords)


def files(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_the_second_mirror_has_it(server, tmp_path):
    path = get(server, tmp_path / "new" / "folder", "/absent", "/whole")
    assert path == tmp_path / "new" / "folder" / "f.gz" and path.read_bytes() == CONTENT
    assert server.seen == [("/absent", 0), ("/whole", 0)] and files(path.parent) == ["f.gz"]


def test_existing_files_are_not_downloaded_again(server, tmp_path):
    get(server, tmp_path, "/whole")
    get(server, tmp_path, "/whole")
    assert server.seen == [("/whole", 0)]


def test_a_damaged_file_is_replaced(server, tmp_path):
    (tmp_path / "f.gz").write_bytes(CONTENT[:-1])
    assert get(server, tmp_path, "/whole").read_bytes() == CONTENT


def test_a_killed_download_resumes(server, tmp_path):
    (tmp_path / "f.gz.part").write_bytes(CONTENT[:300_000])
    assert get(server, tmp_path, "/ranges").read_bytes() == CONTENT
    assert server.seen == [("/ranges", 300_000)] and files(tmp_path) == ["f.gz"]


def test_an_interrupted_call_leaves_the_part_for_the_next(server, tmp_path):
    def interrupt(name, received, total):
        if received > 400_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(server, tmp_path, "/ranges", progress=interrupt)
    kept = (tmp_path / "f.gz.part").stat().st_size
    assert 400_000 < kept < len(CONTENT) and files(tmp_path) == ["f.gz.part"]
    assert get(server, tmp_path, "/ranges").read_bytes() == CONTENT
    assert server.seen == [("/ranges", 0), ("/ranges", kept)]


def test_a_broken_connection_is_continued_by_the_next_mirror(server, tmp_path):
    assert get(server, tmp_path, "/cut", "/ranges").read_bytes() == CONTENT
    assert server.seen == [("/cut", 0), ("/ranges", len(CONTENT) // 2)]


def test_a_server_without_ranges_starts_over(server, tmp_path):
    (tmp_path / "f.gz.part").write_bytes(CONTENT[:300_000])
    assert get(server, tmp_path, "/whole").read_bytes() == CONTENT
    assert server.seen == [("/whole", 300_000)]


@pytest.mark.parametrize("old", [b"wrong" * 20_000, CONTENT + b"too long"])
def test_a_wrong_beginning_is_discarded(server, tmp_path, old):
    (tmp_path / "f.gz.part").write_bytes(old)
    assert get(server, tmp_path, "/ranges").read_bytes() == CONTENT
    assert server.seen == [("/ranges", len(old)), ("/ranges", 0)]


def test_a_finished_part_needs_no_server(server, tmp_path):
    (tmp_path / "f.gz.part").write_bytes(CONTENT)
    assert get(server, tmp_path, "/ranges").read_bytes() == CONTENT
    assert server.seen == [] and files(tmp_path) == ["f.gz"]


def test_a_wrong_checksum_means_the_next_mirror(server, tmp_path):
    assert get(server, tmp_path, "/wrong", "/html", "/ranges").read_bytes() == CONTENT
    assert server.seen == [("/wrong", 0), ("/html", 0), ("/ranges", 0)]


def test_all_mirrors_fail(server, tmp_path):
    with pytest.raises(RuntimeError) as error:
        get(server, tmp_path / "mnist", "/absent", "/wrong", "/cut")
    for part in (
        "f.gz: could not be downloaded",
        "put it into a folder mnist and set FASTSNN_DATA",
        f"{server.url}/absent: HTTPError: 404",
        f"{server.url}/wrong: the file must have the sha256 {SHA256}",
        f"has {hashlib.sha256(CONTENT[::-1]).hexdigest()}",
        f"{server.url}/cut: ",
        "IncompleteRead",
    ):
        assert part in str(error.value)
    assert files(tmp_path / "mnist") == ["f.gz.part"]  # the half of /cut, to be continued


def test_progress(server, tmp_path):
    calls = []
    (tmp_path / "f.gz.part").write_bytes(CONTENT[:300_000])
    get(server, tmp_path, "/ranges", progress=lambda *call: calls.append(call))
    assert {(name, total) for name, _, total in calls} == {("f.gz", len(CONTENT))}
    received = [n for _, n, _ in calls]
    assert received == sorted(received) and received[0] > 300_000 and received[-1] == len(CONTENT)


def test_concurrent_fetches_download_once(server, tmp_path):
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(get(server, tmp_path, "/whole")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() == CONTENT for path in results] == [True] * 4
    assert server.seen == [("/whole", 0)]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RuntimeError, match="f.gz: cannot be stored in .*; set FASTSNN_CACHE"):
        fetch("f.gz", [], SHA256, tmp_path / "file" / "mnist")


def test_the_cache_folder(monkeypatch):
    monkeypatch.setenv("FASTSNN_CACHE", "/somewhere")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.delenv("FASTSNN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_folder() == Path("/elsewhere/fastsnn")
    assert (
        download.file_sha256(Path(__file__))
        == hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    )
