"""Catalogue of the named data sets: loader, size, files, source and terms of each.

To add a data set, write its loader and add an `Entry`. `named`, ``fastsnn data``, downloads and
error messages are derived from these entries.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastsnn.data import (
    cifar10,
    cifar10jpeg,
    digits,
    htru2,
    mnist,
    optdigits,
    tox21,
    tox21rdkit,
    uci,
)
from fastsnn.data import tox21files as tox
from fastsnn.data.cifar10batches import PIXELS
from fastsnn.data.download import Progress, fault
from fastsnn.data.folds import Folds
from fastsnn.data.locate import File, find, locate
from fastsnn.data.table import Table
from fastsnn.data.ucinames import SHAPES

PACKAGE = "inside the package"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Description of one named data set, or of a family of data sets ("uci/NAME").

    Attributes
    ----------
    name : str
        The argument of `fastsnn.data.load`; "PREFIX/NAME" for a family.
    title : str
        One-line description.
    task : {"classification", "multitask", "regression"}
        Task of the data set.
    rows : int or (int, int)
        Number of rows of all parts; (smallest, largest) for a family.
    features : int or (int, int)
        Number of features in the files; (smallest, largest) for a family.
    classes : int or (int, int)
        Number of classes, tasks or targets, by `task`; (smallest, largest) for a family.
    home : tuple of str
        URLs of the web pages that describe the data set.
    terms : str
        Licence or terms of use, as far as they are known.
    citation : str
        Publication to cite.
    folder : str
        Folder of the files below $FASTSNN_DATA and below the per-user cache.
    files : tuple of File
        Files that `fetch` downloads.
    forms : tuple of tuple of File
        Alternative sets of files, each sufficient to load the data set, in order of preference;
        empty if no file is needed.
    substitutes : tuple of str
        Notes for the last `len(substitutes)` forms, which differ from the original data.
    table : callable, optional
        Reads the parts, called as ``table(progress)``; None for data sets with folds, which load
        fold 1.
    folds : callable, optional
        Reads all rows and their folds, called as ``folds(progress=progress)``, or as
        ``folds(name, progress)`` for a family.
    image : bool
        True if the features are pixels, which are standardized with a single mean and scale.
    """

    name: str
    title: str
    task: str
    rows: int | tuple[int, int]
    features: int | tuple[int, int]
    classes: int | tuple[int, int]
    home: tuple[str, ...]
    terms: str
    citation: str
    folder: str = ""
    files: tuple[File, ...] = ()
    forms: tuple[tuple[File, ...], ...] = ()
    substitutes: tuple[str, ...] = ()
    table: Callable[[Progress | None], Table] | None = None
    folds: Callable[..., Folds] | None = None
    image: bool = False

    @property
    def is_family(self) -> bool:
        """True for a family of data sets, whose name ends in "/NAME"."""
        return self.name.endswith("/NAME")

    def read(self, progress: Progress | None = None) -> Table:
        """Return the parts of the data set (fold 1 if it has folds), not standardized."""
        if self.table is not None:
            return self.table(progress)
        assert self.folds is not None
        return self.folds(progress=progress).table()

    def here(self) -> tuple[tuple[File, ...], str | None] | None:
        """Return (files, note or None) of the preferred form on this machine; None if it has none.

        The note is the form's entry in `substitutes`.
        """
        notes = [None] * (len(self.forms) - len(self.substitutes)) + list(self.substitutes)
        for form, note in zip(self.forms, notes, strict=True):
            if all(find(self.folder, file.name) for file in form):
                return form, note
        return None

    def where(self) -> str | None:
        """Return the folder with the files on this machine; None if they are missing.

        Returns PACKAGE if the data set needs no file.
        """
        if not self.forms:
            return PACKAGE
        here = self.here()
        path = None if here is None else find(self.folder, here[0][0].name)
        return None if path is None else str(path.parent)

    def tasks(self) -> list[str]:
        """Return the names of the UCI tasks in the copy on this machine.

        Empty for other data sets, and if the copy is damaged or missing.
        """
        try:
            return uci.names() if self.folder == uci.FOLDER and self.here() else []
        except (ValueError, RuntimeError):
            return []

    def note(self) -> str | None:
        """Return a note on the copy on this machine, such as that it is damaged; None if fine."""
        if self.folder == uci.FOLDER and self.here() and not self.tasks():
            return f"damaged, or without tasks: replace {uci.ARCHIVE.name}"
        if tasks := self.tasks():
            return f"{len(tasks)} of {len(SHAPES)} tasks: --json names them"
        return (self.here() or (None, None))[1]

    def about(self) -> dict[str, Any]:
        """Return the entry and its location on this machine as a JSON object."""
        return {
            "name": self.name, "title": self.title, "task": self.task, "rows": self.rows,
            "features": self.features, "classes": self.classes, "where": self.where(),
            "note": self.note(), "tasks": self.tasks(),
            "missing": uci.missing() if self.tasks() else [],
            "terms": self.terms, "citation": self.citation, "home": self.home,
            "files": [
                {
                    "name": file.name, "bytes": file.size, "checksum": file.checksum,
                    "checked_by": verification(file), "urls": file.urls,
                }
                for file in self.files
            ],
        }  # fmt: skip


