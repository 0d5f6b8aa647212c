"""Results as rows of text."""

from __future__ import annotations

from typing import Any

from fastsnn.runs.console import columns

from .case import Case

NAMES = {"fastsnn": "fastsnn", "torch": "PyTorch", "torch-compile": "torch.compile",
         "jax": "JAX", "onnxruntime": "ONNX Runtime"}  # fmt: skip
OPTIMIZERS = {"sgd": "SGD", "adam": "Adam"}


def duration(seconds: float) -> str:
    """Return a time with three digits, in s, ms or us."""
    for unit, scale in (("s", 1.0), ("ms", 1e3)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def spelled(case: str, without: str = "") -> str:
    """Return the settings of a case in words. without: "layers" or "batch", which vary."""
    known = Case.parse(case)
    layers = "layer" if known.layers == 1 else "layers"
    words = {
        "layers": f"{known.layers} {layers} of {known.width} units",
        "batch": f"batch {known.batch}",
        "dropout": f"dropout {known.rate:g}" if known.rate else "no dropout",
    }
    if without == "layers":
        words["layers"] = f"{known.width} units per layer"
    elif without:
        del words[without]
    return ", ".join(words.values())


def against(rows: list[dict[str, Any]], others: tuple[str, ...]) -> list[list[str]]:
    """Return a line for each case of `step` or `predict`."""
    head = ["case", "fastsnn", "GFLOP/s", "of peak", *[NAMES[n] for n in others]]
    table = [head + (["speed-up"] if others else [])]
    for row in rows:
        ours = row["systems"]["fastsnn"]
        line = [f"{row['case']} {row.get('optimizer', '')}".strip(), duration(ours["median_s"]),
                f"{ours['gflops']:.0f}", percent(ours["of_peak"])]  # fmt: skip
        line += [
            duration(row["systems"][n]["median_s"]) if n in row["systems"] else "-" for n in others
        ]
        table.append(line + ([f"{row['speedup']:.2f}"] if others else []))
    return table


def predictions(rows: list[dict[str, Any]], others: tuple[str, ...]) -> list[list[str]]:
    """Return `against` with a column more: the share of the memory bandwidth."""
    table = against(rows, others)
    table[0].insert(4, "of memory")
    for line, row in zip(table[1:], rows, strict=True):
        line.insert(4, percent(row["systems"]["fastsnn"]["of_memory"]))
    return table


def kernels(rows: list[dict[str, Any]]) -> list[list[str]]:
    peers = [name for name in NAMES if any(name in row.get("peers", {}) for row in rows)]
    head = ["kernel", "shape", "time", "rate", "share", "error"]
    table = [head + [NAMES[name] for name in peers]]
    for row in rows:
        rate = f"{row['gflops']:.0f} GFLOP/s" if row["gflops"] else f"{row['gb_s']:.1f} GB/s"
        line = [row["kernel"], row["shape"], duration(row["median_s"]), rate]
        line += [percent(row["share"]), f"{row['error']:.1e}"]
        others = [row["peers"].get(name) for name in peers]
        table.append(line + ["-" if seconds is None else duration(seconds) for seconds in others])
    return table


def scaling(found: dict[str, Any]) -> str:
    blocks = []
    for name in ("depth", "batch"):
        part = found[name]
        one = "layer" if name == "depth" else "sample"
        table = [[part["of"], "step", f"per {one}", *[NAMES[peer] for peer in part["peers"]]]]
        for i, (size, s) in enumerate(zip(part["sizes"], part["median_s"], strict=True)):
            others = [duration(times[i]) for times in part["peers"].values()]
            table.append([str(size), duration(s), duration(s / size), *others])
        blocks.append(
            f"{part['base']}, varying {part['of']}: slope {duration(part['slope_s'])}, "
            f"exponent {part['exponent']:.3f}, at most {percent(part['worst_deviation'])} from a "
            f"straight line\n{columns(table)}"
        )
    table = [["case", "threads", "step", "speed-up"]]
    for row in found["threads"]:
        table += [
            [row["case"], str(t), duration(s), f"{u:.2f}"]
            for t, s, u in zip(row["threads"], row["median_s"], row["speedup"], strict=True)
        ]
    many = found["many"]
    blocks += [
        columns(table),
        f"{many['trainers']} trainers of {many['case']}, each in its own thread: "
        f"{many['together_samples_s']:,.0f} samples/s, {percent(many['efficiency'])} of "
        f"{many['trainers']} times one trainer",
    ]
    return "\n\n".join(blocks)


def grid(rows: list[dict[str, Any]]) -> str:
    table = [["case", "fastsnn", "PyTorch", "speed-up"]]
    table += [
        [r["case"], duration(r["fastsnn_s"]), duration(r["torch_s"]), f"{r['speedup']:.2f}"]
        for r in rows
    ]
    slower = [r["case"] for r in rows if r["speedup"] < 1]
    verdict = f"slower than PyTorch in {len(slower)} of {len(rows)} cells"
    return f"{columns(table)}\n\n{verdict}{': ' if slower else ''}{', '.join(slower)}"


def train(rows: list[dict[str, Any]]) -> list[list[str]]:
    table = [["system", "seconds", "memory", "test accuracy", "epochs", "speed-up"]]
    for row in rows:
        table.append(
            [NAMES[row["system"]], f"{row['seconds']:.1f}", f"{row['peak_memory_mib']:.0f} MiB",
             f"{100 * row['test_accuracy']:.2f} %", str(row["epochs"]),
             f"{row['speedup']:.2f}" if "speedup" in row else "-"]
        )  # fmt: skip
    return table


def parts(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Return shares of a step on one thread; the last line is the time of the multiply-adds at the
    machine's peak."""
    table = [["part", *[row["case"] for row in rows]]]
    for name in rows[0]["parts"]:
        table.append([name, *[percent(row["parts"][name] / row["sum_s"]) for row in rows]])
    table.append(["all, one thread", *[duration(row["sum_s"]) for row in rows]])
    table.append(["at peak", *[percent(row["at_peak_s"] / row["sum_s"]) for row in rows]])
    return table
