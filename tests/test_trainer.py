"""Training: losses decrease, history and callbacks report it, and it stops when it should."""

import numpy as np
import pytest

import fastsnn as fs
from fastsnn import data
from fastsnn.data import load as load_data

RNG = np.random.default_rng
FIGURES = {"epoch", "train_loss", "learning_rate", "seconds", "samples_per_second"}


def problem(n=40, features=6, classes=3):
    rng = RNG(1)
    x = rng.normal(size=(n, features)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0)


def trainer_of(loss="softmax_cross_entropy", optimizer=None, outputs=3, **arguments):
    net = fs.mlp(6, outputs, layers=2, width=8, seed=2)
    optimizer = optimizer or fs.SGD(0.05)
    return fs.Trainer(net, loss, optimizer, **{"threads": 1} | arguments)


def test_digits_with_32_layers():
    data = load_data("digits")
    net = fs.mlp(data.n_features, data.n_outputs, layers=32, width=64, dropout=0.005)
    trainer = fs.Trainer(net, optimizer=fs.SGD(0.01), seed=1)
    assert trainer.evaluate(data.test.x, data.test.y)["accuracy"] < 0.3
    history = trainer.fit(
        data.train.x, data.train.y, epochs=8, batch_size=32, schedule=fs.schedules.CosineDecay(),
        validation_data=(data.validation.x, data.validation.y),
    )  # fmt: skip
    assert history[-1]["train_loss"] < 0.3 * history[0]["train_loss"]
    assert history[-1]["validation_accuracy"] > 0.9
    assert trainer.evaluate(data.test.x, data.test.y)["accuracy"] > 0.9


@pytest.mark.parametrize(
    "loss, figures",
    [
        ("softmax_cross_entropy", {"loss", "accuracy"}),
        ("sigmoid_cross_entropy", {"loss", "auc"}),
        ("mse", {"loss", "rmse", "r2"}),
    ],
)
def test_history(loss, figures):
    x, y = problem()
    if loss != "softmax_cross_entropy":
        y = np.eye(3, dtype=np.float32)[y]
    trainer = trainer_of(loss)
    history = trainer.fit(x, y, epochs=3, batch_size=16, validation_data=(x[:20], y[:20]))
    assert [record["epoch"] for record in history] == [1, 2, 3]
    for record in history:
        assert record.keys() == FIGURES | {f"validation_{name}" for name in figures}
        assert record["learning_rate"] == 0.05 and record["seconds"] > 0
        assert record["samples_per_second"] == pytest.approx(40 / record["seconds"])
        assert all(type(value) in (int, float) for value in record.values())
    last = {name: history[-1][f"validation_{name}"] for name in figures}
    assert trainer.evaluate(x[:20], y[:20], names=figures) == last
    assert trainer.evaluate(x[:20], y[:20]).items() > last.items()
    assert trainer.step_count == 3 * 3
    assert FIGURES == trainer_of().fit(*problem(), epochs=1)[0].keys()


def test_train_loss_is_the_mean_over_rows():
    """40 rows in batches of 16: the last batch counts half."""
    losses = []
    (record,) = trainer_of().fit(*problem(), epochs=1, batch_size=16, callbacks=[Log(losses)])
    assert [samples for samples, _ in losses] == [16, 16, 8]
    assert record["train_loss"] == sum(n * loss for n, loss in losses) / 40


class Log:
    """Records (samples, loss) of each batch."""

    def __init__(self, batches):
        self.batches = batches

    def on_batch_end(self, trainer, samples, loss):
        self.batches.append((samples, loss))


def test_rows_come_once_an_epoch_in_another_order():
    x = np.arange(10, dtype=np.float32)[:, None]
    losses = []
    net = fs.Network([fs.Dense(1)], input_size=1)
    net.load_state_dict({"0.weight": np.ones((1, 1)), "0.bias": np.zeros(1)})
    trainer = fs.Trainer(net, "mse", fs.SGD(0.0), threads=1)
    trainer.fit(x, np.zeros_like(x), epochs=3, batch_size=1, callbacks=[Log(losses)])
    squares = [loss for _, loss in losses]
    orders = [tuple(np.sqrt(squares[start : start + 10])) for start in (0, 10, 20)]
    assert len(set(orders)) == 3 and tuple(range(10)) not in orders
    assert all(sorted(order) == list(range(10)) for order in orders)


def test_a_schedule_is_followed():
    x, y = problem()
    net = fs.mlp(6, 3, layers=1, width=4, seed=2)
    trainer = fs.Trainer(net, optimizer=fs.SGD(0.1), threads=1)
    before = net.state_dict()
    history = trainer.fit(
        x, y, epochs=3, batch_size=20, schedule=fs.schedules.StepDecay(1 / 3, 0.5)
    )
    assert [record["learning_rate"] for record in history] == [0.1, 0.05, 0.025]
    other = fs.mlp(6, 3, layers=1, width=4, seed=2)
    other.load_state_dict(before)
    fs.Trainer(other, optimizer=fs.SGD(0.1), threads=1).fit(x, y, epochs=3, batch_size=20)
    assert not np.array_equal(net.parameters, other.parameters)


