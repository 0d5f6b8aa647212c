"""Damage to files, as a list of edits: drawn by hypothesis in the test, by a generator in the
long run of harness.py. The same edits give the same bytes.

An edit is (kind, at, n): kind is an index of EDITS; at and n are 32-bit numbers, which each kind
reduces modulo its range.
"""

import gzip
import io
import random
import struct
import zipfile
from typing import NamedTuple

LARGEST = 1 << 16  # bytes of a damaged file; the rest is cut off
NUMBERS = (
    0, 1, -1, 2, 7, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 10**6, 2**31 - 1, 2**31,
    2**32 - 1, 2**32, 10**12, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1,
)  # fmt: skip
WORDS = (
    b"", b"0", b"-1", b"1e400", b"-1e-400", b"nan", b"NaN", b"inf", b"-Infinity", b"NULL", b"None",
    b"true", b"1_000", b"0x10", b"1,5", b"1.5", b"9" * 20, b"9" * 400, b"007", b"#N/A", b"?",
    b",", b";", b"\t", b"\n", b"\r", b"\r\n", b"\n\n", b" ", b'"', b"'", b'""', b"\\", b"=", b"[",
    b"]", b"[[", b"{", b"}", b"[]", b"{}", b"(", b")", b":", b".", b"#", b"%", b"\0", b"\xff",
    b"\xfe", b"\xef\xbb\xbf", b"\xe9", "\u00e9".encode(), "\u0661".encode(), "\u202e".encode(),
    b"\x1f\x8b", b"PK\x03\x04", b"\x93NUMPY", b"../../x", b"\x1b[31m", b"x" * 300, b"[" * 2000,
    b"1," * 500,
)  # fmt: skip


class Case(NamedTuple):
    """first, second: seeds; structured: the seed of a target's own mutation, or None; edits."""

    first: int
    second: int
    structured: int | None
    edits: tuple[tuple[int, int, int], ...]


def _flip(data, at, n, other):
    if not data:
        return bytes([n & 255])
    i = at % len(data)
    return data[:i] + bytes([data[i] ^ (1 << n % 8)]) + data[i + 1 :]


def _byte(data, at, n, other):
    i = at % (len(data) + 1)
    return data[:i] + bytes([n & 255]) + data[i + 1 :]


def _cut_tail(data, at, n, other):
    return data[: at % (len(data) + 1)]


def _cut_middle(data, at, n, other):
    i = at % (len(data) + 1)
    return data[:i] + data[i + 1 + n % 64 :]


def _repeat(data, at, n, other):
    i = at % (len(data) + 1)
    piece = data[i : i + 1 + n % 64]
    return data[:i] + piece * (1 + (n >> 8) % 9) + data[i:]


def _insert_word(data, at, n, other):
    i = at % (len(data) + 1)
    return data[:i] + WORDS[n % len(WORDS)] + data[i:]


def _write_number(data, at, n, other):
    """Overwrite bytes with a number of 1, 2, 4 or 8 bytes, in either byte order."""
    i = at % (len(data) + 1)
    size = (1, 2, 4, 8)[n % 4]
    value = NUMBERS[(n >> 3) % len(NUMBERS)] % (1 << 8 * size)
    value = value.to_bytes(size, "little" if n & 4 else "big")
    return data[:i] + value + data[i + size :]


def _splice(data, at, n, other):
    return data[: at % (len(data) + 1)] + other[n % (len(other) + 1) :]


def _noise(data, at, n, other):
    i = at % (len(data) + 1)
    noise = random.Random(n).randbytes(1 + n % 40)
    return data[:i] + noise + data[i + len(noise) :]


def _only_noise(data, at, n, other):
    return random.Random(n).randbytes(at % 600)


def _word_of_text(data, at, n, other):
    """Replace one token, bounded by letters, digits and signs, by a word or a number."""
    i = at % (len(data) + 1)
    tokens = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.+-"
    first = last = i
    while first and i - first < 40 and data[first - 1] in tokens:
        first -= 1
    while last < len(data) and last - i < 40 and data[last] in tokens:
        last += 1
    pool = len(WORDS) + len(NUMBERS)
    k = n % pool
    new = WORDS[k] if k < len(WORDS) else str(NUMBERS[k - len(WORDS)]).encode()
    return data[:first] + new + data[last:]


