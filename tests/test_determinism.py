"""The bits of a result depend only on the seed and the data.

They do not depend on the number of threads, the batch in which a row is predicted, interruptions,
or the process.
"""

import multiprocessing
import threading

import numpy as np
import pytest

import fastsnn as fs
from fastsnn.kernels.cpu.shape import PANEL

THREADS = (1, 2, 3, 5, 16)  # more slices than panels, and more than processors
OPTIMIZERS = {"momentum": fs.SGD(0.002, momentum=0.9), "adam": fs.Adam(1e-3)}
each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)
FEATURES, CLASSES = 37, 5
ROWS = 5 * PANEL + 3


def problem(rows=ROWS):
    rng = np.random.default_rng(4)
    return rng.normal(size=(rows, FEATURES)).astype(np.float32), rng.integers(CLASSES, size=rows)


def new_trainer(optimizer="momentum", seed=11, **arguments):
    net = fs.mlp(FEATURES, CLASSES, layers=6, width=50, dropout=0.1, seed=seed)
    return fs.Trainer(net, optimizer=OPTIMIZERS[optimizer], seed=seed, **arguments)


def bits(trainer):
    """Return parameters and optimizer state as integers: NaN and the sign of 0 count."""
    arrays = [*trainer.network.state_dict().values(), *trainer.state_dict()[0].values()]
    return np.concatenate([a.ravel() for a in arrays]).view(np.uint32)


def assert_same(one, two):
    assert one.size and np.array_equal(one, two)


@each_optimizer
@pytest.mark.parametrize("batch_size", [1, PANEL - 1, PANEL, 2 * PANEL + 1, ROWS])
def test_threads_change_no_bit(optimizer, batch_size):
    x, y = problem(ROWS if batch_size > 1 else 20)
    weight = np.random.default_rng(5).random(len(x)).astype(np.float32)
    results = []
    for threads in THREADS:
        trainer, losses = new_trainer(optimizer, threads=threads), []
        watch = Watch(lambda samples, loss, losses=losses: losses.append((samples, loss)))
        history = trainer.fit(x, y, 2, batch_size, callbacks=[watch], sample_weight=weight)
        gradients = trainer.gradients(x[:batch_size], y[:batch_size])
        gradients = np.concatenate([g.ravel() for g in gradients.values()]).view(np.uint32)
        results.append((losses, [r["train_loss"] for r in history], bits(trainer), gradients))
    losses, means, state, gradients = results[0]
    assert [samples for samples, _ in losses].count(len(x) % batch_size or batch_size) >= 2
    for other in results[1:]:
        assert other[0] == losses and other[1] == means
        assert_same(other[2], state)
        assert_same(other[3], gradients)


class Watch:
    def __init__(self, call):
        self.call = call

    def on_batch_end(self, trainer, samples, loss):
        self.call(samples, loss)


def test_seeds_change_bits():
    x, y = problem()
    states = []
    for seed in (0, 1, 2**63):
        trainer = new_trainer(seed=seed, threads=1)
        trainer.step(x, y)
        states.append(bits(trainer))
    assert not np.array_equal(states[0], states[1])
    assert not np.array_equal(states[0], states[2])


def test_a_prediction_does_not_depend_on_the_other_rows():
    net = new_trainer().network
    x, _ = problem(9 * PANEL + 5)
    whole = net.forward(x, threads=1)
    for threads in THREADS:
        assert_same(net.forward(x, threads=threads).view(np.uint32), whole.view(np.uint32))
        for first, last in ((0, 1), (3, PANEL + 3), (7, 8 * PANEL + 8), (len(x) - 1, len(x))):
            part = net.forward(x[first:last], threads=threads)
            assert_same(part.view(np.uint32), whole[first:last].view(np.uint32))
    order = np.random.default_rng(6).permutation(len(x))
    assert_same(net.forward(x[order]).view(np.uint32), whole[order].view(np.uint32))


