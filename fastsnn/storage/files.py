"""Files are replaced whole or not at all."""

import os
import secrets
import stat
from pathlib import Path

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
MOST_OF_NAME = 200  # bytes of the name in the temporary name, which may have 255


def replace(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` beside `path` and move it there in one step; the previous file stays until
    then.

    Raises RuntimeError where the machine refuses (full disk, read-only or missing folder), and for
    a device or a pipe; the previous file is kept.
    """
    path = Path(path)
    _require_file(path)
    part = None
    try:
        descriptor, part = _new_file(path)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(part, path)
        part = None
    except OSError as error:
        raise RuntimeError(
            f"{path}: it could not be written ({error.strerror or error}); the previous file, "
            f"if any, is kept; {_remedy(path)}"
        ) from error
    finally:
        if part is not None:
            Path(part).unlink(missing_ok=True)


def _require_file(path: Path) -> None:
    """Moving a file there would remove a device or a pipe: /dev/null for the whole machine."""
    try:
        # /dev/stdout is a link into /proc: to a device, a pipe or a file that a shell has open.
        special = os.path.islink(path) and os.readlink(path).startswith("/proc/")
        mode = 0 if special else os.stat(path).st_mode
    except OSError:  # there is nothing, or the attempt to write says what is wrong
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise RuntimeError(
            f"{path}: a file is required, and this is a device or a pipe; choose another name"
        )


def _new_file(path: Path) -> tuple[int, Path]:
    """(descriptor, name) of a file that did not exist; the umask decides who may read it."""
    while True:
        own = os.fsdecode(os.fsencode(path.name)[:MOST_OF_NAME])
        name = path.parent / f".{own}.{secrets.token_hex(6)}"
        try:
            return os.open(name, NEW, 0o666), name
        except FileExistsError:
            continue


def _remedy(path: Path) -> str:
    if not os.path.isdir(path.parent):
        return "its folder is missing; create it, or choose another folder"
    return "free some space or choose another folder"
