"""Reads SQL that a migration brings along: does it end the transaction that it runs in, or refuse to run in one?

Only as much of the language is read as that needs: comments, strings, dollar-quoted bodies, and the bodies of triggers and
functions are passed over. sqlparse gives up on a script of 10 000 tokens and splits some of these bodies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class InTransaction:
    """How SQL behaves inside a transaction.

    ends: the words of a statement that ends or begins one, as COMMIT. refuses: those of one that cannot run inside. waits: what
    waits while the plain twin of a concurrent statement runs, as "writes to a_t". Each is empty if there is none.
    """

    ends: str = ""
    refuses: str = ""
    waits: str = ""


def in_transaction(sql: Any) -> InTransaction:
    """sql: what RunSQL takes: text, or a list of texts and of pairs of a text and parameters."""
    found = InTransaction()
    for statement in (each for text in texts(sql) for each in _statements(text)):
        found = InTransaction(
            found.ends or _ends(statement), found.refuses or _refuses(statement), found.waits or _waits(statement)
        )
    return found


def ends_transaction(sql: Any) -> str:
    """The words of a statement that ends or begins a transaction; empty if there is none."""
    return in_transaction(sql).ends


def refuses_transaction(sql: Any) -> str:
    """The words of a statement that cannot run inside a transaction, also if it has a plain twin; empty if there is none."""
    for statement in (each for text in texts(sql) for each in _statements(text)):
        if found := _CONCURRENT.match(statement.words):
            return found["kind"] + " CONCURRENTLY" if found["kind"] else "DETACH PARTITION CONCURRENTLY"
        if words := _refuses(statement):
            return words
    return ""


def cascades(sql: Any) -> str:
    """The first statement, in capitals and without its names in quotes, that drops or empties something and, with CASCADE, what
    hangs on it; empty if there is none."""
    found = (statement.words for text in texts(sql) for statement in _statements(text))
    return next((words for words in found if _CASCADES.search(words)), "")


def removes_data(sql: Any) -> bool:
    """Is there a statement that drops a table or a column, or deletes rows?"""
    return any(_REMOVES.match(statement.words) for text in texts(sql) for statement in _statements(text))


def changes_something(sql: Any) -> bool:
    """Is there a statement that may leave something behind?"""
    return any(not _LEAVES_NOTHING.match(each.words) for text in texts(sql) for each in _statements(text))


def without_concurrently(sql: Any) -> Any:
    """The same SQL, with its concurrent statements as their plain twins, which may run inside a transaction."""
    if isinstance(sql, (list, tuple)):
        return [(_plain(each[0]), *each[1:]) if isinstance(each, (list, tuple)) else _plain(each) for each in sql]
    return _plain(sql)


def texts(sql: Any) -> list[str]:
    """The texts in what RunSQL takes."""
    found = sql if isinstance(sql, (list, tuple)) else [sql]
    return [str(each[0] if isinstance(each, (list, tuple)) else each) for each in found]


def first_line(sql: Any, width: int = 50) -> str:
    """The first line that is no comment, shortened."""
    lines = (" ".join(line.split()) for text in texts(sql) for line in text.splitlines())
    line = next((line for line in lines if line and not line.startswith("--")), "").removesuffix(";")
    return line if len(line) <= width else f"{line[: width - 1].rstrip()}…"


@dataclass
class _Token:
    """word: as written, in capitals; of a quoted name the name, of a string only its quote."""

    word: str
    start: int
    end: int
    quoted: bool


@dataclass
class _Statement:
    tokens: list[_Token] = field(default_factory=list)

    @property
    def words(self) -> str:
        """In capitals, with one space between; for a name or a string in quotes stands a question mark."""
        return " ".join("?" if token.quoted else token.word for token in self.tokens)


_TOKEN = re.compile(
    r"""
    (?P<comment>--[^\n]*)
    | (?P<nested>/\*)
    | (?P<text>[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | (?P<dollar>\$(?:[^\W\d]\w*)?\$).*?(?P=dollar))
    | "(?P<name>(?:[^"]|"")*)" | `(?P<ticked>[^`]*)`
    | (?P<word>[^\W\d][\w$]*)
    | (?P<other>[^\s])
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"/\*|\*/")


def _tokens(sql: str) -> Iterator[_Token]:
    position = 0
    while match := _TOKEN.search(sql, position):
        position = match.end()
        if match["nested"]:
            position = _end_of_comment(sql, position)
        elif not match["comment"]:
            name = match["name"] or match["ticked"] or match["text"]
            word = name[:1] if match["text"] else name or match[0].upper()
            yield _Token(word, match.start(), match.end(), bool(name))


def _end_of_comment(sql: str, position: int) -> int:
    """PostgreSQL's comments may hold comments."""
    depth = 1
    while depth:
        match = _COMMENT.search(sql, position)
        if match is None:
            return len(sql)
        position = match.end()
        depth += 1 if match[0] == "/*" else -1
    return position


