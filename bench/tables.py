"""The tables of the documents, from stored results: `python -m fastsnn.bench.tables README.md ...`.

In a document, what stands between the lines `<!-- NAME -->` and `<!-- end of NAME -->` is made here
from bench/results/NAME.json, so that no figure stands there that was not measured; `paper-NAME`
from bench/results/paper/NAME.json, which `fastsnn reproduce NAME` wrote.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from fastsnn.paper import show as shown
from fastsnn.runs.console import clock

from . import show
from .gpu import results as on_gpu

RESULTS = Path("bench", "results")  # beside the document


def markdown(rows: list[list[str]]) -> str:
    head, *rest = rows
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rest])


def machine(found: dict[str, Any]) -> str:
    known = found["machine"]
    versions = {k: v for k, v in known["versions"].items() if k not in ("llvmlite", "jaxlib")}
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{known['processors']} processors {known['cpu']} ({known['cpu_target']}, vectors of "
        f"{known['vector_lanes']} lanes), {named}."
    )


def when(found: dict[str, Any]) -> str:
    command = re.sub(r" --(?:json|plot) \S+", "", found["machine"]["command"])
    return f"`{command}`, {found['machine']['date']}"


def peers(found):
    measured = found["rows"][0]["systems"]
    return tuple(name for name in show.NAMES if name in measured and name != "fastsnn")


def step(found):
    rows = show.against(found["rows"], peers(found))
    peak = found["rows"][0]["peak_gflops"]
    return f"{markdown(rows)}\n\nPeak {peak:.0f} GFLOP/s; {machine(found)}\n"


def predict(found):
    return f"{markdown(show.predictions(found['rows'], peers(found)))}\n\n"


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


def paper(name: str, results: Path) -> str:
    """Tables and statements of `fastsnn reproduce NAME`, its picture, what it left out."""
    found = json.loads((results / f"{name}.json").read_text())
    made, lines = shown.SHOWN[name](found)
    blocks = [*map(markdown, made), "\n".join(f"* {line}" for line in lines)]
    if (results / f"{name}.png").exists():
        blocks.append(f"![{name}]({RESULTS.as_posix()}/paper/{name}.png)")
    blocks += [f"{what}: {'; '.join(found[key])}." for what, key in
               (("Notes", "notes"), ("Left out of the paper's experiment", "left_out"))
               if found[key]]  # fmt: skip
    command = re.sub(r" --(?:out|work) \S+| --(?:json|resume)\b", "", found["machine"]["command"])
    seeds = ", ".join(map(str, found["seeds"]))
    blocks.append(
        f"`{command}`, seeds {seeds}, {clock(found['training_seconds'])} of training "
        f"({found['at_once']}), {found['machine']['date']}"
    )
    return "\n\n".join(filter(None, blocks))


def gpu(name: str, results: Path) -> str:
    """Steps (gpu) or kernels (gpu-kernels) on an NVIDIA GPU, once there are figures."""
    path = results / "gpu.json"
    if not path.exists():
        return "Not yet measured on hardware."
    found = json.loads(path.read_text())
    table = on_gpu.steps_table(found) if name == "gpu" else on_gpu.kernels_table(found)
    return f"{markdown(table)}\n\n{on_gpu.machine(found)} {when(found)}"


TABLES = {f.__name__: f for f in (step, predict, train, kernels, grid, scaling, parts)}


def block(name: str, results: Path) -> str:
    if name.startswith("paper-"):
        return paper(name.removeprefix("paper-"), results / "paper")
    if name in ("gpu", "gpu-kernels"):
        return gpu(name, results)
    found = json.loads((results / f"{name}.json").read_text())
    return f"{TABLES[name](found)}{when(found)}"


def filled(path: Path) -> str:
    """A document with its blocks made anew."""
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"^<!-- ([\w-]+) -->$", text, re.M):
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, rest = text.split(begin, 1)
        _, after = rest.split(end, 1)
        text = f"{before}{begin}{block(name, path.parent / RESULTS)}\n{end}{after}"
    return text


if __name__ == "__main__":
    for document in map(Path, sys.argv[1:]):
        document.write_text(filled(document), encoding="utf-8")
