"""Extras of pyproject.toml: those that messages name exist; dev is small."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
FOLDERS = ("fastsnn", "kernels", "bench", "tests")


def packages(extra):
    """Return all packages that pip installs for an extra, including extras of extras."""
    for line in EXTRAS[extra]:
        name, more = re.match(r"([\w-]+)(?:\[([\w,-]+)\])?", line).groups()
        if name == "fastsnn":
            for inner in more.split(","):
                yield from packages(inner)
        else:
            yield name


def advised():
    """Return (file, package, extras) of each "pip install" with extras in a text."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    for path in [*files, ROOT / "cli.py", ROOT / "bench/README.md", ROOT / ".ci/run"]:
        for line in path.read_text().splitlines():
            found = re.search(r"(\.|fastsnn)\[([a-z][a-z0-9,-]+)\]['\"`]", line.replace("\\", ""))
            if found and path.name != Path(__file__).name:
                yield path.name, found[1], found[2].split(",")


def test_messages_install_from_the_checkout_an_extra_that_exists():
    seen = list(advised())
    assert len(seen) > 15
    for path, what, extras in seen:
        assert what == ".", f"{path}: fastsnn is not on an index: pip install '.{extras}'"
        assert set(extras) <= EXTRAS.keys(), path


def test_cuda_packages_are_an_extra_of_their_own():
    assert "numba-cuda" in set(packages("dev-cuda"))
    light = set(packages("dev"))
    assert not {name for name in light if "cuda" in name or "nvidia" in name or name == "torch"}
    assert {"pytest", "hypothesis", "ruff", "scikit-learn", "optuna", "distributed"} <= light


def test_continuous_integration_installs_both():
    text = (ROOT / ".ci/run").read_text()
    assert "pip install '.[dev-cuda]'" in text
    assert text.index("dev-cuda]") < text.index("block 'Test'")
