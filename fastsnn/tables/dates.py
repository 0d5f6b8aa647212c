"""Date columns: days since 1970, and the cyclic parts that vary."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastsnn.checks.scalars import shown
from fastsnn.tables import entries
from fastsnn.tables.numeric import Numeric
from fastsnn.tables.place import Place
from fastsnn.tables.values import NAT, distinct, missing, utc

DAY = 86_400_000_000  # microseconds
ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:[.]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?")
# The part of ISO without a time zone, in ASCII digits, and without the year 0.
_LOCAL = re.compile(r"(?!0000)\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:[.]\d{1,6})?)?)?", re.ASCII)
_DIRECTIVES = {"Y": r"\d{4}"} | dict.fromkeys("mdHMS", r"\d{1,2}")
_ISO_TEXT = "{Y}-{m:0>2}-{d:0>2} {H:0>2}:{M:0>2}:{S:0>2}"


def iso(text: str) -> np.datetime64 | None:
    """Return the date of ISO text such as "2013-01-31" or "2013-01-31 05:30:00+01:00", in UTC; None
    for other text.
    """
    if ISO.fullmatch(text) is None or not text.isascii():
        return None
    try:
        return utc(datetime.datetime.fromisoformat(text))
    except ValueError:
        return None


def iso_all(words: Sequence[str]) -> np.ndarray | None:
    """Return `iso` of each text, datetime64[us] (n,), in a tenth of the time; None unless all are
    ISO dates without a time zone.
    """
    if not words or not all(_LOCAL.fullmatch(word) for word in words):
        return None
    try:
        found: np.ndarray = np.array(words, "datetime64[us]")
    except ValueError:
        return None
    return found


def written_all(words: Sequence[str], pattern: str) -> np.ndarray | None:
    """Return the dates of texts written by a pattern, datetime64[us] (n,). None if one is not,
    or if the pattern has directives other than those of `_DIRECTIVES`.
    """
    parts = re.split("%(.)", pattern)
    letters = parts[1::2]
    if len(set(letters)) < len(letters) or not {*"Ymd"} <= {*letters} <= _DIRECTIVES.keys():
        return None
    parts[0::2] = map(re.escape, parts[0::2])
    parts[1::2] = [f"(?P<{letter}>{_DIRECTIVES[letter]})" for letter in letters]
    match = re.compile("".join(parts), re.ASCII).fullmatch
    empty = dict.fromkeys(_DIRECTIVES, "00")
    found = []
    for word in words:
        one = match(word)
        if one is None:
            return None
        found.append(_ISO_TEXT.format_map(empty | one.groupdict()))
    return iso_all(found)


def _written(text: str, pattern: str) -> np.datetime64 | None:
    try:
        return utc(datetime.datetime.strptime(text, pattern))
    except ValueError:
        return None


def instants(values: np.ndarray, place: Place, pattern: str | None = None) -> np.ndarray:
    """Return a column as datetime64[us] with NaT. Text is read as ISO dates, or by `pattern`.

    Raises TypeError or ValueError for values that are no dates.
    """
    if values.dtype.kind == "M":
        return values
    if values.dtype.kind == "f" and np.isnan(values).all():
        return np.full(len(values), NAT)
    if values.dtype.kind != "O":
        raise TypeError(f"{place}: dates are required, got {values.dtype.name}")

    def read(text: str | None) -> np.datetime64:
        found = None if text is None else iso(text)
        if found is None and text is not None and pattern is not None:
            found = _written(text, pattern)
        return NAT if found is None else found

    words = [word for word in dict.fromkeys(values.tolist()) if word is not None]
    known = iso_all(words)
    if known is None and pattern is not None:
        known = written_all(words, pattern)
    convert: Callable[[str | None], np.datetime64] = read
    if known is not None:
        convert = dict(zip([*words, None], [*known, NAT], strict=True)).__getitem__
    found = distinct(values, convert, "datetime64[us]")
    wrong = np.isnat(found) & ~missing(values)
    if wrong.any():
        row = int(wrong.argmax())
        also = "" if pattern is None else f" or one written as {shown(pattern)}"
        raise ValueError(
            f"{place.at(row)}: a date in ISO format such as '2013-01-31'{also} is required, got "
            f"{shown(values[row])}"
        )
    return found


def days(times: np.ndarray) -> np.ndarray:
    """Return days since 1970-01-01, with fractions; NaT becomes NaN."""
    found: np.ndarray = times.astype(np.int64) / DAY
    found[np.isnat(times)] = np.nan
    return found


def _of_year(times: np.ndarray) -> np.ndarray:
    year = times.astype("datetime64[Y]")
    first, following = year.astype("datetime64[D]"), (year + 1).astype("datetime64[D]")
    day = times.astype("datetime64[D]")
    phase: np.ndarray = (day - first).astype(np.float64) / (following - first).astype(np.float64)
    return phase


def _of_week(times: np.ndarray) -> np.ndarray:
    day = times.astype("datetime64[D]").astype(np.int64)
    return (day + 3) % 7 / 7  # 1970-01-01 was a Thursday; 0 is Monday


def _of_day(times: np.ndarray) -> np.ndarray:
    return times.astype(np.int64) % DAY / DAY


# Cyclic part: its phase in [0, 1) for an array of times without NaT.
PARTS = {"day of year": _of_year, "day of week": _of_week, "time of day": _of_day}


@dataclass(frozen=True)
class Date:
    """Encoding of a date column as numbers.

    The features are the days since 1970-01-01, encoded as `Numeric`, and sine and cosine of each
    part, 0 for a missing value. There is no feature for the year: the days contain it.

    Parameters
    ----------
    name : str
    number : Numeric
        Encoding of the days.
    parts : tuple of str
        Those of `PARTS` that vary in the training rows.
    pattern : str, optional
        Format of text for `datetime.datetime.strptime`, next to ISO dates.
    """

    name: str
    number: Numeric
    parts: tuple[str, ...]
    pattern: str | None = None

    kind: ClassVar[str] = "date"
    KEYS: ClassVar = ("kind", "name", "median", "gaps", "scale", "parts", "pattern")

    @classmethod
    def fit(cls, name: str, times: np.ndarray, robust: bool, pattern: str | None = None) -> Date:
        """Learn from times with NaT, of which at least one is not NaT."""
        known = times[~np.isnat(times)]
        phases = {part: phase(known) for part, phase in PARTS.items()}
        parts = tuple(part for part, phase in phases.items() if (phase != phase[0]).any())
        return cls(name, Numeric.fit(name, days(times), robust), parts, pattern)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features."""
        waves = [f"{self.name}: {w} of {p}" for p in self.parts for w in ("sine", "cosine")]
        return (*self.number.features, *waves)

    def read(self, values: np.ndarray, place: Place) -> np.ndarray:
        """Return the values of a column as `write` takes them; see `Numeric.read`."""
        return instants(values, place, self.pattern)

    def write(self, times: np.ndarray, out: np.ndarray) -> None:
        """Write the features of values of `read`; see `Numeric.write`."""
        first = len(self.number.features)
        self.number.write(days(times), out[:, :first])
        gaps = np.isnat(times)
        if gaps.any():
            times = np.where(gaps, np.datetime64(0, "us"), times)
        for i, part in enumerate(self.parts):
            angle = 2 * np.pi * PARTS[part](times)
            for column, wave in enumerate((np.sin, np.cos), first + 2 * i):
                out[:, column] = np.where(gaps, 0.0, wave(angle))

    def write_plain(self, value: object, row: list[float], start: int) -> bool:
        """Return False: no value is plain; see `Numeric.write_plain`."""
        return False

    def describe(self) -> str:
        """Return what was learned, for a person."""
        middle = str(np.datetime64(round(self.number.median * DAY), "us").astype("datetime64[s]"))
        parts = f", {', '.join(self.parts)}" if self.parts else ""
        pattern = "" if self.pattern is None else f", written as {shown(self.pattern)}"
        gaps = ", missing values" if self.number.gaps else ""
        return f"median {middle.replace('T', ' ')}{parts}{pattern}{gaps}"

    def to_dict(self) -> dict[str, Any]:
        """Return a description for JSON."""
        number = self.number.to_dict()
        own = {"kind": self.kind, "parts": list(self.parts), "pattern": self.pattern}
        return {key: (number | own)[key] for key in self.KEYS}

    @classmethod
    def of(cls, entry: Mapping[str, Any], where: str) -> Date:
        """Return the encoding of a description, which is checked."""
        entries.require_keys(entry, cls.KEYS, where)
        parts, pattern = entries.texts(entry, "parts", where), entry["pattern"]
        if not set(parts) <= PARTS.keys():
            raise ValueError(f"{where}: parts must be of {', '.join(PARTS)}, got {shown(parts)}")
        if pattern is not None:
            require_pattern(pattern, where)
        number = Numeric.of({key: entry[key] for key in Numeric.KEYS}, where)
        if abs(number.median) > 1e8:  # more than 270,000 years
            raise ValueError(f"{where}: median must be days from 1970, got {number.median}")
        return cls(number.name, number, parts, pattern)


def require_pattern(pattern: object, where: str) -> str:
    """Return a format of `datetime.datetime.strptime`. Raises ValueError for any other value."""
    text = entries.text(pattern, "pattern", where)
    try:
        if len(text) > 60:
            raise ValueError("more than 60 characters")
        datetime.datetime.strptime(datetime.datetime(2001, 2, 3, 4, 5, 6).strftime(text), text)
    except (ValueError, re.error, OverflowError) as error:
        raise ValueError(
            f"{where}: pattern must be a format such as '%d.%m.%Y', got {shown(text)}"
        ) from error
    return text
