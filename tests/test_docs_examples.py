"""Every example in README.md and docs/ runs and prints what its page says; see page_examples.py."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import page_examples
import pytest
from page_examples import ROOT, Wrong
from shared_data import shared_data

PAGES = [ROOT / "README.md", *sorted(set(ROOT.glob("docs/**/*.md")) - set(ROOT.glob("docs/_*/**")))]
RUN = [page for page in PAGES if page_examples.examples(page)]
IMAGES = {"train": 1200, "t10k": 300}
# Files that the reader of a page is assumed to have.
FILES = {
    "README.md": {
        "table.csv": "length,width,species\n" + "".join(
            f"{4 + i % 7 / 2},{1 + i % 5 / 4 + i % 3},{('setosa', 'virginica', 'other')[i % 3]}\n"
            for i in range(90)
        ),
        "new.csv": "length,width\n5.1,1.4\n6.2,3.3\n",
    }
}  # fmt: skip


def idx(array: np.ndarray) -> bytes:
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes(), mtime=0)


def images(prefix: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first images and labels of MNIST; without MNIST, images of a bar at the label's
    place.
    """
    real = (shared_data() or Path("nowhere")) / "mnist"
    if real.is_dir():
        with gzip.open(real / f"{prefix}-images-idx3-ubyte.gz") as file:
            x = np.frombuffer(file.read(16 + 784 * count)[16:], np.uint8).reshape(-1, 28, 28)
        with gzip.open(real / f"{prefix}-labels-idx1-ubyte.gz") as file:
            return x, np.frombuffer(file.read(8 + count)[8:], np.uint8)
    rng = np.random.default_rng(count)
    y = rng.integers(0, 10, count, dtype=np.uint8)
    x = rng.integers(0, 60, (count, 28, 28), dtype=np.uint8)
    for row, label in zip(x, y, strict=True):
        row[4 + 2 * label : 6 + 2 * label] += 150
    return x, y


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory):
    """Set $FASTSNN_DATA to a folder with a small MNIST in the original format."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "mnist").mkdir()
    for prefix, count in IMAGES.items():
        x, y = images(prefix, count)
        (folder / "mnist" / f"{prefix}-images-idx3-ubyte.gz").write_bytes(idx(x))
        (folder / "mnist" / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(idx(y))
    return folder


def run(page: Path, tmp_path: Path, data_folder: Path) -> subprocess.CompletedProcess:
    work = tmp_path / "work"
    work.mkdir()
    for name, content in FILES.get(page.name, {}).items():
        (work / name).write_text(content)
    more = {
        "EXAMPLES_BIN": str(tmp_path / "bin"), "FASTSNN_DATA": str(data_folder), "COLUMNS": "100",
        "PYTHONWARNINGS": "error", "NO_COLOR": "1",
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, page_examples.__file__, page], cwd=work, env=os.environ | more,
        capture_output=True, text=True, timeout=1200,
    )  # fmt: skip


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples(page, tmp_path, data_folder):
    done = run(page, tmp_path, data_folder)
    assert done.returncode == 0, done.stderr


def test_all_pages_are_covered():
    assert {"README.md", "index.md"} <= {page.name for page in RUN}


@pytest.mark.parametrize(
    "text, wrong",
    [
        ("```python\nx = 3\n```\n```python\nprint(x)  # 3\nprint(f'{x:.2f}')  # 3.0...\n```\n", ""),
        ("```python\nprint(3)  # 4\n```\n", "page.md:2: "),
        ("```python\nprint(3)\n```\n", "printed:\n3"),
        ("```python\nprint(3)\n```\n\n```text\n3\n```\n", ""),
        ("```python\nprint(3)\n```\nwords\n```text\n3\n```\n", "printed:\n3"),
        ("```python\n1 / 0\n```\n", "ZeroDivisionError"),
        ("```python\nimport warnings\nwarnings.warn('old')\n```\n", "UserWarning: old"),
        ("```shell\necho a > f\ncat f\n```\n```text\na\n```\n", ""),
        ("```shell\necho a\n```\n```text\nb\n```\n", "promised:\nb"),
        ("```shell\nfalse\necho a\n```\n", "exit code 0 is required, got 1"),
        ("% fails: 2\n```shell\nfastsnn no\n```\n```text\n...No such command 'no'...\n```\n", ""),
        ("<!-- skip: installs -->\n```shell\nfalse\n```\n", ""),
        ("% skip: no mood\n\n```shell\nfalse\n```\n", "skip: one of installs"),
        ("% skip: needs pandas\n```python\nimport pandas\n```\n", ""),
    ],
)
def test_the_runner(text, wrong, tmp_path, data_folder):
    page = tmp_path / "page.md"
    page.write_text(text)
    done = run(page, tmp_path, data_folder)
    assert done.returncode == bool(wrong) and wrong in done.stderr, done.stderr
    assert not done.stdout


def test_unknown_reasons_are_refused_without_running(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("% skip: later\n```python\n1 / 0\n```\n")
    with pytest.raises(Wrong, match="got 'later'"):
        page_examples.is_skipped(page_examples.examples(page)[0])
