"""`Trainer`: steps, epochs, gradients, evaluation, state."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastsnn import batches, fitting, metrics
from fastsnn.checks import inputs as check
from fastsnn.checks.attribute import Checked
from fastsnn.engine import backends
from fastsnn.engine import threads as processors
from fastsnn.engine.batch import Batch, Labels, Steps
from fastsnn.engine.byterows import ByteRows
from fastsnn.engine.divergence import diverged, require_finite
from fastsnn.engine.locks import Lock, exclusive
from fastsnn.engine.predict import Placed
from fastsnn.engine.state import load_state, successor, views_of
from fastsnn.losses import Loss, loss_of
from fastsnn.network import Network
from fastsnn.optimizers import SGD, Optimizer
from fastsnn.schedules import Schedule

log = logging.getLogger("fastsnn")

Features = ArrayLike | ByteRows
MOST_STEPS = 2**62
EXPLODED = 1e6  # times the first loss: such a training run does not come back


class Trainer:
    """Training of a network by mini-batch gradient descent.

    Calls from several threads run one after another. Copies (`copy.deepcopy`) and pickles continue
    from the state of the original, with an independent network; `copy.copy` shares the network.
    The attributes `optimizer`, `class_weight`, `seed` and `step_count` may be set between steps; a
    new optimizer needs as many arrays of state as the old one. The other attributes are fixed.

    Parameters
    ----------
    network : Network
        Its parameters are changed in place.
    loss : Loss or str
        A loss of `fastsnn.losses` or its name: "softmax_cross_entropy" for integer classes (n,);
        "sigmoid_cross_entropy" for labels (n, outputs) in [0, 1], NaN where a label is missing;
        "mse" and others for targets (n, outputs). A parameter follows a colon, as in
        "softmax_cross_entropy:0.1".
    optimizer : Optimizer, optional
        One of `fastsnn.optimizers`. Default: ``SGD(learning_rate=0.01)``.
    threads : int >= 1, optional
        CPU threads. Default: all processors of this process. Results are bit-identical for any
        number. With 1, no thread pool is used, so several trainers may train concurrently in
        threads of the caller.
    seed : int in [0, 2**64)
        Seed of the dropout masks and of the order of the rows.
    backend : {"cpu", "cuda"}
        "cuda" trains on an NVIDIA GPU, with the same dropout masks; from then on the network also
        predicts there.
    class_weight : (outputs,) array, dict {class: weight} or "balanced", optional
        Weights >= 0. Softmax: weight of each class, as in ``torch.nn.CrossEntropyLoss(weight)``.
        Sigmoid: weight of the positive label of each task, as in
        ``torch.nn.BCEWithLogitsLoss(pos_weight)``. Classes that a dict omits have weight 1.
        "balanced" is computed from the labels of the first `fit` and then kept: n / (k count) for
        each of k classes, as in scikit-learn; negatives / positives for each task. Default: 1.
    precision : {"float32", "tf32", "bf16"}
        Precision of matrix products with ``backend="cuda"``. "tf32" and "bf16" round both operands
        to 11 and 8 significant bits and use tensor cores (compute capability 8.0 or newer). All
        other arithmetic is in float32, and so are the products of narrow networks whose layers all
        run in one kernel, where that is estimated to be faster.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.
    RuntimeError
        If the backend cannot be used: no GPU, driver, package or memory.

    Examples
    --------
    >>> import fastsnn as fs
    >>> x = np.random.default_rng(0).normal(size=(256, 4)).astype(np.float32)
    >>> y = (x[:, 0] > 0).astype(int)
    >>> trainer = fs.Trainer(fs.mlp(4, 2, layers=2, width=16), optimizer=fs.SGD(0.1))
    >>> history = trainer.fit(x, y, epochs=20, batch_size=32)
    >>> len(history), trainer.evaluate(x, y)["accuracy"] > 0.95
    (20, True)
    """

    network, loss = Checked[Network](), Checked[str | Loss]()
    threads, backend, precision = Checked[int](), Checked[str](), Checked[str]()
    seed = Checked(lambda self, value: check.seed(value))
    step_count = Checked(
        lambda self, value: check.integer(value, "step_count", 0, MOST_STEPS),
        "Updates so far. Dropout masks are a function of it.",
    )
    optimizer = Checked(lambda self, value: successor(value, self.__dict__.get("optimizer")))
    class_weight = Checked(
        lambda self, value: check.class_weight(value, self._loss, self.network.output_size)
    )

    def __init__(
        self, network: Network, loss: str | Loss = "softmax_cross_entropy",
        optimizer: Optimizer | None = None, threads: int | None = None, seed: int = 0,
        backend: str = "cpu", class_weight: ArrayLike | Mapping[int, float] | None = None,
        precision: str = "float32",
    ):  # fmt: skip
        if not isinstance(network, Network):
            raise TypeError(f"Trainer: a Network is required, got {type(network).__name__}")
        self._loss = loss_of(loss, "Trainer: loss")
        backends.check(backend, precision, "Trainer")
        self.network, self.loss = network, loss
        self.optimizer = SGD(learning_rate=0.01) if optimizer is None else optimizer
        self.class_weight = class_weight
        self._threads = threads  # as given: a copy on another machine resolves it again
        self.threads = processors.resolve(threads)
        self.seed = seed
        self.step_count = 0
        self._first_loss: float | None = None
        self.backend, self.precision = backend, precision
        network.to_device() if backend == "cuda" else network.to_host()
        self._engine = backends.training_engine(
            backend, network.nodes, network.buffer, self.threads, self.optimizer._n_state, precision
        )
        self._loaded = False
        self._labels = Labels()
        self._lock = Lock()

    @exclusive
    def __getstate__(self) -> dict[str, Any]:
        """Return arguments and state, without buffers and compiled code."""
        arguments = {
            name: getattr(self, name)
            for name in ("network", "loss", "optimizer", "seed", "backend", "precision")
        }
        given = self.class_weight if len(self.class_weight) else None
        arguments |= {"class_weight": given, "threads": self._threads}
        return {"arguments": arguments, "state": self.state_dict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Trainer.__init__(self, **state["arguments"])
        self.load_state_dict(*state["state"])

    @exclusive
    def step(self, x: Features, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Update the parameters with one mini-batch, and return its loss before the update.

        Parameters
        ----------
        x : (n, features) array
            Rows of the mini-batch. float32 in C order is used without a copy; float64, integers,
            lists and data frames are converted to float32. n >= 1; n >= 2 with batch normalization.
        y : (n,) array of int, or (n, outputs) array
            Classes, or targets, as the loss requires, see `Trainer`.
        sample_weight : (n,) array, optional
            Weights w >= 0 of the rows: the loss is sum_i w_i loss_i / sum_i w_i. Default: 1.

        Returns
        -------
        float
            Mean loss of the mini-batch before the update, with dropout and with all weights.

        Raises
        ------
        TypeError, ValueError
            For a wrong shape, dtype or range, no rows, NaN or infinity in `x`. Nothing is changed.
        FloatingPointError
            The training has diverged: the loss is not finite (no parameter is changed); or it
            exceeds a million times the first loss, or 1 if that is larger (the update has been
            made); or the update would overflow float32 (parameters that would overflow keep their
            values).
        """
        batch = self._batch(x, y, sample_weight)
        sizes, rates = (len(batch.x),), (self.optimizer.learning_rate,)
        return self._steps(batch, 0, sizes, rates, batch.x)[0]

    @exclusive
    def gradients(
        self, x: Features, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> dict[str, np.ndarray]:
        """Return the gradients that the next call of `step` would compute, without weight decay.

        The trainer is not changed. Dropout masks are those of the next step.

        Parameters
        ----------
        x, y, sample_weight
            As for `step`.

        Returns
        -------
        dict of str to float32 array
            Gradients by the names of `Network.state_dict`, such as "0.weight" (units, fan_in).

        Raises
        ------
        TypeError, ValueError
            As `step`.
        FloatingPointError
            If the loss or a gradient is not finite.
        """
        batch = self._batch(x, y, sample_weight)
        loss, flat = self._engine.gradients(
            batch, len(batch.x), self.step_count, self.seed, self._loss
        )
        gradients = self.network.layout.trained(flat)
        require_finite(loss, gradients)
        return {name: g.copy() for name, g in gradients.items()}

    def _batch(self, x: object, y: object, sample_weight: object) -> Batch:
        """Return the checked rows of one step, in their order."""
        self.load_kernels()
        network = self.network
        rows = batches.checked(network, self._loss, x, y, self._labels.copy_of)
        weights = batches.weights_of(
            rows, sample_weight, self.class_weight, network.output_size, fitting=False
        )
        batches.require_enough(network, len(rows.x))
        self._engine.reserve(len(rows.x))
        return Batch(rows.x, self._engine.rows, rows.labels, rows.targets, *weights)

    def load_kernels(self, report: Callable[[str], None] | None = None) -> float:
        """Compile the kernels of a step, or load them from the cache. `step` and `fit` call this
        method.

        Parameters
        ----------
        report : callable, optional
            Called as ``report(line)`` before a compilation. Default: warning of logger "fastsnn".

        Returns
        -------
        float
            Seconds that this took; 0.0 if the kernels are loaded already.
        """
        seconds = 0.0 if self._loaded else self._engine.load(report or log.warning)
        self._loaded = True
        return seconds

    def _steps(
        self, batch: Batch, first_row: int, sizes: Sequence[int], rates: Sequence[float],
        x: np.ndarray | ByteRows,
    ) -> list[float]:  # fmt: skip
        """Make one step per entry of `sizes` (rows) and `rates` (learning rates), and return the
        losses. x: all rows on the host, for the error of a divergence.
        """
        first = self._first_loss
        limit = np.inf if first is None else EXPLODED * max(1.0, first)
        hypers = [self.optimizer._hyper(r, self.step_count + i) for i, r in enumerate(rates)]
        losses, overflow = self._engine.steps(batch, Steps(
            first_row, sizes, self.step_count, self.seed, self._loss, self.optimizer._update,
            hypers, limit,
        ))  # fmt: skip
        if first is None and isfinite(losses[0]):
            self._first_loss = losses[0]
        last = len(losses) - 1  # the engine stops after the step that ends the training
        if not (overflow or losses[last] > limit or not isfinite(losses[last])):
            self.step_count += len(losses)
            return losses
        self.step_count += last
        start = first_row + sum(sizes[:last])
        loss, rows = losses[last], slice(start, start + sizes[last])
        raise diverged(
            self.step_count, loss, rates[last], overflow and isfinite(loss), x, batch, rows,
            self.optimizer.weight_decay, getattr(self.optimizer, "eps", None),
        )  # fmt: skip

    @exclusive
    def fit(
        self, x: Features, y: ArrayLike, epochs: int = 10, batch_size: int = 128,
        validation_data: tuple[Features, ArrayLike] | None = None,
        callbacks: Iterable[object] = (), schedule: Schedule | None = None,
        sample_weight: ArrayLike | None = None, history: list[dict[str, Any]] | None = None,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Train for several epochs of mini-batches, and return a record of each.

        Each epoch visits the rows in a new random order, a function of `seed` and the number of the
        epoch. The last mini-batch may be smaller; it is skipped if it has one row and the network
        has batch normalization.

        Parameters
        ----------
        x : (n, features) array or `fastsnn.data.ByteRows`
            Training rows. float32 in C order is used without a copy; other types are converted to
            float32 once. Standardize in float64 before, with `fastsnn.data.Standardizer`.
        y : (n,) array of int, or (n, outputs) array
            Classes, or targets, as the loss requires, see `Trainer`.
        epochs : int >= 1
            Number of the last epoch, earlier epochs in `history` included.
        batch_size : int >= 1
            Rows of a mini-batch.
        validation_data : tuple, optional
            (x, y), of the same form, that are evaluated after each epoch. Default: no evaluation.
        callbacks : list of objects, optional
            Called in this order. Of the methods `on_fit_start`, `on_batch_end`, `on_epoch_end` (a
            true value stops the training) and `on_fit_end`, each is optional; their arguments are
            those of `fastsnn.callbacks.Callback`.
        schedule : Schedule, optional
            One of `fastsnn.schedules`. Default: a constant learning rate.
        sample_weight : (n,) array, optional
            Weights w >= 0 of the rows: the loss is sum_i w_i loss_i / sum_i w_i. Default: 1.
        history : list of dict, optional
            Records of earlier epochs, to resume a training run. New records are appended to it.

        Returns
        -------
        list of dict
            A record per epoch with the keys

            - "epoch": number of the epoch, from 1
            - "train_loss": mean loss over the epoch's rows, each before its update, with dropout
            - "learning_rate": learning rate of the epoch's last update
            - "seconds": duration of the updates, in seconds, without the evaluation
            - "samples_per_second": rows per second
            - "validation_loss", "validation_accuracy", ...: with validation data: the loss, the
              main metrics of the task, and those that a callback or the schedule monitors

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type, shape or range, or `x` contains NaN or infinity.
        FloatingPointError
            The training has diverged, see `step`.
        """
        history = [] if history is None else history
        fitting.fit(
            self, x, y, epochs, batch_size, validation_data, callbacks, schedule, sample_weight,
            history,
        )  # fmt: skip
        return history

    def evaluate(
        self, x: Features, y: ArrayLike, names: Iterable[str] | None = None,
        sample_weight: ArrayLike | None = None) -> dict[str, float]:  # fmt: skip
        """Return the loss and metrics in evaluation mode (without dropout and class weights).

        Parameters
        ----------
        x, y, sample_weight
            As for `fit`.
        names : iterable of str, optional
            Metrics to compute. Default: all metrics of the task.

        Returns
        -------
        dict of str to float
            "loss" and metrics, in units of `y`, see `fastsnn.metrics.evaluate`.

        Raises
        ------
        TypeError, ValueError
            For arguments that `fit` rejects, and for a metric that the task does not have.
        """
        rows = batches.checked(self.network, self._loss, x, y)
        return self._figures(rows.x, rows.y, names, sample_weight)

    def _figures(self, x: Placed, y: np.ndarray, *options: Any) -> dict[str, float]:
        z, loss = self.network.forward(x, threads=self.threads), self._loss
        return metrics.evaluate(loss.task, z, y, None, None, loss, *options)

    @exclusive
    def state_dict(self) -> tuple[dict[str, np.ndarray], dict[str, float | None]]:
        """Return the state from which to resume training, without the network's parameters.

        Returns
        -------
        arrays : dict of str to float32 array
            State of the optimizer: "NAME.state0", ... in the shape of parameter NAME.
        numbers : dict
            "step_count": updates so far; "first_loss": loss of the first one, or None.
        """
        views = views_of(self._engine.state, self.network.layout)
        arrays = {name: view.copy() for name, view in views.items()}
        return arrays, {"step_count": self.step_count, "first_loss": self._first_loss}

    @exclusive
    def load_state_dict(self, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, Any]) -> None:
        """Load the state of a trainer of an equal network with the same kind of optimizer.

        Parameters
        ----------
        arrays : mapping of str to float32 array
            State of the optimizer, the first result of `state_dict`.
        numbers : mapping
            "step_count" and "first_loss", the second result of `state_dict`.

        Raises
        ------
        TypeError, ValueError
            For wrong names, shapes, types and ranges, NaN and infinity. Nothing is changed.
        """
        views = views_of(self._engine.state, self.network.layout)
        load_state(views, arrays, numbers, self.optimizer)
        self._engine.state_changed()
        self.step_count = int(numbers["step_count"])
        self._first_loss = numbers["first_loss"]
