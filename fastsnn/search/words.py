"""Parse ``--grid layers=2,4`` and ``--range learning_rate=0.01:1:log``; check related options."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from fastsnn.search.command import SEARCHED
from fastsnn.search.journal import NAME
from fastsnn.search.space import Range

EXAMPLE = "--grid layers=2,4,8"
EXAMPLES = {
    "--grid": f"for example {EXAMPLE}",
    "--range": "for example --range learning_rate=0.001:0.1:log",
}
LONGEST = 120  # maximum characters of options that a message repeats


def space(
    grids: Iterable[str], ranges: Iterable[str], convert: Callable[[str, str], Any]
) -> dict[str, Any]:
    """Return the search space of the command line.

    For the example in the module docstring this is
    ``{"layers": [2, 4], "learning_rate": Range(0.01, 1.0, log=True)}``. convert: returns the value
    of an option, called as ``convert(name, text)``. Raises ValueError that quotes the invalid
    argument.
    """
    found: dict[str, Any] = {}
    for flag, word in [("--grid", w) for w in grids] + [("--range", w) for w in ranges]:
        name, _, text = word.partition("=")
        name = name.strip().replace("-", "_")
        if name not in SEARCHED:
            near = [] if not name else get_close_matches(name, SEARCHED, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(
                f"{flag} {word}: NAME=... is required with one of {', '.join(SEARCHED)}{hint}"
            )
        if name in found:
            raise ValueError(f"{flag} {word}: {name} is given twice; leave one out")
        if not text:
            raise ValueError(f"{flag} {word}: values are required, got none; {EXAMPLES[flag]}")
        parts = [part.strip() for part in text.split("," if flag == "--grid" else ":")]
        log = flag == "--range" and parts[-1] == "log"
        try:
            values = [convert(name, part) for part in parts[: len(parts) - log]]
            if flag == "--grid":
                found[name] = values
            elif len(values) == 2:
                low, high = values
                found[name] = Range(low, high, log)
            else:
                raise ValueError("LOW:HIGH or LOW:HIGH:log is required")
        except (ValueError, TypeError) as error:
            raise ValueError(f"{flag} {word}: {error}") from error
    return found


def require_usable(
    space: Mapping[str, Any], sampler: str, trials: int | None, resumed: str | None
) -> None:
    """Raise ValueError if the space, --sampler and --trials are inconsistent.

    resumed: the folder of --resume, or None.
    """
    if not space:
        if resumed is None:
            raise ValueError(
                f"at least one option to search over is required, got none; add for example "
                f"{EXAMPLE}"
            )
        raise ValueError(
            "--resume: the folder stores the finished trials, not the space; repeat the "
            f"--grid and --range of the search (they may have more values now){_tried(resumed)}"
        )
    ranges = [name for name, values in space.items() if isinstance(values, Range)]
    if sampler == "grid" and ranges:
        raise ValueError(
            f"--range {ranges[0]}: a range must be sampled, got --sampler grid; add --sampler "
            f"random (or optuna) --trials 20, or list values: --grid {ranges[0]}=V,V"
        )
    if sampler == "grid" and trials is not None:
        raise ValueError(
            f"--trials {trials}: a grid trains all combinations; leave it out, or add "
            "--sampler random (or optuna)"
        )
    if sampler != "grid" and trials is None:
        raise ValueError(
            f"--sampler {sampler}: a number of trials is required; add for example --trials 20"
        )


def _tried(folder: str) -> str:
    """Return the options of a folder's finished trials as --grid arguments, for a message.

    Returns "" if they cannot be read.
    """
    values: dict[str, dict[str, None]] = {}
    path = Path(folder, NAME)
    try:
        if not path.is_file():  # reading a pipe or a device may never end
            return ""
        for line in path.read_text().splitlines()[1:]:
            for name, value in json.loads(line)["options"].items():
                values.setdefault(name, {})[str(value)] = None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return ""  # the search itself reports what is wrong with the file
    words = " ".join(f"--grid {name}={','.join(tried)}" for name, tried in values.items())
    return f"; the finished ones have {words}" if 0 < len(words) <= LONGEST else ""
