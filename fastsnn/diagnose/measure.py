"""Layer-by-layer measurements of a network on data: moments, weights, gradients, dead units.

>>> import fastsnn as fs
>>> net = fs.mlp(input_size=20, output_size=3, layers=8, width=64, seed=0)
>>> x = np.random.default_rng(0).normal(size=(500, 20)).astype(np.float32)
>>> [finding.rule for finding in diagnose(net, x).findings]
[]
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from fastsnn import metrics, theory
from fastsnn.checks import arrays
from fastsnn.checks import inputs as check
from fastsnn.data import Progress
from fastsnn.diagnose import rules as diagnose_rules
from fastsnn.diagnose.report import LayerReport, Spread
from fastsnn.diagnose.rules import Finding
from fastsnn.engine.graph import Node
from fastsnn.losses import SUGGESTED
from fastsnn.model import Model
from fastsnn.network import Network
from fastsnn.runs import inference
from fastsnn.trainer import Trainer

ROWS = 1000  # maximum number of rows used
SIGNAL_ROWS = 32  # maximum number of rows for per-row gradients
QUANTILES = (0.05, 0.95)  # over the units of a layer
FLAT = 0.05  # an activation is flat where its slope is below this fraction of its largest slope
MOSTLY = 0.95  # a unit is saturated if it is flat in at least this fraction of the rows
BINS = 120  # of the histograms


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Result of a diagnosis.

    Attributes
    ----------
    rows : int
        Number of rows used.
    layers : tuple of LayerReport
        Reports of the input, of each layer and of the output, in order.
    findings : tuple of Finding
        Problems, most fundamental first, or notes; empty if there are none.
    edges, counts : numpy.ndarray
        Histograms of the outputs: bin edges (BINS + 1,), and fractions (layers, BINS).
    without_gradients : str or None
        Reason if gradients are missing, else None.
    """

    rows: int
    layers: tuple[LayerReport, ...]
    findings: tuple[Finding, ...]
    edges: np.ndarray
    counts: np.ndarray
    without_gradients: str | None = None

    @property
    def fine(self) -> bool:
        """True if no finding is a problem."""
        return all(finding.severity == "note" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, without the histograms; None for NaN and infinity."""
        return {
            "rows": self.rows,
            "fine": self.fine,
            "findings": [asdict(finding) for finding in self.findings],
            "without_gradients": self.without_gradients,
            "layers": [_plain(asdict(layer)) for layer in self.layers],
        }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, Spread):
        return _plain(value._asdict())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def diagnose(
    network: Network,
    x: np.ndarray,
    y: np.ndarray | None = None,
    task: str = "classification",
    threads: int | None = None,
    without_gradients: str = "the data have no labels",
) -> Diagnosis:
    """Measure all layers of a network on rows of data and report problems.

    Outputs are those of evaluation mode; gradients are those of a training step, with dropout.

    Parameters
    ----------
    network : Network
        Not changed.
    x : (n, input_size) float32, n >= 1
        Network inputs, standardized like the training data. At most 1,000 evenly spaced rows are
        used.
    y : array, optional
        Labels or targets of the rows, as for `Trainer.step`. Default: gradients are not measured.
    task : {"classification", "multitask", "regression"}
        Task of the network; determines the loss.
    threads : int >= 1, optional
        CPU threads. Default: all processors.
    without_gradients : str
        Reason to report for missing gradients if y is None.

    Returns
    -------
    Diagnosis

    Raises
    ------
    ValueError, TypeError
        If x or y do not fit the network, x has NaN or infinity, or task is unknown.
    """
    if task not in SUGGESTED:
        raise ValueError(f"diagnose: task must be one of {', '.join(SUGGESTED)}; got {task!r}")
    x = check.features(x, network.input_size)
    chosen = _evenly(len(x), ROWS)
    if y is not None:
        y = arrays.of_anything(y, "y")
        if y.ndim == 0 or len(y) != len(x):
            raise ValueError(f"y: a row for each of x is required, {len(x)}, got shape {y.shape}")
        if task == "classification" and y.dtype.kind == "f":
            raise TypeError(
                f"y: integer classes are required, got {y.dtype}; for a regression give "
                'task="regression", for several labels per row task="multitask"'
            )
        y = y[chosen]
    x = x[chosen]
    if not np.isfinite(x).all():
        row, column = np.argwhere(~np.isfinite(x))[0]
        raise ValueError(
            f"x: finite numbers are required, got {x[row, column]} in row {row}, column {column}; "
            "fill in or remove such rows"
        )
    outputs = [x, *network.activations(x), network.forward(x, threads)]
    weights = _weights(network)
    gradients, signals = {}, {}
    reason = without_gradients if y is None else None
    if y is not None:
        trainer = Trainer(network, SUGGESTED[task], threads=threads)
        try:
            gradients = _norms(network, trainer.gradients(x, y))
            if not network.couples_rows:
                signals = _signals(network, trainer, x, y)
        except FloatingPointError as error:  # a finding, not a failure of the diagnosis
            gradients, signals, reason = {}, {}, str(error)
    reports = [LayerReport(0, "", "input", x.shape[1], "none", **_moments(x))]
    # The two nodes of a highway layer have the same name; only the first one has tensors.
    owners: dict[str, Node] = {}
    for i, node in enumerate(network.nodes):
        own = owners.setdefault(node.name, node) is node
        reports.append(LayerReport(
            i + 1, node.name, _words(node, last=i + 1 == len(network.nodes)), node.fan_out,
            node.activation, **_moments(outputs[i + 1]),
            saturated=_saturated(node, outputs[i + 1]),
            **_weight_report(node, weights[node.name] if node.op == "dense" else None, reports[-1]),
            gradient=gradients.get(node.name) if own else None,
            signal=signals.get(node.name) if own else None,
        ))  # fmt: skip
    edges, counts = _histograms(outputs)
    findings = diagnose_rules.findings(network, reports)
    if y is not None and reason is not None:
        findings.append(Finding("gradients are not finite", (), reason))
    return Diagnosis(len(x), tuple(reports), tuple(findings), edges, counts, reason)


def diagnose_model(
    model: Model,
    name: str,
    target: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    header: bool | None = None,
) -> Diagnosis:
    """Return `diagnose` of a saved model on the rows that `inference.evaluate` uses.

    Of a model with several members, the first network is measured; a note says so. With labels, the
    findings also cover the metrics of this network. Gradients are not measured if a file
    has no labels of the model. The parameters are those of `inference.evaluate`.
    """
    y, reason = None, ""
    try:
        _, rows = inference.labelled(model, name, target, progress, header)
        x, y = rows.features, rows.y
    except ValueError as error:
        if target is not None:
            raise
        reason = f"no labels were found ({error})"
        x = inference.features(model, name, progress, header)
    chosen = _evenly(len(x), ROWS)
    x = model.inputs.transform(x, rows=chosen)
    if y is not None:
        y = y[chosen] if model.targets is None else model.targets.transform(y, rows=chosen)
    found = diagnose(model.network, x, y, model.task, threads, reason)
    more = [] if y is None else _of_figures(model, x, y, threads)
    if len(model.members) > 1:
        text = f"of {len(model.members):,} networks, the first was measured"
        more.append(Finding("members", (), text, "note"))
    return replace(found, findings=(*found.findings, *more))


def _of_figures(model: Model, x: np.ndarray, y: np.ndarray, threads: int | None) -> list[Finding]:
    names = metrics.each_epoch(model.task)
    figures = metrics.evaluate(model.task, model.network.forward(x, threads), y, names=names)
    largest = 0.0
    if model.task == "classification":
        largest = float(np.bincount(y).max() / len(y))
    return diagnose_rules.of_figures(model.task, figures, largest)


def _evenly(n: int, most: int) -> np.ndarray:
    """Return indices of up to `most` of n rows, evenly spaced, because files are often sorted."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def _moments(h: np.ndarray) -> dict[str, Any]:
    with np.errstate(over="ignore", invalid="ignore"):  # NaN and infinity are reported as findings
        h = h.astype(np.float64)
        means, variances = h.mean(0), h.var(0)
        low, high = h.min(0), h.max(0)
        still = high - low <= 1e-6 * np.maximum(np.abs(low), np.abs(high))
        return {
            "mean": float(means.mean()),
            "variance": float(variances.mean() + means.var()),
            "unit_means": Spread(float(means.mean()), *_quantiles(means)),
            "unit_variances": Spread(float(variances.mean()), *_quantiles(variances)),
            "dead": float(still.mean()),
        }


def _quantiles(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, QUANTILES)
    return float(low), float(high)


def _words(node: Node, last: bool) -> str:
    words = [node.op.replace("_", " "), str(node.fan_out)]
    if node.weight_norm:
        words.insert(1, "weight norm")
    if node.skip is not None and node.op != "highway":
        words.append("+ skip")
    if node.activation != "none":
        words.append(node.activation)
    if node.activation == "selu" and node.fixed_point != (0.0, 1.0):
        words.append("({:g}, {:g})".format(*node.fixed_point))
    if node.dropout != "none" and node.rate:
        words.append(f"{'alpha-' * (node.dropout == 'alpha')}dropout {node.rate:.3g}")
    return " ".join([*words, *(["output"] if last else [])])


def _saturated(node: Node, h: np.ndarray) -> float | None:
    """Return the fraction of saturated units, given outputs h (rows, units).

    None if the slope of the activation is not a function of its output.
    """
    if node.activation == "selu":
        alpha, lambda_ = theory.selu_constants(*node.fixed_point)
        flat = h + lambda_ * alpha < FLAT * lambda_
    elif node.activation == "relu":
        flat = h <= 0
    elif node.activation == "tanh":
        flat = 1 - h * h < FLAT
    else:
        return None
    return float((flat.mean(0) >= MOSTLY).mean())


def _weights(network: Network) -> dict[str, np.ndarray]:
    """Return {name: weights (units, fan_in)} of all dense layers, after weight normalization."""
    state = network.state_dict()
    weights = {}
    for node in network.nodes:
        if node.op != "dense":
            continue
        if node.weight_norm:
            v = state[f"{node.weight}_v"].astype(np.float64)
            length = np.sqrt((v * v).sum(1, keepdims=True))
            weights[node.name] = state[f"{node.weight}_g"] * v / np.maximum(length, 1e-300)
        else:
            weights[node.name] = state[node.weight].astype(np.float64)
    return weights


def _weight_report(node: Node, w: np.ndarray | None, inputs: LayerReport) -> dict[str, Any]:
    if w is None:
        return {}
    sums, squares = w.sum(1), (w * w).sum(1)
    found: dict[str, Any] = {
        name: Spread(float(values.mean()), float(values.min()), float(values.max()))
        for name, values in (("weight_sum", sums), ("weight_square_sum", squares))
    }
    m, v = inputs.mean, inputs.variance
    standard = node.activation == "selu" and node.fixed_point == (0.0, 1.0) and node.skip is None
    if standard and abs(m) < 1e6 and v < 1e12:  # False for NaN
        found["theorem1"] = float(theory.in_theorem1_domain(m, v, sums, squares).mean())
        to_m, to_v = theory.moment_map(m, v, sums, squares)
        found["kept"] = float(theory.THEOREM1.contains(to_m, to_v, 0.0, 1.0).mean())
    return found


def _norms(network: Network, gradients: dict[str, np.ndarray]) -> dict[str, float]:
    """Return {name: norm of the gradient of a layer's weights}."""
    found = {}
    for node in network.nodes:
        parts = [gradients[k] for k in (node.weight, f"{node.weight}_g", f"{node.weight}_v")
                 if k in gradients]  # fmt: skip
        if parts:
            found[node.name] = float(np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in parts)))
    return found


