"""Each kind of moment, on plain data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from rollback_app.errors import UsageError, shown
from rollback_app.history import Code, Key, Record, RecordedDeployment, deployments
from rollback_app.moments import Moment, kinds
from tests.support.plain import NOON, code, key, keys, made

HOUR, TICK = timedelta(hours=1), timedelta(microseconds=1)
ROWS = [Record(number, key(f"a.{number}"), NOON + number * HOUR) for number in (1, 2, 3)]
FILES = {
    "old.txt": "[X]  a.1\n",
    "-": '{"migrations": [{"migration": "a.1", "replaces": []}, {"migration": "a.2", "replaces": []}]}',
    "squash.txt": "[X]  a.s\n",
    "bad.txt": "bad",
}


def found(
    text: str,
    rows: Sequence[Record] = ROWS,
    code: Code = code(),  # noqa: B008
    recorded: Sequence[RecordedDeployment] = (),
    precision: timedelta = TICK,
) -> Moment:
    kind = kinds.of(text)
    assert kind
    find, argument = kind
    groups = deployments(rows, timedelta(minutes=5), recorded)
    berlin = ZoneInfo("Europe/Berlin")
    known = kinds.Known(text, rows, code, groups, recorded, precision, berlin, NOON + 9 * HOUR, FILES.__getitem__)
    return find(argument, known)


def refused(
    text: str,
    rows: Sequence[Record] = ROWS,
    recorded: Sequence[RecordedDeployment] = (),
    code: Code = code(),  # noqa: B008
) -> tuple[str, str]:
    with pytest.raises(UsageError) as caught:
        found(text, rows, code, recorded)
    assert "\n" not in caught.value.message
    return caught.value.message, caught.value.hint


def at_end(release: str, number: int) -> RecordedDeployment:
    return RecordedDeployment(release, NOON + number * HOUR, NOON + number * HOUR)


@pytest.mark.parametrize(
    "text", ["2024-05-01 10:00", "2024-05-01T10:00:00+02:00", "10:00", "1 May 2024 10am", "lastly", "", "deployments"]
)
def test_no_date_and_time_is_taken_for_a_kind(text: str) -> None:
    assert kinds.of(text) is None


@pytest.mark.parametrize(
    "text", ["deploy:2", "Deployment:2", "last:1", "deployment", "release", "all", "migration", ":".join("xy")]
)
def test_what_looks_like_a_kind_and_is_none(text: str) -> None:
    with pytest.raises(UsageError, match=f"'{text}' is not a moment") as caught:
        kinds.of(text)
    assert "deployment:2" in caught.value.hint
    assert "manifest:FILE" in caught.value.hint


def test_every_kind_has_an_example_and_is_read() -> None:
    assert kinds.EXAMPLES.keys() == kinds.KINDS.keys()
    for name, example in kinds.EXAMPLES.items():
        assert kinds.of(f" {example} ") == (kinds.KINDS[name], example.partition(":")[2])


def test_deployments() -> None:
    assert found("last").at == ROWS[2].applied
    assert found("deployment:1").at == ROWS[2].applied
    moment = found("deployment:2")
    assert moment.at == ROWS[1].applied
    assert moment.words == "The start of deployment 2. Undoes it and everything newer."
    assert (moment.text, moment.zone_name, moment.kept) == ("deployment:2", "Europe/Berlin", None)


@pytest.mark.parametrize("argument", ["0", "4", "-1", "+1", "²", "٢", "", "two", "1.0", "9" * 5000])
def test_deployments_that_are_not_there(argument: str) -> None:
    message, hint = refused(f"deployment:{argument}")
    assert message == f"There is no deployment '{shown(argument)}' here. They are numbered from 1, the newest, to 3."
    assert "showdeployments" in hint


def test_no_deployments() -> None:
    assert refused("last", [])[0] == "There is no deployment here: no migration was ever applied."


def test_releases() -> None:
    run = RecordedDeployment("2.1", NOON + HOUR - TICK, NOON + 2 * HOUR + TICK)
    moment = found("release:2.1", recorded=[run])
    assert moment.at == ROWS[1].applied + TICK
    assert moment.words == "Just after 2024-05-01 16:00:00, the end of release 2.1."
    assert found("release:2.1", recorded=[run], precision=timedelta(seconds=1)).at == ROWS[1].applied + timedelta(
        seconds=1
    )
    # The newest word counts, and what was rolled back no longer does.
    assert found("release:2.1", recorded=[run, at_end("2.1", 1)]).at == ROWS[0].applied + TICK
    assert found("release:2.1", recorded=[run, at_end("2.1", 8)]).at == ROWS[1].applied + TICK


def test_a_release_that_its_migrations_declare() -> None:
    """Where none of that name was recorded."""
    first, *_, newest = ROWS
    declaring = made(str(first.key))
    vars(declaring)["release"] = "1.9"
    other = made(str(newest.key))
    vars(other)["release"] = 2  # which is no name
    moment = found("release:1.9", code=code(declaring, other))
    assert moment.at == first.applied + TICK
    assert moment.words.endswith("the last migration that declares release 1.9.")
    assert "Known: 1.9." in refused("release:2", code=code(declaring, other))[1]
    recorded = [at_end("1.9", 1)]
    assert "the end of release 1.9" in found("release:1.9", recorded=recorded, code=code(declaring)).words


def test_releases_that_are_not_there() -> None:
    known = [at_end(name, 1) for name in ("1.0", "2.150.0", "2.150.0", "2.15.1", "")]
    assert refused("release:2.150.1", recorded=known) == (
        "No release '2.150.1' is recorded here.",
        "Known: 2.15.1, 2.150.0, 1.0.",
    )
    message, hint = refused("release:2.1")
    assert message == "No release '2.1' is recorded here."
    assert hint.endswith("python manage.py markrelease NAME --at MOMENT")
    gone = [at_end("2.1", 8), at_end("2.0", 1)]
    assert refused("release:2.1", recorded=gone) == (
        "Release '2.1' was rolled back. Nothing of it is applied.",
        "Known: 2.0.",
    )
    assert refused("release:", recorded=[at_end("", 1)])[0] == "No release '' is recorded here."


def test_migrations() -> None:
    moment = found("migration:a.2")
    assert moment.at == ROWS[1].applied + TICK
    assert moment.words == "Just after a.2 was applied. It stays applied."
    doubled = [*ROWS, Record(4, key("a.2"), NOON + 4 * HOUR)]  # two `migrate` at once; the oldest row counts
    assert found("migration:a.2", doubled).at == ROWS[1].applied + TICK


def test_migrations_that_are_not_there() -> None:
    message, hint = refused("migration:a.22")
    assert message == "No migration 'a.22' is recorded here."
    assert hint.startswith("Did you mean a.2")
    assert refused("migration:zzzzzz")[1].startswith("Give APP.NAME")


def test_a_moment_cannot_come_between_rows_of_the_same_time() -> None:
    same = [*ROWS, Record(4, key("b.1"), ROWS[1].applied), Record(5, key("b.2"), ROWS[1].applied)]
    assert refused("migration:a.2", same) == (
        "b.1 was recorded after a.2, at exactly the same time. No moment lies between them.",
        "Name the last of them: migration:b.2",
    )
    assert found("migration:b.2", same).at == ROWS[1].applied + TICK


def test_manifests() -> None:
    moment = found("manifest:old.txt")
    assert moment.kept == frozenset(keys("a.1"))
    assert moment.words == "what the manifest 'old.txt' lists: 1 migration"
    assert not moment.zero
    moment = found("manifest:-")
    assert moment.kept == frozenset(keys("a.1", "a.2"))
    assert moment.words == "what the manifest from stdin lists: 2 migrations"
    assert refused("manifest:")[0] == "Which manifest?"
    assert refused("manifest:bad.txt")[0].startswith("The manifest 'bad.txt' is not understood")


def test_manifests_and_squashes() -> None:
    graph = code(
        made("a.1"),
        made("a.2", "a.1"),
        made("a.s", replaces=["a.1", "a.2"]),
        made("a.3", "a.s"),
        made("a.t", replaces=["a.s", "a.3"]),
    )

    def kept(name: str, *rows: str) -> frozenset[tuple[str, str]] | None:
        return found(name, [Record(number, key(row), NOON) for number, row in enumerate(rows)], graph).kept

    # The older release knows the squash alone, and here are its originals; or the other way round.
    assert kept("manifest:squash.txt", "a.1", "a.2") == frozenset(keys("a.s", "a.1", "a.2"))
    assert kept("manifest:-", "a.s") == frozenset(keys("a.s", "a.1", "a.2"))
    # The row of the squash is then only a note, which the older release would not have.
    assert kept("manifest:-", "a.1", "a.2", "a.s") == frozenset(keys("a.1", "a.2"))
    # Not all of it is listed.
    assert kept("manifest:old.txt", "a.s") == frozenset(keys("a.1"))


def test_to_zero() -> None:
    rows = [*ROWS, Record(4, Key("b", "1"), NOON)]
    moment = found("all:a", rows)
    assert (moment.kept, moment.zero, moment.words) == (frozenset(keys("b.1")), True, "every app but a")
    moment = found("all:", rows)
    assert (moment.kept, moment.zero, moment.words) == (frozenset(), True, "nothing")
    assert refused("all:aa", rows) == ("No migration of an app 'aa' is recorded here.", "Did you mean a?")
    assert refused("all:zz", rows)[1].startswith("Give an app's label")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("LAST", "last"),
        ("Deployment:2", "deployment:2"),
        ("deploy 2", "deployment:2"),
        ("2.4.0", "release:2.4.0"),
        ("v2.4.0-rc.1", "release:v2.4.0-rc.1"),
        ("orders.0005", "migration:orders.0005"),
    ],
)
def test_what_was_meant_is_said(text: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        kinds.of(text)
    assert caught.value.hint.startswith(f"Did you mean {meant}? ")


@pytest.mark.parametrize("text", ["05.06.2024", "05.06.24", "2024.05.06", "20240501.5x x"])
def test_what_is_nearly_a_date_is_left_to_the_dates(text: str) -> None:
    assert kinds.of(text) is None


def test_a_unique_beginning_of_a_migration_is_enough() -> None:
    rows = [
        Record(number, key(name), NOON + number * HOUR)
        for number, name in enumerate(["a.0001_t", "a.0002_x", "a.0002_y", "b.0001_t"])
    ]
    assert found("migration:a.0001", rows).words == "Just after a.0001_t was applied. It stays applied."
    message, hint = refused("migration:a.0002", rows)
    assert message == "More than one migration that is recorded here begins with 'a.0002'."
    assert hint == "Did you mean a.0002_x or a.0002_y?"
    assert refused("migration:a.", [*rows, Record(9, key("a.0003_z"), NOON)])[1].endswith("or …?")
    assert refused("migration:b", rows)[0] == "No migration 'b' is recorded here."


def test_the_manifest_of_another_project_is_refused() -> None:
    FILES["other.txt"] = "[X]  shop.1\n[X]  shop.2\n"
    FILES["less.txt"] = "[X]  a.1\n[X]  shop.1\n[X]  shop.2\n"
    FILES["half.txt"] = "[X]  a.1\n[X]  shop.1\n"
    message, hint = refused("manifest:other.txt")
    assert message == (
        "The manifest 'other.txt' is probably another project's: none of its 2 migrations is recorded here."
    )
    assert "--database" in hint
    assert "1 of its 3 migrations is recorded here" in refused("manifest:less.txt")[0]
    assert found("manifest:half.txt").kept == frozenset(keys("a.1", "shop.1"))
    assert found("manifest:other.txt", []).kept == frozenset(keys("shop.1", "shop.2"))  # nothing here: nothing to do
    many = "".join(f"[X]  shop.{number}\n" for number in range(4))
    FILES["two.txt"] = f"[X]  a.1\n[X]  a.2\n{many}"
    assert "2 of its 6 migrations are recorded here" in refused("manifest:two.txt")[0]
