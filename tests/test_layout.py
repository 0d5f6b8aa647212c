"""House rules: third-party imports, contents of the package, files with compile flags.

test_imports.py tests imports inside fastsnn.
"""

import ast
import importlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from numba.core.dispatcher import Dispatcher

import fastsnn
from fastsnn.kernels import jit

ROOT = Path(__file__).resolve().parents[1]
PACKAGE, KERNELS, BENCH = ROOT / "fastsnn", ROOT / "kernels", ROOT / "bench"
MOST_LINES = 400

AGREED = {
    ".ci", ".gitignore", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE", "README.md", "bench",
    "cli.py", "docs", "fastsnn", "kernels", "pyproject.toml", "setup.py", "tests",
}  # fmt: skip

KERNELS_MAY_IMPORT = {"numpy", "numba", "llvmlite", "platformdirs", "filelock"}
PACKAGE_MAY_IMPORT = {"numpy", "numba", "llvmlite", "safetensors"}
# The files of the package that import click.
COMMAND_LINE = {"paper/command.py", "runs/datasets.py", "runs/options.py"}
# Loaded by `fastsnn.__getattr__` at the first use of an estimator, so it may import these on top.
ESTIMATORS_MAY_IMPORT = {"sklearn", "joblib"}  # scikit-learn depends on joblib
BENCH_MAY_IMPORT = {"numpy", "numba", "llvmlite", "click", "rich"}
# Imported on use, if installed.
PEERS = {
    "torch", "jax", "onnxruntime", "matplotlib", "scipy", "sklearn", "pandas", "lightgbm",
    "xgboost", "pytabkit", "skorch",
}  # fmt: skip
# Imports of features that not everyone uses, and their extras in pyproject.toml.
OPTIONAL = {
    "matplotlib": "plot", "optuna": "search", "distributed": "dask", "rdkit": "tox21",
    "PIL": "cifar10", "cuda": "cuda13", "numba_cuda": "cuda13", "scipy": "paper",
    "sklearn": "sklearn", "joblib": "sklearn", "duckdb": "tables", "narwhals": "tables",
}  # fmt: skip
# Imported on first use.
IN_FUNCTIONS = {"rich", "platformdirs", "requests", "urllib3", "tomli_w", *OPTIONAL}
NOT_LOADED = {
    "click", "rich", "requests", "urllib3", "tomli_w", "torch", "sklearn", "matplotlib",
    "joblib", "pandas", "filelock", "numba.cuda", "fastsnn.cli", "fastsnn.estimators", "optuna",
    "distributed", "rdkit", "PIL", "duckdb",
}  # fmt: skip


def sources(folder):
    return sorted(folder.rglob("*.py"))


def name_of(path):
    return str(path.relative_to(ROOT))


def parsed(path):
    return ast.parse(path.read_text(), str(path))


def absolute(path, node):
    """Return the module of a `from ... import`.

    kernels/ and bench/ use relative imports for their own modules, which an editor resolves in a
    bare checkout.
    """
    folder = path.parent.relative_to(ROOT).parts
    package = folder if folder[:1] == ("fastsnn",) else ("fastsnn", *folder)
    if not node.level:
        own = re.match(r"fastsnn\.(kernels|bench)\b", node.module)
        outer = folder[:1] in (("kernels",), ("bench",))
        assert not (own and outer), f"{name_of(path)}:{node.lineno}: make this import relative"
        return node.module
    assert package[1:2] != () and folder[0] != "fastsnn", f"{name_of(path)}:{node.lineno}: absolute"
    parts = [*package[: len(package) - node.level + 1], *filter(None, [node.module])]
    return ".".join(parts)


