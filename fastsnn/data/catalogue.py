"""Every data set with a name: what it is, which files it needs, where they come from, its terms."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastsnn.data import cifar10, cifar10jpeg, htru2, mnist, optdigits, tox21, tox21rdkit, uci
from fastsnn.data import tox21files as tox
from fastsnn.data.cifar10batches import PIXELS
from fastsnn.data.download import Progress, fault
from fastsnn.data.locate import File, find, locate
from fastsnn.data.ucinames import SHAPES

PACKAGE = "inside the package"


@dataclass(frozen=True)
class Entry:
    """One data set.

    rows, features, classes: of the whole; (least, most) where it stands for several. features: as
    they are in the files. classes: of a classification; tasks of a multitask one. files: those
    that `fetch` gets. forms: the files that suffice, in the order in which loaders prefer them;
    none for what needs no file. substitutes: what to say of the last of them, which are not the
    original. home: pages to read. terms, citation: what is known of them.
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
        return here and str(find(self.folder, here[0][0].name).parent)

    def tasks(self) -> list[str]:
        """Names of the UCI tasks in the copy on this machine; none if it is damaged or missing."""
        try:
            return uci.names() if self.folder == uci.FOLDER and self.here() else []
        except (ValueError, RuntimeError):
            return []

    def note(self) -> str | None:
        """What to say of the copy on this machine."""
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
    """What a file is checked against."""
    if file.checksum is None:
        return "no checksum is known: an archive by its own sums"
    return "its published checksum" if file.published else "a copy that agrees with others"


def checked(path: Path, file: File) -> str:
    """What a file on this machine was held against, and what is wrong with it, if anything."""
    wrong = fault(path, file.checksum)
    return f"{said(file)}, and {path.name} {wrong}" if wrong else said(file)


_MNIST = tuple(mnist.file_of(name) for name in mnist.SHA256)
_DIGITS = tuple(optdigits.FILES.values())
_DEEPTOX = (tox.COMPOUNDS, *tox.DENSE.values(), *tox.SPARSE.values())
_UCI = "https://archive.ics.uci.edu/dataset/"
_UCI_TERMS = "UCI lists its data sets as CC BY 4.0"
_CIFAR = {
    "home": ("https://www.cs.toronto.edu/~kriz/cifar.html",),
    "terms": "no licence text; the home page asks for the citation",
    "citation": "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    "folder": cifar10.FOLDER,
}


def _between(values) -> tuple[int, int]:
    values = list(values)
    return min(values), max(values)


_ALL = (
    Entry(
        "digits", "UCI optical digits, 1,797 of them", "classification", 1797, 64, 10,
        (_UCI + "80/optical+recognition+of+handwritten+digits",), "CC BY 4.0",
        "E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998",
    ),
    Entry(
        "optdigits", "UCI optical digits, all of them", "classification",
        sum(optdigits.ROWS.values()), optdigits.FEATURES, 10,
        (_UCI + "80/optical+recognition+of+handwritten+digits",), _UCI_TERMS,
        "E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998",
        optdigits.FOLDER, _DIGITS, (_DIGITS,),
    ),
    Entry(
        "mnist", "handwritten digits", "classification", 70_000, 784, 10,
        ("http://yann.lecun.com/exdb/mnist/",),
        "no licence text; commonly stated as CC BY-SA 3.0",
        "Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits, 1998",
        "mnist", _MNIST, (_MNIST,),
    ),
    Entry(
        "cifar10", "small colour images", "classification", 60_000, PIXELS, 10,
        files=(cifar10.BINARY,),
        forms=((cifar10.BINARY,), (cifar10.PYTHON,), (cifar10.JPEG, cifar10.ORDER)),
        substitutes=(cifar10jpeg.NOTE,), **_CIFAR,
    ),
    Entry(
        "cifar10-exact", "a part of CIFAR-10 with its original pixels", "classification",
        9_085, PIXELS, 10, forms=((cifar10.EXACT,),), **_CIFAR,
    ),
    Entry(
        "htru2", "pulsar candidates, 10 folds", "classification", htru2.ROWS,
        len(htru2.FEATURES), len(htru2.CLASSES),
        (_UCI + "372/htru2", "https://doi.org/10.6084/m9.figshare.3080389.v1"),
        f"asks for the citation; {_UCI_TERMS}",
        "R. J. Lyon et al., Fifty years of pulsar candidate selection, MNRAS 459, 2016",
        htru2.FOLDER, (htru2.ARCHIVE,),
        tuple((file,) for file in (*htru2.PLAIN, htru2.ARCHIVE)),
    ),
    Entry(
        "tox21", "toxicity of compounds, 6 folds", "multitask", 12_707, 273_577, len(tox21.TASKS),
        ("http://bioinf.jku.at/research/DeepTox/tox21.html",
         "https://tripod.nih.gov/tox21/challenge/"),
        "public challenge data of NIH/NCATS; no licence text",
        "A. Mayr et al., DeepTox, 2016; R. Huang et al., Tox21Challenge, 2016",
        tox.FOLDER, _DEEPTOX,
        (_DEEPTOX, (tox.COMPOUNDS, tox.DERIVED),
         (tox.COMPOUNDS, tox.SDF)),
        (tox21rdkit.NOTE,) * 2,
    ),
    Entry(
        "uci/NAME", f"{len(SHAPES)} tasks of UCI, 4 folds each", "classification",
        *(_between(getattr(shape, field) for shape in SHAPES.values())
          for field in ("rows", "features", "classes")),
        ("http://www.bioinf.jku.at/people/klambauer/data_py.zip",
         "http://persoal.citius.usc.es/manuel.fernandez.delgado/papers/jmlr/"),
        "each task has its own; UCI now lists most as CC BY 4.0",
        "M. Fernandez-Delgado et al., Do we need hundreds of classifiers ...?, JMLR 15, 2014",
        uci.FOLDER, (uci.ARCHIVE,), ((uci.ARCHIVE,),),
    ),
)  # fmt: skip
ENTRIES: dict[str, Entry] = {entry.name: entry for entry in _ALL}


def entry(name: str) -> Entry:
    """The entry of a data set; all of "uci", "uci/iris" and "uci/NAME" give the same one."""
    if name == "uci" or name == "uci/NAME" or name.removeprefix("uci/") in SHAPES:
        return ENTRIES["uci/NAME"]
    if name not in ENTRIES:
        names = [*ENTRIES, *(f"uci/{task}" for task in SHAPES)]
        near = difflib.get_close_matches(name, names, n=3)
        hint = f" (near names: {', '.join(near)})" if near else ""
        raise ValueError(f"data set: must be one of {', '.join(ENTRIES)}, got {name!r}{hint}")
    return ENTRIES[name]


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
