"""The folder of a training run: its files, and who may write them."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from math import isfinite
from pathlib import Path
from typing import Any

from fastsnn.storage import files

FILES = ("config.toml", "metrics.jsonl", "model.safetensors", "last.safetensors")


class RunFolder:
    """config.toml (the options), metrics.jsonl (a line per epoch), model.safetensors (the best so
    far) and last.safetensors (all that a resumed run needs).
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self.config, self.metrics, self.model, self.last = (self.path / name for name in FILES)

    @classmethod
    def create(cls, path: str | os.PathLike[str] | None, name: str) -> RunFolder:
        """Make the folder `path`, by default the next free runs/NAME-1, runs/NAME-2, ..."""
        try:
            if path is not None:
                Path(path).mkdir(parents=True, exist_ok=True)
                return cls(path)
            number = 1
            while True:
                path = Path("runs", f"{name}-{number}")
                try:
                    path.mkdir(parents=True)
                    return cls(path)
                except FileExistsError:
                    number += 1
                    if not path.parent.is_dir():
                        raise
        except OSError as error:
            raise RuntimeError(
                f"{path}: a folder for the run is required, and it could not be made "
                f"({error.strerror}); choose another with --out"
            ) from error

    def holds_run(self) -> bool:
        return any((self.path / name).exists() for name in FILES)

    def require_none(self) -> None:
        if self.holds_run():
            raise ValueError(
                f"{self.path}: there is a run in this folder already; continue it with --resume, "
                "or choose another folder with --out"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training into this folder; the lock dies with the process."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise RuntimeError(
                f"{self.path}: the run's folder could not be opened ({error.strerror}); choose "
                "another with --out"
            ) from error
        try:
            self._lock(descriptor)
            self._remove(f".{name}.*" for name in FILES)  # unfinished files of a killed process
            yield
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(
                f"{self.path}: another process is training into this folder; wait for it, or "
                "choose another folder with --out"
            ) from None
        except OSError as error:  # a file system without locks
            raise RuntimeError(
                f"{self.path}: the folder could not be locked ({error.strerror}); choose another "
                "with --out"
            ) from error

    def write_metrics(self, history: Sequence[Mapping[str, Any]]) -> None:
        files.replace(self.metrics, "".join(f"{to_json(r)}\n" for r in history).encode())

    def require_model(self) -> None:
        """Raise RuntimeError if the best model, which this run has written, no longer exists."""
        if not self.model.is_file():
            raise RuntimeError(
                f"{self.model}: it was removed or moved during the run; start another run, and "
                "leave its folder in place"
            )

    def discard_without_model(self) -> None:
        """Remove the files of a run that has no model yet, and the folder if it is then empty.

        It is called while a failed run ends: an OSError here (the folder may be gone, too) would
        hide the error that ended the run.
        """
        with suppress(OSError):
            if not self.model.exists():
                self._remove(FILES)
                if not any(self.path.iterdir()):
                    self.path.rmdir()

    def _remove(self, patterns: Iterable[str]) -> None:
        for pattern in patterns:
            for path in self.path.glob(pattern):
                path.unlink(missing_ok=True)


def to_json(values: Mapping[str, Any]) -> str:
    """Strict JSON: null for what is no finite number."""
    return json.dumps(
        {
            name: None if isinstance(value, float) and not isfinite(value) else value
            for name, value in values.items()
        },
        allow_nan=False,
    )
