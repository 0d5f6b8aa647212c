"""The import contracts in pyproject.toml, and a drawing of the imports.

    python tests/imports.py            # check the contracts; the exit code of lint-imports
    python tests/imports.py --draw     # print the drawing, as Mermaid text
    python tests/imports.py --write    # put it into ARCHITECTURE.md

`kernels/`, `bench/` and `cli.py` are next to `fastsnn/` in a checkout and inside it when installed.
import-linter and grimp see one package, so a temporary folder gets the installed layout. They parse
the files and import none.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT, DOCUMENT = ROOT / "pyproject.toml", ROOT / "ARCHITECTURE.md"
BLOCK = re.compile(
    r"(?<=<!-- drawn by tests/imports.py -->\n)```mermaid\n.*?```\n(?=<!-- end of the drawing -->)",
    re.S,
)
BESIDE = ("kernels", "bench")  # folders that install into fastsnn/


def assemble(folder: Path) -> None:
    """Copy the Python files of the checkout to `folder`/fastsnn in the installed layout."""
    python = shutil.ignore_patterns("__pycache__", "results")
    shutil.copytree(ROOT / "fastsnn", folder / "fastsnn", ignore=python)
    for name in BESIDE:
        shutil.copytree(ROOT / name, folder / "fastsnn" / name, ignore=python)
    shutil.copy(ROOT / "cli.py", folder / "fastsnn")


def lint() -> subprocess.CompletedProcess[str]:
    """Run `lint-imports` on the assembled package."""
    code = "import sys; from importlinter.cli import lint_imports_command as c; c()"
    with tempfile.TemporaryDirectory() as folder:
        assemble(Path(folder))
        return subprocess.run(
            [sys.executable, "-c", code, "--no-cache", "--no-logo", PROJECT],
            cwd=folder, env=os.environ | {"PYTHONPATH": folder}, capture_output=True, text=True,
        )  # fmt: skip


def nodes() -> dict[str, tuple[int, str]]:
    """Return {module of fastsnn: (line of the contract on layers, label)}.

    The files of a line share one node; a folder has its own.
    """
    contracts = tomllib.loads(PROJECT.read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (c["layers"] for c in contracts if c.get("containers") == ["fastsnn"])
    found = {}
    for line, layer in enumerate(layers):
        names = re.findall(r"\w+", layer)
        files = [n for n in names if not path_of(n).is_dir()]
        files = [n for n in files if path_of(n).with_suffix(".py").is_file()]
        for name in names:
            if path_of(name).is_dir():
                found[name] = line, f"{path_of(name).relative_to(ROOT)}/"
            elif name in files:
                inside = path_of(name).parent != ROOT
                label = ", ".join(f"{n}.py" for n in files)
                found[name] = line, f"fastsnn/ {label}" if inside else label
    return found


def path_of(module: str) -> Path:
    """Return the path of a module of fastsnn in the checkout, without suffix."""
    return (ROOT if module in ("cli", *BESIDE) else ROOT / "fastsnn") / module


def draw() -> str:
    """Return the imports between the parts as Mermaid text.

    An arrow that follows from others is omitted: if a imports b and b imports c, a -> c is not
    drawn. An import that does not point down is always drawn.
    """
    import grimp

    with tempfile.TemporaryDirectory() as folder:
        assemble(Path(folder))
        sys.path.insert(0, folder)
        graph = grimp.build_graph("fastsnn", cache_dir=None)
        sys.path.remove(folder)
    known = nodes()
    below: dict[tuple[int, str], set[tuple[int, str]]] = {node: set() for node in known.values()}
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            ends = [
                known.get(name.partition(".")[2].split(".")[0]) for name in (importer, imported)
            ]
            if None not in ends and ends[0] != ends[1]:
                below[ends[0]].add(ends[1])

    down = {node: {b for b in found if b[0] > node[0]} for node, found in below.items()}

    def reached(start):
        return set().union(down[start], *(reached(node) for node in down[start]))

    order = sorted(below)
    number = {node: f"n{i}" for i, node in enumerate(order)}
    lines = [f'    {number[node]}["{node[1]}"]' for node in order]
    for node in order:
        implied = set().union(*(reached(other) for other in down[node]))
        lines += [
            f"    {number[node]} --> {number[b]}"
            for b in sorted(below[node] - (implied & down[node]))
        ]
    return "\n".join(["```mermaid", "graph TD", *lines, "```", ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draw", action="store_true", help="print the drawing")
    parser.add_argument("--write", action="store_true", help="put it into ARCHITECTURE.md")
    chosen = parser.parse_args()
    if chosen.write:
        text = DOCUMENT.read_text()
        if not BLOCK.search(text):
            print("ARCHITECTURE.md: no block between the comments imports", file=sys.stderr)
            return 1
        drawing = draw()
        DOCUMENT.write_text(BLOCK.sub(lambda _: drawing, text))
        return 0
    if chosen.draw:
        print(draw(), end="")
        return 0
    run = lint()
    print(run.stdout + run.stderr, end="")
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())
