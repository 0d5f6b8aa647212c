"""README.md: its length, the files that it names, and the commands that .ci/run takes from it.

Also the tables of files in tests/README.md and bench/README.md. test_docs_examples.py runs the
examples of README.md.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
MOST_LINES = 130


def test_it_is_short():
    assert len(TEXT.splitlines()) <= MOST_LINES


def test_files_that_are_named_exist():
    names = re.findall(r"`((?:kernels|tests|bench|docs|fastsnn)/[\w./]*|[A-Z]+\.md)`", TEXT)
    names += re.findall(r"\]\(((?!https?:)[\w./-]+)", TEXT)
    assert len(names) >= 4
    for name in names:
        assert (ROOT / name).exists(), name


def test_continuous_integration_finds_its_commands():
    titles = re.findall(r"block '([^']+)'", (ROOT / ".ci/run").read_text())
    assert "Test" in titles
    for title in titles:
        section = TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]
        assert re.search(r"^```\w*\n(pip|fastsnn|pytest)", section, re.M), title


def listed(text):
    """Return the names of files in the first columns of the tables of a text."""
    cells = re.findall(r"^\| (`[^|]*`) \|", text, re.M)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize(
    "folder, page, pattern, heading",
    [
        ("tests", "tests/README.md", "**/*.py", "# Tests"),
        ("bench", "bench/README.md", "**/*.py", "## Files"),
        ("fastsnn/paper", "bench/README.md", "*.py", "## The paper"),
    ],
)
def test_tables_list_every_file(folder, page, pattern, heading):
    text = (ROOT / page).read_text(encoding="utf-8").split(f"\n{heading}", 1)[-1]
    names = listed(text if folder != "fastsnn/paper" else text.split("\n## ")[0])
    found = {name: set((ROOT / folder).glob(name)) for name in names}
    assert all(found.values()), [name for name, paths in found.items() if not paths]
    expected = {p for p in (ROOT / folder).glob(pattern) if p.name != "__init__.py"}
    assert expected <= set().union(*found.values())
