"""Markdown shows the words as they are, whatever they hold."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from rollback_app.reports import Report
from rollback_app.reports.blocks import (
    Block,
    DeploymentBlock,
    Deployments,
    Heading,
    Listing,
    Name,
    Paragraph,
    Shell,
    StepBlock,
    Steps,
    Table,
)
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
def test_any_words_in_a_plan(text: str) -> None:
    """The tables keep their rows and columns, whatever the names hold."""
    deployments = Deployments(text, [DeploymentBlock("kept", "2024-05-01", text, 2, text)], before=3, after=4)
    step = StepBlock(1, text, text, "2024-05-01", [text, "more"], (), "plain", "1.00 s")
    tokens = parsed(deployments, Steps([step]))
    assert [token.type for token in tokens].count("table_open") == 2
    assert [token.type for token in tokens].count("tr_open") == 6
    assert [token.type for token in tokens].count("td_open") == 20
    found = list(map(flat, words(tokens)))
    assert found[:10] == ["", "began", "release", "migrations", "apps", "3 more before", "", "", "", ""]
    assert found[10:15] == ["kept", "2024-05-01", flat(text), "2", flat(text)]
    assert found[20:] == [
        *("", "migration", "applied", "undoing it", "seconds"),
        *("1", flat(text), "2024-05-01", flat(f"{text}; more"), "1.00 s"),
    ]


@given(WORDS.filter(str.strip))
def test_any_words(text: str) -> None:
    table = Table(("one",), [((text,),), ((Name(text),),)])
    found = words(parsed(Heading((text,)), Paragraph((text,)), Listing([(text,)]), table))
    assert list(map(flat, found)) == [flat(text), flat(text), flat(text), "one", flat(text), flat(text)]


def test_lines_to_type() -> None:
    (fence,) = parsed(Shell(["echo ```", "python manage.py migrate"]))
    assert (fence.info, fence.content) == ("console", "$ echo ```\n$ python manage.py migrate\n")


def test_statements_have_no_prompt() -> None:
    (fence,) = parsed(Shell(["SELECT 1;"], language="sql"))
    assert (fence.info, fence.content) == ("sql", "SELECT 1;\n")


def test_boxes_to_tick() -> None:
    assert words(parsed(Listing([("a",), ("b",)], to_tick=True))) == ["[ ] a", "[ ] b"]
