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


CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)(\w?)")
COLON = "\N{RATIO}"  # for a while
MARKUP = re.compile(r"``.*?``(?:\\ )?|:\w+:``.*?``|\|(?=\S)|(?<=\w)_(?!\w)")


def readable(app, what, name, obj, options, lines):
    """Docstrings are plain text first. Make `x` a literal, also in `x`s; make | and a trailing _
    characters, and a formula on indented lines a literal block.
    """
    if what in ("property", "attribute"):  # napoleon takes "Text: more" for a type
        lines[:] = [re.sub(r":(?= )", COLON, line) for line in lines]
    text = CODE.sub(_literal, "\n".join(lines))
    made, literal, section = [], False, ""
    for line, after in zip(text.split("\n"), [*text.split("\n")[1:], ""], strict=True):
        indented = line.startswith("  ")
        if line and re.fullmatch("-{3,}", after):
            section = line
        if line.startswith(">>>") and section not in ("", "Examples"):
            made += ["Examples", "--------"]  # at the end of another section, without a heading
            section = "Examples"
        last = next((row for row in reversed(made) if row), "")
        if literal := (literal and (indented or not line)) or last.endswith("::"):
            pass
        elif indented and not section and made and not made[-1] and last[:1] not in " *-":
            made += ["::", ""]
            literal = True
        if section in ("Raises", "Warns") and (entry := re.fullmatch(r"(\w[\w, ]*) : (.+)", line)):
            made.append(entry[1])
            line = f"    {entry[2]}"
        plain = literal or line.lstrip().startswith((">>>", "..."))
        made.append(line if plain else MARKUP.sub(_escaped, line))
    lines[:] = made


def with_colons(app, what, name, obj, options, lines):
    lines[:] = [line.replace(COLON, ":") for line in lines]


def without_private(app, what, name, obj, options, signature, returns):
    """Leave out keywords for internal use, which begin with an underscore; name type aliases."""
    signature = re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", signature or "")
    return re.sub(r", \*, _\w+: .*\)$", ")", signature) or None, returns


def _literal(found):
    code, after = found.groups()
    return f"``{' '.join(code.split())}``" + (f"\\ {after}" if after else "")


def _escaped(found):
    return f"\\{found[0]}" if found[0] in "|_" else found[0]


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
        if isinstance(text.parent, nodes.paragraph):
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
    app.connect("autodoc-process-docstring", readable, priority=100)  # before napoleon
    app.connect("autodoc-process-docstring", with_colons, priority=900)
    app.connect("autodoc-process-signature", without_private)
    app.connect("doctree-read", dashes)
    app.connect("sphinx-click-process-options", compact)
    app.connect("sphinx-click-process-epilog", examples)
