"""Devices, pipes, closed streams and odd names: only regular files are replaced, nothing hangs,
and nothing ends in a traceback.
"""

import os
import re
import stat
import subprocess
import sys

import pytest
from commands import ROOT, call, good

from fastsnn import info
from fastsnn.data import download
from fastsnn.kernels import cachefolder
from fastsnn.runs.config import RunConfig
from fastsnn.search.journal import NAME, Journal
from fastsnn.storage import files


def test_a_pipe_is_not_replaced(tmp_path):
    path, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(path)
    link.symlink_to(path)
    for target in (path, link):
        with pytest.raises(
            RuntimeError, match="a file is required, and this is a device or a pipe"
        ):
            files.replace(target, b"x")
    assert stat.S_ISFIFO(path.stat().st_mode) and link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make devices")
def test_a_device_is_not_replaced(tmp_path):
    try:
        os.mknod(tmp_path / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("devices cannot be made here")
    with pytest.raises(RuntimeError, match="a device or a pipe"):
        files.replace(tmp_path / "null", b"x")
    assert stat.S_ISCHR((tmp_path / "null").stat().st_mode)


def test_a_link_to_an_open_stream_is_not_replaced(tmp_path):
    """Such a link, like /dev/stdout, points to a file if a shell has redirected it, or nowhere."""
    with open(tmp_path / "redirected", "wb") as file:
        for name, descriptor in (("open", file.fileno()), ("closed", 10**6)):
            link = tmp_path / name
            link.symlink_to(f"/proc/self/fd/{descriptor}")
            with pytest.raises(RuntimeError, match="a device or a pipe"):
                files.replace(link, b"x")
            assert link.is_symlink()


@pytest.mark.parametrize("name", ["\N{LATIN SMALL LETTER E WITH ACUTE}" * 127, "x" * 255])
def test_the_longest_names_can_be_written(tmp_path, name):
    files.replace(tmp_path / name, b"x")
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("words", [["info"], ["data", "list"]])
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams(words, closed):
    command = f"{sys.executable} -m fastsnn {' '.join(words)} {closed}"
    done = subprocess.run(
        command, shell=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", ["--help", "info", "data list --json"])
def test_output_on_a_full_disk(words, unbuffered):
    more = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "fastsnn", *words.split()], stdout=full, stderr=subprocess.PIPE,
            env=os.environ | more, text=True,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "fastsnn: [Errno 28] No space left on device\n"


def test_a_pipe_is_no_journal(tmp_path):
    os.mkfifo(tmp_path / NAME)
    with pytest.raises(RuntimeError, match="a device or a pipe"):
        Journal(tmp_path, {}, resume=True)
    result = call("search", "--resume", "--out", tmp_path)
    assert result.exit_code == 2 and "repeat the" in result.stderr


def test_a_relative_cache_in_a_folder_that_is_gone(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setenv("FASTSNN_CACHE", "relative")
    monkeypatch.setattr(cachefolder.tempfile, "tempdir", str(tmp_path / "temporary"))
    found = cachefolder.find("kernels-0")
    assert found.target == tmp_path / "temporary" / f"fastsnn-{os.getuid()}" / "kernels-0"
    assert found.refused == ("relative cannot be used (No such file or directory)",)


def test_data_and_kernels_share_a_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FASTSNN_CACHE", "~/cache")
    assert download.cache_folder() == tmp_path / "cache"
    assert cachefolder.find("kernels-0").target == tmp_path / "cache" / "kernels-0"


def test_a_cache_that_cannot_be_read(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(info.Path, "rglob", refuse)
    assert info.info()["data_cache_bytes"] is None
    assert re.search(r"^data cache bytes +-$", good("info"), re.M)


def test_a_name_that_is_no_utf8():
    with pytest.raises(ValueError, match=r"data: text that UTF-8 can hold .* got '/x/\\udcff.csv'"):
        RunConfig(data=os.fsdecode(b"/x/\xff.csv"))
