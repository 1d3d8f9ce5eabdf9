"""A command, option, finding or format without documentation fails the suite."""

from __future__ import annotations

import json
import os
import re
from enum import Enum
from pathlib import Path

import pytest
from django.core.management import load_command_class
from django.dispatch import Signal
from jsonschema import Draft202012Validator

from rollback_app import compatibility, conf, history, planner, reports, safety, signals, workflow
from rollback_app.moments import kinds
from tests.support import reference
from tests.support.commands import checked

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
ON_THE_INDEX = "https://github.com/rollback-app/rollback-app/blob/main/"
COMMANDS = reference.commands()
REFERENCE = (ROOT / "docs/reference/command.md").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_and_option_is_documented(name: str) -> None:
    pages = "\n".join(page.read_text() for page in PAGES)
    command = load_command_class("rollback_app", name)
    assert name in pages
    assert command.help
    for option, text in reference.own_options(name).items():
        assert text, option
        if option != "--noinput":  # Django's older spelling
            assert f"`{option}" in pages, option


@pytest.mark.parametrize("name", COMMANDS)
def test_the_part_about_a_command_has_its_options_and_no_other(name: str) -> None:
    parts = dict(re.findall(r"^# (\w+)\n(.*?)(?=^# |\Z)", REFERENCE, re.DOTALL | re.MULTILINE))
    part = parts[reference.ALIASES.get(name, name)]
    assert name in f"{part} {reference.ALIASES.get(name, name)}"
    rows = re.findall(r"^\| (`--.+?) \| ", part, re.MULTILINE)
    listed = {option for row in rows for option in re.findall(r"--[a-z-]+", row)}
    assert listed == reference.own_options(name).keys() - {"--noinput"}


@pytest.mark.parametrize("page", reference.MADE)
def test_the_reference_says_what_the_code_says(page: str) -> None:
    """`UPDATE_TRANSCRIPTS=1 pytest tests/test_docs.py` writes it anew."""
    file, text = reference.FOLDER / page, reference.written(page)
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        file.write_text(text)
    assert text == file.read_text()


def test_each_setting_exit_status_signal_and_public_name_is_documented() -> None:
    api = (ROOT / "docs/reference/api.md").read_text()
    settings = REFERENCE.split("\n# Settings\n")[1].split("\n# ")[0]
    for key in conf.KEYS:
        assert f'"{key}": ' in settings
    statuses = REFERENCE.split("\n## Exit statuses\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| (\d) \|", statuses, re.MULTILINE) == ["0", "1", "2", "3", "4"]
    for name, signal in vars(signals).items():
        if isinstance(signal, Signal):
            assert f"`{name}`" in api
    for name in workflow.__all__:
        assert name in api


def test_each_finding_is_documented_and_no_other() -> None:
    source = "".join(path.read_text() for path in (ROOT / "rollback_app").rglob("*.py"))
    assert set(re.findall(r"rollback\.[CEIW]\d{3}", REFERENCE)) == set(re.findall(r"rollback\.[CEIW]\d{3}", source))


def test_each_format_and_choice_is_documented() -> None:
    for format in reports.FORMATS:
        assert f"`{format}`" in REFERENCE or f"--format {format}" in REFERENCE
    api = (ROOT / "docs/reference/api.md").read_text()
    for name in planner.Choices.__dataclass_fields__:
        assert f"`{name}`" in api


def test_the_schema_is_one_and_all_of_it_is_used() -> None:
    Draft202012Validator.check_schema(reference.SCHEMA)
    text = json.dumps(reference.SCHEMA)
    assert [name for name in reference.SCHEMA["$defs"] if f'"#/$defs/{name}"' not in text] == []


@pytest.mark.parametrize(
    ("part", "field", "known"),
    [
        ("effect", "kind", planner.Kind),
        ("finding", "level", safety.Level),
        ("object_change", "change", safety.Does),
        ("kept", "kind", safety.KeptKind),
        ("to_keep", "kind", safety.KeptKind),
        ("kept", "state", safety.KeptState),
        ("rollback", "outcome", history.Outcome),
        ("verdict", "verdict", compatibility.Outcome),
        ("table_verdict", "reads", compatibility.Answer),
        ("migratehold", "source", history.HoldSource),
    ],
)
def test_the_schema_has_the_words_of_the_code(part: str, field: str, known: type[Enum]) -> None:
    words = reference.SCHEMA["$defs"][part]["properties"][field]["enum"]
    assert {word for word in words if word} == {each.value for each in known}


