"""Generate the tables of the documents: `python -m fastsnn.bench.tables README.md docs/*.md ...`.

In a document of any folder, the text between the lines `<!-- NAME -->` and `<!-- end of NAME -->`
is made here from bench/results/NAME.json, so that every figure in it was measured; `paper-NAME`
from bench/results/paper/NAME.json, which `fastsnn reproduce NAME` wrote. `accuracy` is one table
of all experiments.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from fastsnn.paper import show as shown
from fastsnn.runs.console import clock

from . import estimators as on_estimators
from . import show
from .case import Case
from .gpu import results as on_gpu
from .tabular import show as on_tables

RESULTS = Path("bench", "results")  # in the checkout
NOT_YET = "Not yet measured on hardware."
PROGRAMS = {
    "python": "Python", "numba": "Numba", "numpy": "NumPy", "torch": "PyTorch", "jax": "JAX",
    "onnxruntime": "ONNX Runtime", "lightgbm": "LightGBM", "xgboost": "XGBoost",
}  # fmt: skip
# Names of columns for a reader of the documents; `fastsnn bench` and `reproduce` have less room.
HEADS = {
    "of peak": "share of peak", "of memory": "share of memory bandwidth",
    "whole-set loss": "loss, whole training set", "seconds": "time (s)",
    "case": "layers x units x batch x dropout",
}  # fmt: skip


def markdown(rows: list[list[str]]) -> str:
    head, *rest = rows
    lines = [[HEADS.get(cell, cell) for cell in head], ["---"] * len(head), *rest]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines).replace(" +- ", " ± ")


def spelled(rows: list[list[str]]) -> list[list[str]]:
    """Replace the name of a case by columns: layers, units, batch, dropout, optimizer."""
    cases = [(Case.parse(row[0].split()[0]), *row[0].split()[1:]) for row in rows[1:]]
    inputs = len({case.inputs for case, *_ in cases}) > 1
    head = ["layers x units", "batch", "dropout", *(["inputs"] if inputs else [])]
    table = [head + (["optimizer"] if cases[0][1:] else []) + rows[0][1:]]
    for (case, *optimizer), row in zip(cases, rows[1:], strict=True):
        network = [f"{case.layers} x {case.width}", str(case.batch), f"{case.rate:g}"]
        network += [str(case.inputs)] if inputs else []
        table.append(network + [show.OPTIMIZERS[name] for name in optimizer] + row[1:])
    return table


def machine(found: dict[str, Any]) -> str:
    known = found["machine"]
    versions = {k: v for k, v in known["versions"].items() if k not in ("llvmlite", "jaxlib")}
    named = ", ".join(f"{PROGRAMS.get(name, name)} {v}" for name, v in versions.items())
    return (
        f"{known['processors']} cores of an {known['cpu']} ({known['cpu_target']}, vectors of "
        f"{known['vector_lanes']} floats), {named}."
    )


def when(found: dict[str, Any]) -> str:
    command = re.sub(r" --(?:json|plot|out) \S+", "", found["machine"]["command"])
    return f"`{command}`, {found['machine']['date']}"


def peers(found):
    measured = found["rows"][0]["systems"]
    return tuple(name for name in show.NAMES if name in measured and name != "fastsnn")


def speed(found):
    """Four rows for the README: the fastest peer of each."""
    rows = [["training step", "fastsnn", "fastest peer", "speed-up"]]
    for row in found["rows"]:
        best = row["best_peer"]
        ours, other = (row["systems"][name]["median_s"] for name in ("fastsnn", best))
        network = f"{show.spelled(row['case'])}, {show.OPTIMIZERS[row['optimizer']]}"
        rows.append([network, show.duration(ours), f"{show.duration(other)} ({show.NAMES[best]})",
                     f"{row['speedup']:.2f}"])  # fmt: skip
    names = [show.NAMES[name] for name in peers(found)]
    return (
        f"{markdown(rows)}\n\nPeers: {', '.join(names)}, each with the better of "
        f"{found['rows'][0]['threads']} threads and 1. {machine(found)} "
    )


def step(found):
    rows = spelled(show.against(found["rows"], peers(found)))
    peak = found["rows"][0]["peak_gflops"]
    return f"{markdown(rows)}\n\nPeak: {peak:.0f} GFLOP/s. {machine(found)}\n"


def predict(found):
    return f"{markdown(spelled(show.predictions(found['rows'], peers(found))))}\n\n"


def train(found):
    return f"{markdown(show.train(found['rows']))}\n\n"


def kernels(found):
    peak = found["peak_gflops"]
    return f"{markdown(show.kernels(found['rows']))}\n\nPeak of one thread: {peak:.0f} GFLOP/s. "


def grid(found):
    slower = [row for row in found["rows"] if row["speedup"] < 1]
    ups = sorted(row["speedup"] for row in found["rows"])
    text = (
        f"Over {len(ups)} networks (1 to 64 layers of 16 to 1024 units, batches of 1 to 1024) a "
        f"step is {ups[0]:.1f} to {ups[-1]:.0f} times as fast as in eager PyTorch; the median is "
        f"{ups[len(ups) // 2]:.1f}. "
    )
    names = "; ".join(f"{show.spelled(row['case'])} ({row['speedup']:.2f})" for row in slower)
    return f"{text}Slower {f'in {len(slower)}: {names}' if slower else 'in none'}.\n\n"


def scaling(found):
    depth, batch, many = found["depth"], found["batch"], found["many"]
    lines = [
        f"* Each extra layer adds {show.duration(depth['slope_s'])} (other settings: "
        f"{show.spelled(depth['base'], 'layers')}). Over {depth['sizes'][0]} to "
        f"{depth['sizes'][-1]} layers, times are within {show.percent(depth['worst_deviation'])} "
        "of a straight line.",
        f"* Each extra sample adds {show.duration(batch['slope_s'])} (other settings: "
        f"{show.spelled(batch['base'], 'batch')}). Over batches of {batch['sizes'][0]} to "
        f"{batch['sizes'][-1]}, times are within {show.percent(batch['worst_deviation'])} of a "
        "straight line.",
        f"* {many['trainers']} trainers running concurrently, each in a Python thread with "
        f"`threads=1`, reach {show.percent(many['efficiency'])} of {many['trainers']} times the "
        f"throughput of one ({show.spelled(many['case'])}).",
    ]
    return "\n".join(lines) + "\n\n"


def parts(found):
    table = show.parts(found["rows"])
    return f"{markdown(table)}\n\nColumns: layers x units x batch x dropout. "


def paper(name: str, results: Path, link: str = RESULTS.as_posix()) -> str:
    """Tables and statements of `fastsnn reproduce NAME`, its picture, deviations. link: from the
    document to bench/results."""
    found = json.loads((results / f"{name}.json").read_text())
    made, lines = shown.SHOWN[name](found)
    blocks = [*map(markdown, made), bullets(lines)]
    if (results / f"{name}.png").exists():
        blocks.append(f"![{name}]({link}/paper/{name}.png)")
    if found["notes"]:
        blocks.append(f"Notes:\n\n{bullets(found['notes'])}")
    if found["left_out"]:
        blocks.append(f"Deviations from the paper:\n\n{bullets(found['left_out'])}")
    command = re.sub(r" --(?:out|work) \S+| --(?:json|resume)\b", "", found["machine"]["command"])
    seeds = ", ".join(map(str, found["seeds"]))
    several = "s" if len(found["seeds"]) > 1 else ""
    blocks.append(
        f"`{command}`, seed{several} {seeds}, {clock(found['training_seconds'])} of training "
        f"({found['at_once']}), {found['machine']['date']}"
    )
    return "\n\n".join(filter(None, blocks))


def bullets(lines: list[str]) -> str:
    return "\n".join(f"* {line}" for line in lines)


def accuracy(results: Path, docs: str) -> str:
    """A row for each experiment: the paper's figure and ours. docs: from the document to docs/."""
    rows = [["experiment", "metric", "paper", "fastsnn", "deviations"]]
    for what, metric, theirs, ours, deviation, place in _experiments(results):
        page, anchor = place.split("#")
        rows.append([what, metric, theirs, ours, f"[{deviation}]({docs}{page}.md#{anchor})"])
    return markdown(rows)