def imports(path, functions=True):
    """Yield (module, name or None, line) of each import; without `functions` only those of the
    module.
    """
    nodes = [parsed(path)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name, None, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = absolute(path, node)
            yield from ((module, alias.name, node.lineno) for alias in node.names)
        inner = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if functions or not inner:
            nodes.extend(ast.iter_child_nodes(node))


def outside(path, **options):
    """Return imports from outside of the standard library and fastsnn: {package: line}."""
    found = {module.split(".")[0]: line for module, _, line in imports(path, **options)}
    return {m: line for m, line in found.items() if m not in {*sys.stdlib_module_names, "fastsnn"}}


def inside(path):
    """Return the modules of fastsnn that it imports: "fastsnn.kernels.jit", ..."""
    for module, name, _ in imports(path):
        if module == "fastsnn":
            yield f"fastsnn.{name}" if name else module
        elif module.startswith("fastsnn."):
            yield module


@pytest.mark.parametrize("path", sources(KERNELS), ids=name_of)
def test_third_party_imports_of_kernels(path):
    more = {"cuda"} if path.parent.name == "cuda" else set()
    assert outside(path).keys() <= KERNELS_MAY_IMPORT | more
    assert outside(path, functions=False).keys() <= KERNELS_MAY_IMPORT


@pytest.mark.parametrize("path", sources(PACKAGE), ids=name_of)
def test_third_party_imports_of_the_package(path):
    place = str(path.relative_to(PACKAGE))
    more = {"click"} if place in COMMAND_LINE else set()
    assert outside(path).keys() <= PACKAGE_MAY_IMPORT | IN_FUNCTIONS | more
    top = ESTIMATORS_MAY_IMPORT if path.parent.name == "estimators" else set()
    assert not outside(path, functions=False).keys() & (IN_FUNCTIONS - top)
    for module in inside(path):
        assert module != "fastsnn" or place == "__init__.py", (
            "inside the package, take names from where they are made"
        )


@pytest.mark.parametrize("path", sources(BENCH), ids=name_of)
def test_third_party_imports_of_bench(path):
    assert outside(path).keys() <= BENCH_MAY_IMPORT | IN_FUNCTIONS | PEERS
    assert not outside(path, functions=False).keys() & (IN_FUNCTIONS | PEERS)


def test_the_command_line_needs_click_alone():
    assert outside(ROOT / "cli.py").keys() == {"click"}


def test_import_is_light():
    code = "import sys, json, fastsnn; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    loaded = set(json.loads(run.stdout))
    assert {"fastsnn.trainer", "fastsnn.kernels.cpu.program", "numba"} <= loaded
    assert not loaded & NOT_LOADED


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_package_list_matches_the_folders():
    settings = project()["tool"]["setuptools"]
    assert settings["package-dir"] == {
        "fastsnn": "fastsnn", "fastsnn.bench": "bench", "fastsnn.kernels": "kernels",
    }  # fmt: skip
    on_disk = set()
    for name, folder in settings["package-dir"].items():
        on_disk |= {name + dotted(p, ROOT / folder) for p in (ROOT / folder).rglob("__init__.py")}
    assert sorted(settings["packages"]) == sorted(on_disk)
    for folder in (PACKAGE, KERNELS, BENCH):
        for path in sources(folder):
            assert (path.parent / "__init__.py").is_file(), f"{path} would not be shipped"


def dotted(path, folder):
    return "".join(f".{part}" for part in path.parent.relative_to(folder).parts)


def test_package_data_matches_the_files():
    data = project()["tool"]["setuptools"]["package-data"]
    folders = {
        "fastsnn": PACKAGE, "fastsnn.bench": BENCH, "fastsnn.paper": PACKAGE / "paper",
        "fastsnn.data": PACKAGE / "data", "fastsnn.kernels": KERNELS,
    }  # fmt: skip
    assert data.keys() == folders.keys()
    for package, names in data.items():
        on_disk = {p.name for p in folders[package].iterdir() if p.is_file() and p.suffix != ".py"}
        assert set(names) == on_disk, package


def tracked():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if run.returncode:
        pytest.skip(f"git does not read this checkout: {run.stderr.strip()}")
    return [path for path in run.stdout.splitlines() if (ROOT / path).exists()]


def test_top_level():
    assert {path.split("/")[0] for path in tracked()} == AGREED


def test_files_are_short():
    long = {}
    for path in tracked():
        if path.endswith(".py"):
            count = len((ROOT / path).read_text().splitlines())
            if count > MOST_LINES:
                long[path] = count
    assert not long


def test_the_version_is_in_one_place():
    version = project()["project"]["version"]
    assert fastsnn.__version__ == version
    for path in [*sources(PACKAGE), *sources(KERNELS), ROOT / "cli.py", ROOT / "setup.py"]:
        assert version not in path.read_text(), name_of(path)
    headings = re.findall(r"^## \[?(\d[\w.]*)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert not headings or headings[0] == version


def test_dependencies_are_those_that_are_imported():
    """Each import has its line in pyproject.toml, and each line its import."""
    declared = {
        re.split(r"[><=~! \[]", line)[0].replace("-", "_")
        for line in project()["project"]["dependencies"]
    }
    used = set()
    for path in [*sources(PACKAGE), *sources(KERNELS), ROOT / "cli.py"]:
        used |= outside(path).keys()
    used -= {"urllib3", *OPTIONAL}  # urllib3: a dependency of requests
    assert declared == used and "requests" in declared
    assert set(OPTIONAL.values()) <= project()["project"]["optional-dependencies"].keys()


def mentions(path):
    """Return every name in a file: variables, attributes, keywords, imported names."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.value.lineno
        elif isinstance(node, ast.alias):
            yield from ((part, node.lineno) for part in node.name.split("."))
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.MatMult):
            yield "@", node.lineno


PRODUCTS = {
    "@", "dot", "vdot", "matmul", "inner", "outer", "tensordot", "einsum", "linalg", "scipy",
}  # fmt: skip
COMPILERS = {
    "njit", "vectorize", "guvectorize", "generated_jit", "cfunc", "stencil", "jitclass",
    "fastmath", "error_model", "nogil", "boundscheck", "inline", "target_backend",
}  # fmt: skip


@pytest.mark.parametrize("path", sources(KERNELS), ids=name_of)
def test_no_matrix_product_of_a_library(path):
    assert not {(name, line) for name, line in mentions(path) if name in PRODUCTS}


# Files with compile flags: for the CPU, for CUDA.
COMPILE = {KERNELS / "jit.py", KERNELS / "cuda" / "code.py"}
BUT_JIT = [path for path in sources(PACKAGE) + sources(KERNELS) if path not in COMPILE]


@pytest.mark.parametrize("path", BUT_JIT, ids=name_of)
def test_compile_flags_are_in_jit(path):
    assert not {(name, line) for name, line in mentions(path) if name in COMPILERS}
    for module, name, line in imports(path):
        assert (module, name) != ("numba", "jit"), line
        assert not module.startswith("numba.core.decorators"), line
    assert "numba.jit" not in path.read_text()


def all_modules():
    for folder, package in ((PACKAGE, "fastsnn"), (KERNELS, "fastsnn.kernels")):
        for path in sources(folder):
            parts = path.relative_to(folder).with_suffix("").parts
            if parts[0] == "cuda" and folder == KERNELS and not find_spec("numba_cuda"):
                continue
            if parts[0] == "estimators" and not find_spec("sklearn"):
                continue
            if parts[-1] != "__main__":
                parts = parts[:-1] if parts[-1] == "__init__" else parts
                yield importlib.import_module(".".join([package, *parts]))


def test_kernels_called_by_python_are_entries():
    """Kernels that Python calls are `jit.entry`s; helpers have the same flags, and no `prange`."""
    entries = set()
    for module in all_modules():
        for name, value in vars(module).items():
            if isinstance(value, jit.Entry):
                entries.add(name)
                assert value.dispatcher.py_func.__module__.startswith("fastsnn.kernels.")
                assert_flags(value.dispatcher)
            elif isinstance(value, Dispatcher):
                where = f"{module.__name__}.{name}"
                assert module.__name__.startswith("fastsnn.kernels."), f"{where} is no entry"
                assert_flags(value)
                assert not value.targetoptions.get("parallel"), where
    assert {"step_parallel", "steps_serial", "run_forward", "exponential"} <= entries


def assert_flags(dispatcher):
    options = dict(dispatcher.targetoptions)
    for name in ("parallel", "nopython", "boundscheck"):
        options.pop(name, None)
    assert options == jit.FLAGS and "nnan" not in jit.FLAGS["fastmath"]


def test_a_parallel_loop_needs_an_entry():
    """`prange` in a helper would be a plain loop, also in a serial entry."""
    for path in sources(KERNELS):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef):
                names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
                parallel = any("parallel=True" in ast.unparse(d) for d in node.decorator_list)
                assert ("prange" in names) == parallel, f"{name_of(path)}: {node.name}"