def test_a_field_that_the_schema_lacks_is_found() -> None:
    assert checked('{"schema": 1, "database": "x", "dropped": [1]}', "dropkept")
    for text, complaint in {
        '{"schema": 1, "database": "x", "dropped": [1], "more": 1}': "'more' was unexpected",
        '{"schema": 1, "database": "x", "dropped": ["1"]}': "is not of type 'integer'",
        '{"schema": 1, "database": "x"}': "is not valid under any of the given schemas",
    }.items():
        with pytest.raises(AssertionError, match=complaint):
            checked(text, "dropkept")
    with pytest.raises(AssertionError, match="is not a 'date-time'"):
        checked(
            '{"schema": 1, "database": "x", "held": true, "migrations": [], "since": "2024-05-01 10:00"}', "migratehold"
        )


def test_each_kind_of_moment_is_documented() -> None:
    guide = (ROOT / "docs/howto/choose-a-moment.md").read_text()
    for name, example in kinds.EXAMPLES.items():
        assert f"`{example}`" in REFERENCE
        assert re.search(rf"`{name}[:`]", guide)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if target.startswith(ON_THE_INDEX):  # the README is also read where there are no other files
            assert (ROOT / target.removeprefix(ON_THE_INDEX)).exists(), target
        elif not target.startswith("http"):
            assert page.name != "README.md", f"{target}: an index page cannot follow this"
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_page_can_be_reached(page: Path) -> None:
    """From the index of its folder or, without one, of all; each is an item of a list, from which Sphinx makes the tree."""
    index = page.parent / "index.md"
    if index == page or not index.exists():
        index = ROOT / "docs/index.md"
    if page != index:
        item = rf"^- \[.+\]\({re.escape(os.path.relpath(page, index.parent))}\)"
        assert re.search(item, index.read_text(), re.MULTILINE)


def test_the_readme_names_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "python3 dev.py demo" in readme
    assert "python3 dev.py test" in readme


# The glossary: one word for one thing

GLOSSARY = ROOT / "docs/reference/glossary.md"
WORDS = [
    "record",
    "row",
    "unapply",
    "deployment",
    "moment",
    "target",
    "plan",
    "step",
    "finding",
    "kept",
    "lost",
]
# What was said once for one of these, and what to say: words in prose, so not names in `code`, tables' fields, or output.
FORMER = {
    r"ghosts?": "a record without a file",
    r"guess(ed|es)?": "not recorded; grouped by pauses",
    r"mend(ed|s)?": "fix",
    r"offend(er|ers|ing)": "the rows in the way",
    r"(?<!is a )rows? of django_migrations": "record",
    r"late rows?|early rows?": "a late record",
    r"book-keeping row": "record",
    r"nobody agreed|agrees? to (it|that|the loss)": "consent",
    r"stands? against": "violate, block",
    r"(what|that|it) goes\b(?! back)": "is unapplied",
    r"is odd about": "is unusual about",
}


def prose(page: Path) -> str:
    """A page without what is shown as it is."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`]*`", "", text.replace("`django_migrations`", "django_migrations"))
    return " ".join(text.split())


def test_the_glossary_explains_each_word() -> None:
    rows = re.findall(r"^\| (\w+) \| (.+) \|$", GLOSSARY.read_text(), re.MULTILINE)
    assert [word for word, _ in rows if word != "word"] == WORDS
    assert all(meaning.endswith(".") for word, meaning in rows if word != "word")


def former(text: str) -> list[str]:
    return [word for word in FORMER if re.search(rf"\b({word})\b", text, re.IGNORECASE)]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != GLOSSARY], ids=lambda page: str(page.relative_to(ROOT))
)
def test_pages_use_the_words_of_the_glossary(page: Path) -> None:
    assert former(prose(page)) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_texts_use_the_words_of_the_glossary(name: str) -> None:
    help = str(load_command_class("rollback_app", name).help)
    assert former(" ".join([help, *filter(None, reference.own_options(name).values())])) == []


def test_former_words_are_found() -> None:
    assert former("Ghosts are late rows.") == ["ghosts?", "late rows?|early rows?"]
    assert former("A row of django_migrations, mended.") == ["mend(ed|s)?", "(?<!is a )rows? of django_migrations"]
    assert former("The ghostly recommended rows.") == []
