"""The version of the package, which is written in pyproject.toml alone."""

import importlib.metadata
import tomllib
from pathlib import Path


def _version() -> str:
    project = Path(__file__).parents[1] / "pyproject.toml"
    if project.is_file():  # a checkout: its own version, even if another one is installed
        version: str = tomllib.loads(project.read_text())["project"]["version"]
        return version
    return importlib.metadata.version("fastsnn")


__version__ = _version()
