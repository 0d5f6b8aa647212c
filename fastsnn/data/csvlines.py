"""Iterate over the lines of a text file and the records of a CSV file, with line numbers."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from fastsnn.checks.scalars import shown
from fastsnn.data.files import brief

LINE = 64 << 20  # maximum characters of a line: 2 million columns
_UNDECODED = re.compile(
    "[\udc80-\udcff]"
)  # how errors="surrogateescape" decodes a byte that is not UTF-8


def lines(path: Path, file: TextIO) -> Iterator[str]:
    """Yield the lines of a text file that was opened with ``errors="surrogateescape"``.

    Raises ValueError, with the line number, for bytes that are not UTF-8, for NUL, and for a line
    of more than `LINE` characters.
    """
    number = 0
    while line := file.readline(LINE):
        number += 1
        if not line.isascii() and (found := _UNDECODED.search(line)):
            raise ValueError(
                f"{path}, line {number}: must be UTF-8 text, but the byte "
                f"0x{ord(found[0]) - 0xDC00:02x} at character {found.start() + 1} is not; "
                "save it as CSV in UTF-8"
            )
        if "\0" in line:
            raise ValueError(
                f"{path}, line {number}: must be text, but character {line.index(chr(0)) + 1} is "
                "NUL, as in UTF-16 and binary files; save it as CSV in UTF-8"
            )
        if len(line) == LINE and line[-1] != "\n":
            raise ValueError(
                f"{path}, line {number}: must have at most {LINE:,} characters, has more; "
                "is this a text file with lines?"
            )
        yield line


def records(
    path: Path, source: Iterable[str], delimiter: str, quote: str = '"', skipped: int = 0
) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of its first line, cells) for each record that is not blank.

    skipped: number of lines of the file before `source`. Raises ValueError, with the line number,
    for a misplaced or unclosed quote.
    """
    recent = []  # lines of the current record

    def fed() -> Iterator[str]:
        for line in source:
            recent.append(line)
            yield line

    reader = csv.reader(fed(), delimiter=delimiter, quotechar=quote, strict=True)
    while True:
        start = reader.line_num + 1 + skipped
        recent.clear()
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise _broken(path, start, "".join(recent), delimiter, error) from error
        if row is None:
            return
        if len(row) > 1 or (row and row[0].strip()):
            yield start, row


def _broken(path: Path, start: int, text: str, delimiter: str, error: csv.Error) -> ValueError:
    """Return the error for a record that `csv.reader` rejects, with the position of the quote."""
    closing = re.compile(r'[^"]*(?:""[^"]*)*"')
    following = re.compile(f"[{re.escape(delimiter)}\n]")
    position = 0
    while position < len(text):
        end = position
        if text[position] == '"':
            line = f"{path}, line {start + text.count(chr(10), 0, position)}"
            found = closing.match(text, position + 1)
            if found is None:
                return ValueError(
                    f"{line}: a cell has an opening quote and no closing quote, it begins with "
                    f"{shown(text[position : position + 40])}; close it, or remove the quote"
                )
            end = found.end()
            if end < len(text) and text[end] not in (delimiter, "\n"):
                line = f"{path}, line {start + text.count(chr(10), 0, end)}"
                return ValueError(
                    f"{line}: a closing quote must be followed by {delimiter!r} or the end of the "
                    f'line, got {text[end]!r}; write a quote within a cell as ""'
                )
        found = following.search(text, end)
        position = found.end() if found else len(text)
    if "field limit" in str(error):
        return ValueError(
            f"{path}, line {start}: a cell must have at most {csv.field_size_limit():,} "
            "characters, one has more; is a closing quote missing?"
        )
    return ValueError(f"{path}, line {start}: must be a line of a CSV file ({brief(error)})")
