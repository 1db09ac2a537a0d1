"""Sphinx: these pages as a site, with the reference made from the docstrings."""

from __future__ import annotations

from sphinx.application import Sphinx

from aiodicom import __version__

project = "aiodicom"
author = "the authors of aiodicom"
project_copyright = f"2026, {author}"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
root_doc = "index"
default_role = "py:obj"

myst_heading_anchors = 4
myst_url_schemes = ["http", "https", "mailto"]

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # as written, and not what os.environ is just now
autodoc_typehints = "none"
autodoc_default_options = {"members": True}
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"aiodicom {release}"
html_static_path = ["_static"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5fa5", "color-brand-content": "#0b5fa5"},
    "dark_css_variables": {"color-brand-primary": "#6cb4f2", "color-brand-content": "#6cb4f2"},
}


def setup(app: Sphinx) -> None:
    app.connect("source-read", _lead_inside)
    app.connect("autodoc-process-docstring", _put_sentence_together, priority=600)


def _lead_inside(app: Sphinx, name: str, source: list[str]) -> None:
    """Have links to the pages beside README.md, as GitHub needs them, lead to those of the site."""
    up = "../" * (1 + name.count("/"))
    for outside, inside in (
        ("README", "index"),
        ("SECURITY", "security"),
        ("CHANGELOG", "changelog"),
    ):
        source[0] = source[0].replace(f"]({up}{outside}.md", f"]({up[3:]}{inside}.md")


def _put_sentence_together(
    app: Sphinx, what: str, name: str, of: object, options: object, lines: list[str]
) -> None:
    """Undo what napoleon does to "The port: any that is free", whose type it says is "The port"."""
    if what in ("attribute", "data", "property"):
        for line in [line for line in lines if line.startswith(":type: ")]:
            lines.remove(line)
            lines[0] = f"{line.removeprefix(':type: ')}: {lines[0]}"
