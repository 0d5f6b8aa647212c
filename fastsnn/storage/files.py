"""Replace files atomically."""

import os
import secrets
import stat
from pathlib import Path

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
MOST_OF_NAME = 200  # bytes of the name that are part of the temporary name, of at most 255 bytes


def replace(path: str | os.PathLike[str], content: bytes) -> None:
    """Replace the file `path` with `content` atomically.

    The content is written and synced to a temporary file in the same folder, which is then renamed.
    Raises RuntimeError if that fails (full disk, read-only or missing folder), and if `path` is a
    device or a pipe; the previous file is then kept.
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
            f"{path}: could not be written ({error.strerror or error}); the previous file, "
            f"if any, is kept; {_remedy(path)}"
        ) from error
    finally:
        if part is not None:
            Path(part).unlink(missing_ok=True)


def _require_file(path: Path) -> None:
    """Raise RuntimeError for a device or a pipe, which the rename would replace (/dev/null)."""
    try:
        # /dev/stdout links into /proc, to a device, a pipe or a file that the shell has open.
        special = os.path.islink(path) and os.readlink(path).startswith("/proc/")
        mode = 0 if special else os.stat(path).st_mode
    except OSError:  # no such file, or an error that writing will report
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise RuntimeError(
            f"{path}: a file is required, and this is a device or a pipe; choose another name"
        )


def _new_file(path: Path) -> tuple[int, Path]:
    """Create a temporary file and return (descriptor, path). Its mode follows the umask."""
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
