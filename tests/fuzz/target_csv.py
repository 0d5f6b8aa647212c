"""Fuzz target: the CSV reader, with and without labels and header."""

from pathlib import Path

from fuzz.calls import call_all

from fastsnn.data import read_features, read_table

SUFFIX = ".csv"
SEEDS: list[bytes] = [
    b"a,b,kind\n1,2.5,cat\n-3e1,4,dog\n",
    b"1;2;0\n3;4;1\n5;6;1\n",
    b"x\ty\n1.5\t007\n2.5\t008\n",
    b'a,"b ""c"", d",k\r\n1,"2",u\r\n3,4,"v\nw"\r\n',
    b"5,6,0.5\n7,8,1.25\n",
    b'"Gewicht, kg";Klasse\n70.5;A, B\n71.5;B\n',
    "\ufeffä,β,kind\n1,2,日本\n3,4,ü\n".encode(),
    b"t,u,v\n1,0,1\n3,1,1\n2,1,0\n",
    b"\n\n1e30,-1,+2\n+1.,.5e-3,1e0\n",
    b"x,y\n1,9007199254740993\n2,9007199254740992\n",
    b"a,b\r1,2\r3,4\r",
]


def read(path: Path) -> None:
    """Read the file in every way, see `call_all`."""
    calls = [
        lambda: read_table(path),
        lambda: read_table(path, header=True),
        lambda: read_table(path, header=False, task="classification"),
        lambda: read_table(path, "0,1", "multitask"),
        lambda: read_table(path, -1, "regression"),
        lambda: read_table(path, class_names=("0", "1"), feature_names=("a",), n_features=1),
        lambda: read_features(path, ("a", "b"), 2),
    ]
    call_all(calls)
