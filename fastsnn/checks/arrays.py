"""Convert lists, data frames and arrays of any dtype to numeric arrays.

Masked entries, complex numbers, objects and text raise an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from fastsnn.checks.scalars import listed, shown

LISTED = 5  # numbers shown in a repr
SEARCHED = 10_000  # entries searched for an example of an invalid one


def of_anything(x: object, where: str) -> np.ndarray:
    """Return x as a plain `numpy.ndarray` of any dtype, without a copy if it is one.

    Raises ValueError for masked entries and rows of unequal length, TypeError for sparse matrices.
    """
    if isinstance(x, np.ma.MaskedArray):
        _require_unmasked(x, where)
        return np.ma.getdata(x)
    if hasattr(x, "toarray"):  # a SciPy sparse matrix, which NumPy treats as a single object
        raise TypeError(
            f"{where}: a NumPy array is required, got a sparse {type(x).__name__}; use "
            f"{where}.toarray()"
        )
    try:
        return np.asarray(x)
    except (TypeError, ValueError, RuntimeError) as error:
        raise type(error)(
            f"{where}: an array of numbers is required, got {type(x).__name__} that NumPy cannot "
            f"read ({shown(str(error))}); give rows of equal length"
        ) from error


def of_numbers(x: object, where: str, names: Sequence[str] | None = None) -> np.ndarray:
    """Return x as an array of bool, integers or floats. Raises TypeError for other types, with the
    place of the first entry that is not a number. names: of the columns, for errors.
    """
    y = of_anything(x, where)
    if y.dtype.kind in "biuf":
        return y
    if y.dtype.kind == "c":
        raise TypeError(
            f"{where}: real numbers are required, got {y.dtype}; give real and imaginary parts as "
            "separate features"
        )
    if y.dtype.kind == "O":
        _require_no_records(x, where, names)
    if x is None or (y.ndim == 0 and y.dtype.kind == "O"):
        raise TypeError(
            f"{where}: a NumPy array is required, got {type(x).__name__}; use numpy.asarray"
        )
    if isinstance(x, list | tuple) and y.dtype.kind in "US":
        y = np.array(x, object)  # NumPy has converted the numbers next to a text
    kind = "text" if y.dtype.kind in "UST" else y.dtype.name[:60]
    convert = (
        f"{where}.astype(numpy.float64)" if isinstance(x, np.ndarray)
        else f"numpy.array({where}, numpy.float64)"
    )  # fmt: skip
    remedy = f"convert it with {convert}, or encode text as numbers"
    at = next((i for i, v in enumerate(y.flat[:SEARCHED]) if not isinstance(v, Real)), None)
    if at is None:
        raise TypeError(f"{where}: numbers are required, got {kind}; {remedy}")
    odd, index = y.flat[at], [int(i) for i in np.unravel_index(at, y.shape)]
    if y.dtype.kind == "O":
        if y.ndim != 2 or names is None or len(names) != y.shape[1]:
            names = None
        if odd is None:
            remedy = "fill in missing values"
        elif isinstance(odd, str):
            remedy = "encode text as numbers"
        raise TypeError(
            f"{where}: numbers are required, got {shown(odd)} in {place(index, names)}; {remedy}"
        )
    raise TypeError(f"{where}: numbers are required, got {kind} such as {shown(odd)}; {remedy}")


def table(
    x: object, width: int, names: Sequence[str] | None = None, where: str = "x"
) -> np.ndarray:
    """Return raw features as a uint8, float32 or float64 array (n, width).

    x: an array, a list of rows, or a data frame (any object with `columns`). uint8 and float32 are
    kept, other dtypes become float64. With `names`, the columns of a data frame are selected by
    name, in that order, and others are ignored. Raises TypeError or ValueError that names the
    column.
    """
    if hasattr(x, "columns") and not isinstance(x, np.ndarray):
        x = _of_frame(x, names, where)
    x = of_numbers(x, where, names)
    if x.ndim != 2:
        hint = "give an array of two dimensions"
        if x.shape == (width,):
            hint = f"for a single row give {where}[None]" if width > 1 else f"give {where}[:, None]"
        raise ValueError(f"{where}: shape (n, {width}) is required, got {x.shape}; {hint}")
    if x.shape[1] != width:
        raise ValueError(
            f"{where}: the model needs {width} features, got {x.shape[1]}; "
            "was the model trained on other data?"
        )
    if not len(x):
        raise ValueError(f"{where}: at least one row is required, got shape {x.shape}")
    if x.dtype in (np.uint8, np.float32, np.float64):
        return x
    with np.errstate(over="ignore"):  # long doubles that overflow become infinite; refused later
        return x.astype(np.float64)


def column_of(index: int, names: Sequence[str] | None) -> str:
    """Return a column for an error: its name if it has one, else its index."""
    return f"column {index}" if names is None else f"column {shown(names[index])}"


def place(index: Sequence[int], names: Sequence[str] | None = None) -> str:
    """Return the position of an array element for an error: the row, and the column if any."""
    row, *columns = (int(i) for i in index)
    if len(columns) == 1:
        return f"row {row}, {column_of(columns[0], names)}"
    return f"row {row}" + "".join(f", {i}" for i in columns)


def numbers(values: np.ndarray) -> str:
    """Return the first numbers of an array for a repr, "[0.5, 1, ...]"."""
    more = ", ..." if values.size > LISTED else ""
    return f"[{', '.join(f'{value:.6g}' for value in values[:LISTED].tolist())}{more}]"


def _require_no_records(x: object, where: str, names: Sequence[str] | None) -> None:
    """Raise TypeError for dicts, whose order may differ from that of the columns."""
    one = x[0] if isinstance(x, list | tuple) and len(x) else x
    if not isinstance(one, Mapping):
        return
    order = "names" if names is None else "model.feature_names"
    if one is not x:
        got = f"a {type(x).__name__} of {type(one).__name__}"
        remedy = f"[[row[name] for name in {order}] for row in {where}]"
    elif any(np.ndim(value) for value in x.values()):
        got = f"a {type(x).__name__} of columns"
        remedy = f"numpy.stack([{where}[name] for name in {order}], axis=1)"
    else:
        got, remedy = type(x).__name__, f"[[{where}[name] for name in {order}]]"
    raise TypeError(f"{where}: an array or a list of rows is required, got {got}; give {remedy}")


def _of_frame(frame: Any, names: Sequence[str] | None, where: str) -> np.ndarray:
    """Return the columns of a data frame as one array, selected by `names` if both have names."""
    columns = list(getattr(frame, "column_names", frame.columns))  # `column_names` in PyArrow
    if names is None or not all(isinstance(name, str) for name in columns):
        if names is not None and columns != list(range(len(columns))):
            raise ValueError(
                f"{where}: the model selects columns by name ({listed(names)}), the data frame has "
                f"{listed(columns)}; name its columns, or give {where}.to_numpy() in that order"
            )
        wanted = columns
    else:
        have = set(columns)
        missing = [name for name in names if name not in have]
        if missing:
            raise ValueError(
                f"{where}: the column {shown(missing[0])} is required, the data frame has "
                f"{listed(columns)}; name its columns as in training"
            )
        wanted = list(names)
    counts = Counter(columns)
    double = [name for name in wanted if counts[name] > 1]
    if double:
        raise ValueError(
            f"{where}: column names must be unique, {shown(double[0])} occurs "
            f"{counts[double[0]]} times; rename or remove the others"
        )
    if not wanted:
        raise ValueError(f"{where}: a data frame with columns is required, got one without columns")
    return np.stack([_column(frame[name], name, where) for name in wanted], axis=1)


def _column(values: object, name: object, where: str) -> np.ndarray:
    array = of_anything(values, f"{where}, column {shown(name)}")
    if array.ndim != 1:
        raise TypeError(
            f"{where}, column {shown(name)}: a column of numbers is required, got "
            f"{type(values).__name__}; convert it with {where}.to_numpy()"
        )
    if array.dtype == object and all(isinstance(v, Real) for v in array):
        array = array.astype(np.float64)  # ints mixed with floats, or types of pandas
    if array.dtype.kind not in "biuf":
        row = next((i for i, v in enumerate(array) if not isinstance(v, Real)), 0)
        raise TypeError(
            f"{where}, column {shown(name)}: numbers are required, got {shown(array[row])} in row "
            f"{row}; encode text as numbers, fill in missing values"
        )
    return array.astype(np.float64) if array.dtype.kind == "b" else array


def _require_unmasked(x: np.ma.MaskedArray[Any, Any], where: str) -> None:
    mask = np.ma.getmaskarray(x)
    if mask.any():
        raise ValueError(
            f"{where}: an array without masked entries is required, {int(mask.sum()):,} are "
            f"masked, the first in {place(np.argwhere(mask)[0])}; fill them in "
            f"({where}.filled(value)) or remove such rows"
        )
