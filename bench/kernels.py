"""Every kernel in one row: time, rate, share of the machine's peak, error against float64."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastsnn import optimizers
from fastsnn.checks.inputs import NO_INTEGERS
from fastsnn.engine.cpu_predict import SingleRows

from ..kernels.cpu import activation, checks, dropout, optimizer
from ..kernels.cpu.shape import PANEL
from . import child, kernel_peers, peak, reference, timing, versus
from .bed import SEED, STEP, Bed

WIDTHS = (64, 256, 1024)
BATCH = 128
RATE = 0.05
ELEMENTS = 1 << 18  # of elementwise kernels: fits the L2 cache


def _row(name, shape, call, seconds, error, flops=0, nbytes=0):
    median = statistics.median(timing.times(call, seconds))
    return {
        "kernel": name, "shape": shape, "median_s": median, "error": error,
        "gflops": flops / median / 1e9 if flops else None,
        "gb_s": nbytes / median / 1e9 if nbytes else None, "bytes": nbytes,
    }  # fmt: skip


def _products(width: int, seconds: float) -> Iterator[dict[str, Any]]:
    """Products of a dense layer: forward, input gradient, weight gradient, and the work fused
    into them.
    """
    flops = 2 * BATCH * width * width
    shape = f"{BATCH} x {width} x {width}"
    for rate in (0.0, RATE):
        bed = Bed(width, BATCH, rate)
        bed.forward(0, 3)
        x, (w, b) = bed.hidden(0).astype(np.float64), bed.tensors()[1]
        z = x @ w.T + b
        wanted = reference.selu(z)
        if rate:
            mask = reference.philox_mask(SEED, STEP, 1, BATCH, width, rate)
            wanted = reference.alpha_dropout(wanted, {"mask": mask, "rate": rate})
        error = reference.error(bed.hidden(1), wanted)
        name = "dense + SELU + alpha-dropout" if rate else "dense + SELU"
        yield _row(f"{name} forward", shape, lambda bed=bed: bed.forward(2, 3), seconds, error,
                   flops)  # fmt: skip
    bed = Bed(width, BATCH)
    bed.forward(0, 4)
    (w0, b0), (w1, _), _ = bed.tensors()
    z0 = bed.x.astype(np.float64) @ w0.T + b0
    h0 = bed.hidden(0).astype(np.float64)
    bed.backward(0, 2)
    d1 = bed.hidden(1).astype(np.float64)  # dz of layer 1
    bed.backward(2, 3)
    error = reference.error(bed.hidden(0), (d1 @ w1) * reference.selu_slope(z0))
    yield _row("dense + SELU input gradient", shape, lambda: bed.backward(2, 3), seconds, error,
               flops)  # fmt: skip
    bed.everything()
    total = sum(w.size for w, _ in bed.tensors())
    gradient = d1.T @ h0
    bed.weights(optimizer.STORE, ())
    found = bed.tensors(bed.engine.state[0])[1][0]
    yield _row(
        "weight gradient alone", shape, lambda: bed.weights(optimizer.STORE, ()), seconds,
        reference.error(found, gradient), 2 * BATCH * total,
    )  # fmt: skip
    # For a gradient near 0, Adam divides a rounding error by itself; compare only the update.
    for name, rule in (("SGD", optimizers.SGD(0.1)), ("Adam", optimizers.Adam(0.1))):
        new = bed.network.buffer.snapshot()
        bed.engine.state[:] = 0
        bed.weights(rule._update, rule._hyper(0.1, 0), new)
        moved = found if name == "SGD" else found / (np.abs(found) + 1e-8)  # Adam's first step
        moved = w1 - 0.1 * moved
        error = reference.error(bed.tensors(new)[1][0], moved)
        zero = rule._hyper(0.0, 0)
        yield _row(f"weight gradient + {name}", shape,
                   lambda rule=rule, zero=zero: bed.weights(rule._update, zero), seconds, error,
                   2 * BATCH * total)  # fmt: skip


def _elementwise(seconds: float) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(2)
    x = -np.abs(rng.standard_normal(ELEMENTS, dtype=np.float32)) * 10
    out = np.empty_like(x)
    for name, call, formula in (
        ("exp", activation.exponential, np.exp),
        ("exp - 1", activation.exponential_minus_one, np.expm1),
    ):
        call(out, x)
        error = float(np.abs(out / formula(x.astype(np.float64)) - 1).max())
        yield _row(name, f"{ELEMENTS}", lambda call=call: call(out, x), seconds, error,
                   nbytes=2 * x.nbytes)  # fmt: skip
    units = 256
    found = dropout.drop_mask(SEED, STEP, 0, 0, BATCH, units, RATE)
    wanted = reference.philox_mask(SEED, STEP, 0, BATCH, units, RATE)
    bits = np.zeros((BATCH // PANEL, units), np.uint32)
    threshold = dropout.drop_threshold(RATE)
    yield _row("dropout mask (Philox, 2 bytes an element)", f"{BATCH} x {units}",
               lambda: dropout._mask_words(bits, units, 0, 0, STEP, SEED, threshold), seconds,
               float((found != wanted).sum()), nbytes=2 * BATCH * units)  # fmt: skip
    rows = rng.standard_normal((1024, 256), dtype=np.float32)
    given = rows.view(np.int32), NO_INTEGERS, 1
    yield _row("check of a batch", "1024 x 256", lambda: checks.check_batch(*given), seconds,
               float(checks.check_batch(*given)), nbytes=rows.nbytes)  # fmt: skip


def _others(seconds: float) -> Iterator[dict[str, Any]]:
    bed = Bed(256, BATCH)
    bed.forward(0, 1)
    yield _row("rows to panels, both layouts", f"{BATCH} x 256", lambda: bed.forward(0, 1), seconds,
               _first_panels(bed), nbytes=3 * bed.x.nbytes)  # fmt: skip
    for loss, outputs in (("softmax_cross_entropy", 10), ("sigmoid_cross_entropy", 12), ("mse", 1)):
        bed = Bed(64, BATCH, outputs=outputs, loss=loss)
        bed.forward(0, 4)
        _, wanted = reference.losses(loss, bed.hidden(2).astype(np.float64), bed.y)
        bed.backward(0, 1)
        error = reference.error(bed.hidden(2), wanted)
        # Repeated calls use their own gradient as outputs: values stay bounded.
        yield _row(loss.replace("_", " "), f"{BATCH} x {outputs}",
                   lambda bed=bed: bed.backward(0, 1), seconds, error,
                   nbytes=8 * BATCH * outputs)  # fmt: skip
    for width in WIDTHS:
        bed = Bed(width, 1)
        single, out = (
            SingleRows(bed.network.nodes, bed.network.buffer),
            np.empty((1, 10), np.float32),
        )
        single.run(out, bed.x)
        h = bed.x.astype(np.float64)
        *hidden, (w, b) = bed.tensors()
        for v, c in hidden:
            h = reference.selu(h @ v.T + c)
        yield _row("prediction of one row", f"{width}, {width}, {width}, 10",
                   lambda single=single, out=out, x=bed.x: single.run(out, x), seconds,
                   reference.error(out, h @ w.T + b), nbytes=single.packed.nbytes)  # fmt: skip


def _first_panels(bed):
    """Count wrong elements of the input panels."""
    row = bed.engine.plan.table[0]
    from ..kernels.program import X_AT, X_STRIDE

    count, start, stride = BATCH // PANEL, row[X_AT], row[X_STRIDE]
    panels = bed.engine.acts[start : start + count * stride].reshape(count, stride)
    found = panels[:, : 256 * PANEL].reshape(count, 256, PANEL).transpose(0, 2, 1)
    return float((found.reshape(BATCH, 256) != bed.x).sum())


def _peers(names: tuple[str, ...], seconds: float, report) -> dict[str, dict[str, float]]:
    """Return the median seconds of "kernel|shape" in each peer that has it."""
    found = {}
    for name in names:
        report(f"kernels in {name}")
        request = {
            "system": name, "widths": list(WIDTHS), "batch": BATCH, "rate": RATE,
            "elements": ELEMENTS, "seconds": seconds,
        }  # fmt: skip
        found[name] = child.run("fastsnn.bench.kernel_peers", request, 1)
    return found


def measure(seconds: float, report, peers: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return rows of all kernels on one thread.

    "share": of the measured peak of multiply-adds, or of the bandwidth at which the machine reads
    the same number of bytes. "peers": median seconds of the same work in the peers.
    """
    versus.require(peers, kernel_peers.KNOWN)
    rows, peaks = [], []
    for group in (*(_products(w, seconds) for w in WIDTHS), _elementwise(seconds),
                  _others(seconds)):  # fmt: skip
        peaks.append(peak.peak_gflops(1))
        for row in group:
            report(f"{row['kernel']} {row['shape']}")
            rows.append(row)
    memory = {}
    for row in rows:
        if row["gflops"]:
            row["share"] = row["gflops"] / max(peaks)
            continue
        nbytes = row.pop("bytes")
        if nbytes not in memory:
            memory[nbytes] = peak.read_gb_s(nbytes, 1)
        row["share"] = row["gb_s"] / memory[nbytes]
    others = _peers(peers, seconds, report)
    for row in rows:
        row.pop("bytes", None)
        key = f"{row['kernel']}|{row['shape']}"
        row["peers"] = {name: times[key] for name, times in others.items() if key in times}
    return {"rows": rows, "peak_gflops": max(peaks), "threads": 1}
