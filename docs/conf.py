"""How Sphinx builds these pages; on a code host they are read as they are.

So they hold no directives: what only the built pages need (the tree of pages at the side, links to files outside of docs/, the
signatures of the Python API) is added while they are read.
"""

from __future__ import annotations

import os
import posixpath
import re
import sys
from pathlib import Path

import django
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
django.setup()

from rollback_app import __version__, workflow  # noqa: E402 (the models of Django need its settings)

project = "rollback_app"
author = "The rollback-app contributors"
copyright = author
release = version = __version__
SOURCE = "https://github.com/rollback-app/rollback-app/blob/main/"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
myst_heading_anchors = 4
autodoc_typehints_format = "short"
default_role = "code"

html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_theme_options = {
    "source_repository": SOURCE.partition("/blob/")[0],
    "source_branch": "main",
    "source_directory": "docs/",
}

LINK = re.compile(r"(?<=\]\()(\.\./[^)\s]+)(?=\))")
LISTED = re.compile(r"^- \[[^\]]+\]\(([^)#\s]+)\.md\)", re.MULTILINE)
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)


def outside(page: str, text: str) -> str:
    """The page, with links to files that are not under docs/ leading to where the source is."""

    def address(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link[1]))
        return link[1] if path.startswith("docs/") else SOURCE + path

    return LINK.sub(address, text)


def tree(text: str) -> str:
    """The tree of pages at the side, as an index lists them: a caption for each section."""
    before, *sections = SECTION.split(text)
    parts = [("", before), *zip(sections[::2], sections[1::2], strict=True)]
    made = ""
    for caption, part in parts:
        if pages := "\n".join(LISTED.findall(part)):
            made += f"\n```{{toctree}}\n:hidden:\n{f':caption: {caption}' if caption else ''}\n\n{pages}\n```\n"
    return made


def signatures() -> str:
    """Of the functions of the Python API."""
    names = [name for name in workflow.__all__ if callable(getattr(workflow, name))]
    made = "".join(
        f".. auto{'class' if name[0].isupper() else 'function'}:: rollback_app.workflow.{name}\n" for name in names
    )
    return f"\n## Signatures\n\n```{{eval-rst}}\n{made}```\n"


def read(app: Sphinx, page: str, source: list[str]) -> None:
    source[0] = outside(page, source[0])
    if posixpath.basename(page) == "index":
        source[0] += tree(source[0])
    if page == "reference/api":
        source[0] += signatures()


def setup(app: Sphinx) -> None:
    app.connect("source-read", read)
