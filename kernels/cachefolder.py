"""Folders and files of compiled code. Code is run only if no other user could have written it.

The rule is that of OpenSSH's StrictModes. Every folder from the root down must belong to this user
or to root and must not be writable by others; a parent with the sticky bit, such as /tmp, may be
writable by all. Symbolic links are refused, except those of the system (`_of_system`). The rule is
checked again whenever a file is read or written; the owner of a file is taken from its descriptor.
"""

import os
import stat
import tempfile
import uuid
from pathlib import Path
from typing import NamedTuple

OTHERS = stat.S_IWGRP | stat.S_IWOTH
MOST_LINKS = 40  # as in Linux


class Place(NamedTuple):
    """A folder for compiled code."""

    path: Path
    writable: bool


class Found(NamedTuple):
    """Places in the order in which they are read, and the reasons why others are not used."""

    places: tuple[Place, ...]
    refused: tuple[str, ...]

    @property
    def target(self) -> Path | None:
        """Folder for new code, or None if no folder is writable."""
        return next((place.path for place in self.places if place.writable), None)


def complaint(folder: Path) -> str | None:
    """Return the reason why another user could write code into `folder`, or None. Parts of the path
    that do not exist are not checked. Raises OSError if a part cannot be examined.
    """
    if not hasattr(os, "geteuid"):
        return None
    place, waiting, links = Path(folder.anchor), [*folder.parts[:0:-1]], 0
    status = os.lstat(place)
    while True:
        reason = _reason(place, status, last=not waiting)
        if reason or not waiting:
            return reason
        name = waiting.pop()
        here = place.parent if name == ".." else place / name
        try:
            found = os.lstat(here)
        except FileNotFoundError:
            return None
        if stat.S_ISLNK(found.st_mode):
            links += 1
            if links > MOST_LINKS or not _of_system(place, status, found):
                return f"{here} is a symbolic link (to {os.readlink(here)}); name the folder itself"
            target = Path(os.readlink(here))
            waiting += target.parts[:0:-1] if target.is_absolute() else target.parts[::-1]
            here = Path(target.anchor) if target.is_absolute() else place
            found = os.lstat(here)
        place, status = here, found


def _reason(place, status, last):
    if not stat.S_ISDIR(status.st_mode):
        return f"{place} is not a folder"
    return _foreign(place, status, sticky=not last)


def _foreign(place, status, sticky=False):
    """Return the reason why another user could have written to `place`, or None."""
    if status.st_uid not in (0, os.geteuid()):
        return f"{place} belongs to another user (number {status.st_uid})"
    if status.st_mode & OTHERS and not (sticky and status.st_mode & stat.S_ISVTX):
        mode = stat.S_IMODE(status.st_mode)
        return f"{place} can be written by others (mode {mode:o}); run chmod go-w on it"
    return None


def _of_system(parent, status, link):
    """Return True if a symbolic link is part of the system's layout, such as /home -> /data/home or
    /var -> /private/var on macOS: only root can have created it. For root itself, only links in /
    are accepted.
    """
    made_by_root = link.st_uid == status.st_uid == 0 and not status.st_mode & OTHERS
    return made_by_root and (os.geteuid() != 0 or parent == Path(parent.anchor))


def find(name: str) -> Found:
    """Return the places for code in folders called `name`: in $FASTSNN_CACHE, else in the user's
    cache folder; if that is not writable, also in this user's folder in the temporary folder.
    """
    places, refused = [], []
    for base, named in _bases():
        try:
            place = _place(Path(os.path.abspath(base / name)))
        except RuntimeError as reason:
            refused.append(str(reason))
        except OSError as error:
            if named:
                refused.append(f"{base} cannot be used ({error.strerror or error})")
        else:
            places.append(place)
            if place.writable:
                break
    return Found(tuple(places), tuple(refused))


def _bases():
    """Yield (folder, True if its failure is reported): $FASTSNN_CACHE and the fallback are."""
    given = os.environ.get("FASTSNN_CACHE")
    if given:
        yield Path(os.path.expanduser(given)), True
    else:
        import platformdirs

        base = Path(platformdirs.user_cache_dir("fastsnn", appauthor=False))
        if base.is_absolute():  # relative ("~/.cache/...") for a user without a home
            yield base, False
    user = os.geteuid() if hasattr(os, "geteuid") else os.environ.get("USERNAME", "user")
    try:
        temporary = Path(tempfile.gettempdir())
    except OSError:  # no writable temporary folder
        return
    yield temporary / f"fastsnn-{user}", True


def _place(folder):
    """Return the Place at `folder`, created if possible. Raises RuntimeError if others could write
    to it, OSError if it can be neither written nor read.
    """
    _require(folder)
    problem = _unwritable(folder)
    _require(folder)  # again, now that the folder exists
    if problem and (not folder.is_dir() or not any(folder.iterdir())):
        raise problem
    return Place(folder, problem is None)


def _unwritable(folder):
    """Create the folder and write a test file; return the error, or None."""
    try:
        for place in (*reversed(folder.parents), folder):
            if not os.path.lexists(place):  # 0o700: private to this user, whatever the umask
                place.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as problem:
        return problem


def _require(folder):
    reason = complaint(folder)
    if reason:
        raise RuntimeError(reason)


def read(path: str | os.PathLike) -> bytes:
    """Return the bytes of a file in a Place. Raises RuntimeError if another user could have written
    them, OSError if they cannot be read.
    """
    path = Path(path)
    _require(path.parent)
    # O_NONBLOCK: opening a pipe must not block.
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, name, 0)
    if path.is_symlink():
        raise RuntimeError(f"{path} is a symbolic link")
    with open(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        reason = None
        if not stat.S_ISREG(status.st_mode):
            reason = f"{path} is not a file"
        elif hasattr(os, "geteuid"):
            reason = _foreign(path, status)
        if reason:
            raise RuntimeError(reason)
        return file.read()


def write(path: str | os.PathLike, data: bytes) -> None:
    """Replace a file in a Place atomically. Raises RuntimeError if others can write to the folder,
    OSError if writing fails.
    """
    path = Path(path)
    _require(path.parent)
    temporary = path.with_name(f"{path.name}.tmp.{uuid.uuid4().hex[:16]}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    # Not writable by others; readable, so that users can share a folder of root.
    descriptor = os.open(temporary, flags, 0o644)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        try:
            os.unlink(temporary)
        except OSError:  # the first error is more informative
            pass
        raise
