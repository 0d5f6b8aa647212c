"""The tables of the documents, from stored results: `python -m fastsnn.bench.tables README.md ...`.

In a document, what stands between the lines `<!-- NAME -->` and `<!-- end of NAME -->` is made here
from bench/results/NAME.json, so that no figure stands there that was not measured.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from fastsnn.bench import show

RESULTS = Path(__file__).parent / "results"


def markdown(rows: list[list[str]]) -> str:
    head, *rest = rows
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rest])


def where(machine: dict[str, Any]) -> str:
    versions = {k: v for k, v in machine["versions"].items() if k not in ("llvmlite", "jaxlib")}
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    lanes = machine["vector_lanes"]
    return (
        f"{machine['cpu']} ({machine['cpu_target']}, vectors of {lanes} lanes), "
        f"{machine['processors']} processors, {named}; {machine['date']}; `{machine['command']}`"
    )


def step(found):
    peers = [n for n in show.NAMES if n in found["rows"][0]["systems"] and n != "fastsnn"]
    rows = show.against(found["rows"], "of_peak", tuple(peers))
    peaks = [row["peak_gflops"] for row in found["rows"]]
    return f"{markdown(rows)}\n\nPeak {min(peaks):.0f} - {max(peaks):.0f} GFLOP/s. "


def predict(found):
    peers = [n for n in show.NAMES if n in found["rows"][0]["systems"] and n != "fastsnn"]
    rows = show.against(found["rows"], "of_peak", tuple(peers))
    for line, row in zip(rows, [None, *found["rows"]], strict=True):
        of = row and show.percent(row["systems"]["fastsnn"]["of_memory"])
        line.insert(4, of if row else "of memory")
    return f"{markdown(rows)}\n\n"


def train(found):
    return f"{markdown(show.train(found['rows']))}\n\n"


def kernels(found):
    peak = found["peak_gflops"]
    return f"{markdown(show.kernels(found['rows']))}\n\nPeak of one thread {peak:.0f} GFLOP/s. "


def grid(found):
    slower = [row for row in found["rows"] if row["speedup"] < 1]
    ups = sorted(row["speedup"] for row in found["rows"])
    text = (
        f"Over {len(ups)} networks (1 to 64 layers of 16 to 1024 units, batches of 1 to 1024) a "
        f"step is {ups[0]:.1f} to {ups[-1]:.0f} times as fast as in PyTorch eager, in the median "
        f"{ups[len(ups) // 2]:.1f} times; "
    )
    names = ", ".join(f"{row['case']} ({row['speedup']:.2f})" for row in slower)
    return f"{text}slower {f'in {len(slower)}: {names}' if slower else 'nowhere'}.\n\n"


def scaling(found):
    depth, batch, many = found["depth"], found["batch"], found["many"]
    lines = [
        f"* A layer more costs {show.duration(depth['slope_s'])} ({depth['base']} else): over "
        f"{depth['sizes'][0]} to {depth['sizes'][-1]} layers within "
        f"{show.percent(depth['worst_deviation'])} of a straight line.",
        f"* A sample more costs {show.duration(batch['slope_s'])} ({batch['base']} else): over "
        f"batches of {batch['sizes'][0]} to {batch['sizes'][-1]} within "
        f"{show.percent(batch['worst_deviation'])} of a straight line.",
        f"* {many['trainers']} trainers at once, each in a Python thread with `threads=1`, reach "
        f"{show.percent(many['efficiency'])} of {many['trainers']} times one alone "
        f"({many['case']}).",
    ]
    return "\n".join(lines) + "\n\n"


def parts(found):
    return f"{markdown(show.parts(found['rows']))}\n\n"


TABLES = {f.__name__: f for f in (step, predict, train, kernels, grid, scaling, parts)}


def block(name: str) -> str:
    found = json.loads((RESULTS / f"{name}.json").read_text())
    return f"{TABLES[name](found)}{where(found['machine'])}."


def filled(text: str) -> str:
    """A document with its blocks made anew."""
    for name in re.findall(r"^<!-- (\w+) -->$", text, re.M):
        begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
        before, rest = text.split(begin, 1)
        text = f"{before}{begin}{block(name)}{end}{rest.split(end, 1)[1]}"
    return text


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(filled(path.read_text()))
