"""What README.md shows is run: the Python example prints the numbers in its comments."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

README = Path(__file__).parents[1] / "README.md"


def test_example_prints_what_its_comments_say(tmp_path):
    code = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)[1]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    expected = re.findall(r"print\(.*\)  # (.*)", code)
    assert len(expected) == 2
    printed = done.stdout.splitlines()
    assert np.isclose(float(printed[0]), float(expected[0]), atol=0.011)
    assert printed[1] == expected[1]


def test_files_that_are_named_exist():
    text = README.read_text(encoding="utf-8")
    names = re.findall(r"`((?:kernels|tests|bench|fastsnn)/[\w./]*|[A-Z]+\.md)`", text)
    assert len(names) >= 4
    for name in names:
        assert (README.parent / name).exists(), name