def verification(file: File) -> str:
    """Return, in words, what a file's content is verified against."""
    if file.checksum is None:
        return "no checksum is known: the archive's own checksums"
    return "its published checksum" if file.published else "the checksum of a matching copy"


def verified(path: Path, file: File) -> str:
    """Return `verification(file)`, and the error of the copy at `path` if it has one."""
    wrong = fault(path, file.checksum)
    return f"{verification(file)}, and {path.name} {wrong}" if wrong else verification(file)


_MNIST = tuple(mnist.file_of(name) for name in mnist.SHA256)
_DIGITS = tuple(optdigits.FILES.values())
_DEEPTOX = (tox.COMPOUNDS, *tox.DENSE.values(), *tox.SPARSE.values())
_UCI = "https://archive.ics.uci.edu/dataset/"
_UCI_TERMS = "UCI lists its data sets as CC BY 4.0"
_OPTICAL = "E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998"
_CIFAR_HOME = ("https://www.cs.toronto.edu/~kriz/cifar.html",)
_CIFAR_TERMS = "no licence text; the home page asks for the citation"
_CIFAR = "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"


def _between(values: Iterable[int]) -> tuple[int, int]:
    values = list(values)
    return min(values), max(values)


_ALL = (
    Entry(
        name="digits", title="UCI optical digits, 1,797 of them", task="classification",
        rows=1797, features=64, classes=10, table=digits.load_digits, image=True,
        home=(_UCI + "80/optical+recognition+of+handwritten+digits",), terms="CC BY 4.0",
        citation=_OPTICAL,
    ),
    Entry(
        name="optdigits", title="UCI optical digits, all of them", task="classification",
        rows=sum(optdigits.ROWS.values()), features=optdigits.FEATURES, classes=10,
        table=optdigits.load_optdigits, image=True,
        folder=optdigits.FOLDER, files=_DIGITS, forms=(_DIGITS,),
        home=(_UCI + "80/optical+recognition+of+handwritten+digits",), terms=_UCI_TERMS,
        citation=_OPTICAL,
    ),
    Entry(
        name="mnist", title="handwritten digits", task="classification",
        rows=70_000, features=784, classes=10, table=mnist.load_mnist, image=True,
        folder="mnist", files=_MNIST, forms=(_MNIST,),
        home=("http://yann.lecun.com/exdb/mnist/",),
        terms="no licence text; commonly stated as CC BY-SA 3.0",
        citation="Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits, 1998",
    ),
    Entry(
        name="cifar10", title="small colour images", task="classification",
        rows=60_000, features=PIXELS, classes=10, table=cifar10.load_cifar10, image=True,
        folder=cifar10.FOLDER, files=(cifar10.BINARY,),
        forms=((cifar10.BINARY,), (cifar10.PYTHON,), (cifar10.JPEG, cifar10.ORDER)),
        substitutes=(cifar10jpeg.NOTE,), home=_CIFAR_HOME, terms=_CIFAR_TERMS, citation=_CIFAR,
    ),
    Entry(
        name="cifar10-exact", title="a part of CIFAR-10 with its original pixels",
        task="classification", rows=9_085, features=PIXELS, classes=10,
        table=cifar10.load_exact, image=True,
        folder=cifar10.FOLDER, forms=((cifar10.EXACT,),),
        home=_CIFAR_HOME, terms=_CIFAR_TERMS, citation=_CIFAR,
    ),
    Entry(
        name="htru2", title="pulsar candidates, 10 folds", task="classification",
        rows=htru2.ROWS, features=len(htru2.FEATURES), classes=len(htru2.CLASSES),
        folds=htru2.load, folder=htru2.FOLDER, files=(htru2.ARCHIVE,),
        forms=tuple((file,) for file in (*htru2.PLAIN, htru2.ARCHIVE)),
        home=(_UCI + "372/htru2", "https://doi.org/10.6084/m9.figshare.3080389.v1"),
        terms=f"asks for the citation; {_UCI_TERMS}",
        citation="R. J. Lyon et al., Fifty years of pulsar candidate selection, MNRAS 459, 2016",
    ),
    Entry(
        name="tox21", title="toxicity of compounds, 6 folds", task="multitask",
        rows=12_707, features=273_577, classes=len(tox21.TASKS), folds=tox21.load,
        folder=tox.FOLDER, files=_DEEPTOX,
        forms=(_DEEPTOX, (tox.COMPOUNDS, tox.DERIVED), (tox.COMPOUNDS, tox.SDF)),
        substitutes=(tox21rdkit.NOTE,) * 2,
        home=("http://bioinf.jku.at/research/DeepTox/tox21.html",
              "https://tripod.nih.gov/tox21/challenge/"),
        terms="public challenge data of NIH/NCATS; no licence text",
        citation="A. Mayr et al., DeepTox, 2016; R. Huang et al., Tox21Challenge, 2016",
    ),
    Entry(
        name="uci/NAME", title=f"{len(SHAPES)} tasks of UCI, 4 folds each", task="classification",
        rows=_between(shape.rows for shape in SHAPES.values()),
        features=_between(shape.features for shape in SHAPES.values()),
        classes=_between(shape.classes for shape in SHAPES.values()),
        folds=uci.load, folder=uci.FOLDER, files=(uci.ARCHIVE,), forms=((uci.ARCHIVE,),),
        home=("http://www.bioinf.jku.at/people/klambauer/data_py.zip",
              "http://persoal.citius.usc.es/manuel.fernandez.delgado/papers/jmlr/"),
        terms="each task has its own; UCI now lists most as CC BY 4.0",
        citation="M. Fernandez-Delgado et al., Do we need hundreds of classifiers ...?, JMLR 15, "
        "2014",
    ),
)  # fmt: skip
ENTRIES: dict[str, Entry] = {entry.name: entry for entry in _ALL}


