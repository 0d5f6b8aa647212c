"""Files are replaced whole or not at all."""

import os
import tempfile
from pathlib import Path


def replace(path: str | os.PathLike, content: bytes) -> None:
    """Write `content` beside `path` and move it there in one step; the previous file stays until
    then.

    Raises RuntimeError where the machine refuses (full disk, read-only folder); the previous file
    is kept.
    """
    path = Path(path)
    part = None
    try:
        descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        os.chmod(part, 0o666 & ~_umask())  # mkstemp makes private files
        os.replace(part, path)
        part = None
    except OSError as error:
        raise RuntimeError(
            f"{path}: it could not be written ({error.strerror or error}); the previous file, "
            "if any, is kept; free some space or choose another folder"
        ) from error
    finally:
        if part is not None:
            Path(part).unlink(missing_ok=True)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
