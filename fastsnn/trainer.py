"""Training: one step, and the loop over epochs."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastsnn import fitting, metrics
from fastsnn.checks import inputs as check
from fastsnn.checks.attribute import Checked
from fastsnn.engine import backends
from fastsnn.engine import threads as processors
from fastsnn.engine.batch import Batch, Labels, Steps, check_features, require_good
from fastsnn.engine.byterows import ByteRows
from fastsnn.engine.divergence import diverged, require_finite
from fastsnn.engine.locks import Lock, exclusive
from fastsnn.engine.predict import Placed
from fastsnn.engine.state import require_fit, require_state, successor
from fastsnn.losses import Loss, check_targets, loss_of
from fastsnn.network import Network
from fastsnn.optimizers import SGD, Optimizer
from fastsnn.schedules import Constant, Schedule, schedule_of

log = logging.getLogger("fastsnn")

Features = ArrayLike | ByteRows
MOST_STEPS = 2**62
EXPLODED = 1e6  # times the first loss: such a training does not come back


class Trainer:
    """Trains a network. Calls from several threads run one after another. Copies and pickles
    continue from the state of the original and have their own network (`copy.copy` shares it).

    Parameters
    ----------
    network : Network
        Its parameters change in place.
    loss : Loss or str
        One of `fastsnn.losses`, or its name: "softmax_cross_entropy" for integer classes (n,),
        "sigmoid_cross_entropy" for labels (n, outputs) in [0, 1] with NaN where missing, "mse" and
        others for targets (n, outputs). All means are over the labelled entries.
    optimizer : one of fastsnn.optimizers, default SGD(0.01)
    threads : int >= 1, optional
        Default: all processors. The bits of the result do not depend on it; 1 touches no threading
        layer.
    seed : int in [0, 2**64)
        Seed of the dropout masks and of the order of the rows.
    backend : {"cpu", "cuda"}
        "cuda": on an NVIDIA GPU, with the same masks; the network predicts there from then on.
        Losses of many steps of `fit` reach the host together; callbacks are called then.
    class_weight : (outputs,) array, dict {class: weight} or "balanced", optional
        Softmax: weight of each class, as in PyTorch's CrossEntropyLoss(weight). Sigmoid: weight of
        the positive label of each task, as BCEWithLogitsLoss(pos_weight). Classes that a dict
        leaves out have weight 1. "balanced" is computed from the labels of the first `fit` and then
        stays: n / (k count) for each of k classes, as in scikit-learn; negatives / positives for
        each task.
    precision : {"float32", "tf32", "bf16"}
        Products of dense layers on a GPU: "tf32" and "bf16" round both operands to 11 and 8
        significant bits and multiply in tensor cores (compute capability 8.0 or newer). All else
        stays float32; products, too, if the single-launch schedule of narrow networks is faster.
    """

    network, loss = Checked[Network](), Checked[str | Loss]()
    threads, backend, precision = Checked[int](), Checked[str](), Checked[str]()
    seed = Checked(lambda self, value: check.seed(value))
    step_count = Checked(lambda self, value: check.integer(value, "step_count", 0, MOST_STEPS))

    optimizer = Checked(lambda self, value: successor(value, self.__dict__.get("optimizer")))
    class_weight = Checked(
        lambda self, value: check.class_weight(value, self._loss, self.network.output_size)
    )

    def __init__(
        self,
        network: Network,
        loss: str | Loss = "softmax_cross_entropy",
        optimizer: Optimizer | None = None,
        threads: int | None = None,
        seed: int = 0,
        backend: str = "cpu",
        class_weight: ArrayLike | Mapping[int, float] | None = None,
        precision: str = "float32",
    ):
        if not isinstance(network, Network):
            raise TypeError(f"Trainer: a Network is required, got {type(network).__name__}")
        self._loss = loss_of(loss, "Trainer: loss")
        backends.check(backend, precision, "Trainer")
        self.network, self.loss = network, loss
        self.optimizer = SGD(learning_rate=0.01) if optimizer is None else optimizer
        self.class_weight = class_weight
        self._threads = threads  # as given: a copy on another machine resolves it anew
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
        """The arguments and the state, from which `__setstate__` builds an equal trainer; buffers
        and compiled code are not part of it.
        """
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
        """One mini-batch forward, backward and update; returns the mean loss before the update.

        Raises ValueError or TypeError for a bad batch, FloatingPointError when the training has
        diverged: a loss that is not finite (then the parameters stay as they were before this
        step), a loss of a million times the first one, or an update that would overflow float32
        (then the parameters that would overflow keep their values).
        """
        batch = self._batch(x, y, sample_weight)
        sizes, rates = (len(batch.x),), (self.optimizer.learning_rate,)
        return self._steps(batch, 0, sizes, rates, batch.x)[0]

    @exclusive
    def gradients(
        self, x: Features, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> dict[str, np.ndarray]:
        """The gradients that `step` would use now, by the names of `state_dict`; changes
        nothing. Raises FloatingPointError if the loss or a gradient is not finite.
        """
        batch = self._batch(x, y, sample_weight)
        loss, flat = self._engine.gradients(
            batch, len(batch.x), self.step_count, self.seed, self._loss
        )
        gradients = self.network.layout.trained(flat)
        require_finite(loss, gradients)
        return {name: g.copy() for name, g in gradients.items()}

    def _require_rows(self, rows: int) -> None:
        if rows < 2 and self.network.couples_rows:
            raise ValueError(
                f"batch normalization: at least 2 rows are required in a batch, got {rows}; "
                "take larger batches"
            )

    def _checked(
        self, x: object, y: object, copy: Callable[[np.ndarray], np.ndarray] = np.array
    ) -> tuple[np.ndarray | ByteRows, np.ndarray, np.ndarray]:
        """(x, labels, targets) as a `Batch` has them. Labels are copied: kernels use classes as
        indices, so nobody may change them after the check.
        """
        network = self.network
        rows = check_features(x, network.input_size)
        labels, targets = check_targets(self._loss, y, len(rows), network.output_size)
        if len(labels):
            labels = copy(labels)
        require_good(rows, labels, network.output_size)
        return rows, labels, targets.view()

    def _batch(self, x: object, y: object, sample_weight: object, fitting: bool = False) -> Batch:
        """The rows in their order, checked, for one step; or, fitting, a data set without order."""
        self.load_kernels()
        copy = np.array if fitting else self._labels.copy_of
        rows, labels, targets = self._checked(x, y, copy)
        weight = check.weights(sample_weight, (len(rows),), "sample_weight")
        if fitting:  # callbacks may write into the array of the caller
            weight = weight.copy()
        class_weight = self.class_weight
        if isinstance(class_weight, str):
            if not fitting:
                raise ValueError(
                    'class_weight: "balanced" is known from the first fit on, by its labels; call '
                    "fit first, or give an array"
                )
            class_weight = check.balanced(labels, targets, self.network.output_size)
        index = check.NO_INTEGERS
        if not fitting:
            self._require_rows(len(rows))
            self._engine.reserve(len(rows))
            index = self._engine.rows
        return Batch(rows, index, labels, targets, weight, class_weight.copy())

    def load_kernels(self, report: Callable[[str], None] = log.warning) -> float:
        """Compile what the first step needs, or take it from the cache; returns the seconds."""
        seconds = 0.0 if self._loaded else self._engine.load(report)
        self._loaded = True
        return seconds

    def _steps(
        self,
        batch: Batch,
        first_row: int,
        sizes: Sequence[int],
        rates: Sequence[float],
        x: np.ndarray | ByteRows,
    ) -> list[float]:
        """One step per entry of `sizes` (rows) and `rates` (learning rates); returns the losses. x:
        all of it on the host, for the error of a divergence.
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
        self,
        x: Features,
        y: ArrayLike,
        epochs: int = 10,
        batch_size: int = 128,
        validation_data: tuple[Features, ArrayLike] | None = None,
        callbacks: Iterable[object] = (),
        schedule: Schedule | None = None,
        sample_weight: ArrayLike | None = None,
        history: list[dict[str, Any]] | None = None,
    ) -> list[dict[str, Any]]:
        """Train up to `epochs` epochs; returns the history, a record per epoch.

        Parameters
        ----------
        x, y
            All rows, x as an array or as `fastsnn.data.ByteRows`; each epoch takes them in a new
            order, the last batch may be smaller. A last batch of one row is left out where batch
            normalization needs two. Other types than float32 (float64, integers, lists, data
            frames) are copied to float32 once: standardize in float64 first.
        validation_data : (x, y), optional
            Judged after each epoch: "validation_loss" and the figures of the task
            (`fastsnn.metrics`) in the record.
        callbacks : objects, see `fastsnn.callbacks`
            With any of on_fit_start(trainer, epochs, batches), on_batch_end(trainer, samples,
            loss), on_epoch_end(trainer, history), whose true answer stops the training, and
            on_fit_end(trainer, history). They must not wait for another thread that calls this
            trainer: it waits for the end of `fit`.
        schedule : one of fastsnn.schedules, optional
            Factor on the optimizer's learning rate.
        history : list, optional
            Records of the epochs before a resumed training, which continues the list.
        """
        epochs = check.integer(epochs, "fit: epochs", 1)
        batch_size = check.integer(batch_size, "fit: batch_size", 1)
        schedule = schedule_of(schedule or Constant(), "fit: schedule")
        data = self._batch(x, y, sample_weight, fitting=True)
        if validation_data is not None:
            if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
                raise TypeError(
                    f"fit: validation_data must be (x, y), got {type(validation_data).__name__}"
                )
            try:
                judged, *judged_y = self._checked(*validation_data)
            except (TypeError, ValueError) as error:
                raise type(error)(f"validation_data: {error}") from error
        if not isinstance(callbacks, Iterable):
            raise TypeError(
                f"fit: callbacks must be a list, got {type(callbacks).__name__}; write [callback]"
            )
        history = [] if history is None else history
        n_rows = len(data.x)
        self._require_rows(min(batch_size, n_rows))
        if isinstance(self.class_weight, str):
            self.class_weight = data.class_weight
        rows_used = n_rows
        if self.network.couples_rows and n_rows % batch_size == 1:
            rows_used -= 1
        placed, held_out = self._engine.place(data), None
        if validation_data is not None:
            held_out = self.network._placed(judged), _used(*judged_y)
        plan = fitting.Plan(
            epochs, batch_size, schedule, list(callbacks), placed, data.x, rows_used, held_out
        )
        fitting.run(self, plan, history)
        return history

    def evaluate(self, x: Features, y: ArrayLike) -> dict[str, float]:
        """Figures of the task in evaluation mode, without weights: "loss" and "accuracy", "auc" or
        "rmse", "r2".
        """
        rows, *used = self._checked(x, y)
        return self._figures(rows, _used(*used))

    def _figures(self, x: Placed, y: np.ndarray) -> dict[str, float]:
        z = self.network.forward(x, threads=self.threads)
        return metrics.evaluate(self._loss.task, z, y, loss=self._loss)

    @exclusive
    def state_dict(self) -> tuple[dict[str, np.ndarray], dict[str, float | None]]:
        """The state that a resumed training needs beside the network's parameters: arrays by name,
        and numbers.
        """
        arrays = {name: view.copy() for name, view in self._state_views().items()}
        return arrays, {"step_count": self.step_count, "first_loss": self._first_loss}

    def _state_views(self) -> dict[str, np.ndarray]:
        return {
            f"{name}.state{i}": view
            for i, flat in enumerate(self._engine.state)
            for name, view in self.network.layout.trained(flat).items()
        }

    @exclusive
    def load_state_dict(self, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave, all or nothing. Raises ValueError where it does not
        fit.
        """
        views = self._state_views()
        require_fit(views, arrays, numbers)
        require_state(arrays, numbers, self.optimizer)
        for name, view in views.items():
            view[:] = arrays[name]
        self._engine.state_changed()
        self.step_count = int(numbers["step_count"])
        self._first_loss = numbers["first_loss"]


def _used(labels: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Labels or targets, whichever the loss uses."""
    return labels if len(labels) else targets
