"""README.md: its length, the files that it names, and the commands that .ci/run takes from it.

Its examples are run by test_docs_examples.py.
"""

import re
from pathlib import Path

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
