"""`fastsnn data list` and `fetch`: locations, downloads from a local server, terms."""

import ast
import dataclasses
import hashlib
import io
import json
import re
import zipfile
from pathlib import Path

import pytest
from commands import call, good, result_of
from file_server import serving
from shared_data import shared_data

from fastsnn import data
from fastsnn.data import DATASETS, catalogue, htru2, load_folds, mnist, named, show, work
from fastsnn.data.download import fault
from fastsnn.data.locate import File

DATA = shared_data()  # before FASTSNN_DATA is set to an empty folder


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty FASTSNN_DATA and an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTSNN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("FASTSNN_CACHE", str(tmp_path / "cache"))
    return tmp_path


def archive():
    lines = [",".join([str(i + 10 * j) for j in range(8)] + [str(i % 2)]) for i in range(40)]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("HTRU_2.csv", "\r".join(lines))
    return content.getvalue()


ARCHIVE = archive()


@pytest.fixture
def small(monkeypatch):
    """Serve a small HTRU2: small(checksum) makes it the file that is fetched."""
    with serving({"/b/htru2.zip": ARCHIVE, "/c/htru2.zip": ARCHIVE[:-9] + b"x"}) as server:

        def use(checksum, *mirrors):
            urls = tuple(f"{server.url}/{mirror}/htru2.zip" for mirror in mirrors)
            file = File("htru2.zip", len(ARCHIVE), checksum, True, urls)
            entry = catalogue.ENTRIES["htru2"]
            forms = (*entry.forms[:2], (file,))
            entry = dataclasses.replace(entry, files=(file,), forms=forms)
            monkeypatch.setitem(catalogue.ENTRIES, "htru2", entry)
            monkeypatch.setattr(htru2, "ARCHIVE", file)
            monkeypatch.setattr(htru2, "ROWS", 40)
            return server

        yield use


SUMS = {
    "sha256": f"sha256:{hashlib.sha256(ARCHIVE).hexdigest()}",
    "bare": hashlib.sha256(ARCHIVE).hexdigest(),
    "md5": f"md5:{hashlib.md5(ARCHIVE).hexdigest()}",
    "none": None,
}


# ---- fetch


@pytest.mark.parametrize("kind", SUMS)
def test_fetch_takes_the_next_mirror(small, folder, kind):
    server = small(SUMS[kind], "a", "c", "b")
    values = result_of("data", "fetch", "htru2")
    path = folder / "cache" / "htru2" / "htru2.zip"
    assert path.read_bytes() == ARCHIVE and values["files"] == [str(path)]
    assert [name for name, _ in server.seen] == [f"/{m}/htru2.zip" for m in "acb"]
    assert values["name"] == "htru2" and "CC BY 4.0" in values["terms"]
    assert "https://archive.ics.uci.edu/dataset/372/htru2" in values["source"]
    assert "Lyon" in values["cite"] and len(values["checked by"]) == 1
    assert ("no checksum is known" in values["checked by"][0]) == (kind == "none")
    assert len(load_folds("htru2")) == 40


def test_fetch_continues_a_partial_download(small, folder):
    server = small(SUMS["md5"], "b")
    part = folder / "cache" / "htru2" / "htru2.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(ARCHIVE[:300])
    result = call("data", "fetch", "htru2")
    assert result.exit_code == 0 and server.seen == [("/b/htru2.zip", 300)]
    assert result.stderr.startswith("downloading htru2.zip (0.0 MB) ...")
    lines = dict(re.split(r"  +", line, maxsplit=1) for line in result.stdout.splitlines())
    assert lines["files"] == str(part)[: -len(".part")] and lines["name"] == "htru2"
    assert call("data", "fetch", "htru2").exit_code == 0 and len(server.seen) == 1


def test_fetch_leaves_nothing_wrong_behind(small, folder):
    small(SUMS["none"], "c")
    result = call("data", "fetch", "htru2")
    assert result.exit_code == 1 and result.stdout == ""
    assert "htru2.zip: could not be downloaded" in result.stderr
    assert "must be a complete zip archive, is not" in result.stderr
    assert not list((folder / "cache" / "htru2").glob("*.zip*[!k]"))


