"""The site builds without a warning, and no internal link is dead."""

import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("index", "reference/cli", "reference/api/networks", "benchmarks", "reproduction")
if importlib.util.find_spec("sphinx") is None:
    pytest.skip("Sphinx is not installed: pip install '.[docs]'", allow_module_level=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site by the command of the README, from a copy of the variables and without a
    network.
    """
    folder = tmp_path_factory.mktemp("site")
    nowhere = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-d",
         folder / "doctrees", ROOT / "docs", folder / "html"],
        env=os.environ | nowhere, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "html"


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.ids, self.targets = set(), set()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        self.targets |= {given[name] for name in ("href", "src") if given.get(name)}


def test_no_link_is_dead(site):
    pages = {}
    for path in site.rglob("*.html"):
        pages[path] = Links()
        pages[path].feed(path.read_text(encoding="utf-8"))
    assert {f"{name}.html" for name in PAGES} <= {str(p.relative_to(site)) for p in pages}
    dead = []
    for path, found in pages.items():
        for target in found.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc or path.name in ("genindex.html", "search.html"):
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not file.is_file():
                dead.append(f"{path.relative_to(site)}: {target}")
            elif parts.fragment and file in pages:
                if unquote(parts.fragment) not in pages[file].ids:
                    dead.append(f"{path.relative_to(site)}: {target}")
    assert not dead


def test_nothing_is_loaded_from_elsewhere(site):
    for path in site.rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|img|link)\b[^>]*(?:src|href)=\"(https?:[^\"]*)", path.read_text()
        )
        assert not loaded, path


def test_every_command_is_in_the_reference(site):
    from fastsnn.cli import main

    text = (site / "reference" / "cli.html").read_text(encoding="utf-8")
    for name, command in main.commands.items():
        assert f'id="fastsnn-{name}"' in text
        for option in command.params:
            for word in option.opts:
                assert word in text, f"{name} {word}"
