"""Fuzz target: trials.jsonl, by a search that is resumed from it."""

import json
import pathlib
import random
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))  # for every way to import this file
from target_model import changed

from fastsnn.search import ModelSelection, search
from fastsnn.search.journal import NAME

SUFFIX = ".jsonl"
SPACE, PROTOCOL = {"layers": [1, 2], "rate": [0.1, 0.2]}, ModelSelection(metric="r2")


def hill(options, report):
    return {"score": -options["layers"] * options["rate"], "epoch": 3}


def _resumed(content: bytes | pathlib.Path):
    with tempfile.TemporaryDirectory() as folder:
        target = pathlib.Path(folder, NAME)
        if content:
            shutil.copy(content, target)
        found = search(hill, SPACE, protocol=PROTOCOL, workers=1, folder=folder, resume=True)
        return found, target.read_bytes()


SEEDS = [_resumed(b"")[1]]
SEEDS.append(b"".join(line + b"\n" for line in SEEDS[0].splitlines()[:3]))


def read(path: pathlib.Path) -> None:
    """Accept a ValueError, TypeError or RuntimeError of one line, or a search with a winner."""
    try:
        found, _ = _resumed(path)
        assert found.best in found.trials and len(found.ranked) == 4
    except FloatingPointError as error:
        raise ValueError(str(error)) from error  # every record says that its trial diverged


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Apply one to three changes to the records."""
    lines = [json.loads(line) for line in data.splitlines()]
    for _ in range(rng.randint(1, 3)):
        lines = changed(lines, rng)
        if not isinstance(lines, list):
            lines = [lines]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)