@pytest.mark.parametrize(
    "optimizer", [fs.SGD(1e9), fs.SGD(1e9, momentum=0.9), fs.Adam(1e9), fs.AdamW(1e9)], ids=repr
)
@pytest.mark.parametrize("layers", [0, 1, 8, 32])
def test_divergence(optimizer, layers):
    net = fs.Network([fs.Dense(16), fs.SELU()] * layers + [fs.Dense(3)], input_size=6)
    trainer = fs.Trainer(net, optimizer=optimizer, threads=1)
    with pytest.raises(FloatingPointError) as caught:
        trainer.fit(*problem(), epochs=20, batch_size=20)
    text = str(caught.value)
    assert f"diverged in step {trainer.step_count}: the loss is " in text and trainer.step_count
    assert "with learning rate 1e+09; try a rate 10 times smaller" in text
    assert np.isfinite(net.parameters).all()


def test_a_loss_that_is_not_finite_updates_nothing():
    trainer = trainer_of(optimizer=fs.Adam())
    x, y = problem()
    trainer.step(x, y)
    net = trainer.network
    net.load_state_dict({k: v * (1e30 if k < "4" else 1) for k, v in net.state_dict().items()})
    parameters, (state, numbers) = trainer.network.parameters.copy(), trainer.state_dict()
    with pytest.raises(FloatingPointError, match="step 1"):
        trainer.step(x, y)
    assert np.array_equal(trainer.network.parameters, parameters)
    assert trainer.state_dict()[1] == numbers
    for name, array in trainer.state_dict()[0].items():
        assert np.array_equal(array, state[name])


def test_a_sample_weight_of_two_is_a_row_twice():
    x, y = problem(20)
    weight = RNG(4).integers(3, size=20)
    one, other = trainer_of(), trainer_of()
    loss = one.step(x, y, sample_weight=weight.astype(np.float32))
    twice = np.repeat(np.arange(20), weight)
    assert loss == pytest.approx(other.step(x[twice], y[twice]), rel=1e-6)
    np.testing.assert_allclose(one.network.parameters, other.network.parameters, atol=1e-7)


def test_sample_weights_follow_their_rows_in_fit():
    """Rows of weight 0 have no influence, wherever the shuffling puts them."""
    x, y = problem()
    weight = (np.arange(40) % 2).astype(np.float32)
    results = []
    for fill in (0.0, 1.0):
        trainer = trainer_of()
        x[::2] = fill
        trainer.fit(x, y, epochs=2, batch_size=8, sample_weight=weight)
        results.append(trainer.network.parameters.copy())
    assert np.array_equal(*results)


def test_a_class_weight_is_a_weight_of_its_rows():
    x, y = problem()
    class_weight = np.float32([0.5, 2, 3])
    one, other = trainer_of(class_weight=class_weight), trainer_of()
    loss = one.step(x, y)
    assert loss == pytest.approx(other.step(x, y, sample_weight=class_weight[y]), rel=1e-6)
    np.testing.assert_allclose(one.network.parameters, other.network.parameters, atol=1e-7)
    assert loss != pytest.approx(trainer_of().step(x, y), rel=1e-3)


def test_a_history_is_continued():
    x, y = problem()
    trainer = trainer_of()
    history = trainer.fit(x, y, epochs=2)
    again = trainer.fit(x, y, epochs=3, history=history)
    assert again is history and [record["epoch"] for record in again] == [1, 2, 3]
    before = trainer.network.parameters.copy()
    assert trainer.fit(x, y, epochs=3, history=history) == history
    assert np.array_equal(trainer.network.parameters, before)


def test_targets_of_one_output_may_be_a_list():
    x, y = problem()
    for loss in ("mse", "sigmoid_cross_entropy"):
        results = []
        for shape in ((40,), (40, 1)):
            labels = (y > 0).astype(np.float32).reshape(shape)
            trainer = trainer_of(loss, outputs=1)
            record = trainer.fit(x, labels, epochs=1, validation_data=(x, labels))[0]
            results.append((record["train_loss"], record["validation_loss"]))
        assert results[0] == results[1]


def test_bytes_train_to_the_same_bits():
    """Images remain bytes until a batch needs them: the same history, weights and figures."""
    rng = np.random.default_rng(4)
    x, y = rng.integers(0, 256, (300, 30)).astype(np.uint8), rng.integers(0, 4, 300)
    inputs = data.Standardizer.fit(x, "all")
    rows = data.ByteRows(x, inputs)
    weight = rng.random(300).astype(np.float32)
    results = []
    for features in (inputs.transform(x), rows):
        net = fs.mlp(30, 4, layers=3, width=20, dropout=0.1)
        trainer = fs.Trainer(net, optimizer=fs.SGD(0.01, momentum=0.9))
        history = trainer.fit(
            features, y, epochs=2, batch_size=64, sample_weight=weight,
            validation_data=(features, y), schedule=fs.schedules.CosineDecay(),
        )  # fmt: skip
        timeless = [{k: v for k, v in r.items() if "second" not in k} for r in history]
        results.append((timeless, net.parameters.tobytes(), net.forward(features).tobytes()))
    assert results[0] == results[1]
    with pytest.raises(ValueError, match="x: the network has 3 inputs, got 30 features"):
        fs.Trainer(fs.mlp(3, 4, layers=1, width=2)).fit(rows, y)
    with pytest.raises(ValueError, match="classes in"):
        fs.Trainer(fs.mlp(30, 2, layers=1, width=2)).fit(rows, y)
