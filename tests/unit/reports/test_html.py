"""HTML shows the words as they are, whatever they hold, and loads nothing; the pictures are where they should be."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_app.reports import FORMATS, Report
from rollback_app.reports.blocks import (
    Block,
    DeploymentBlock,
    Deployments,
    Fate,
    Heading,
    Listing,
    Name,
    Paragraph,
    Shell,
    StepBlock,
    Steps,
    Table,
)
from rollback_app.reports.pictures import graph, timeline
from tests.support import plans

WORDS = st.text(st.sampled_from("ab <>&\"'/=`{}%#") | st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)


class Read(HTMLParser):
    """tags: all that there are. words: what is shown, a text for each element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = [""]
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        self.words.append("")

    def handle_endtag(self, tag: str) -> None:
        self.words.append("")

    def handle_data(self, data: str) -> None:
        self.words[-1] += data


def html(*blocks: Block) -> str:
    return page(Report((), document=blocks))


def page(report: Report) -> str:
    return FORMATS["html"](report, lambda _, text: text)


def with_words(text: str) -> Read:
    deployments = Deployments(text, [DeploymentBlock("kept", "2024-05-01", text, 2, text)])
    step = StepBlock(1, text, text, "2024-05-01", [text], (), "lost")
    facts, table = Table(("", ""), [((text,), (Name(text),))]), Table((text, ""), [((text,), (Name(text),))])
    texts = [Heading((Name(text), text), 1), Paragraph((text,)), Listing([(text,)]), Listing([(text,)], to_tick=True)]
    return Read(html(*texts, facts, table, deployments, Steps([step]), Shell([text])))


PLAIN = with_words("x")


@given(WORDS.filter(str.strip))
def test_any_words(text: str) -> None:
    read = with_words(text)
    assert (read.tags, read.links) == (PLAIN.tags, PLAIN.links)
    assert {words for words, plain in zip(read.words, PLAIN.words, strict=True) if plain == "x"} == {text}


@pytest.mark.parametrize("steps", [5, 300])
def test_a_plan_is_one_page_that_loads_nothing(steps: int) -> None:
    made = page(plans.document(steps))
    read = Read(made)
    assert "script" not in read.tags
    assert read.links.count("data:,") == 1
    assert all(link == "data:," or link.startswith("#plan-1-step-") for link in read.links)
    assert "url(" not in made
    assert "@import" not in made
    ids = re.findall(r' id="([^"]+)"', made)
    assert len(set(ids)) == len(ids) == steps
    assert {link[1:] for link in read.links if link.startswith("#")} <= set(ids)
    assert made.count("<circle") >= steps
    assert ('<details class="app' in made) is (steps > 20)
    assert plans.MARKUP not in made


def test_it_says_what_the_other_document_says() -> None:
    report = plans.document(5)
    told = " ".join("".join(Read(page(report)).words).split())
    for words in re.findall(r"(?<!`)`([^`|]+)`(?!`)", FORMATS["markdown"](report, lambda _, text: text)):
        assert " ".join(words.split()) in told


def test_the_plans_of_two_databases_do_not_mix() -> None:
    one = plans.document(5).document
    ids = re.findall(r' id="([^"]+)"', html(*one, *one))
    assert len(set(ids)) == len(ids) == 10


# Pictures


def points(*fates: Fate) -> Deployments:
    return Deployments(
        "noon", [DeploymentBlock(fate, f"2024-05-0{at} 08:00:00", "", at, "") for at, fate in enumerate(fates, 1)]
    )


@pytest.mark.parametrize(
    ("fates", "cut"),
    [
        (["kept", "kept", "undone"], "73.50%"),
        (["kept", "cut in two", "undone"], "50.00%"),
        (["undone", "undone"], "0.50%"),
        (["kept", "kept"], "99.50%"),
        (["kept"], "50.00%"),
        (["undone", "kept", "undone"], ""),
        (["kept", "undone", "cut in two"], ""),
    ],
)
def test_where_the_cut_is(fates: list[Fate], cut: str) -> None:
    assert timeline(points(*fates)).cut == cut


def test_the_time_line_in_words() -> None:
    picture = timeline(points("kept", "cut in two", "undone", "undone"))
    assert picture.label == "Time line of 4 deployments: 1 kept, 1 cut in two, 2 undone. The moment: noon."
    assert [point.x for point in picture.points] == ["3.00%", "34.33%", "65.67%", "97.00%"]
    assert (picture.first[:10], picture.last[:10]) == ("2024-05-01", "2024-05-04")
    assert (timeline(points("undone")).last, timeline(points("undone")).anchor) == ("", "start")
    release = timeline(Deployments("noon", [DeploymentBlock("kept", "08:00", "2.1", 1, "")])).points[0].title
    assert release == "08:00, release 2.1: 1 migration, kept"


def test_the_steps_by_app_with_what_needs_what() -> None:
    steps = [
        StepBlock(1, "b", "b.0002", "", ["drops it"], (), "lost"),
        StepBlock(2, "a", "a.0001", "", [], (1,), "plain"),
        StepBlock(3, "b", "b.0001", "", [], (1, 2), "plain"),
    ]
    picture = graph(steps)
    assert picture.label == "3 steps of 2 apps, from the first at the left to the last."
    assert [(lane.app, lane.left, lane.right) for lane in picture.lanes] == [
        ("b", "3.00%", "97.00%"),
        ("a", "50.00%", "50.00%"),
    ]
    assert [(edge.x1, edge.x2) for edge in picture.edges] == [("3.00%", "50.00%"), ("50.00%", "97.00%")]
    assert picture.dots[0].title == "1. b.0002: drops it"
    many = [StepBlock(number, "a", "a.1", "", []) for number in range(1, 301)]
    assert [graph(many[:count]).r for count in (60, 150, 300)] == ["5", "3.5", "2.5"]
