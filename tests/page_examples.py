"""Run the examples of a page of the documentation, in order: `python page_examples.py PAGE`.

They run in the current folder, which should be empty. Fences:

    ```python   run in one namespace, which is `__main__`
    ```shell    commands, run by bash; `fastsnn` is that of this checkout
    ```text     directly after one of these: its complete output

Without a text fence, a comment states each line that Python prints: `print(x)  # 3`. In expected
output `...` matches any text. A comment on the line before a fence changes how it runs:
`<!-- NAME: VALUE -->`, or `% NAME: VALUE`, which GitHub shows:

    skip: REASON    not run; REASON is one of SKIPPED, or "needs PACKAGE" if it is not installed
    fails: CODE     the last command of a shell fence ends with this exit code
"""

import hashlib
import importlib.util
import os
import re
import runpy
import subprocess
import sys
import traceback
import types
from contextlib import redirect_stdout
from dataclasses import dataclass
from doctest import ELLIPSIS, OutputChecker
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SKIPPED = ("installs", "needs a GPU", "takes minutes", "downloads")
PACKAGES = {"PyTorch": "torch", "pandas": "pandas"}  # the package does not need them
COMMENT = re.compile(r"(?:% |<!-- )(skip|fails): (.*?)(?: -->)?")
PROMISE = re.compile(r"print\(.*\)  # (.*)")
COMMAND_SECONDS = 600


@dataclass
class Example:
    page: Path
    line: int  # of the first line of the code, from 1
    language: str
    code: str
    output: str | None  # expected output from a text fence
    skip: str | None
    fails: int


class Wrong(Exception):
    """An example does not do what the page says."""


def examples(page: Path) -> list[Example]:
    found, inside, comment, last = [], None, ("", ""), None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.fullmatch(r"(`{3,})(.*)", line)
        if inside is None and fence:
            inside, language, code, first = fence[1], fence[2].strip(), [], number + 1
        elif inside is not None and line == inside:
            text = "".join(f"{row}\n" for row in code)
            if language == "text" and last is not None:
                last.output = text
            last = None
            if language in ("python", "shell"):
                name, value = comment
                last = Example(page, first, language, text, None,
                               value if name == "skip" else None,
                               int(value) if name == "fails" else 0)  # fmt: skip
                found.append(last)
            inside, comment = None, ("", "")
        elif inside is not None:
            code.append(line)
        elif said := COMMENT.fullmatch(line):
            comment, last = said.groups(), None
        elif line:
            comment, last = ("", ""), None
    return found


def is_skipped(example: Example) -> bool:
    reason = example.skip
    package = (reason or "").removeprefix("needs ")
    if package in PACKAGES:
        return importlib.util.find_spec(PACKAGES[package]) is None
    if reason is not None and reason not in SKIPPED:
        raise Wrong(f"skip: one of {', '.join(SKIPPED)} is required, got {reason!r}")
    return reason is not None


def run_python(example: Example, namespace: dict) -> str:
    code = compile("\n" * (example.line - 1) + example.code, str(example.page), "exec")
    with redirect_stdout(StringIO()) as printed:
        exec(code, namespace)
    return printed.getvalue()


def run_shell(example: Example) -> str:
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", example.code], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=COMMAND_SECONDS,
    )  # fmt: skip
    if done.returncode != example.fails:
        raise Wrong(f"exit code {example.fails} is required, got {done.returncode}:\n{done.stdout}")
    return done.stdout


def compare(example: Example, printed: str) -> None:
    wanted = example.output
    if wanted is None:
        if example.language == "shell":
            return
        wanted = "".join(f"{text}\n" for text in PROMISE.findall(example.code))
    wanted, printed = (re.sub(r"[ \t]+$", "", t, flags=re.M) for t in (wanted, printed))
    if not OutputChecker().check_output(wanted, printed, ELLIPSIS):
        raise Wrong(f"promised:\n{wanted}\nprinted:\n{printed}")


def commands_first(folder: Path) -> None:
    """Put the command `fastsnn` of this checkout, and this Python, first on the path."""
    folder.mkdir()
    start = f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r}); import page_examples as p"
    for name, words in (("fastsnn", f'-c "{start}; p.command()"'), ("python", "")):
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        path.chmod(0o755)
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    os.environ["PYTHONPATH"] = str(ROOT)


def take_small_mnist() -> None:
    """Replace the published checksums by those of the MNIST subset in $FASTSNN_DATA."""
    from fastsnn.data import mnist

    for name in mnist.SHA256:
        path = Path(os.environ["FASTSNN_DATA"], "mnist", name)
        mnist.SHA256[name] = hashlib.sha256(path.read_bytes()).hexdigest()


def command() -> None:
    """Run the command `fastsnn`."""
    if "mnist" in sys.argv:
        take_small_mnist()
    sys.path.pop(0)
    runpy.run_module("fastsnn", run_name="__main__", alter_sys=True)


def run(page: Path) -> int:
    """Run all examples; print failures; return 1 if there are any."""
    sys.path[:1] = ["", str(ROOT)]  # as in an interactive session
    if '"mnist"' in page.read_text(encoding="utf-8"):
        take_small_mnist()
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    for example in examples(page):
        try:
            if is_skipped(example):
                continue
            if example.language == "python":
                printed = run_python(example, main.__dict__)
            else:
                printed = run_shell(example)
            compare(example, printed)
        except (Exception, SystemExit):
            kind, error, _ = sys.exc_info()
            print(f"{page}:{example.line}: this example fails", file=sys.stderr)
            print(error if kind is Wrong else traceback.format_exc(), file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    commands_first(Path(os.environ["EXAMPLES_BIN"]))
    sys.exit(run(Path(sys.argv[1])))