@each_optimizer
def test_a_resumed_training_ends_with_the_same_bits(optimizer):
    x, y = problem()
    schedule = fs.schedules.CosineDecay()
    whole = new_trainer(optimizer, threads=1)
    history = whole.fit(x, y, epochs=5, batch_size=50, schedule=schedule)

    class Stop:
        def on_epoch_end(self, trainer, history):
            return len(history) == 2

    first = new_trainer(optimizer, threads=1)
    records = first.fit(x, y, epochs=5, batch_size=50, schedule=schedule, callbacks=[Stop()])
    assert len(records) == 2
    second = new_trainer(optimizer, threads=2)
    second.network.load_state_dict(first.network.state_dict())
    second.load_state_dict(*first.state_dict())
    continued = second.fit(x, y, epochs=5, batch_size=50, schedule=schedule, history=records)
    assert [r["train_loss"] for r in continued] == [r["train_loss"] for r in history]
    assert_same(bits(second), bits(whole))


def _in_child(pipe, trainer, x, y):
    """Continue with the parent's trainer, and start another one; for the forked child."""
    loss = trainer.step(x, y)
    own = new_trainer("adam", threads=2)
    own.fit(x, y, epochs=1, batch_size=50)
    pipe.send((loss, bits(trainer), trainer.network.forward(x), bits(own)))
    pipe.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_trains_and_predicts():
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system has no fork")
    x, y = problem()
    trainer = new_trainer(threads=2)
    trainer.step(x, y)  # two parallel regions: from here on a child cannot use threads
    trainer.network.forward(x, threads=2)
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=_in_child, args=(send, trainer, x, y))
    child.start()
    send.close()
    try:
        assert receive.poll(120), "the child hangs"
        loss, state, out, own = receive.recv()
        child.join(60)
        assert child.exitcode == 0
    finally:
        receive.close()
        child.kill()
        child.join()
    assert loss == trainer.step(x, y)
    assert_same(state, bits(trainer))
    assert_same(out.view(np.uint32), trainer.network.forward(x, threads=2).view(np.uint32))
    alone = new_trainer("adam", threads=2)
    alone.fit(x, y, epochs=1, batch_size=50)
    assert_same(own, bits(alone))


def test_trainers_in_many_python_threads():
    x, y = problem()

    def train(seed):
        trainer = new_trainer(seed=seed, threads=1)
        trainer.fit(x, y, epochs=3, batch_size=50)
        return bits(trainer), trainer.network.forward(x, threads=1).view(np.uint32)

    alone = [train(seed) for seed in range(6)]
    together = [None] * 6
    start = threading.Barrier(6)

    def run(seed):
        start.wait()
        together[seed] = train(seed)

    workers = [threading.Thread(target=run, args=(seed,)) for seed in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for one, other in zip(alone, together, strict=True):
        assert other is not None, "a thread raised"
        assert_same(one[0], other[0])
        assert_same(one[1], other[1])


def test_one_network_predicts_in_many_python_threads():
    net = new_trainer().network
    x, _ = problem(300)
    expected = net.forward(x, threads=1).view(np.uint32)
    wrong, done = [], []

    def run(k):
        for n in range(1, 300, 7):
            part = net.forward(x[k : n + k], threads=1).view(np.uint32)
            if not np.array_equal(part, expected[k : n + k]):
                wrong.append((k, n))
        done.append(k)

    workers = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong and len(done) == 4


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def shifted(a):
    """Return the same numbers at an address that is no multiple of their size."""
    raw = np.empty(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    raw[:] = a
    return raw


KINDS = {
    "read-only": read_only,
    "Fortran": np.asfortranarray,
    "columns": lambda a: np.repeat(a, 2, axis=a.ndim - 1)[..., ::2],
    "rows": lambda a: np.repeat(a, 2, axis=0)[::2],
    "backwards": lambda a: a[::-1].copy()[::-1],
    "shifted": shifted,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "mse"])
def test_any_kind_of_array(kind, loss):
    x, y = problem()
    if loss == "mse":
        y = np.random.default_rng(7).normal(size=(ROWS, CLASSES)).astype(np.float32)
    results = []
    for change in (np.copy, KINDS[kind]):
        net = fs.mlp(FEATURES, CLASSES, layers=2, width=20)
        trainer = fs.Trainer(net, loss=loss, threads=1)
        x_, y_, weight = change(x), change(y), change(np.ones(ROWS, np.float32))
        trainer.step(x_, y_, sample_weight=weight)
        trainer.fit(x_, y_, epochs=1, batch_size=40, sample_weight=weight)
        results.append((bits(trainer), net.forward(x_, threads=2).view(np.uint32)))
        assert np.array_equal(x_, x) and np.array_equal(y_, y)  # they are not written
    assert_same(results[0][0], results[1][0])
    assert_same(results[0][1], results[1][1])