def test_fetch_of_files_that_the_user_has(small, folder):
    server = small(SUMS["md5"], "b")
    (folder / "data" / "htru2").mkdir(parents=True)
    path = folder / "data" / "htru2" / "HTRU_2.csv"
    path.write_text("something")
    values = result_of("data", "fetch", "htru2")
    assert values["files"] == [str(path)] and server.seen == []
    assert "HTRU_2.csv must have the sha256 b13b4d8929e96e" in values["checked by"][0]


def test_a_published_file_under_fastsnn_data_must_be_it(small, folder):
    small(SUMS["md5"], "b")
    (folder / "data" / "htru2").mkdir(parents=True)
    path = folder / "data" / "htru2" / "htru2.zip"
    path.write_bytes(ARCHIVE + b"x")
    error = call("data", "fetch", "htru2").stderr
    assert f"{path}: must have the md5 {SUMS['md5'][4:]}, has " in error
    assert "unset FASTSNN_DATA" in error


def test_names_that_cannot_be_fetched(folder):
    error = call("data", "fetch", "htru").stderr
    assert (
        "data set: must be one of digits, optdigits, " in error and "similar names: htru2" in error
    )
    error = call("data", "fetch", "uci/irs").stderr
    assert "similar names: uci/iris" in error
    result = call("data", "fetch", "cifar10-exact")
    assert result.exit_code == 1 and "put cifar10_exact_subset.npz into a fo" in result.stderr
    assert call("data", "fetch").exit_code == 2
    values = result_of("data", "fetch", "digits")
    assert values["files"] == "inside the package" and values["checked by"] is None
    assert not (folder / "cache").exists()


def test_uci_by_any_of_its_names(monkeypatch):
    monkeypatch.setitem(catalogue.ENTRIES, "abalone", own := object())
    assert catalogue.entry("abalone") is own is not catalogue.entry("uci/abalone")
    assert catalogue.entry("iris") is catalogue.entry("uci")
    assert catalogue.entry("uci") is catalogue.entry("uci/iris") is catalogue.entry("uci/NAME")


# ---- list


def test_list_of_nothing(folder):
    lines = good("data", "list").splitlines()
    assert lines[0].split() == ["name", "task", "rows", "features", "classes", "where", "terms"]
    names = [line.split()[0] for line in lines[1:]]
    assert names == [*DATASETS, "uci/NAME"] and "inside the package" in lines[1]
    for name, line in zip(names[1:], lines[2:], strict=True):
        fetch = f"not here: fastsnn data fetch {name}"
        assert (fetch if name != "cifar10-exact" else "not here ") in line
    assert "10 to 130,064" in lines[-1]


def test_list_shows_locations_and_contents(folder, monkeypatch):
    for name in (
        "cifar10/cifar10_jpeg_q75.tar.gz",
        "cifar10/order_labels.csv.gz",
        "htru2/htru2.zip",
    ):
        for base in ("data", "cache"):
            (folder / base / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / ("cache" if "htru2" in name else "data") / name).write_bytes(b"x")
    sets = {entry["name"]: entry for entry in result_of("data", "list")["data_sets"]}
    assert sets["cifar10"]["where"] == str(folder / "data" / "cifar10")
    assert sets["cifar10"]["note"] == "JPEG quality 75, not the original pixels"
    assert sets["htru2"]["where"] == str(folder / "cache" / "htru2") and not sets["htru2"]["note"]
    assert sets["mnist"]["where"] is None and sets["digits"]["where"] == "inside the package"
    line = next(line for line in good("data", "list").splitlines() if line.startswith("cifar10 "))
    assert f"{folder / 'data' / 'cifar10'} (JPEG quality 75, not the original pixels)" in line


