"""The adaptive thread count on simulated machines: no clock, no threads."""

import numpy as np
import pytest

import fastsnn as fs
from fastsnn.engine import pace
from fastsnn.engine.pace import Pace
from fastsnn.runs import slow


def simulate(load, steps, rows=128, seconds=2.3e-3, threads=2, seed=0, **options):
    """Simulate steps on a machine with a given load.

    load(time) gives (factor with one thread, factor with all threads, noise). Returns (total
    seconds, those of one thread, [whether a step used one thread]).
    """
    rng = np.random.default_rng(seed)
    used, now, alone_total, choices = Pace(**options), 0.0, 0.0, []
    for i in range(steps):
        size = rows[i % len(rows)] if isinstance(rows, list) else rows
        one, every, noise = load(now)
        jitter = 1 + noise * rng.exponential()
        alone = used.use_one_thread(threads, size)
        times = {
            True: seconds * 0.95 * threads * size / 128 * one * jitter,
            False: seconds * size / 128 * every * jitter,
        }
        used.record(times[alone], alone)
        now += times[alone]
        alone_total += times[True]
        choices.append(alone)
    return now, alone_total, choices


def quiet(now):
    return 1.0, 1.0, 0.02


def cliff(now):
    return 2.2, 350.0, 0.3


def burst(now):
    return cliff(now) if int(now * 2) % 2 else quiet(now)


def short_burst(now):
    return cliff(now) if int(now * 50) % 2 else quiet(now)


def half(now):
    return (2.0, 4.2, 0.3) if now > 0.5 else quiet(now)


def late(now):
    return cliff(now) if now > 1.0 else quiet(now)


@pytest.mark.parametrize("seconds", [1e-4, 2.3e-3, 0.05])
@pytest.mark.parametrize("threads", [2, 16])
def test_a_quiet_machine_loses_nothing(seconds, threads):
    total, _, choices = simulate(quiet, 4000, seconds=seconds, threads=threads)
    plain = np.mean(~np.array(choices[1000:]))
    assert plain > 0.99
    best = 4000 * seconds * 1.02  # the noise has this mean
    assert total < 1.03 * best


def test_a_hiccup_changes_nothing():
    hiccups = iter(range(10**6))

    def load(now):
        return (1.0, 8.0, 0.0) if next(hiccups) % 100 == 50 else quiet(now)

    _, _, choices = simulate(load, 3000)
    assert sum(choices) < 20  # the measurements


def test_a_cliff_falls_back_after_one_step():
    _, _, choices = simulate(late, 3000)
    first = next(i for i, alone in enumerate(choices) if alone and i > 100 and choices[i + 1])
    assert all(choices[first : first + 100])
    assert sum(not alone for alone in choices[first:]) < 10


@pytest.mark.parametrize("load", [cliff, burst, short_burst, half, late, quiet])
@pytest.mark.parametrize("rows", [128, [128, 128, 128, 17], list(range(1, 300, 7))])
def test_at_most_twice_one_thread(load, rows):
    total, alone, _ = simulate(load, 8_000, rows)
    worst_step = 350 * 2.3e-3 * 2.5
    assert total < 1.3 * alone + 2 * worst_step
    assert total < 2 * alone


def test_all_threads_again_when_the_load_is_gone():
    def load(now):
        return cliff(now) if now < 5 else quiet(now)

    _, _, choices = simulate(load, 8000)
    assert any(choices[10:100])
    assert sum(choices[-2000:]) < 10


def test_a_process_that_was_stopped_recovers():
    stops = iter(range(10**6))

    def load(now):
        return (1.0, 1e6, 0.0) if next(stops) == 500 else quiet(now)  # 40 minutes

    _, _, choices = simulate(load, 3000)
    alone = np.flatnonzero(choices[501:])
    assert 500 < np.sum(alone) and sum(choices[501:]) < 1100 and sum(choices[-1000:]) < 10


def test_small_networks_that_one_thread_does_faster():
    _, _, choices = simulate(lambda now: (1.0, 3.0, 0.05), 3000, seconds=3e-5)
    assert np.mean(choices[500:]) > 0.7


def test_long_predictions_are_never_slowed_down():
    _, _, choices = simulate(quiet, 100, seconds=1.0, first=10, longest=0.1)
    assert not any(choices)
    _, _, choices = simulate(cliff, 1000, seconds=1e-4, first=10, longest=0.1)
    assert not any(choices[:10]) and np.mean(choices[12:]) > 0.95


@pytest.fixture
def regions(monkeypatch):
    """Record the number of processors of each parallel region."""
    seen, region = [], pace.processors.region

    def watched(threads):
        seen.append(threads)
        return region(threads)

    monkeypatch.setattr(pace.processors, "region", watched)
    return seen


def test_the_bits_do_not_depend_on_it(regions, monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((96, 20), dtype=np.float32), rng.integers(3, size=96)

    def trained(choose):
        monkeypatch.setattr(Pace, "use_one_thread", choose)
        net = fs.mlp(20, 3, layers=3, width=24, dropout=0.1)
        trainer = fs.Trainer(net, threads=2)
        monkeypatch.setattr(Pace, "record", lambda self, seconds, single: None)
        losses = [trainer.step(x, y) for _ in range(6)]
        return losses, net.forward(x, threads=2).tobytes()

    turns = iter([True, False] * 100)
    plain = trained(lambda *_: False)
    assert set(regions) == {2}
    assert trained(lambda *_: next(turns)) == plain
    assert {1, 2} <= set(regions)


def test_it_is_used_in_training_and_can_be_left_out(regions, monkeypatch):
    x, y = np.ones((64, 5), np.float32), np.zeros(64, int)
    fs.Trainer(fs.mlp(5, 2, layers=1, width=8), threads=2).step(x, y)
    assert regions == [1]  # measured first
    monkeypatch.setattr(pace, "ADAPT", False)
    fs.Trainer(fs.mlp(5, 2, layers=1, width=8), threads=2).step(x, y)
    assert regions == [1, 2]


def test_an_error_in_a_region_is_no_measurement():
    used = Pace()
    with pytest.raises(RuntimeError), used.region(2, 8):
        raise RuntimeError
    assert used.sizes[2, 4].single == []


class Trained:
    threads = 2


def warnings_of(seconds, said):
    watch = slow.SlowEpochs(said.append)
    watch.on_fit_start(Trained, len(seconds), 1)
    history = []
    for number, value in enumerate(seconds, 1):
        history.append({"epoch": number, "seconds": value})
        assert not watch.on_epoch_end(Trained, history)
    return said


def test_an_epoch_that_is_much_slower_says_why():
    (line,) = warnings_of([0.5, 0.6, 0.5, 9.0, 8.0, 0.5], [])
    assert line.startswith("warning: epoch 4 took 9 s, previous epochs 0.5 s: this process used ")
    assert "stop other programs or reduce --threads" in line
    assert len(warnings_of([0.5, 9.0, 0.5, 9.0], [])) == 2


@pytest.mark.parametrize("seconds", [[9.0], [9.0, 1.0, 9.0], [0.01, 0.02, 0.9], [1.0, 1.0, 9.9]])
def test_no_line_about_usual_epochs(seconds):
    assert warnings_of(seconds, []) == []
