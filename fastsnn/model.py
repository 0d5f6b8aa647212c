"""`Model`: a network with all that predictions from raw data need."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, overload

import numpy as np

from fastsnn import ensemble, metrics
from fastsnn.checks import arrays, encode
from fastsnn.checks.scalars import listed, shown
from fastsnn.data.dataset import TASKS, Dataset, Split
from fastsnn.data.standardize import Standardizer
from fastsnn.engine.byterows import ByteRows
from fastsnn.engine.predict import Placed
from fastsnn.layers import Layer
from fastsnn.losses import Loss, probabilities
from fastsnn.network import Network
from fastsnn.storage import modelfile
from fastsnn.storage.description import MEMBER, NAMES
from fastsnn.tables import fitting
from fastsnn.tables.recipe import Recipe

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network with standardization, task and names: raw features in, predictions out.

    With several `members` it is an ensemble: the prediction is the mean of their predictions.

    A run of `fastsnn train` stores one in `model.safetensors`; `fastsnn.load_model` reads it. Any
    number of threads may call `predict` and `evaluate` concurrently.

    Parameters
    ----------
    network : Network
    task : {"classification", "multitask", "regression"}
        Kind of target: one of several classes, several binary labels, or numbers.
    inputs : Standardizer, optional
        Standardization of the features. Default: none.
    targets : Standardizer, optional
        Standardization of the targets of a regression. Default: the network predicts in the units
        of the targets.
    class_names : tuple of str, optional
        Names of the outputs of a classification.
    feature_names : tuple of str, optional
        Names of the features, by which `predict` finds the columns of a data frame.
    target_names : tuple of str, optional
        Names of the outputs of a multitask network or a regression.
    recipe : fastsnn.tables.Recipe, optional
        Encoding of the columns of a table as features. `predict` and `evaluate` then take tables
        with text, missing values, booleans and dates, and `feature_names` are those of the recipe.
    members : tuple of Network, optional
        Networks of an ensemble, `network` first, with equal layers. They share the standardization
        and the names. Default: ``(network,)``.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, or a size that differs from the network's.

    Examples
    --------
    >>> import fastsnn as fs
    >>> x = np.array([[1.0, 200.0], [3.0, 100.0], [2.0, 150.0]])
    >>> inputs = fs.data.Standardizer.fit(x)
    >>> model = fs.Model(fs.mlp(2, 3, layers=2, width=8), "classification", inputs)
    >>> model.predict(x).shape
    (3, 3)
    """

    network: Network
    task: str
    inputs: Standardizer = None  # type: ignore[assignment]  # then __post_init__ makes one
    targets: Standardizer | None = None
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    target_names: tuple[str, ...] | None = None
    recipe: Recipe | None = None
    members: tuple[Network, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.network, Network):
            raise TypeError(f"Model: a Network is required, got {type(self.network).__name__}")
        object.__setattr__(self, "members", ensemble.checked(self.network, self.members))
        if self.task not in TASKS:
            raise ValueError(
                f"Model: task must be one of {', '.join(TASKS)}; got {shown(self.task)}"
            )
        features, outputs = self.network.input_size, self.network.output_size
        if self.inputs is None:
            zeros, ones = np.zeros(features, np.float32), np.ones(features, np.float32)
            object.__setattr__(self, "inputs", Standardizer(zeros, ones))
        if self.targets is not None and self.task != "regression":
            raise ValueError(f"Model: targets are for a regression, the task is {self.task}")
        for name, size in (("inputs", features), ("targets", outputs)):
            part = getattr(self, name)
            if part is not None and not isinstance(part, Standardizer):
                raise TypeError(f"Model: {name} must be a Standardizer, got {type(part).__name__}")
            if part is not None and part.mean.size != size:
                raise ValueError(
                    f"Model: {name} must have {size:,} columns like the network, has "
                    f"{part.mean.size:,}"
                )
        if self.recipe is not None:
            names = fitting.feature_names(self.recipe, features, self.feature_names)
            object.__setattr__(self, "feature_names", names)
        for name, size, fits in (
            ("class_names", outputs, self.task == "classification"),
            ("feature_names", features, True),
            ("target_names", outputs, self.task != "classification"),
        ):
            names = getattr(self, name)
            if names is None:
                continue
            if isinstance(names, str) or not all(isinstance(n, str) for n in names):
                raise TypeError(f"Model: {name} must be a tuple of str, got {shown(names)}")
            object.__setattr__(self, name, tuple(names))
            if fits and len(names) != size:
                raise ValueError(
                    f"Model: {name} must have {size:,} names like the network's "
                    f"{'inputs' if size is features else 'outputs'}, got {len(names):,}"
                )

    @classmethod
    def of(cls, network: Network, dataset: Dataset) -> Model:
        """Return the model of a network that was trained on a dataset.

        Parameters
        ----------
        network : Network
        dataset : fastsnn.data.Dataset
            Data set that defines the task, the recipe, the standardization and the names.
        """
        return cls(
            network, dataset.task, dataset.inputs, dataset.targets, dataset.class_names,
            dataset.feature_names, dataset.target_names, dataset.recipe,
        )  # fmt: skip

    def __repr__(self) -> str:
        names = self.class_names or self.target_names
        of = f" of {len(names):,} ({listed(names)})" if names else ""
        several = f" each, {len(self.members):,} members" if len(self.members) > 1 else ""
        recipe = "" if self.recipe is None else f"a recipe of {len(self.recipe.columns)} columns, "
        return (
            f"Model({self.task}{of}, {recipe}{self.network.input_size:,} features, "
            f"{len(self.network.nodes)} layers, {self.network.n_parameters:,} parameters{several})"
        )

    def to_device(self, backend: str = "cuda") -> Model:
        """Predict on a GPU from now on, see `Network.to_device`, and return this model."""
        for network in self.members:
            network.to_device(backend)
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write network, standardization, task and names to a safetensors file.

        An existing file is replaced atomically. `fastsnn.load_model` and the command line
        (``fastsnn predict --model PATH``) read it.

        Parameters
        ----------
        path : str or path

        Raises
        ------
        FloatingPointError
            If a parameter is NaN or infinite. Nothing is written.
        RuntimeError
            If the file cannot be written. An existing file is kept.
        """
        modelfile.write(path, *self._contents())

    def _contents(self) -> tuple[Sequence[Layer], tuple[int, int], Arrays, dict[str, Any]]:
        """Arguments of `modelfile.write` after the path: layers, sizes, tensors, description."""
        network = self.network
        tensors = network.state_dict()
        for k, member in enumerate(self.members[1:], 1):
            tensors |= {f"{MEMBER}{k}.{name}": own for name, own in member.state_dict().items()}
        tensors |= {"inputs.mean": self.inputs.mean, "inputs.scale": self.inputs.scale}
        if self.targets is not None:
            tensors |= {"targets.mean": self.targets.mean, "targets.scale": self.targets.scale}
        description = {"task": self.task} | {name: getattr(self, name) for name in NAMES}
        if self.targets is not None and self.targets.log:
            description["log_target"] = True
        if self.recipe is not None:
            description["recipe"] = self.recipe.to_dict()
        if len(self.members) > 1:
            description["members"] = len(self.members)
        return network.layers, (network.input_size, network.output_size), tensors, description

    @overload
    def predict(
        self, x: object, threads: int | None = None, return_std: Literal[False] = False
    ) -> np.ndarray: ...

    @overload
    def predict(
        self, x: object, threads: int | None = None, *, return_std: Literal[True]
    ) -> tuple[np.ndarray, np.ndarray]: ...

    def predict(
        self, x: object, threads: int | None = None, return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Return predictions for raw features, which are standardized first.

        Several members: the mean of their probabilities, or of their values; of values with
        standardized logarithms (``targets.log``) the geometric mean.

        Parameters
        ----------
        x : (n, features) array, list of rows, or data frame
            With a `recipe`: a table with column names, see `fastsnn.tables.Columns.of`; columns are
            found by name, and others are ignored. Without: numbers of any real dtype, in the units
            of the training data. If the model has `feature_names`, the columns of a data frame are
            found by name, in any order, and other columns are ignored. uint8, float32 and float64
            are used without a copy.
        threads : int >= 1, optional
            CPU threads. Default: all processors of this process. With 1, no thread pool is used.
        return_std : bool
            True: also return the standard deviation of the members' predictions.

        Returns
        -------
        prediction : array
            classification: probabilities (n, classes) float32; the class is
            ``argmax(axis=1)``, its name ``class_names[...]``. multitask: probabilities (n, tasks)
            float32 of label 1. regression: values (n, targets) float64 in the units of the training
            data (float32 for models of version 0.1 and models without `targets`).
        deviation : array
            With `return_std`: standard deviation (divisor K, the number of members) of the
            predictions, with their shape, dtype and units. 0 with one member.

        Raises
        ------
        TypeError, ValueError
            For NaN and infinity (with row and column), text, masked entries, complex numbers,
            a wrong number of features, and missing columns. With a `recipe`: for tables without
            column names, missing columns, and values that do not have the kind of their column.
        """
        x = self._standardized(x)
        targets = self.targets
        units = None if targets is None else targets.inverse_transform
        spread_units = units if targets is not None and targets.log else None
        z, deviation = ensemble.outputs(
            self.members, self.task, x, threads, return_std, spread_units
        )
        if deviation is not None and targets is not None and not targets.log:
            deviation = deviation * targets.scale  # more exact than in the units of the data
        if self.task != "regression":
            mean = probabilities(self.task, z).astype(np.float32)
        else:
            mean = z.astype(np.float32, copy=False) if units is None else units(z)
        return mean if deviation is None else (mean, deviation.astype(mean.dtype, copy=False))

    def evaluate(
        self,
        x: object,
        y: object,
        threads: int | None = None,
        names: Iterable[str] | None = None,
        sample_weight: object = None,
    ) -> dict[str, float]:
        """Return the loss and metrics on raw features and labels.

        The loss is the default loss of the task, even if the model was trained with another one.

        Parameters
        ----------
        x : (n, features) array, list of rows, or data frame
            Raw features, as for `predict`: with a `recipe`, a table with column names.
        y : array
            classification: (n,) class numbers from 0, or class names (text). Integers are rejected
            if they could also be names: if the model has the names "3", "5" and "7", give text.
            multitask: (n, tasks) of 0, 1 and NaN (missing). regression: (n, targets), or (n,) for
            one target, in the units of the training data.
        threads : int >= 1, optional
            As for `predict`.
        names : iterable of str, optional
            Metrics to compute, such as ``["f1", "auc"]``. Default: all metrics of the task.
        sample_weight : (n,) array, optional
            Weights >= 0 of the rows. Default: 1.

        Returns
        -------
        dict of str to float
            "loss" (mean loss of the task: softmax or sigmoid cross-entropy, or the mean squared
            error of standardized targets), and the metrics of the task, such as "accuracy", "auc",
            or "rmse" in the units of the training data. See `fastsnn.metrics.evaluate`. Several
            members: those of the mean prediction; cross-entropies are of the mean probability.

        Raises
        ------
        TypeError, ValueError
            As `predict`; and for labels that the model does not have, with the row.
        """
        x = self._standardized(x)
        outputs = self.network.output_size
        if self.task == "classification":
            y = encode.classes(y, len(x), outputs, self.class_names)
        else:
            y = encode.targets(y, len(x), outputs, self.target_names, self.task == "multitask")
        return self.judge(self._part(x, y), threads, names=names, sample_weight=sample_weight)

    def judge(
        self,
        part: Split,
        threads: int | None = None,
        x: Placed | None = None,
        loss: Loss | None = None,
        names: Iterable[str] | None = None,
        sample_weight: object = None,
    ) -> dict[str, float]:
        """Return the loss and metrics on a part of a `fastsnn.data.Dataset`, which is standardized
        already.

        Parameters
        ----------
        part : fastsnn.data.Split
            For example ``dataset.test``.
        threads : int >= 1, optional
            As for `predict`.
        x : optional
            Used internally: features of the part in device memory. Default: ``part.x``.
        loss : Loss, optional
            Loss that is reported as "loss". Default: that of the task.
        names, sample_weight : optional
            As for `evaluate`.

        Returns
        -------
        dict of str to float
            As `evaluate`.
        """
        rows = part.x if x is None else x
        z, _ = ensemble.outputs(self.members, self.task, rows, threads)
        scale = units = None
        if self.targets is not None and part.raw_y is not None:
            units = self.targets.inverse_transform(z), part.raw_y
        elif self.targets is not None:
            scale = self.targets.scale
        return metrics.evaluate(self.task, z, part.y, scale, units, loss, names, sample_weight)

    def judge_raw(
        self,
        x: object,
        y: np.ndarray,
        threads: int | None = None,
        names: Iterable[str] | None = None,
    ) -> dict[str, float]:
        """Return the loss and metrics on a part of a `fastsnn.data.Table`, as `evaluate` does.

        Parameters
        ----------
        x : (n, features) array, or table
            Features in the units of the file, in the order of the model's `feature_names`. With a
            `recipe`: a table with column names.
        y : array
            As in `fastsnn.data.Table`; class numbers are those of the model's `class_names`.
        threads : int >= 1, optional
            As for `predict`.
        names : iterable of str, optional
            Metrics to compute, as for `evaluate`.

        Returns
        -------
        dict of str to float
            As `evaluate`.
        """
        return self.judge(self._part(self._standardized(x), y), threads, names=names)

    def _part(self, x: np.ndarray | ByteRows, y: np.ndarray) -> Split:
        if self.targets is None:
            return Split(x, y)
        return Split(x, self.targets.transform(y, names=self.target_names, where="y"), y)

    def _standardized(self, x: object) -> np.ndarray | ByteRows:
        if isinstance(x, ByteRows):
            return ByteRows(x.bytes, self.inputs, x.rows)
        if self.recipe is not None:
            return self.inputs.transform(self.recipe.transform(x), names=self.feature_names)
        x = arrays.table(x, self.network.input_size, self.feature_names)
        return self.inputs.transform(x, names=self.feature_names)