def entry(name: str) -> Entry:
    """Return the entry of a data set.

    "uci", "uci/NAME", "uci/iris", and "iris" if no other entry has that name, all return the entry
    "uci/NAME".

    Raises
    ------
    ValueError
        The name is unknown. The message lists similar names.
    """
    if name in ENTRIES:
        return ENTRIES[name]
    if name == "uci" or name.removeprefix("uci/") in SHAPES:
        return ENTRIES["uci/NAME"]
    names = [*ENTRIES, *(f"uci/{task}" for task in SHAPES)]
    near = difflib.get_close_matches(name, names, n=3)
    hint = f" (similar names: {', '.join(near)})" if near else ""
    raise ValueError(f"data set: must be one of {', '.join(ENTRIES)}, got {name!r}{hint}")


def fetch(name: str, progress: Progress | None = None) -> dict[Path, File]:
    """Download the original files of a data set unless they exist on this machine.

    Parameters
    ----------
    name : str
        A name that `entry` accepts.
    progress : callable, optional
        Called as ``progress(file_name, n_bytes, total_bytes)``; ``total_bytes`` may be None.

    Returns
    -------
    dict
        Path on this machine -> `File`; empty for a data set inside the package.

    Raises
    ------
    ValueError
        The name is unknown, or a file below $FASTSNN_DATA does not have the published checksum.
    FileNotFoundError
        The data set is not on this machine and has no download.
    RuntimeError
        A download failed on every mirror.
    """
    found = entry(name)
    files, note = found.here() or (None, None)
    if files is None or note:
        files = found.files
    if not files and found.forms:
        raise FileNotFoundError(
            f"{name}: cannot be downloaded; put {found.forms[0][0].name} into a folder "
            f"{found.folder} and set FASTSNN_DATA to its parent folder"
        )
    return {locate(found.folder, file, progress): file for file in files}
