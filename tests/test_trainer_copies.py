"""Trainers that are copied, pickled, and used by several threads; data that change in the
meantime.
"""

import copy
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

import fastsnn as fs


def problem(rows=64):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(np.int64)


def trainer_of(optimizer=None, **more):
    net = fs.mlp(4, 2, layers=2, width=8, dropout=0.1, seed=0)
    return fs.Trainer(net, optimizer=optimizer or fs.Adam(0.01), threads=1, seed=3, **more)


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda trainer: pickle.loads(pickle.dumps(trainer)),
}


@pytest.mark.parametrize("duplicate", COPIES)
@pytest.mark.parametrize(
    "optimizer", [fs.SGD(0.1), fs.SGD(0.1, momentum=0.9), fs.Adam(0.01)], ids=repr
)
def test_a_copy_continues_independently(duplicate, optimizer):
    x, y = problem()
    one = trainer_of(optimizer, class_weight=np.float32([1, 2]))
    for _ in range(3):
        one.step(x, y)
    other = COPIES[duplicate](one)
    assert other.network is not one.network and other.step_count == 3
    losses = [[trainer.step(x, y) for _ in range(4)] for trainer in (one, other)]
    assert losses[0] == losses[1]
    assert np.array_equal(one.network.parameters, other.network.parameters)
    for name, array in one.state_dict()[0].items():
        assert np.array_equal(array, other.state_dict()[0][name])
    before = one.network.buffer.snapshot()
    other.step(x, y)
    assert np.array_equal(one.network.parameters, before)
    saved = one.state_dict()
    other.load_state_dict(*saved)
    assert other.step_count == one.step_count


def test_a_shallow_copy_shares_the_network():
    x, y = problem()
    one = trainer_of()
    one.step(x, y)
    other = copy.copy(one)
    assert other.network is one.network
    other.step(x, y)
    assert other.step_count == 2 and one.step_count == 1


def test_a_pickled_trainer_works_in_another_process(tmp_path):
    x, y = problem()
    trainer = trainer_of()
    trainer.step(x, y)
    (tmp_path / "trainer").write_bytes(pickle.dumps(trainer))
    np.savez(tmp_path / "data", x=x, y=y)
    script = (
        "import pickle, numpy as np; d = np.load('data.npz'); "
        "print(repr(pickle.load(open('trainer', 'rb')).step(d['x'], d['y'])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == trainer.step(x, y)


def test_several_threads_take_turns():
    x, y = problem()
    sizes = [5, 64, 33]
    alone = trainer_of(fs.SGD(0.0))
    for _ in range(20):
        for size in sizes:
            alone.step(x[:size], y[:size])
    trainer, losses = trainer_of(fs.SGD(0.0)), []

    def work(size):
        for _ in range(20):
            losses.append(trainer.step(x[:size], y[:size]))

    running = [threading.Thread(target=work, args=(size,)) for size in sizes]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert len(losses) == 60 and trainer.step_count == 60
    assert np.isfinite(losses).all()
    assert np.array_equal(trainer.network.parameters, alone.network.parameters)


def test_a_step_inside_a_callback_is_the_same_thread():
    x, y = problem()

    class Inside:
        def on_epoch_end(self, trainer, history):
            trainer.step(x, y)

    trainer = trainer_of()
    trainer.fit(x, y, epochs=2, batch_size=16, callbacks=[Inside()])
    assert trainer.step_count == 2 * (4 + 1)


@pytest.mark.parametrize("dtype", [np.int64, np.int32])
def test_classes_that_change_during_a_fit_are_those_that_were_checked(dtype):
    x, y = problem()
    y = y.astype(dtype)

    class Change:
        def on_batch_end(self, trainer, samples, loss):
            y[:] = 10**9  # far outside of every array

    changed, same = trainer_of(), trainer_of()
    kept = y.copy()
    history = changed.fit(
        x, y, epochs=2, batch_size=16, callbacks=[Change()], validation_data=(x, y)
    )
    again = same.fit(x, kept, epochs=2, batch_size=16, validation_data=(x, kept))
    assert np.array_equal(changed.network.parameters, same.network.parameters)
    assert [r["validation_loss"] for r in history] == [r["validation_loss"] for r in again]


def test_a_forked_child_finds_the_lock_free():
    x, y = problem()
    trainer = trainer_of()
    trainer.step(x, y)
    inside, leave = threading.Event(), threading.Event()

    class Wait:
        def on_epoch_end(self, trainer, history):
            inside.set()
            leave.wait(60)

    fit = threading.Thread(
        target=trainer.fit, args=(x, y), kwargs={"epochs": 1, "callbacks": [Wait()]}
    )
    fit.start()
    assert inside.wait(60)
    child = os.fork()
    if child == 0:
        trainer.step(x, y)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    leave.set()
    fit.join()
    assert os.waitstatus_to_exitcode(status) == 0