_HAS_BODY = re.compile(r"CREATE .*(TRIGGER .*BEGIN|(FUNCTION|PROCEDURE) .*BEGIN ATOMIC)$")


def _statements(sql: str) -> Iterator[_Statement]:
    found, parentheses, body = _Statement(), 0, 0
    for token in _tokens(sql):
        word = "" if token.quoted else token.word
        if word == ";" and not parentheses and not body:
            if found.tokens:
                yield found
            found = _Statement()
            continue
        found.tokens.append(token)
        parentheses = max(0, parentheses + (word == "(") - (word == ")"))
        if body:
            body += (word == "CASE") - (word == "END")
        elif word in ("BEGIN", "ATOMIC") and _HAS_BODY.match(found.words):
            body = 1
    if found.tokens:
        yield found


_CASCADES = re.compile(r"\b(?:DROP|TRUNCATE)\b.*(?<!ON DELETE )(?<!ON UPDATE )\bCASCADE\b")
_REMOVES = re.compile(
    r"DROP (?:TABLE|SCHEMA)\b|TRUNCATE\b|(?:WITH\b.*\b)?DELETE\b|ALTER TABLE\b.*\bDROP\b"
    r"(?! (?:CONSTRAINT|INDEX|KEY|FOREIGN|PRIMARY|CHECK|DEFAULT|NOT NULL|IDENTITY|EXPRESSION)\b)"
)
_LEAVES_NOTHING = re.compile(r"(?:SELECT(?!.*\bINTO\b)|SET|RESET|SHOW|ANALYZE|VACUUM|EXPLAIN|LOCK|PRAGMA|VALUES)\b")
_ENDS = re.compile(r"(?:COMMIT|ROLLBACK)\b(?! PREPARED)|(?:BEGIN|END|ABORT)\b|(?:START|PREPARE) TRANSACTION\b")
_TO_SAVEPOINT = re.compile(r"ROLLBACK (?:(?:WORK|TRANSACTION) )?TO\b")


def _ends(statement: _Statement) -> str:
    match = _ENDS.match(statement.words)
    return match[0] if match and not _TO_SAVEPOINT.match(statement.words) else ""


_CONCURRENT = re.compile(
    r"(?P<kind>CREATE (?:UNIQUE )?INDEX|DROP INDEX|REINDEX(?: \( [^)]* \))? (?:INDEX|TABLE)) CONCURRENTLY\b"
    r"|(?P<detach>ALTER TABLE .*\bDETACH PARTITION) .*\bCONCURRENTLY$"
)
# Of PostgreSQL: what calls PreventInTransactionBlock. Of SQLite: what its manual says can be done only outside of one.
_REFUSES = re.compile(
    r"VACUUM\b|CLUSTER(?: VERBOSE)?$|REINDEX(?: \( [^)]* \))? (?:DATABASE|SYSTEM|SCHEMA)\b|REINDEX \( [^)]*\bCONCURRENTLY\b"
    r"|(?:CREATE|DROP) (?:DATABASE|TABLESPACE|SUBSCRIPTION)\b|ALTER SYSTEM\b|ALTER DATABASE .*\bSET TABLESPACE\b"
    r"|(?:COMMIT|ROLLBACK) PREPARED\b|DISCARD ALL\b|DETACH\b|PRAGMA (?:JOURNAL_MODE|SYNCHRONOUS|TEMP_STORE) ="
)


def _refuses(statement: _Statement) -> str:
    match = _REFUSES.match(statement.words)
    return match[0] if match else ""


def _waits(statement: _Statement) -> str:
    match = _CONCURRENT.match(statement.words)
    if match is None:
        return ""
    if (match["kind"] or "").startswith("CREATE"):
        return f"writes to {_name_after('ON', statement)}"
    if match["kind"] == "DROP INDEX":
        return "reads and writes of the index's table"
    return f"reads and writes of {_name_after('TABLE', statement) or 'the index' + chr(39) + 's table'}"


def _name_after(word: str, statement: _Statement) -> str:
    """The name that follows this word, perhaps with its schema."""
    words = [token.word for token in statement.tokens]
    if word not in words:
        return ""
    rest = statement.tokens[words.index(word) + 1 :]
    while rest and not rest[0].quoted and rest[0].word in ("ONLY", "CONCURRENTLY", "IF", "EXISTS"):
        rest = rest[1:]
    name = ""
    for token in rest:
        if name and token.word != "." and not name.endswith("."):
            break
        name += token.word if token.quoted else token.word.lower()
    return name


def _plain(sql: str) -> str:
    for statement in reversed(list(_statements(sql))):
        if _CONCURRENT.match(statement.words):
            word = next(token for token in statement.tokens if not token.quoted and token.word == "CONCURRENTLY")
            sql = sql[: word.start].rstrip() + sql[word.end :]
    return sql
