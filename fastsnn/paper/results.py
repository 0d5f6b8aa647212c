"""Stored results of an experiment, with a description of the machine and versions."""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastsnn import machine
from fastsnn.storage import files

STORED = Path("bench", "results", "paper")  # exists in a checkout of the repository
ELSEWHERE = Path("paper-results")
WORK = Path("runs", "paper")
LIBRARIES = ("scipy", "scikit-learn", "rdkit", "pillow")


@dataclass(frozen=True)
class Place:
    """Folders of one experiment: `out` for results and plots, `work` for finished training runs."""

    name: str
    out: Path
    work: Path

    @classmethod
    def of(cls, name: str, out: str | None = None, work: str | None = None) -> Place:
        """Return the folders of --out and --work; `make` creates them."""
        results = Path(out) if out else (STORED if STORED.is_dir() else ELSEWHERE)
        return cls(name, results, Path(work or WORK) / name)

    def make(self) -> None:
        """Create missing folders. Raises RuntimeError if one cannot be created."""
        for folder in (self.out, self.work):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise RuntimeError(
                    f"{folder}: the folder could not be made ({error.strerror}); choose another "
                    "--out or --work"
                ) from error

    def file(self, suffix: str) -> Path:
        """Return the path of a result file; suffix: such as ".json"."""
        return self.out / f"{self.name}{suffix}"

    def write(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Write NAME.json, with the machine, the versions and the command; return its content."""
        whole = {"machine": described(), "what": self.name, **_finite(result)}
        files.replace(self.file(".json"), f"{dumps(whole)}\n".encode())
        return whole

    def write_csv(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write NAME.csv; all rows have the keys of the first one."""
        text = io.StringIO()
        table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        files.replace(self.file(".csv"), text.getvalue().encode())


def described() -> dict[str, Any]:
    """Return `machine.describe()` with the versions of this package's optional libraries."""
    found: dict[str, Any] = machine.describe()
    for name in LIBRARIES:
        try:
            found["versions"][name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # not part of this installation
            continue
    return found


def dumps(values: Mapping[str, Any]) -> str:
    """Return JSON with one line per entry, and one per element of a list of objects."""
    lines = []
    for name, value in values.items():
        text = json.dumps(value, allow_nan=False)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n  ".join(json.dumps(row, allow_nan=False) for row in value)
            text = f"[\n  {rows}\n ]"
        lines.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}"


def _finite(value: Any) -> Any:
    """Return the value with None for NaN, and with str keys."""
    if isinstance(value, Mapping):
        return {str(name): _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and value != value else value
