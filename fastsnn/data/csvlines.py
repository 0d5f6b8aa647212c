"""The lines of a text file, and the records of a CSV file, each with its line number."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from fastsnn.checks.scalars import shown
from fastsnn.data.files import brief

LINE = 64 << 20  # letters of a line, at most: 2 million columns
_UNDECODED = re.compile(
    "[\udc80-\udcff]"
)  # how errors="surrogateescape" decodes a byte that is not UTF-8


def lines(path: Path, file: TextIO) -> Iterator[str]:
    """The lines of a text file that was opened with errors="surrogateescape".

    Raises ValueError, with the line number, for bytes that are not UTF-8, for NUL, and for a line
    of more than `LINE` letters.
    """
    number = 0
    while line := file.readline(LINE):
        number += 1
        if not line.isascii() and (found := _UNDECODED.search(line)):
            raise ValueError(
                f"{path}, line {number}: must be UTF-8 text, but the byte "
                f"0x{ord(found[0]) - 0xDC00:02x} at letter {found.start() + 1} is not; "
                "save it as CSV in UTF-8"
            )
        if "\0" in line:
            raise ValueError(
                f"{path}, line {number}: must be text, but letter {line.index(chr(0)) + 1} is NUL; "
                "is it UTF-16 or a binary file? save it as CSV in UTF-8"
            )
        if len(line) == LINE and line[-1] != "\n":
            raise ValueError(
                f"{path}, line {number}: must have at most {LINE:,} letters, has more; "
                "is this a text file with lines?"
            )
        yield line


def records(path: Path, source: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(number of its first line, cells) of each record that is not blank.

    Raises ValueError with the line number of a quote that is broken or never closed.
    """
    recent = []  # the lines of the record that is being read

    def fed() -> Iterator[str]:
        for line in source:
            recent.append(line)
            yield line

    reader = csv.reader(fed(), delimiter=delimiter, strict=True)
    while True:
        start = reader.line_num + 1
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
    """The error for a record that csv.reader refuses; names the broken quote."""
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
                    f"{line}: a quote begins a cell and is never closed, the cell begins with "
                    f"{shown(text[position : position + 40])}; close it, or remove the quote"
                )
            end = found.end()
            if end < len(text) and text[end] not in (delimiter, "\n"):
                line = f"{path}, line {start + text.count(chr(10), 0, end)}"
                return ValueError(
                    f"{line}: after the closing quote of a cell there must be {delimiter!r} or the "
                    f'end of the line, got {text[end]!r}; write a quote within a cell as ""'
                )
        found = following.search(text, end)
        position = found.end() if found else len(text)
    if "field limit" in str(error):
        return ValueError(
            f"{path}, line {start}: a cell must have at most {csv.field_size_limit():,} letters, "
            "one has more; is a quote never closed?"
        )
    return ValueError(f"{path}, line {start}: must be a line of a CSV file ({brief(error)})")
