"""No question to the database touches more of it as the tables grow, and no index is idle."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import closing
from functools import partial
from importlib import import_module
from inspect import iscoroutinefunction
from itertools import product
from typing import Any, NamedTuple

import psycopg2
import pytest
from psycopg2.extensions import connection, cursor
from pydantic import SecretStr

import database
from config import Settings
from conftest import HERE, empty
from edge import metrics
from postgres.batching import Statement
from postgres.engine import VERSIONS, Engine

FEW, MANY = 1_000, 20_000
LIMIT = 10
TABLES = {"applications", "configurations", "configuration_revisions", "checks"}

# Half of the configurations belong to applications of a hundred, the others to the last one. Two
# have a long history; one of them is deleted. Each change was a transaction of its own.
LOAD = """
    create function pg_temp.ulid(kind text, number int) returns text language sql
    return '01BRZ3NDE' || kind || lpad(number::text, 16, '0');
    alter table configuration_revisions
        alter column transaction_id set default (random() * 2 ^ 53)::bigint;
    insert into applications (id, name)
    select pg_temp.ulid('A', i), 'application ' || i from generate_series(0, %(size)s - 1) as i;
    insert into configurations (id, application_id, name, config)
    select
        pg_temp.ulid('C', i),
        pg_temp.ulid('A', case when i < %(size)s / 2 then i / 100 else %(size)s - 1 end),
        'c' || case when i < %(size)s / 2 then i %% 100 else i end,
        case when i %% 100 = 0 then '{}' else '{"a": 1}' end::jsonb
    from generate_series(0, %(size)s - 1) as i;
    insert into configuration_revisions
        (configuration_id, revision, sequence, application_id, name, config, action)
    select
        pg_temp.ulid(kind, 0), i, row_number() over (order by i, kind),
        pg_temp.ulid('A', %(size)s - 2), 'old', '{"a": 1}', 'update'
    from generate_series(1, %(size)s) as i, unnest('{D,E}'::text[]) as kind;
    insert into configurations (id, application_id, name, config)
    values (pg_temp.ulid('E', 0), pg_temp.ulid('A', %(size)s - 2), 'kept', '{"a": 2}');
    insert into checks (id, application_id, schema_id, layers)
    select
        pg_temp.ulid('F', 10 * i + j), pg_temp.ulid('A', i), pg_temp.ulid('C', 100 * i),
        '{c1,c2,c3}'
    from generate_series(0, %(size)s / 200 - 1) as i, generate_series(0, 2) as j
    -- Of this one all are deleted, and a schema could not be.
    where i <> %(size)s / 400;
    alter table configuration_revisions
        alter column transaction_id set default recorded_transaction();
    drop function pg_temp.ulid
"""
application, configuration = "01BRZ3NDEA{:016}".format, "01BRZ3NDEC{:016}".format
check = "01BRZ3NDEF{:016}".format
DELETED, KEPT = f"01BRZ3NDED{0:016}", f"01BRZ3NDEE{0:016}"
WATCHED = [application(1), configuration(1), KEPT, DELETED]


class Asked(Exception):
    """What is asked of the database: by which of its functions, the statement, and the values."""

    def __init__(self, how: str, sql: str, values: list[Mapping[str, Any]]) -> None:
        self.how, self.sql, self.values, self.slice = how, sql, values, "listener"


class Cost(NamedTuple):
    """What a question touches: how many blocks, the tables read whole, the indexes of its plan."""

    question: str
    blocks: int
    scanned: set[str]
    indexes: set[str]


def instead_of(how: str) -> Callable[..., Coroutine[Any, Any, Any]]:
    """In the place of one of the database's functions: raises what is asked of it."""

    # What a process remembers is `known`: here nothing, so that all is printed.
    known = {"known": None} if how == "read_batched" else {}

    async def ask(sql: str, values: database.Values | None = None, **more: object) -> None:
        raise Asked(how, sql, [{**(values or {}), **known}])

    return ask


def caught(question: Coroutine[Any, Any, Any]) -> Asked:
    with pytest.raises(Asked) as asked:
        asyncio.run(question)
    return asked.value


def ask(slice: str, *given: Any, **more: Any) -> Asked:
    """What the function of a slice's repository asks."""
    module = import_module(f"features.{slice}.repository")
    [function] = [one for one in vars(module).values() if iscoroutinefunction(one)]
    asked = caught(function(*given, **more))
    asked.slice = slice
    return asked


def together(questions: Iterable[Asked]) -> Asked:
    """The same asked for many at once."""
    first, *others = questions
    first.values += [values for other in others for values in other.values]
    return first


def questions_of_content(size: int, owner: str, large: str, old: str) -> Iterator[Asked]:
    """Those that are about all configurations of an application, or about some."""
    for of, most_bytes in ((owner, 10**6), (large, 1_000), (old, 10**6)):
        yield ask("content.get", of, most_bytes)
    for of in (owner, large, old):
        few = {"c7": {"config": '{"b": 2}'}, f"c{size - 1}": None, "new": {}}
        yield ask("content.patch", of, few, None)
    for of, deletes in ((owner, 100), (old, 1)):
        yield ask("content.replace", of, {}, deletes, None)
    yield together(ask("content.get", of, 10**6) for of in (owner, application(0), old))


