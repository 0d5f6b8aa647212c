"""README.md and docs/: generated blocks, figures, links and the list of public names.

test_docs_examples.py runs the examples, test_docs_site.py builds the site.
"""

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

from fastsnn.bench import tables

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)]
GENERATED = re.compile(r"<!-- ([\w-]+) -->\n.*?<!-- end of \1 -->", re.S)
CODE = re.compile(r"^(`{3,}|:{3,})[^\n]*\n.*?^\1$|`[^`]*`|\$[^$]*\$|\]\([^)]*\)", re.S | re.M)
# Times, rates, memory, accuracies, and speed-ups. Whole percentages are settings.
FIGURE = re.compile(
    r"\d(?: ?(?:us|ms|s|seconds?|minutes?|hours?|[GT]FLOP/s|GB/s|samples/s|MiB)\b"
    r"| times (?:as|faster|slower|the speed))|\d\.\d+ ?%"
)
# (page, the text before the match's end) -> the reason why this figure is not measured.
ALLOWED = {
    ("docs/howto/tables.md", "always to 128 MiB"): "a limit in data/limits.py",
}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """Return a page without generated blocks, code, formulas, and link targets."""
    text = page.read_text(encoding="utf-8")
    return CODE.sub("", GENERATED.sub("", text))


@pytest.mark.parametrize("page", [*PAGES, ROOT / "ARCHITECTURE.md"], ids=name_of)
def test_generated_blocks_are_current(page):
    text = page.read_text(encoding="utf-8")
    assert tables.filled(page) == text, f"python -m fastsnn.bench.tables {name_of(page)}"


def test_all_blocks_are_shown():
    shown = {name for page in PAGES for name in GENERATED.findall(page.read_text("utf-8"))}
    assert shown >= {"step", "predict", "train", "grid", "scaling", "accuracy", "paper-uci"}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_figures_are_generated(page):
    """Times, speeds, memory and accuracies come from stored results, none is typed."""
    text = " ".join(prose(page).split())
    found = []
    for match in FIGURE.finditer(text):
        before = text[max(0, match.start() - 60) : match.end()]
        if not any(p == name_of(page) and before.endswith(end) for p, end in ALLOWED):
            found.append(before)
    assert not found


def test_allowed_figures_exist():
    """Entries of ALLOWED that no page needs must be removed."""
    for page, end in ALLOWED:
        assert end in " ".join(prose(ROOT / page).split()), (page, end)


def slugs(path: Path) -> set[str]:
    """Return the anchors that GitHub generates from headings."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.S | re.M)
    found = set()
    for title in re.findall(r"^#+ (.*)$", text, re.M):
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        number = sum(1 for known in found if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", known))
        found.add(f"{slug}-{number}" if number else slug)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    """For relative links of the plain Markdown, the file exists and has the heading."""
    text = re.sub(r"^```(?!\{).*?^```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            assert anchor in slugs(file), target


# ---- reference/api

MODULES = [
    "fastsnn", "fastsnn.schedules", "fastsnn.data", "fastsnn.tables", "fastsnn.theory", "fastsnn.search",
]  # fmt: skip


def documented() -> list[str]:
    """Return the full name of each object of the API reference."""
    found = []
    for page in sorted((DOCS / "reference" / "api").glob("*.md")):
        module = ""
        for kind, name in re.findall(
            r"^\.\. (currentmodule|automodule|autoclass|autofunction|py:data):: (\S+)$",
            page.read_text(encoding="utf-8"), re.M,
        ):  # fmt: skip
            if kind.endswith("module"):
                module = name
            else:
                found.append(f"{module}.{name}")
    return found


def test_public_names_are_documented_once():
    found = documented()
    assert len(found) == len(set(found)), "documented twice"
    for module in MODULES:
        package = importlib.import_module(module)
        for name in package.__all__:
            if name != "__version__" and not isinstance(getattr(package, name), ModuleType):
                assert f"{module}.{name}" in found


def test_documented_names_exist():
    for name in documented():
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name
