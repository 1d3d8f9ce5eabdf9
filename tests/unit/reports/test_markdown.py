"""Markdown shows the words as they are, whatever they hold."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from rollback_app.reports import Report
from rollback_app.reports.blocks import Block, Heading, Listing, Name, Paragraph, Shell, Table
from rollback_app.reports.markdown import as_markdown

WORDS = st.text(
    st.sampled_from("ab_1 *`|\\[]<>#-+=.)(!~&@:/'\"ä\n\t") | st.characters(exclude_categories=["Cs", "Cc"]), max_size=20
)
NASTY = [
    "a|b",
    "`",
    "``a``",
    "*a*",
    "_a_ a_b",
    "<b>x</b>",
    "[a](b)",
    "# a",
    "- a",
    "1. a",
    "&amp;",
    "http://a.b",
    "a@b.c",
    "\\",
    "\\|",
    "~~a~~",
]


def parsed(*blocks: Block) -> list[Token]:
    return MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(
        as_markdown(Report((), document=blocks), lambda _, text: text)
    )


def words(tokens: list[Token]) -> list[str]:
    """The text of each paragraph, cell or heading, as it is shown."""
    shown = []
    for token in tokens:
        if token.type == "inline":
            assert {child.type for child in token.children or ()} <= {
                "text",
                "code_inline",
                "text_special",
                "softbreak",
            }
            shown.append("".join(child.content for child in token.children or ()))
    return shown


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("part", [str, Name])
def test_nasty_words(text: str, part: type[str | Name]) -> None:
    table = Table(("one", "two"), [((part(text),), ("x",)), (("y ", part(text)), ("z",))])
    found = words(parsed(Heading(("Of ", part(text))), Paragraph((part(text),)), Listing([(part(text),)]), table))
    assert list(map(flat, found)) == [f"Of {text}", text, text, "one", "two", text, "x", f"y {text}", "z"]


@given(WORDS.filter(str.strip))
def test_any_words(text: str) -> None:
    table = Table(("one",), [((text,),), ((Name(text),),)])
    found = words(parsed(Heading((text,)), Paragraph((text,)), Listing([(text,)]), table))
    assert list(map(flat, found)) == [flat(text), flat(text), flat(text), "one", flat(text), flat(text)]


def test_lines_to_type() -> None:
    (fence,) = parsed(Shell(["echo ```", "python manage.py migrate"]))
    assert (fence.info, fence.content) == ("console", "$ echo ```\n$ python manage.py migrate\n")


def test_boxes_to_tick() -> None:
    assert words(parsed(Listing([("a",), ("b",)], to_tick=True))) == ["[ ] a", "[ ] b"]