def _lines(data, at, n, other):
    """Drop, duplicate, swap, or empty lines, or change all line ends."""
    lines = data.split(b"\n")
    i, j = at % len(lines), n % len(lines)
    kind = (n >> 16) % 5
    if kind == 0:
        del lines[i]
    elif kind == 1:
        lines.insert(j, lines[i])
    elif kind == 2:
        lines[i], lines[j] = lines[j], lines[i]
    elif kind == 3:
        lines[i] = b""
    return (b"\r\n" if kind == 4 else b"\n").join(lines)


EDITS = (
    _flip, _byte, _cut_tail, _cut_middle, _repeat, _insert_word, _write_number, _splice, _noise,
    _only_noise, _word_of_text, _word_of_text, _lines, _write_number, _flip,
)  # fmt: skip


def draw(rng: random.Random, n_seeds: int, has_structure: bool) -> Case:
    """Return a random case; a third of those of a target with `mutate` have no other edits."""
    structured = rng.getrandbits(32) if has_structure and rng.random() < 0.6 else None
    count = 1 + min(int(rng.expovariate(0.7)), 12)
    if structured is not None and rng.random() < 0.6:
        count = 0
    edits = tuple(
        (rng.randrange(len(EDITS)), rng.getrandbits(32), rng.getrandbits(32)) for _ in range(count)
    )
    return Case(rng.randrange(n_seeds), rng.randrange(n_seeds), structured, edits)


def apply(target, case: Case) -> bytes:
    """Return the bytes of a case of a target."""
    seeds = target.SEEDS
    data, other = seeds[case.first % len(seeds)], seeds[case.second % len(seeds)]
    if case.structured is not None and hasattr(target, "mutate"):
        data = target.mutate(data, random.Random(case.structured))
    return edited(data, case.edits, other)


def edited(data: bytes, edits, other: bytes = b"") -> bytes:
    for kind, at, n in edits:
        data = EDITS[kind % len(EDITS)](data, at, n, other)[:LARGEST]
    return data


def some(data: bytes, rng: random.Random, most: int = 4) -> bytes:
    """Apply one to `most` random edits to unpacked content: a member, a header."""
    edits = [(rng.randrange(len(EDITS)), rng.getrandbits(32), rng.getrandbits(32))
             for _ in range(1 + rng.randrange(most))]  # fmt: skip
    return edited(data, edits, data)


def gzipped(data: bytes, rng: random.Random, change=some) -> bytes:
    """Return a gzip file with other content and correct checksums; sometimes with several
    members, or large.
    """
    content = change(gzip.decompress(data), rng)
    kind = rng.randrange(12)
    if kind == 0:
        content += bytes(rng.choice((1 << 12, 1 << 20)))
    packed = gzip.compress(content, 1, mtime=0)
    return packed + packed if kind == 1 else packed


def zipped(data: bytes, rng: random.Random, change=some) -> bytes:
    """Return a zip archive with one change in it, and correct checksums elsewhere.

    The change is to the content of a member (most often), its name, method, flags or sizes; or a
    member is missing, duplicated, or large.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = rng.choice(sorted(members))
    kind = rng.randrange(12)
    method = zipfile.ZIP_DEFLATED
    if kind < 6:
        members[name] = change(members[name], rng)
    elif kind == 6:
        del members[name]
    elif kind == 7:
        members[some(name.encode(), rng, 2).decode("utf-8", "replace") or "x"] = members.pop(name)
    elif kind == 8:
        members[name] += bytes(1 << 20)
    elif kind == 9:
        method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for key, value in members.items():
            archive.writestr(zipfile.ZipInfo(key.replace("\0", "")), value, method)
    result = content.getvalue()
    return _directory(result, rng) if kind > 9 else result


def _directory(data, rng):
    """Change a number in the central directory: versions, flags, method, time, checksum, sizes,
    ...
    """
    at = [i for i in range(len(data)) if data.startswith(b"PK\x01\x02", i)]
    at = rng.choice(at) + rng.choice((4, 6, 8, 10, 14, 16, 20, 24, 28, 30, 32, 42))
    value = struct.pack("<I", rng.choice((0, 1, 8, 12, 14, 99, 2**31, 2**32 - 1, len(data))))
    size = rng.choice((2, 4))
    return data[:at] + value[:size] + data[at + size :]