def _experiments(results: Path):
    def found(name):
        return json.loads((results / f"{name}.json").read_text())

    def of(rows, **wanted):
        return next(row for row in rows if all(row[k] == v for k, v in wanted.items()))

    fig1 = found("paper/fig1-mnist")
    snn, norm = (of(fig1["curves"], method=m, layers=32) for m in ("snn", "batchnorm"))
    epochs = snn["epochs"]
    yield (
        "Figure 1: MNIST, 32 layers, SNN / batch normalization",
        f"training loss after {epochs} epochs (paper: 2,000)",
        f"{snn['published']:.2g} / {norm['published']:.2g}",
        f"{snn['loss']:.2g} / {norm['loss']:.2g}", f"{epochs} epochs", "reproduction#figure-1",
    )  # fmt: skip
    uci = of(found("paper/uci")["methods"], method="snn")
    yield (
        f"UCI, {uci['sets']} of the 121 tasks", "mean accuracy", f"{uci['paper']:.3f}",
        f"{uci['accuracy']:.3f}", "smaller grid, shorter epochs", "reproduction#uci",
    )  # fmt: skip
    htru2 = of(found("paper/htru2")["methods"], method="snn")
    yield (
        "HTRU2, 10 folds", "AUC", f"{htru2['paper']:.4f}", f"{htru2['auc']:.4f}",
        "smaller grid", "reproduction#htru2",
    )  # fmt: skip
    tox21 = of(found("paper/tox21")["rows"], method="snn", layers=8)
    yield (
        "Tox21, 8 layers", "mean AUC of 12 tasks", f"{tox21['paper']:.3f}",
        f"{tox21['auc']:.3f}", "other features, smaller grid", "reproduction#tox21",
    )  # fmt: skip
    tutorial = of(found("paper/tutorial-mnist")["networks"], network="selu")
    yield (
        "The authors' PyTorch tutorial on MNIST", "test accuracy",
        f"{100 * tutorial['paper']:.2f} %",
        f"{100 * tutorial['test_accuracy']:.2f} %", "another seed", "reproduction#tutorial",
    )  # fmt: skip
    train = found("train")["rows"]
    ours, torch = (of(train, system=name)["test_accuracy"] for name in ("fastsnn", "torch"))
    yield (
        "MNIST, 32 layers, defaults of `fastsnn train`", "test accuracy",
        f"PyTorch: {100 * torch:.2f} %", f"{100 * ours:.2f} %",
        "not in the paper", "benchmarks#a-whole-training",
    )  # fmt: skip