def test_a_damaged_archive_does_not_hide_the_list(folder):
    (folder / "data" / "uci121").mkdir(parents=True)
    (folder / "data" / "uci121" / "data_py.zip").write_bytes(b"PK")
    lines = good("data", "list").splitlines()
    assert "(damaged, or without tasks: replace data_py.zip)" in lines[-1]
    assert lines[1].startswith("digits")


def test_every_entry_is_complete():
    assert {*catalogue.ENTRIES} == {*DATASETS, "uci/NAME"}
    for entry in catalogue.ENTRIES.values():
        about = json.loads(json.dumps(entry.about()))
        assert about["terms"] and about["citation"] and about["home"] and about["title"]
        for file in entry.files:
            assert file.urls and all(url.startswith("http") for url in file.urls)
            assert file.urls[0].lower().endswith(Path(file.name).name.lower())
        for file in {file for form in entry.forms for file in form}:
            kind, _, value = (file.checksum or "md5:" + "0" * 32).partition(":")
            assert len(value) == {"md5": 32, "sha256": 64}[kind] and int(value, 16) >= 0


def test_mnist_is_fetched_from_its_mirrors():
    for file in catalogue.ENTRIES["mnist"].files:
        assert file.urls == tuple(mirror + file.name for mirror in mnist.MIRRORS)
        assert file.published and file.checksum == f"sha256:{mnist.SHA256[file.name]}"


def test_the_files_at_hand_are_those_of_the_catalogue(monkeypatch):
    data = DATA
    if data is None:
        pytest.skip("no data at hand: set FASTSNN_DATA")
    monkeypatch.setenv("FASTSNN_DATA", str(data))
    seen = 0
    for entry in catalogue.ENTRIES.values():
        for file in {file for form in entry.forms for file in form}:
            path = data / entry.folder / file.name
            if path.is_file():
                seen += 1
                assert fault(path, file.checksum) is None
                assert file.size in (None, path.stat().st_size)
    if not seen:
        pytest.skip(f"no data sets in {data}")


# ---- on a terminal


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_table_on_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    show.listing(show.about(), stream)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()
    assert max(map(len, lines)) <= 120
    for name in catalogue.ENTRIES:
        assert any(line.strip().startswith(name) for line in lines), name


def test_downloads_on_a_terminal_have_one_moving_line(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    progress = show.Downloads(stream)
    for done in (0, 500_000, 2_000_000):
        progress("a.zip", done, 2_000_000)
    progress("b.zip", 10, None)
    progress.close()
    text = stream.getvalue()
    assert "a.zip" in text and "2.0/2.0 MB" in text and "b.zip" in text


def constants(name):
    """Return the string constants in a file of fastsnn/data."""
    source = Path(data.__file__).with_name(name).read_text()
    return {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}


def test_a_data_set_is_a_row():
    """Names, tasks, loaders and images follow from the rows; no other file names a data set."""
    rows = catalogue.ENTRIES
    assert list(DATASETS) == [name for name, row in rows.items() if not row.is_family]
    for name, row in rows.items():
        assert (row.table is None) != (row.folds is None), name
        example = name.replace("NAME", "iris")
        assert named.is_named(example) and named.task_of(example) == row.task
        assert named.is_image(example) == row.image
    for file in ("named.py", "table.py", "assemble.py", "show.py", "download.py"):
        assert not constants(file) & rows.keys(), file
    with pytest.raises(ValueError, match="folds exist for htru2, tox21 and uci/NAME"):
        load_folds("digits")


def test_long_work_follows_the_progress_that_can(caplog):
    seen = []

    class Display:
        def __call__(self, name, done, total):
            raise AssertionError("nothing is downloaded")

        def track(self, items, text, total):
            seen.append((text, total))
            return [2 * item for item in items]

    assert work.tracked([1, 2], "counting", 2, Display()) == [2, 4]
    assert seen == [("counting", 2)] and not caplog.text
    assert list(work.tracked([1, 2], "counting", 2, lambda name, done, total: 1 / 0)) == [1, 2]
    assert "counting ..." in caplog.text