def _signals(network: Network, trainer: Trainer, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Return {name: root mean square over rows of ``|d loss / d z|``}.

    The gradient of the bias for a single row equals d loss / d z.
    """
    squares: dict[str, float] = {}
    rows = _evenly(len(x), SIGNAL_ROWS)
    biases = {node.bias: node.name for node in network.nodes}
    for row in rows:
        gradients = trainer.gradients(x[row : row + 1], y[row : row + 1])
        for bias, name in biases.items():
            if bias in gradients:
                g = gradients[bias].astype(np.float64)
                squares[name] = squares.get(name, 0.0) + float((g * g).sum())
    return {name: math.sqrt(value / len(rows)) for name, value in squares.items()}


def _histograms(outputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return edges (BINS + 1,) and histograms (layers, BINS) in fractions of each layer's outputs.

    The edges are evenly spaced in asinh: narrow bins near 0, wide bins far from it.
    """
    finite = [h[np.isfinite(h)] for h in outputs]
    ends = [np.quantile(h, [0.002, 0.998]) for h in finite if h.size]
    low = min(-3.0, *(float(e[0]) for e in ends))
    high = max(4.0, *(float(e[1]) for e in ends))
    edges = np.sinh(np.linspace(math.asinh(low), math.asinh(high), BINS + 1))
    inside = [np.clip(h.astype(np.float64), edges[0], edges[-1]) for h in finite]
    counts = [np.histogram(h, edges)[0] / max(h.size, 1) for h in inside]
    return edges, np.array(counts)
