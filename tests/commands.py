"""The command line in a test: called in this process, or started in a new one."""

import json
import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

import fastsnn.cli

ROOT = Path(__file__).resolve().parents[1]
SMALL = ("--layers", 2, "--width", 16, "--epochs", 2, "--batch-size", 64, "--threads", 1)


def call(*words):
    """Run `fastsnn WORDS`; return click's result with exit_code, stdout, stderr."""
    return CliRunner().invoke(fastsnn.cli.main, [str(word) for word in words], prog_name="fastsnn")


def good(*words) -> str:
    """Return the stdout of a command that must succeed."""
    result = call(*words)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def result_of(*words) -> dict:
    """Return the only JSON object that a command prints; NaN and infinity are not valid JSON."""
    return json.loads(good(*words, "--json"), parse_constant=lambda word: 1 / 0)


def start(*words, how=("-m", "fastsnn"), env=None, **more) -> subprocess.Popen:
    """Start `python HOW WORDS` as a new process; HOW may be ("-c", code)."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
    return subprocess.Popen(
        [sys.executable, *how, *map(str, words)],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | (env or {}), text=True, **pipes,
    )  # fmt: skip


def write_table(path: Path, header, rows) -> Path:
    lines = [",".join(map(str, row)) for row in ([header] if header else []) + list(rows)]
    path.write_text("\n".join(lines) + "\n")
    return path
