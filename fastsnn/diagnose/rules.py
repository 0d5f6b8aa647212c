"""Rules that find problems of a network from its layer reports, with named thresholds.

The thresholds separate networks that learn well from networks that do not. Networks of 2 to 32
layers that learn digits well have, before and after training: variances from 0.45 to 5.7, means up
to 0.6, sums of squared weights up to 1.3, at least 18 % of units that keep mean and variance, and a
signal at most 16 times larger in the first layer than at the output. Few of their units are in the
domain of theorem 1 (at most 13 %, in narrow networks often none), so that is not a finding by
itself.

A longer training may take a network farther from the fixed point while its accuracy still rises:
networks of 8 to 32 layers with 95 to 97 % accuracy on digits reach variances of 8.7, and as few as
6 % of their units keep mean and variance. Rules that such networks break yield notes, not problems.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from fastsnn.diagnose.report import LayerReport
from fastsnn.engine.graph import Node
from fastsnn.engine.ops import OPS
from fastsnn.network import Network
from fastsnn.runs.console import count

INPUT_MEAN = 0.25  # maximum |mean| over all features
INPUT_VARIANCE = (0.5, 2.0)  # interval of the variance over all features
FEATURE_VARIANCE = 10.0  # upper limit for 95 % of the feature variances
WEIGHT_FACTOR = 1.5  # maximum ratio between actual and required sums of squared weights ...
WEIGHT_LAYERS = 0.5  # ... in more than this fraction of the layers
COLLAPSED, EXPLODED = 0.03, 100.0  # variance, relative to its target
OFF = 6.0  # maximum ratio between a SELU layer's variance and that of its fixed point ...
OFF_LAYERS = 0.5  # ... in the last layer, or in more than this fraction of the layers
KEPT = 0.1  # minimum fraction of units that keep mean and variance, over all layers
DRIFT = 1.0  # maximum distance of a layer's mean from its target, in standard deviations
ALIKE = 0.7  # fraction of the variance that is between units instead of between rows
DEAD, SATURATED = 0.25, 0.25  # maximum fractions of a layer's units
VANISHED, BLOWN_UP = 0.03, 100.0  # signal in the first layer, relative to the output
R2, AUC = 0.25, 0.6  # minimum metrics of a model
SKILL = 0.1  # minimum accuracy: this fraction of the way from the largest class's share to 1

# Sum of squared weights that an activation requires, and the `init` that gives it.
NEEDED = {"selu": (1.0, "lecun_normal"), "tanh": (1.0, "lecun_normal"), "relu": (2.0, "he_normal")}
USUAL = (
    "this is common after training; if the network predicts poorly, train with a lower learning "
    "rate or fewer epochs"
)
Point = tuple[float, float]  # mean and variance that an activation preserves
NAMES = {"selu": "SELU", "relu": "ReLU", "none": "no activation"}


@dataclass(frozen=True)
class Finding:
    """A problem of a network, or a note.

    rule: name of the rule. layers: numbers of the affected layers, 0 for the inputs. text: the
    problem, the expected value and a remedy. severity: "problem", or "note" for a deviation from
    the theory that well-trained networks show, too.
    """

    rule: str
    layers: tuple[int, ...]
    text: str
    severity: str = "problem"


Layers = Sequence[tuple[Node, LayerReport]]
Rule = Callable[[LayerReport, Layers], Iterator[Finding]]


def findings(network: Network, reports: Sequence[LayerReport]) -> list[Finding]:
    """Return the problems that the rules find, or notes if there are none.

    reports: of the input, each layer and the output.
    """
    layers = list(zip(network.nodes, reports[1:], strict=True))

    def found(rules: Sequence[Rule]) -> list[Finding]:
        return [finding for rule in rules for finding in rule(reports[0], layers)]

    if reports[0].dead == 1:
        return [ALL_ALIKE, *found([rule for rule in RULES if rule not in BETWEEN_ROWS])]
    return found(RULES) or found(FINER)


def _finite(inputs: LayerReport, layers: Layers) -> Iterator[Finding]:
    for _, report in layers:
        if not (math.isfinite(report.mean) and math.isfinite(report.variance)):
            yield Finding(
                "not finite", (report.layer,),
                f"layer {report.layer} outputs infinity or NaN; use an earlier model and a lower "
                "learning rate",
            )  # fmt: skip
            return


def _inputs(inputs: LayerReport, layers: Layers) -> Iterator[Finding]:
    low, high = INPUT_VARIANCE
    features = inputs.unit_variances.high
    if abs(inputs.mean) > INPUT_MEAN or not low <= inputs.variance <= high:
        yield Finding(
            "inputs not standardized", (0,),
            f"the inputs have mean {inputs.mean:.3g} and variance {inputs.variance:.3g} instead of "
            "0 and 1; standardize them (fastsnn.data.Standardizer, --standardize), and use data "
            "like the training data",
        )  # fmt: skip
    elif features > FEATURE_VARIANCE:
        yield Finding(
            "inputs not standardized", (0,),
            f"5 % of the features have variances above {features:.3g} instead of 1; standardize "
            "per feature, and check the data for outliers",
        )  # fmt: skip


def _weights(inputs: LayerReport, layers: Layers) -> Iterator[Finding]:
    by_activation: dict[str, list[LayerReport]] = {}
    for (node, report), follower in zip(layers, _followers(layers), strict=True):
        plain = node.op == "dense" and node.skip is None and follower == "dense"
        if plain and node.activation in NEEDED:
            by_activation.setdefault(node.activation, []).append(report)
    for activation, reports in by_activation.items():
        needed, init = NEEDED[activation]
        means = [r.weight_square_sum.mean for r in reports if r.weight_square_sum is not None]
        off = [m for m in means if not 1 / WEIGHT_FACTOR <= m / needed <= WEIGHT_FACTOR]
        if len(off) <= WEIGHT_LAYERS * len(means):
            continue
        typical = sorted(off)[len(off) // 2]
        others = [
            f"the value that {_words(name)} requires" for name, (value, _) in NEEDED.items()
            if value != needed and 1 / WEIGHT_FACTOR <= typical / value <= WEIGHT_FACTOR
        ]  # fmt: skip
        whose = f", {others[0]}" if others else ""
        yield Finding(
            "weights not normalized for the activation",
            tuple(r.layer for r, m in zip(reports, means, strict=True) if m in off),
            f"{_words(activation)} requires a sum of squared weights of {needed:g} per unit; in "
            f"{len(off)} of {len(means)} layers it is about {typical:.3g}{whose}; initialize with "
            f'Dense(..., init="{init}")',
        )  # fmt: skip


def _words(activation: str) -> str:
    return NAMES.get(activation, activation)


def _followers(layers: Layers) -> list[str]:
    """Return the op of each next layer. The output counts as followed by a dense one."""
    return [node.op for node, _ in layers[1:]] + ["dense"]


def _dropouts(inputs: LayerReport, layers: Layers) -> Iterator[Finding]:
    for kind, wanted, after_selu in (("plain", "AlphaDropout", True), ("alpha", "Dropout", False)):
        found, activation = [], "none"
        for node, report in layers:
            if not OPS[node.op].normalizes or node.activation != "none":
                activation = node.activation
            if node.dropout == kind and node.rate and (activation == "selu") == after_selu:
                found.append((report.layer, activation))
        if found:
            numbers = tuple(number for number, _ in found)
            yield Finding(
                "dropout does not fit the activation", numbers,
                f"{kind} dropout after {_words(found[0][1])} in {_places(numbers)} changes mean "
                f"or variance; use {wanted}",
            )  # fmt: skip


def _variance(inputs: LayerReport, layers: Layers) -> Iterator[Finding]:
    collapsed = _tail(layers, lambda report, point: report.variance / point[1] < COLLAPSED)
    exploded = _tail(layers, lambda report, point: report.variance / point[1] > EXPLODED)
    for rule, way, tail in (
        ("variance collapses", "decreases", collapsed),
        ("variance explodes", "increases", exploded),
    ):
        if tail:
            last, wanted = tail[-1].variance, _hidden(layers)[-1][1][1]
            yield Finding(
                rule, _numbers(tail),
                f"from layer {tail[0].layer} on, the variance of the outputs {way}, to "
                f"{last:.3g} in layer {tail[-1].layer} instead of {wanted:g}",
            )  # fmt: skip


def _off(inputs: LayerReport, layers: Layers) -> Iterator[Finding]:
    """Find variances that are neither near the fixed point nor collapsed nor exploded."""
    selus = [(r, point[1]) for r, point in _hidden(layers) if r.activation == "selu"]
    off = [(r, v) for r, v in selus if not 1 / OFF <= r.variance / v <= OFF]
    if off and (off[-1] == selus[-1] or len(off) > OFF_LAYERS * len(selus)):
        worst, wanted = max(off, key=lambda one: abs(math.log(max(one[0].variance / one[1], 1e-9))))
        numbers = _numbers([report for report, _ in off])
        yield Finding(
            "variance leaves the fixed point", numbers,
            f"in {_places(numbers)} of {len(selus)} hidden layers, the variance of the outputs is "
            f"off by more than a factor of {OFF:g}: {worst.variance:.3g} in layer {worst.layer} "
            f"instead of {wanted:g}; {USUAL}", "note",
        )  # fmt: skip


def _kept(inputs: LayerReport, layers: Layers) -> Iterator[Finding]:
    shares = [(r.kept, r.theorem1) for _, r in layers if r.kept is not None]
    if not shares:
        return
    kept, domain = (sum(values) / len(shares) for values in zip(*shares, strict=True))
    if kept < KEPT:
        yield Finding(
            "mean and variance are not kept", _numbers(r for _, r in layers if r.kept is not None),
            f"the moment map maps {_beyond(kept, KEPT)} of the units to means near 0 and "
            f"variances near 1, fewer than {_percent(KEPT)} over {count(len(shares), 'layer')} "
            f"({_percent(domain)} are in the domain of theorem 1); {USUAL}", "note",
        )  # fmt: skip


def of_figures(task: str, figures: dict[str, float], chance: float = 0.0) -> list[Finding]:
    """Return the findings on a model's metrics.

    figures: from `fastsnn.metrics.evaluate`. chance: fraction of rows in the largest class, in
    [0, 1]; 1 if there is a single class.
    """
    r2, auc = figures.get("r2", math.nan), figures.get("auc", math.nan)
    accuracy = figures.get("accuracy", math.nan)
    if r2 < R2:
        text = f"r2 is {r2:.3g}, below {R2:g} (predicting the mean of the targets: 0)"
    elif auc < AUC:
        text = f"auc is {auc:.3g}, below {AUC:g} (chance: 0.5)"
    elif chance < 1 and (accuracy <= chance or accuracy < chance + SKILL * (1 - chance)):
        text = f"accuracy is {accuracy:.3g}; always predicting the largest class gives {chance:.3g}"
    else:
        return []
    advice = "train longer or with another --learning-rate, --layers or --dropout"
    return [Finding("predicts little", (), f"{text}; if the data are like the training data, "
                    f"{advice}")]  # fmt: skip


def _drift(inputs: LayerReport, layers: Layers) -> Iterator[Finding]:
    def far(report: LayerReport, point: Point) -> bool:
        centered = report.activation in ("selu", "tanh")
        return centered and abs(report.mean - point[0]) > DRIFT * point[1] ** 0.5

    if tail := _tail(layers, far):
        wanted = _hidden(layers)[-1][1][0]
        yield Finding(
            "means drift", _numbers(tail),
            f"from layer {tail[0].layer} on, the mean of the outputs is far from {wanted:g}: "
            f"{tail[-1].mean:.3g} in layer {tail[-1].layer}",
        )  # fmt: skip


def _alike(inputs: LayerReport, layers: Layers) -> Iterator[Finding]:
    def alike(report: LayerReport, point: Point) -> bool:
        return report.variance > 0 and report.unit_variances.mean < (1 - ALIKE) * report.variance

    if tail := _tail(layers, alike):
        last = tail[-1]
        share = 1 - last.unit_variances.mean / last.variance
        yield Finding(
            "rows look alike", _numbers(tail),
            f"from layer {tail[0].layer} on, outputs hardly differ between rows: in layer "
            f"{last.layer}, {_percent(share)} of the variance is between units",
        )  # fmt: skip


def _units(inputs: LayerReport, layers: Layers) -> Iterator[Finding]:
    hidden = [report for report, _ in _hidden(layers) if report.activation != "none"]
    # ReLU is flat for half of its inputs: only its dead units count.
    bending = [report for report in hidden if report.activation != "relu"]
    for rule, reports, name, most, words in (
        ("dead units", hidden, "dead", DEAD, "have the same output for every row"),
        ("saturated units", bending, "saturated", SATURATED,
         "are in a flat part of their activation for nearly all rows"),
    ):  # fmt: skip
        shares = {r.layer: getattr(r, name) for r in reports if (getattr(r, name) or 0) > most}
        if shares:
            worst = max(shares, key=lambda layer: shares[layer])
            yield Finding(
                rule, tuple(shares),
                f"{_beyond(shares[worst], most)} of the units of layer {worst} {words}, more than "
                f"{_percent(most)} in {_places(tuple(shares))}; check the inputs and the initial "
                "weights, and lower the learning rate",
            )  # fmt: skip


def _constant(inputs: LayerReport, layers: Layers) -> Iterator[Finding]:
    (_, last) = layers[-1]
    if last.dead == 1:
        yield Finding(
            "outputs are constant", (last.layer,),
            "each output is the same for all rows, so the network ignores its inputs; check for "
            "dead layers, or train again with a lower learning rate",
        )  # fmt: skip


def _gradients(inputs: LayerReport, layers: Layers) -> Iterator[Finding]:
    """Compare the signals; without signals (coupled rows), the gradients of the weights."""
    words = "d loss / d z"
    values = [(r.layer, r.signal) for _, r in layers if r.signal is not None]
    if not values:
        words = "the gradient of the weights"
        values = [(r.layer, r.gradient) for _, r in layers if r.gradient is not None]
    if not values:
        return
    (first, there), (last, here) = values[0], values[-1]
    for rule, way, bad in (
        ("gradient vanishes", "shrinks", there < VANISHED * here),
        ("gradient explodes", "grows", there > BLOWN_UP * here),
    ):
        if bad:
            yield Finding(
                rule, tuple(number for number, _ in values),
                f"the norm of {words} {way} from {here:.3g} at the output to {there:.3g} in layer "
                f"{first}, over {count(last - first, 'layer')}",
            )  # fmt: skip


RULES: tuple[Rule, ...] = (
    _finite, _inputs, _weights, _dropouts, _variance, _drift, _alike, _units, _constant,
    _gradients,
)  # fmt: skip
# These rules compare rows, so they do not apply to a single row or equal rows.
BETWEEN_ROWS = (_inputs, _drift, _alike, _units, _constant)
ALL_ALIKE = Finding(
    "rows do not differ", (0,),
    "all rows have the same inputs, so dead units cannot be detected; give at least two different "
    "rows, preferably several hundred",
)  # fmt: skip
# Notes, only given if no other rule has a finding.
FINER: tuple[Rule, ...] = (_off, _kept)


def _hidden(layers: Layers) -> list[tuple[LayerReport, Point]]:
    """Return (report, target mean and variance) of the layers that precede a dense layer.

    Other layers, such as those before a normalization, may have any scale.
    """
    return [
        (report, node.fixed_point if node.activation == "selu" else (0.0, 1.0))
        for (node, report), follower in zip(layers[:-1], _followers(layers), strict=False)
        if follower == "dense"
    ]


def _tail(layers: Layers, bad: Callable[[LayerReport, Point], bool]) -> list[LayerReport]:
    """Return the longest run of bad reports that ends with the last hidden layer."""
    tail: list[LayerReport] = []
    for report, point in reversed(_hidden(layers)):
        if not bad(report, point):
            break
        tail.insert(0, report)
    return tail


def _numbers(reports: Iterable[LayerReport]) -> tuple[int, ...]:
    return tuple(report.layer for report in reports)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _beyond(share: float, bound: float) -> str:
    """Return `share` in percent, with enough digits to be on the same side of `bound`."""
    sign = 1 if share > bound else -1
    return next(
        text for digits in range(18)
        if sign * float(text := f"{100 * share:.{digits}f}") > sign * 100 * bound or digits == 17
    ) + " %"  # fmt: skip


def _places(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"layer {numbers[0]}"
    if len(numbers) > 4:
        return f"{len(numbers)} layers ({numbers[0]} to {numbers[-1]})"
    return f"layers {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
