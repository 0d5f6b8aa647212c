"""Ship the top-level cli.py as fastsnn/cli.py; everything else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithCli(build_py):
    def run(self):
        super().run()
        if not self.editable_mode:  # an editable install finds cli.py through fastsnn.__path__
            target = Path(self.build_lib, "fastsnn", "cli.py")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(__file__).with_name("cli.py"), target)


setup(cmdclass={"build_py": BuildWithCli})
