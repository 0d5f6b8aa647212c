"""What README.md shows is run: the Python example prints the numbers in its comments."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).parents[1] / "README.md"


def blocks():
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)


@pytest.mark.parametrize("number", range(len(blocks())))
def test_examples_print_what_their_comments_say(number, tmp_path):
    code = blocks()[number]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    expected = re.findall(r"print\(.*\)  # (.*)", code)
    printed = done.stdout.splitlines()
    assert len(expected) == len(printed) >= 2
    if number == 0:  # an accuracy: the last digit is the system's logarithm's
        assert np.isclose(float(printed[0]), float(expected[0]), atol=0.011)
        expected, printed = expected[1:], printed[1:]
    assert printed == expected


def test_files_that_are_named_exist():
    text = README.read_text(encoding="utf-8")
    names = re.findall(r"`((?:kernels|tests|bench|fastsnn)/[\w./]*|[A-Z]+\.md)`", text)
    assert len(names) >= 4
    for name in names:
        assert (README.parent / name).exists(), name
