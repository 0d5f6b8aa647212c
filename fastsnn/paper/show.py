"""Results of an experiment next to the published ones, as tables and lines of text.

Each function takes a stored result and returns (tables, lines). A table is a list of rows of cells,
the first row the header. The terminal and the documents show the same tables and lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastsnn.paper.published import NAMES
from fastsnn.runs.console import clock, columns

Table = list[list[str]]
MOST_LISTED = 6  # names per line


def figure(value: float | None, digits: int = 4, sign: bool = False) -> str:
    """Return a number with fixed decimals, "-" for None; sign: also with a leading +."""
    if value is None:
        return "-"
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def with_deviation(value: float | None, deviation: float | None, digits: int) -> str:
    """Return mean and standard deviation, such as "0.9803 +- 0.0100"."""
    if value is None:
        return "-"
    return figure(value, digits) + ("" if deviation is None else f" +- {deviation:.{digits}f}")


def probability(value: float | None) -> str:
    """Return a p-value, "-" for None."""
    return "-" if value is None else f"{value:.1e}" if value < 0.01 else f"{value:.3f}"


def fig1(found: Mapping[str, Any]) -> tuple[list[Table], list[str]]:
    """Return one row per network: final losses, validation accuracy, published loss, time."""
    rows = [["network", "layers", "seed", "epochs", "loss", "whole-set loss",
             "validation accuracy", "published, 2000 epochs", "time per epoch"]]  # fmt: skip
    for row in found["curves"]:
        accuracy = row.get("validation_accuracy")
        rows.append(
            [NAMES[row["method"]], str(row["layers"]), str(row["seed"]), str(row["epochs"]),
             _small(row["loss"]), _small(row.get("whole_set_loss")),
             "-" if accuracy is None else f"{100 * accuracy:.2f} %", _small(row["published"]),
             f"{row['seconds'] / max(row['epochs'], 1):.1f} s"]
        )  # fmt: skip
    return [rows], found["statements"]


def _small(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def uci(found: Mapping[str, Any]) -> tuple[list[Table], list[str]]:
    """Return a table of mean accuracies and one of rank differences, one row per method."""
    means = [["method", "sets", "mean accuracy", "paper", "difference", "layers", "paper"]]
    for row in found["methods"]:
        means.append(
            [NAMES[row["method"]], str(row["sets"]), figure(row["accuracy"]), figure(row["paper"]),
             figure(row["difference"], sign=True), figure(row["layers"], 1),
             figure(row["paper_layers"], 1)]
        )  # fmt: skip
    ranks = [["method", "sets", "rank difference", "paper, same sets", "published, 121 sets",
              "p", "paper, same sets", "published p"]]  # fmt: skip
    for row in found["ranks"]:
        ranks.append(
            [NAMES[row["method"]], str(row["sets"]), figure(row["difference"], 3, True),
             figure(row["paper_same_sets"], 3, True), figure(row["published"], 3, True),
             probability(row["p"]), probability(row["paper_p_same_sets"]),
             probability(row["published_p"])]
        )  # fmt: skip
    lines = [f"{found['sets']} data sets"]
    for what, words in (("missing", "not available"), ("not_run", "skipped")):
        if found[what]:
            names = ", ".join(found[what][:MOST_LISTED])
            more = ", ..." if len(found[what]) > MOST_LISTED else ""
            lines[0] += f"; {len(found[what])} {words} ({names}{more})"
    lines += [
        *found["statements"],
        "p: one-sided Wilcoxon signed-rank test that the SNN is better than the method",
    ]
    return [means, *([ranks] if found["ranks"] else [])], lines


def htru2(found: Mapping[str, Any]) -> tuple[list[Table], list[str]]:
    """Return one row per method: AUC, published AUC, p-values."""
    rows = [["method", "AUC, 10 folds", "paper", "difference", "p", "published p"]]
    for row in found["methods"]:
        rows.append(
            [NAMES[row["method"]], with_deviation(row["auc"], row["deviation"], 4),
             with_deviation(row["paper"], row["paper_deviation"], 4),
             figure(row["difference"], sign=True), probability(row["p"]),
             probability(row["paper_p"])]
        )  # fmt: skip
    return [rows], found["statements"]


def tox21(found: Mapping[str, Any]) -> tuple[list[Table], list[str]]:
    """Return two rows per method, our AUC and the paper's, with one column per depth."""
    known = {(row["method"], row["layers"]): row for row in found["rows"]}
    depths = sorted({layers for _, layers in known})
    rows = [["method", "", *map(str, depths)]]
    for method in dict.fromkeys(row["method"] for row in found["rows"]):
        for name, value, deviation in (
            ("ours", "auc", "deviation"), ("paper", "paper", "paper_deviation")
        ):  # fmt: skip
            cells = [known.get((method, layers)) for layers in depths]
            rows.append(
                [NAMES[method] if name == "ours" else "", name]
                + ["-" if c is None else with_deviation(c[value], c[deviation], 3) for c in cells]
            )
    return [rows], found["statements"]


def tutorial_mnist(found: Mapping[str, Any]) -> tuple[list[Table], list[str]]:
    """Return one row per network: accuracy, losses and time, each next to the notebook's."""
    rows = [["network", "seeds", "test accuracy", "notebook", "difference",
             "validation loss, epoch 1 / 20", "notebook", "seconds", "notebook"]]  # fmt: skip
    for row in found["networks"]:
        rows.append(
            [row["network"].upper().replace("RELU", "ReLU"), str(row["seeds"]),
             f"{100 * row['test_accuracy']:.2f} %", f"{100 * row['paper']:.2f} %",
             figure(100 * row["difference"], 2, True), _two(row, "validation_loss"),
             _two(row, "paper_validation_loss"), f"{row['seconds']:.0f}", str(row["paper_seconds"])]
        )  # fmt: skip
    return [rows], []


def _two(row: Mapping[str, Any], name: str) -> str:
    return f"{figure(row[f'{name}_1'])} / {figure(row[f'{name}_20'])}"


SHOWN: dict[str, Callable[[Mapping[str, Any]], tuple[list[Table], list[str]]]] = {
    "fig1-mnist": fig1, "fig1-cifar10": fig1, "uci": uci, "htru2": htru2, "tox21": tox21,
    "tutorial-mnist": tutorial_mnist,
}  # fmt: skip


def footer(found: Mapping[str, Any]) -> list[str]:
    """Return the last lines of an output: budget, seeds, times, notes, deviations."""
    lines = [
        f"budget {found['budget']}; seeds {', '.join(map(str, found['seeds']))}; training time "
        f"{clock(found['training_seconds'])} in total ({found['at_once']}), this command "
        f"{clock(found['seconds'])}"
    ]
    lines += [f"note: {note}" for note in found["notes"]]
    return lines + [f"deviation from the paper: {line}" for line in found["left_out"]]


def text(found: Mapping[str, Any]) -> str:
    """Return the output for a terminal."""
    tables, lines = SHOWN[found["what"]](found)
    blocks = [columns(table) for table in tables]
    return "\n\n".join([*blocks, "\n".join(lines), "\n".join(footer(found))]).replace(
        "\n\n\n", "\n"
    )
