"""docs/adding.md lists exactly the files that a new concept changes, and no more than agreed."""

import re
from pathlib import Path

import pytest

from fastsnn import metrics, optimizers, schedules
from fastsnn.kernels import activations, losses, updates

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = (ROOT / "docs" / "adding.md").read_text()
SOURCES = [
    ROOT / "cli.py", *(ROOT / "fastsnn").rglob("*.py"), *(ROOT / "kernels").rglob("*.py"),
]  # fmt: skip
MOST = {
    "An activation": 4, "A loss": 4, "An optimizer": 4, "A schedule": 1, "A metric": 1,
    "A layer": 6, "A data set": 2, "A command-line option": 2,
}  # fmt: skip
# Identifiers, in code, of each concept that was added as the document describes.
ADDED = {
    "An activation": [("GELU", "gelu", "gelu_tanh"), ("Mish", "mish")],
    "A loss": [("Huber", "huber"), ("Quantile", "quantile")],
    "An optimizer": [("RMSprop", "rmsprop"), ("Lion", "lion"), ("NAdam", "nadam")],
    "A schedule": [("OneCycle", "onecycle"), ("LogCosine", "logcosine")],
    "A metric": [("average_precision",)],
    "A data set": [("optdigits", "load_optdigits")],
}


def files_of(concept):
    """Return the first column of the table of a section."""
    section = DOCUMENT.split(f"\n## {concept}\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1].strip(" `") for line in section.splitlines() if line.startswith("|")]
    return [name for name in rows if not name.startswith("--") and name != "file"]


@pytest.mark.parametrize("concept", MOST)
def test_no_more_files_than_agreed(concept):
    files = files_of(concept)
    assert 1 <= len(files) <= MOST[concept]
    for name in files:
        if "NAME" not in name and not name.startswith("the file"):
            assert (ROOT / name).is_file(), name


@pytest.mark.parametrize(
    "concept, words", [(c, words) for c, each in ADDED.items() for words in each]
)
def test_only_these_files_name_it(concept, words):
    pattern = re.compile(rf"(?<![\w.-])({'|'.join(words)})(?![\w-])")
    naming = {str(p.relative_to(ROOT)) for p in SOURCES if pattern.search(p.read_text())}
    assert naming == {name.replace("NAME", words[0]) for name in files_of(concept)}


def test_all_that_was_added_is_in_the_tables():
    """The identifiers above occur in the code."""
    of = {concept: {words[-1] for words in each} for concept, each in ADDED.items()}
    assert of["An activation"] <= activations.CODES.keys()
    assert of["A loss"] <= losses.CODES.keys()
    assert of["An optimizer"] <= updates.CODES.keys() & optimizers.OPTIMIZERS.keys()
    assert of["A schedule"] <= schedules.SCHEDULES.keys()
    assert of["A metric"] <= metrics.LARGER_IS_BETTER.keys()
