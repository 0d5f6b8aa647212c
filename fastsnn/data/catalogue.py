"""Every data set with a name, a row for each: what reads it, what it is, its files and its terms.

To add one, write its loader and add an `Entry`; `named`, the list, downloads and error messages
follow from these rows.
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
    """One data set.

    rows, features, classes: of the whole; (least, most) where it stands for several. features: as
    they are in the files. classes: of a classification; tasks of a multitask one; targets of a
    regression. files: those
    that `fetch` gets. forms: the files that suffice, in the order in which loaders prefer them;
    none for what needs no file. substitutes: what to say of the last of them, which are not the
    original. home: pages to read. terms, citation: what is known of them.

    table: reads the parts, called as table(progress); None for a data set with folds, of which
    those of fold 1 are taken. folds: reads all rows with their folds, called as
    folds(progress=progress), with the name before that where the entry stands for several. image:
    whether inputs are pixels, which one mean and one deviation standardize.
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
    def several(self) -> bool:
        """True if it stands for several data sets, PREFIX/NAME."""
        return self.name.endswith("/NAME")

    def read(self, progress: Progress | None = None) -> Table:
        """The parts of the data set, not yet standardized."""
        if self.table is not None:
            return self.table(progress)
        assert self.folds is not None
        return self.folds(progress=progress).table()

    def here(self) -> tuple[tuple[File, ...], str | None] | None:
        """(files, what to say of them or None) of the best form on this machine, or None."""
        said = [None] * (len(self.forms) - len(self.substitutes)) + list(self.substitutes)
        for form, note in zip(self.forms, said, strict=True):
            if all(find(self.folder, file.name) for file in form):
                return form, note
        return None

    def where(self) -> str | None:
        """The folder that has it on this machine (PACKAGE for what needs none), or None."""
        if not self.forms:
            return PACKAGE
        here = self.here()
        path = None if here is None else find(self.folder, here[0][0].name)
        return None if path is None else str(path.parent)

    def tasks(self) -> list[str]:
        """Names of the UCI tasks in the copy on this machine; none if it is damaged or missing."""
        try:
            return uci.names() if self.folder == uci.FOLDER and self.here() else []
        except (ValueError, RuntimeError):
            return []

    def note(self) -> str | None:
        """A remark on the copy on this machine; None without one."""
        if self.folder == uci.FOLDER and self.here() and not self.tasks():
            return f"damaged, or without tasks: replace {uci.ARCHIVE.name}"
        if tasks := self.tasks():
            return f"{len(tasks)} of {len(SHAPES)} tasks: --json names them"
        return (self.here() or (None, None))[1]

    def about(self) -> dict[str, Any]:
        """All of it, and where it lies, for a machine to read."""
        return {
            "name": self.name, "title": self.title, "task": self.task, "rows": self.rows,
            "features": self.features, "classes": self.classes, "where": self.where(),
            "note": self.note(), "tasks": self.tasks(),
            "missing": uci.missing() if self.tasks() else [],
            "terms": self.terms, "citation": self.citation, "home": self.home,
            "files": [
                {
                    "name": file.name, "bytes": file.size, "checksum": file.checksum,
                    "checked_by": said(file), "urls": file.urls,
                }
                for file in self.files
            ],
        }  # fmt: skip


def said(file: File) -> str:
    """The checksum that a file is checked against, in words."""
    if file.checksum is None:
        return "no checksum is known: an archive by its own sums"
    return "its published checksum" if file.published else "a copy that agrees with others"


def checked(path: Path, file: File) -> str:
    """`said(file)`, followed by the fault of the copy at `path`, if it has one."""
    wrong = fault(path, file.checksum)
    return f"{said(file)}, and {path.name} {wrong}" if wrong else said(file)


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
    """The entry of a data set. All of "uci", "uci/iris" and "uci/NAME" give the same one; so does
    "iris", unless another entry has this name. Raises ValueError for an unknown name.
    """
    if name in ENTRIES:
        return ENTRIES[name]
    if name == "uci" or name.removeprefix("uci/") in SHAPES:
        return ENTRIES["uci/NAME"]
    names = [*ENTRIES, *(f"uci/{task}" for task in SHAPES)]
    near = difflib.get_close_matches(name, names, n=3)
    hint = f" (near names: {', '.join(near)})" if near else ""
    raise ValueError(f"data set: must be one of {', '.join(ENTRIES)}, got {name!r}{hint}")


def fetch(name: str, progress: Progress | None = None) -> dict[Path, File]:
    """{path: file} of the original files of a data set, downloaded unless they are here already.

    Raises ValueError for an unknown name, and for a file under FASTSNN_DATA that is not the
    published one; FileNotFoundError for a data set with no source on the net; RuntimeError where
    no mirror has a file.
    """
    found = entry(name)
    files, note = found.here() or (None, None)
    if files is None or note:
        files = found.files
    if not files and found.forms:
        raise FileNotFoundError(
            f"{name}: cannot be downloaded; put {found.forms[0][0].name} into the folder "
            f"{found.folder} and set FASTSNN_DATA to the folder above"
        )
    return {locate(found.folder, file, progress): file for file in files}
