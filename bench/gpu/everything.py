"""Checks, then timings in order of importance, within a time limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from . import check, runner, sanitize
from .cases import COMPILED
from .results import Store

WORKERS = {
    "checks": "fastsnn.bench.gpu.check", "ours": "fastsnn.bench.gpu.ours",
    "peers": "fastsnn.bench.gpu.peers",
}  # fmt: skip
Report = Callable[[str], None]


def checks(
    store: Store, modes: tuple[str, ...], until: float, report: Report, tiny: bool = False
) -> None:
    """Run the checks of all modes concurrently: most of their time is compilation."""
    tasks = check.tasks(modes)
    groups = [[t for t in tasks if t[1:] in ([], [modes[0]])]]
    groups += [[t for t in tasks if t[1:] == [mode]] for mode in modes[1:]]
    side_by_side(
        lambda group: _run(store, "checks", group, until, report, {"tiny": tiny}), groups
    )  # fmt: skip
    for tool in sanitize.TOOLS:
        missing, left = store.missing("checks", [[tool]]), until - time.monotonic()
        if left > 0 and missing:
            report(f"checks {tool}")
            store.keep("checks", [tool], sanitize.run(tool, modes, min(left, 120)))


def mnist(store: Store, until: float, report: Report, tiny: bool = False) -> None:
    """Run the training on MNIST: a check and a timing."""
    _run(store, "checks", [["mnist"]], until, report, {"tiny": tiny})


def times(
    store: Store, cases: list[str], modes: tuple[str, ...], peers: tuple[str, ...],
    seconds: float, until: float, report: Report,
) -> None:  # fmt: skip
    """Time fastsnn, then the ceilings of the machine, then the peers in their order."""
    request = {"seconds": seconds}
    pairs = [[case, mode] for mode in modes for case in cases]
    _run(store, "ours", [["machine"], *pairs], until, report, request)
    if peers:
        _run(store, "peers", [["product", mode] for mode in modes], until, report, request)
        _run(store, "peers", [["copy"]], until, report, request)
    for peer in peers:
        of_peer = [[*pair, peer] for pair in pairs]
        _run(store, "peers", of_peer, until, report, request)


def _run(store, part, tasks, until, report, request):
    def keep(task, result):
        report(f"{part} {' '.join(task)}: {result.get('error', 'done')}")
        store.keep(part, task, result)

    runner.run(WORKERS[part], store.missing(part, tasks), request, keep, until)


def side_by_side(function, arguments) -> None:
    threads = [threading.Thread(target=function, args=(one,)) for one in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Warming:
    """Compile in the background what is timed later: one process for the kernels of each mode, and
    one for each compiled peer. It must be stopped before times are taken.
    """

    def __init__(self, cases, modes, peers, until):
        jobs = [("ours", [["warm", case, mode] for case in cases]) for mode in modes]
        jobs += [
            ("peers", [["warm", case, mode, peer] for mode in modes for case in cases])
            for peer in peers
            if peer in COMPILED
        ]
        self._until = until
        self.threads = [threading.Thread(target=self._run, args=job) for job in jobs]
        for thread in self.threads:
            thread.start()

    def _run(self, part, tasks):
        runner.run(WORKERS[part], tasks, {"seconds": 0}, lambda *_: None, self._until)

    def end(self):
        for thread in self.threads:
            thread.join()
