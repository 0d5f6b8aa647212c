"""Fuzz target: CSV files with text, gaps and dates, for training, prediction and evaluation."""

from pathlib import Path

from fuzz.calls import call_all

from fastsnn.data import load
from fastsnn.data.rawtable import read_known, read_labelled
from fastsnn.tables import reader

SUFFIX = ".csv"
KINDS = {"size": "numeric", "town": "categorical", "day": "date"}
SEEDS: list[bytes] = [
    b"size,town,day,price\n1,Rome,2020-01-31,5.5\n,Paris,2020-02-01,6\n3,Rome,,7\n",
    b'size;town;day;price\r\n1,5;"a; ""b""";31/01/2020;2,5\r\n2,5;NA;01/12/2020;3,5\r\n',
    "Prices\n\nsize|town|day|price\n1|Köln|31.01.2020|1\n2|Köln|1.2.2020|0\n".encode("utf-16"),
    "size,town,day,price\n1,Köln,?,ä\n-,Üß,-,ö\n3,é,.,ä\n".encode("latin-1"),
    b"1,x,true,a\n2,y,false,b\n3,x,true,a\n4,y,false,b\n",
]


def read(path: Path) -> None:
    """Read the file in every way, see `call_all`."""
    calls = [
        lambda: read_known(path, {}),
        lambda: read_labelled(path, KINDS, "price", "classification", ("0", "a", "ä")),
    ]
    if reader.installed():
        calls += [
            lambda: load(path, target="0,-1", task="regression", validation=0, raw=True),
            lambda: load(path, categorical="size", scaling="robust", validation=0),
        ]
    call_all(calls)