def gpu(name: str, results: Path) -> str:
    """Steps (gpu) or kernels (gpu-kernels) on an NVIDIA GPU, once they have been measured."""
    path = results / "gpu.json"
    if not path.exists():
        return NOT_YET
    found = json.loads(path.read_text())
    table = on_gpu.steps_table(found) if name == "gpu" else on_gpu.kernels_table(found)
    return f"{markdown(table)}\n\n{on_gpu.machine(found)} {when(found)}"


def estimators(found):
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    return f"{markdown(on_estimators.table(found['rows']))}\n\n{packages}. {machine(found)} "


def tabular(found):
    """Return the tables of `fastsnn bench tables`, and where fastsnn loses."""
    made = [f"{title}:\n\n{markdown(rows)}" for title, rows in on_tables.blocks(found)]
    lines = bullets([*on_tables.verdicts(found), *on_tables.notes(found)])
    return "\n\n".join([lines, *made]) + f"\n\n{machine(found)} "


TABLES = {
    f.__name__: f
    for f in (speed, step, predict, train, kernels, grid, scaling, parts, estimators, tabular)
}


def block(name: str, results: Path, link: str = RESULTS.as_posix(), docs: str = "docs/") -> str:
    """The text of a block. link, docs: from the document to bench/results and to docs/."""
    if name.startswith("paper-"):
        return paper(name.removeprefix("paper-"), results / "paper", link)
    if name in ("gpu", "gpu-kernels"):
        return gpu(name, results)
    if name == "accuracy":
        return accuracy(results, docs)
    found = json.loads((results / f"{name}.json").read_text())
    return f"{TABLES[name](found)}{when(found)}"


def filled(path: Path) -> str:
    """The text of a document with its blocks generated again."""
    text, folder = path.read_text(encoding="utf-8"), path.resolve().parent
    root = next(f for f in (folder, *folder.parents) if (f / RESULTS).is_dir())
    link, docs = (Path(os.path.relpath(root / to, folder)).as_posix() for to in (RESULTS, "docs"))
    for name in re.findall(r"^<!-- ([\w-]+) -->$", text, re.M):
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, rest = text.split(begin, 1)
        _, after = rest.split(end, 1)
        made = block(name, root / RESULTS, link, "" if docs == "." else f"{docs}/")
        text = f"{before}{begin}{made}\n{end}{after}"
    return text


if __name__ == "__main__":
    for document in map(Path, sys.argv[1:]):
        document.write_text(filled(document), encoding="utf-8")
