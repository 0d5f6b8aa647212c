"""Folders that may hold compiled code, and the files in them that are executed: only those of
this user and of root.
"""

import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fastsnn.kernels import cache as kernel_cache
from fastsnn.kernels import cachefolder, jit
from fastsnn.kernels.cachefolder import Found, Place

ROOT = Path(__file__).resolve().parents[1]
NAME = "kernels-0"
STRANGER = 12345
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Return (the folder that FASTSNN_CACHE names, the fallback), neither created yet."""
    monkeypatch.setenv("FASTSNN_CACHE", str(tmp_path / "own"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "own" / NAME, tmp_path / "temporary" / f"fastsnn-{os.getuid()}" / NAME


def found(name=NAME):
    return cachefolder.find(name)


def paths():
    return [place.path for place in found().places]


def test_the_folder_is_named_by_the_variable(places, monkeypatch, tmp_path):
    own, fallback = places
    assert found() == Found((Place(own, True),), ()) and found().target == own
    assert own.stat().st_mode & 0o777 == 0o700 and not fallback.exists()
    for unset in (lambda: monkeypatch.delenv("FASTSNN_CACHE"),
                  lambda: monkeypatch.setenv("FASTSNN_CACHE", "")):  # fmt: skip
        unset()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        folder = found().target
        assert folder.name == NAME and folder.parent.name == "fastsnn"
        assert tmp_path / "xdg" in folder.parents or sys.platform == "darwin"


def test_names_without_a_root(places, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTSNN_CACHE", "here")
    assert paths() == [tmp_path / "here" / NAME]
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FASTSNN_CACHE", "~/there")
    assert paths() == [tmp_path / "home" / "there" / NAME]


def test_a_user_without_a_home(places, monkeypatch, tmp_path):
    """platformdirs then returns "~/.cache/fastsnn", which would be created in the current
    folder.
    """
    import platformdirs

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FASTSNN_CACHE")
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *a, **k: "~/.cache/fastsnn")
    assert paths() == [places[1]] and not (tmp_path / "~").exists()


def test_new_folders_are_private_whatever_the_umask_is(places):
    before = os.umask(0)
    try:
        target = found().target
        cachefolder.write(target / "file", b"")
    finally:
        os.umask(before)
    assert {p.stat().st_mode & 0o777 for p in (target, target.parent)} == {0o700}
    assert (target / "file").stat().st_mode & 0o022 == 0
    assert os.listdir(target) == ["file"]


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_folder_that_others_may_write_is_not_used(places, tmp_path, monkeypatch, mode, level):
    """Parametrized: the folder itself, the named one, and a parent."""
    _, fallback = places
    monkeypatch.setenv("FASTSNN_CACHE", str(tmp_path / "above" / "own"))
    own = tmp_path / "above" / "own" / NAME
    own.mkdir(parents=True)
    bad = [own, *own.parents][level]
    bad.chmod(mode)
    assert found().target == fallback
    assert f"{bad} can be written by others (mode {mode:o}); run chmod" in found().refused[0]
    bad.chmod(0o755)
    assert found() == Found((Place(own, True),), ())


def test_a_parent_with_the_sticky_bit_may_be_open(places):
    own, fallback = places
    own.mkdir(parents=True)
    own.parent.chmod(0o1777)
    assert paths() == [own]
    own.chmod(0o1777)  # it must be a parent
    assert paths() == [fallback]


@as_root
@pytest.mark.parametrize("level", [0, 1])
def test_a_folder_of_another_user_is_not_used(places, level):
    own, fallback = places
    own.mkdir(parents=True, mode=0o700)
    os.chown([own, own.parent][level], STRANGER, -1)
    assert found().target == fallback
    assert f"belongs to another user (number {STRANGER})" in found().refused[0]
    os.chown([fallback, fallback.parent][level], STRANGER, -1)
    assert found().target is None and len(found().refused) == 2


@pytest.mark.parametrize("level", [0, 1, 2])
def test_links_are_refused(places, tmp_path, monkeypatch, level):
    """Parametrized: the folder itself, the named one, and a parent."""
    own, fallback = places
    link = [own, own.parent, tmp_path / "link"][level]
    if level == 2:
        monkeypatch.setenv("FASTSNN_CACHE", str(link / "own"))
    link.parent.mkdir(exist_ok=True)
    (tmp_path / "real" / "own" / NAME).mkdir(parents=True)
    target = tmp_path / "real" / ("own/" + NAME, "own", "")[level]
    link.symlink_to(target)
    assert found().target == fallback
    assert f"{link} is a symbolic link (to {target})" in found().refused[0]


def test_a_link_in_the_temporary_folder_is_refused(places, tmp_path):
    own, fallback = places
    own.parent.write_text("a file")
    (tmp_path / "real").mkdir()
    fallback.parent.parent.mkdir()
    fallback.parent.symlink_to(tmp_path / "real")
    assert found().places == () and not os.listdir(tmp_path / "real")
    assert "is a symbolic link" in found().refused[1]


def test_links_of_the_system_are_followed(monkeypatch):
    """Links like /home -> /data/home, which only root can have created."""
    parent = os.stat("/")
    link = os.stat_result((0o120777, 0, 0, 1, 0, 0, 0, 0, 0, 0))
    if parent.st_uid or parent.st_mode & 0o022:
        pytest.skip("/ is not root's here")
    assert cachefolder._of_system(Path("/"), parent, link)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert not cachefolder._of_system(Path("/home"), parent, link)
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
    assert cachefolder._of_system(Path("/home"), parent, link)
    theirs = os.stat_result((0o120777, 0, 0, 1, STRANGER, 0, 0, 0, 0, 0))
    assert not cachefolder._of_system(Path("/home"), parent, theirs)


def test_a_folder_that_cannot_be_made(places, tmp_path):
    own, fallback = places
    (tmp_path / "own").write_text("a file")
    assert paths() == [fallback] and fallback.stat().st_mode & 0o777 == 0o700
    assert f"{own.parent} is not a folder" in found().refused[0]


def test_no_temporary_folder(places, tmp_path, monkeypatch):
    (tmp_path / "own").write_text("a file")

    def none():
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    assert found().places == () and found().target is None


@pytest.fixture
def read_only(places, monkeypatch):
    """Make the named folder unwritable, even for root."""
    own, fallback = places
    make = tempfile.TemporaryFile

    def refuse(*arguments, dir=None, **keywords):
        if own in (dir, *Path(dir).parents):
            raise OSError(30, "Read-only file system")
        return make(*arguments, dir=dir, **keywords)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    own.mkdir(parents=True, mode=0o755)
    yield own, fallback
    monkeypatch.undo()


def test_an_empty_read_only_folder_is_not_used(read_only):
    own, fallback = read_only
    assert paths() == [fallback] and "Read-only file system" in found().refused[0]


def test_a_filled_read_only_folder_is_read(read_only):
    own, fallback = read_only
    (own / "kernel").write_bytes(b"code")
    assert found() == Found((Place(own, False), Place(fallback, True)), ())
    assert found().target == fallback


def triple(x):
    return 3 * x


@pytest.fixture
def entry(monkeypatch):
    """Load an entry with these folders; return the log."""
    monkeypatch.setattr(jit, "_reported", False)
    monkeypatch.setattr(kernel_cache, "_warned", set())

    def make(*found_places):
        monkeypatch.setattr(jit, "CACHE", Found(found_places, ()))
        return jit.entry(jit.INT, jit.INT)(triple)

    return make


def test_a_read_only_cache_is_used_and_completed_elsewhere(entry, tmp_path, caplog):
    image, own = Place(tmp_path / "image", False), Place(tmp_path / "own", True)
    for place in (image, own):
        place.path.mkdir()
    assert entry(Place(image.path, True))(2) == 6
    said = len(caplog.records)
    kernel = entry(image, own)
    assert kernel.on_disk() and kernel(2) == 6
    assert not os.listdir(own.path) and len(caplog.records) == said
    for path in image.path.glob("*.nbi"):  # like that of another processor
        path.unlink()
    before = sorted(os.listdir(image.path))
    assert entry(image, own)(2) == 6
    assert sorted(os.listdir(image.path)) == before and list(own.path.glob("*triple*.nbc"))
    assert entry(image, own).on_disk()


def test_a_damaged_read_only_cache_is_not_written(entry, tmp_path, caplog):
    assert entry(Place(tmp_path, True))(2) == 6
    (path,) = tmp_path.glob("*.nbc")
    path.write_bytes(b"")
    caplog.clear()
    assert entry(Place(tmp_path, False))(2) == 6
    assert path.read_bytes() == b"" and "is damaged" in caplog.text


def evil(path):
    """Write an index that runs code when it is read."""
    path.write_bytes(pickle.dumps(Evil(path.parent / "run")))


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def foreign(path):
    os.chown(path, STRANGER, -1)


def open_to_all(path):
    path.chmod(0o666)


def linked(path):
    path.rename(path.parent / "elsewhere")
    path.symlink_to(path.parent / "elsewhere")


def open_folder(path):
    path.parent.chmod(0o777)


def foreign_folder(path):
    os.chown(path.parent, STRANGER, -1)


@pytest.mark.parametrize("change", [foreign, open_to_all, linked, open_folder, foreign_folder])
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_entries_changed_after_the_import_are_not_run(entry, tmp_path, caplog, change, suffix):
    if "foreign" in change.__name__ and os.getuid():
        pytest.skip("only root can give files away")
    folder = tmp_path / "cache"
    folder.mkdir()
    place = Place(folder, True)
    assert entry(place)(2) == 6
    (path,) = folder.glob(f"*.{suffix}")
    evil(path)
    kernel = entry(place)
    change(path)
    caplog.clear()
    assert kernel(2) == 6
    assert not (folder / "run").exists()
    assert "the code there is not used, the kernel is compiled again" in caplog.text
    folder.chmod(0o700)
    os.chown(folder, os.getuid(), -1)
    if change not in (open_folder, foreign_folder):  # the folder is ours and has a valid entry now
        caplog.clear()
        assert entry(place)(2) == 6 and not caplog.records


def test_a_pipe_is_no_cache_file(tmp_path):
    os.mkfifo(tmp_path / "kernel", 0o600)
    with pytest.raises(RuntimeError, match="kernel is not a file"):
        cachefolder.read(tmp_path / "kernel")


def test_a_file_that_cannot_be_replaced_leaves_nothing(tmp_path):
    (tmp_path / "kernel").mkdir()
    with pytest.raises(OSError):
        cachefolder.write(tmp_path / "kernel", b"code")
    assert os.listdir(tmp_path) == ["kernel"]


IMPORT = "import fastsnn.kernels.jit as jit; print(jit.CACHE_FOLDER, jit.CACHE.refused)"


@as_root
def test_import_without_any_folder(tmp_path):
    """The root file system is read-only, as in a container: no traceback, and no cache."""
    command = f"mount --make-rprivate / && mount -o remount,bind,ro / && cd / && {sys.executable} "
    env = {"HOME": "/nonexistent", "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    env["TMPDIR"] = "/nonexistent"
    try:
        done = subprocess.run(
            ["unshare", "-m", "bash", "-c", f'{command} -c "{IMPORT}"'],
            env=env, capture_output=True, text=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("needs unshare")
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr.strip()}")
    assert (done.returncode, done.stdout) == (0, "None ()\n"), done.stderr
