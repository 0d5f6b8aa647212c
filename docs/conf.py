"""Sphinx: `sphinx-build -W --keep-going -b html docs docs/_build/html`, without a network."""

import re
import sys
from pathlib import Path

from docutils import nodes
from docutils.utils.math import latex2mathml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this checkout, installed or not

from fastsnn import __version__  # noqa: E402

project = "fastsnn"
author = "the fastsnn authors"
copyright = author  # noqa: A001
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build"]

# ---- pages
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
smartquotes = False  # they make a dash of the two hyphens of an option
highlight_language = "text"
default_role = "literal"  # single backticks in docstrings are code

# ---- docstrings
napoleon_google_docstring = False
napoleon_use_param = False  # one entry for "mean, variance : float"
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_type_aliases = {name: name for name in ("ArrayLike", "Features", "Placed", "TrialFunction")}
autodoc_default_options = {"members": True}
maximum_signature_line_length = 88
python_display_short_literal_types = True

# ---- theme
html_theme = "furo"
html_title = f"fastsnn {version}"
pygments_dark_style = "github-dark"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#0b6b53",
        "color-brand-content": "#0b6b53",
    },
    "dark_css_variables": {
        "color-brand-primary": "#5fd0b0",
        "color-brand-content": "#5fd0b0",
    },
}


def without_private(app, what, name, obj, options, signature, returns):
    """Leave out keywords for internal use, which begin with an underscore; name type aliases."""
    signature = re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", signature or "")
    return re.sub(r", \*, _\w+: .*\)$", ")", signature) or None, returns


def compact(app, ctx, lines):
    """An option of the command line: defaults and choices in the line of the text, as --help has
    them; the placeholder with all of its brackets.
    """
    made = []
    for line in lines:
        if extra := re.fullmatch(r"( +):(default|options): (.*)", line):
            indent, kind, text = extra.groups()
            while not made[-1].strip():
                made.pop()
            if kind == "default":
                text = f"*Default:* ``{text.strip('`').strip(chr(39))}``."
            else:
                text = f"*One of:* ``{text.replace(' | ', '``, ``')}``."
            made.append(f"{indent}{text}")
        else:
            made.append(line)
    for option in ctx.command.params:
        if word := option.metavar:
            short = f"<{word.lstrip('<[{($').rstrip('>]})$')}>"
            made = [row.replace(short, word) if row.startswith("..") else row for row in made]
    lines[:] = made


def examples(app, ctx, lines):
    """The examples at the end of a --help are commands."""
    lines[:] = [
        f"    {line[1:].strip()}" if line.startswith("|  ")
        else f"{line[1:].strip()}\n\n.. code-block:: shell\n" if line.startswith("|")
        else line
        for line in lines
    ]  # fmt: skip
    lines[:] = "\n".join(lines).split("\n")


def dashes(app, doctree):
    """Napoleon separates a parameter from its description by two hyphens, for smartquotes."""
    for text in list(doctree.findall(nodes.Text)):
        if isinstance(text.parent, (nodes.paragraph, nodes.inline)):
            text.parent.replace(text, nodes.Text(re.sub(r"(^| )-- ", " \N{EN DASH} ", text)))


def inline_math(self, node):
    """MathML, which browsers draw themselves: no JavaScript, no network."""
    self.body.append(latex2mathml.tex2mathml(node.astext()))
    raise nodes.SkipNode


def block_math(self, node):
    self.body.append(latex2mathml.tex2mathml(node.astext(), as_block=True))
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
    app.connect("autodoc-process-signature", without_private)
    app.connect("doctree-read", dashes)
    app.connect("sphinx-click-process-options", compact)
    app.connect("sphinx-click-process-epilog", examples)