def questions_of_checks(number: int, large: str) -> Iterator[Asked]:
    """Those about checks, and changes that are held against them."""
    one, owner, schema = check(10 * number), application(number), configuration(100 * number)
    yield ask("checks.create", owner, schema, ["c1"], [])
    yield ask("checks.get", one)
    yield ask("checks.replace", one, None, schema, ["c2"], [], None)
    yield ask("checks.delete", one, None)
    for after, of in product([None, one], [None, owner, large]):
        yield ask("checks.list", after, of, LIMIT)
    for name in ("c1", "renamed"):
        layer = configuration(100 * number + 1)
        yield ask("configurations.replace", layer, None, name, None, "{}", None)
    yield ask("configurations.patch", schema, {"config": '{"title": "b"}'}, None)
    yield ask("content.patch", owner, {"c2": {"config": '{"b": 2}'}, "c3": None}, None)


def questions(size: int, last: int) -> Iterator[Asked]:
    """All of them, where so many are kept and `last` is the latest sequence."""
    number, large, old = size // 400, application(size - 1), application(size - 2)
    one, owner = configuration(100 * number), application(number)
    behind = [None, one, configuration(size - 2 * LIMIT)]
    for after, of, name in product(behind, [None, owner, large], [None, "c7", f"c{size - 1}"]):
        yield ask("configurations.list", after, of, name, LIMIT)
    for after, name in product([None, application(size // 2)], [None, f"application {size - 9}"]):
        yield ask("applications.list", after, name, LIMIT)
    for of, its_last in ((owner, 100), (large, size // 2), (old, last)):
        for sequence in (0, its_last - 2 * LIMIT):
            yield ask("delivery.changes", of, sequence, LIMIT)
    yield ask("applications.create", "new", None)
    yield ask("applications.get", owner)
    yield ask("applications.replace", large, "new", None, [1])
    yield ask("applications.delete", owner, None)
    yield ask("health.ready")
    layers = ["c1", "c2", "c3"]
    for explain in (False, True):
        yield ask("delivery.config", f"application {number}", layers, [], explain=explain)
    for of in (owner, large):
        yield ask("configurations.create", of, "new", None, "{}")
    for of in (one, KEPT):
        yield ask("configurations.get", of)
        yield ask("configurations.replace", of, None, "new", None, "{}", None)
        yield ask("configurations.patch", of, {"config": '{"b": 2}'}, None)
        yield ask("configurations.delete", of, None)
    yield from questions_of_content(size, owner, large, old)
    yield from questions_of_checks(number + 1, large)
    hundred = [configuration(100 * number + i) for i in range(100)]
    yield together(ask("configurations.get", of) for of in hundred)
    yield together(
        ask("delivery.config", f"application {number}", [f"c{n}", *layers], [], explain=False)
        for n in range(100)
    )
    yield together(ask("delivery.changes", of, 0, LIMIT) for of in (owner, large, old))
    for of, after in product([None, owner], [None, one]):
        # A page of one: where few are kept, five have the same name.
        yield together(ask("configurations.list", after, of, f"c{n}", 1) for n in range(100))
    for of in (None, owner, large):
        yield together(ask("configurations.list", after, of, None, LIMIT) for after in hundred)
    yield together(
        ask("applications.list", None, f"application {number + n}", LIMIT) for n in range(100)
    )
    yield together(ask("applications.list", application(n), None, LIMIT) for n in range(100))
    yield together(ask("configurations.create", owner, f"new {n}", None, "{}") for n in range(100))
    for change in (
        lambda of: ask("configurations.replace", of, None, f"new {of}", None, "{}", None),
        lambda of: ask("configurations.patch", of, {"config": '{"b": 2}'}, None),
        lambda of: ask("configurations.delete", of, None),
    ):
        yield together(map(change, hundred))
    yield ask("history.rollback", one, 1, None, may_be_deleted=False)
    for of in (DELETED, KEPT):
        for before in (None, size // 2):
            yield ask("history.list", of, before, LIMIT)
        yield ask("history.get", of, size // 2)
        yield ask("history.diff", of, 1, size // 2)
        yield ask("history.rollback", of, size // 2, None, may_be_deleted=True)


def asked_by(tokens: list[str | None], size: int, last: int) -> Iterator[tuple[Asked, str | None]]:
    """Each question with each application that its token may be confined to."""
    for confined_to in tokens:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(database, "confined_to", lambda: confined_to)  # noqa: B023
            yield from product([*questions(size, last)], [confined_to])
    watched = Asked("read_batched", VERSIONS, [{"id": one} for one in WATCHED])
    watched.slice = "a watch"
    yield watched, None


def counted(cursor: cursor, what: str) -> Counter[str]:
    """What this session did to each table and index, in triggers and functions too."""
    cursor.execute(
        f"select relname, pg_stat_get_xact_{what}(oid)::int from pg_class"
        " where relnamespace = 'public'::regnamespace"
    )
    return Counter(dict(cursor.fetchall()))


def cost(on: connection, question: Asked, values: dict[str, Any], *, prepared: bool) -> Cost:
    """What one statement touches, by the connection's own count; nothing of it stays."""
    sql = question.sql
    with on.cursor() as cursor:
        if prepared:
            numbers = {name: f"${number}" for number, name in enumerate(values, 1)}
            cursor.execute(f"deallocate all; prepare asked as {sql % numbers}")
            sql = f"execute asked ({', '.join(f'%({name})s' for name in values)})"
        cursor.execute("begin")
        blocks, scans = counted(cursor, "blocks_fetched"), counted(cursor, "numscans")
        cursor.execute(f"explain (analyze, format json) {sql}", values)
        indexes = set(re.findall(r"'Index Name': '(\w+)'", str(cursor.fetchall())))
        cursor.execute("set constraints all immediate")  # as at the end of the transaction
        blocks = counted(cursor, "blocks_fetched") - blocks
        scanned = counted(cursor, "numscans") - scans
        cursor.execute("rollback")
    return Cost(f"{question.slice} {values}", blocks.total(), TABLES & set(scanned), indexes)


def opened(connect: object) -> connection:
    """What `connect` of the engine opens, to be used without an event loop."""
    assert isinstance(connect, partial)
    one: connection = psycopg2.connect(*connect.args, **connect.keywords)
    one.autocommit = True
    return one


def costs(engine: Engine, db: connection, size: int) -> Iterator[Cost]:
    """Of each question, alike for every size, over tables that hold so many rows."""
    empty(db)
    with db.cursor() as cursor:
        cursor.execute(LOAD, {"size": size})
        # VACUUM marks as visible to all what is on the disk; each one flushes for the next.
        cursor.execute("set synchronous_commit = on")
        for _ in range(20):
            cursor.execute(f"vacuum (analyze) {', '.join(TABLES)}")
            cursor.execute(
                "select bool_and(relallvisible = relpages) from pg_class where relname = any(%s)",
                [list(TABLES)],
            )
            if cursor.fetchone() == (True,):
                break
        cursor.execute("select max(sequence) from configuration_revisions")
        [[last]] = cursor.fetchall()
    with (
        closing(opened(engine.pool._connect)) as plain,
        closing(opened(engine.reads._connect)) as lists,
    ):
        tokens = [f"application {number}" for number in (size // 400, size - 2, size - 1)]
        for one, confined_to in asked_by([None, *tokens], size, last):
            if one.how in ("read_batched", "write_batched"):
                values = Statement("", confined_to).in_lists(one.values)
                del values["actor"], values["note"]
                yield cost(lists, one, values, prepared=True)
            else:
                values = {**one.values[0], "confined_to": confined_to}
            if len(one.values) == 1:
                yield cost(plain, one, values, prepared=False)


@pytest.fixture(scope="module")
def measured(dsn: str) -> list[list[Cost]]:
    """What the questions cost over few rows, and over many."""
    settings = Settings(database_url=SecretStr(dsn), history_keep_revisions=10**6)
    engine = Engine(settings, metrics, lambda _: None)
    with pytest.MonkeyPatch.context() as patch, closing(psycopg2.connect(dsn)) as db:
        for how in ("read", "read_batched", "write", "write_batched"):
            patch.setattr(database, how, instead_of(how))
        db.autocommit = True
        found = [list(costs(engine, db, size)) for size in (FEW, MANY)]
        empty(db)
    return found


def test_every_slice_is_asked(measured: list[list[Cost]]) -> None:
    slices = {".".join(path.parts[-3:-1]) for path in HERE.glob("features/*/*/handler.py")}
    asked = {one.question.partition(" ")[0] for one in measured[-1]}
    assert slices - asked == {"health.live"}  # which never touches the database


# Beside what B-trees grow by: planning may look at both ends of a few indexes, and a few rows may
# be looked up that VACUUM could not mark as visible. To read the tables would be some 200 blocks.
def test_no_question_touches_more_where_there_are_more_rows(measured: list[list[Cost]]) -> None:
    pairs = zip(*measured, strict=True)
    grown = [(few.blocks, many) for few, many in pairs if many.blocks > 1.5 * few.blocks + 40]
    assert grown == []


def test_no_question_reads_a_table_whole(measured: list[list[Cost]]) -> None:
    assert [one for one in measured[-1] if one.scanned] == []


def test_every_index_serves_a_question_or_a_constraint(
    measured: list[list[Cost]], db: connection
) -> None:
    with db.cursor() as cursor:
        cursor.execute(
            """
            select indexrelid::regclass::text from pg_index
            where indrelid = any(%s::regclass[])
            and indexrelid not in (select conindid from pg_constraint)
            """,
            [list(TABLES)],
        )
        others = {name for (name,) in cursor.fetchall()}
    assert others - set[str]().union(*(one.indexes for one in measured[-1])) == set()
