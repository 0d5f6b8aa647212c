"""Files are replaced whole or not at all."""

import os
import secrets
from pathlib import Path

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
MOST_OF_NAME = 200  # letters of the name in the temporary name, which may have 255 bytes


def replace(path: str | os.PathLike, content: bytes) -> None:
    """Write `content` beside `path` and move it there in one step; the previous file stays until
    then.

    Raises RuntimeError where the machine refuses (full disk, read-only or missing folder); the
    previous file is kept.
    """
    path = Path(path)
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


def _new_file(path):
    """(descriptor, name) of a file that did not exist; the umask decides who may read it."""
    while True:
        name = path.parent / f".{path.name[:MOST_OF_NAME]}.{secrets.token_hex(6)}"
        try:
            return os.open(name, NEW, 0o666), name
        except FileExistsError:
            continue


def _remedy(path):
    if not os.path.isdir(path.parent):
        return "its folder is missing; create it, or choose another folder"
    return "free some space or choose another folder"
