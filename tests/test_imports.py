"""Imports: the contracts in pyproject.toml hold, can fail, and are drawn in ARCHITECTURE.md."""

import subprocess
import sys

import imports


def test_the_contracts_hold():
    run = imports.lint()
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 broken" in run.stdout


# (importing module, its statement, imported module), all in fastsnn.
WRONG = [
    ("checks.scalars", "from fastsnn.engine import plan", "engine.plan"),
    ("kernels.cpu.tile", "from ..cuda import layout", "kernels.cuda.layout"),
    ("kernels.scalar", "from .cpu import shape", "kernels.cpu.shape"),
    ("runs.run", "from fastsnn.kernels import jit", "kernels.jit"),
    ("search.loop", "def f():\n    from fastsnn import cli", "cli"),
]
CIRCLE = ("checks.scalars", "from fastsnn.checks import encode")
UNKNOWN = ("unknown", "import numpy")
TOLD = [
    *(f"fastsnn.{importer} -> fastsnn.{imported}" for importer, _, imported in WRONG),
    "No cycles are allowed in fastsnn.checks.", "- fastsnn.unknown",
]  # fmt: skip


def test_wrong_imports_break_the_contracts(monkeypatch):
    def with_them(folder, assemble=imports.assemble):
        assemble(folder)
        for module, statement, *_ in [*WRONG, CIRCLE, UNKNOWN]:
            path = folder / "fastsnn" / f"{module.replace('.', '/')}.py"
            with path.open("a") as source:
                source.write(f"\n{statement}\n")

    before = imports.lint().stdout
    monkeypatch.setattr(imports, "assemble", with_them)
    run = imports.lint()
    assert run.returncode == 1 and "4 broken" in run.stdout
    for text in TOLD:
        assert text in run.stdout and text not in before, text


def test_the_drawing_is_the_one_in_the_document():
    """To update it: python tests/imports.py --write"""
    command = [sys.executable, imports.__file__, "--draw"]
    drawn = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert drawn.startswith("```mermaid\ngraph TD\n") and "-->" in drawn
    (in_document,) = imports.BLOCK.findall(imports.DOCUMENT.read_text())
    assert drawn == in_document
