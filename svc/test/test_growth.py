"""No question to the database touches more of it as the tables grow, and no index is idle."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
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
from features.content.replace.models import ReplaceContentItem
from postgres.batching import Statement
from postgres.engine import VERSIONS, Engine
from wire.documents import ObjectText

FEW, MANY = 1_000, 20_000
LIMIT = 10
TABLES = {
    "applications",
    "configurations",
    "configuration_revisions",
    "configuration_names",
    "trimmed_changes",
    "checks",
}

# Half of the configurations belong to applications of a hundred, the others to the last one. Two
# have a long history, one of them is deleted; and one application of fifty has as long a history.
LOAD = """
    create function pg_temp.ulid(kind text, number int) returns text language sql
    return '01BRZ3NDE' || kind || lpad(number::text, 16, '0');
    -- Each change is a transaction of its own.
    alter table configuration_revisions alter column transaction_id drop default;
    insert into applications (id, name)
    select pg_temp.ulid('A', i), 'application ' || i from generate_series(0, %(size)s - 1) as i;
    insert into configurations (id, application_id, name, config)
    select
        pg_temp.ulid('C', i),
        pg_temp.ulid('A', case when i < %(size)s / 2 then i / 100 else %(size)s - 1 end),
        'c' || case when i < %(size)s / 2 then i %% 100 else i end,
        case when i %% 100 = 0 then '{}' else '{"a": 1}' end::jsonb
    from generate_series(0, %(size)s - 1) as i;
    alter table configuration_revisions disable trigger user;
    insert into configuration_revisions (
        configuration_id, revision, sequence, application_id, name, config, action, recorded_at,
        transaction_id
    )
    select
        id, number, sequence, pg_temp.ulid('A', %(size)s - owner), name, '{"a": 1}', 'update',
        '2026-01-01Z'::timestamptz + sequence * interval '1s', null
    from (
        select pg_temp.ulid(kind, 0), 2, 'old ' || kind, i, 2 * i - (kind = 'D')::int
        from generate_series(1, %(size)s) as i, (values ('D'), ('E')) as long (kind)
        union all
        select pg_temp.ulid('F', n), 3, 'f' || n, i, 50 * (i - 1) + n
        from generate_series(1, %(size)s / 50) as i, generate_series(1, 50) as n
    ) as change (id, owner, name, number, sequence);
    alter table configuration_revisions enable trigger user;
    insert into configuration_names (configuration_id, application_id, name, since, until)
    select
        configuration_id, application_id, name, min(sequence),
        case when configuration_id < pg_temp.ulid('E', 0) then max(sequence)
        else 9223372036854775807 end
    from configuration_revisions where configuration_id >= pg_temp.ulid('D', 0) group by 1, 2, 3;
    insert into trimmed_changes (application_id, sequence, recorded_at)
    select pg_temp.ulid('A', %(size)s - 3), i, '2025-01-01Z'::timestamptz + i * interval '1s'
    from generate_series(-%(size)s, 0) as i;
    insert into configurations (id, application_id, name, config)
    values (pg_temp.ulid('E', 0), pg_temp.ulid('A', %(size)s - 2), 'kept', '{"a": 2}');
    insert into configurations (id, application_id, name, config)
    select pg_temp.ulid('F', n), pg_temp.ulid('A', %(size)s - 3), 'f' || n, '{"a": 2}'
    from generate_series(1, 50) as n;
    insert into checks (id, application_id, schema_id, layers)
    select
        pg_temp.ulid('K', 10 * i + j), pg_temp.ulid('A', i), pg_temp.ulid('C', 100 * i),
        '{c1,c2,c3}'
    from generate_series(0, %(size)s / 200 - 1) as i, generate_series(0, 2) as j
    -- Of this one all are deleted, and a schema could not be.
    where i <> %(size)s / 400;
    alter table configuration_revisions
        alter column transaction_id set default recorded_transaction();
    drop function pg_temp.ulid
"""
application, configuration = "01BRZ3NDEA{:016}".format, "01BRZ3NDEC{:016}".format
check = "01BRZ3NDEK{:016}".format
DELETED, KEPT, OF_FIFTY = (f"01BRZ3NDE{one[0]}{int(one[1]):016}" for one in ("D0", "E0", "F7"))
WATCHED = [application(1), configuration(1), KEPT, DELETED]


class Asked(Exception):
    """What is asked of the database: by which of its functions, the statement, and the values."""

    def __init__(self, how: str, sql: str, values: list[Mapping[str, Any]]) -> None:
        self.how, self.sql, self.values, self.slice = how, sql, values, "listener"


class Cost(NamedTuple):
    """What a question touches: how many blocks, for each if it is a batch; the tables that are read
    whole, and the indexes that are read."""

    question: str
    blocks: float
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


def ask(place: str, *given: Any, **more: Any) -> Asked:
    """What the function of a slice's repository asks: of several the one with that name."""
    folder, _, name = place.partition(":")
    module = import_module(f"features.{folder}.repository")
    functions = [one for one in vars(module).values() if iscoroutinefunction(one)]
    [function] = [one for one in functions if name in ("", one.__name__)]
    asked = caught(function(*given, **more))
    asked.slice = folder
    return asked


def together(questions: Iterable[Asked]) -> Asked:
    """The same asked for many at once."""
    first, *others = questions
    first.values += [values for other in others for values in other.values]
    return first


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


def questions(size: int) -> Iterator[Asked]:
    """All of them, where so many are kept."""
    number, large, old = size // 400, application(size - 1), application(size - 2)
    one, owner = configuration(100 * number), application(number)
    behind = [None, one, configuration(size - 2 * LIMIT)]
    for after, of, name in product(behind, [None, owner, large], [None, "c7", f"c{size - 1}"]):
        yield ask("configurations.list", after, of, name, LIMIT)
    for after, name in product([None, application(size // 2)], [None, f"application {size - 9}"]):
        yield ask("applications.list", after, name, LIMIT)
    for of, end in ((owner, 100), (large, size // 2), (old, 2 * size)):
        for sequence in (0, end - 2 * LIMIT):
            yield ask("delivery.changes", of, sequence, LIMIT)
    yield ask("applications.create", "new", None)
    yield ask("applications.get", owner)
    yield ask("applications.replace", large, "new", None, [1])
    yield ask("applications.delete", owner, None)
    yield ask("health.ready")
    layers = ["c1", "c2", "c3"]
    for explain in (False, True):
        yield ask("delivery.config:merge", f"application {number}", layers, [], explain=explain)
    for of in (owner, large):
        yield ask("configurations.create", of, "new", None, "{}")
    for of in (one, KEPT):
        yield ask("configurations.get:get", of)
        yield ask("configurations.replace", of, None, "new", None, "{}", None)
        yield ask("configurations.patch", of, {"config": '{"b": 2}'}, None)
        yield ask("configurations.delete", of, None)
    yield from questions_of_checks(number + 1, large)
    hundred = [configuration(100 * number + i) for i in range(100)]
    yield together(ask("configurations.get:get", of) for of in hundred)
    yield together(
        ask("delivery.config:merge", f"application {number}", [f"c{n}", *layers], [], explain=False)
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
    ):
        yield together(map(change, hundred))
    yield ask("history.rollback", one, 1, None, may_be_deleted=False)


def questions_of_history(size: int) -> Iterator[Asked]:
    """Those about what was, and about an application's configurations as one."""
    old, fifty, fifty_name = application(size - 2), application(size - 3), f"application {size - 3}"
    for of in (DELETED, KEPT):
        for before in (None, size // 2):
            yield ask("history.list:list_before", of, before, LIMIT)
            yield ask("history.list:list_changes_of", of, ["a"], before, LIMIT)
        yield ask("history.get", of, size // 2)
        yield ask("history.diff", of, 1, KEPT, size // 2)
        yield ask("history.diff", of, 1, OF_FIFTY, None)
        yield ask("history.rollback", of, size // 2, None, may_be_deleted=True)
    # Of one configuration: in which order PostgreSQL reads those of many depends on their number.
    for most in (10, 10**6):
        yield ask("content.get:get", old, most)
    yield together(ask("content.get:get", application(size - 2 - n), 10) for n in range(10))
    for of, name, others in ((old, "kept", 0), (fifty, "f1", 49)):
        for key in (name, "new"):
            yield ask("content.patch", of, {key: {"config": '{"b": 2}'}}, None)
        whole = ReplaceContentItem.model_validate({"config": ObjectText("{}")})
        yield ask("content.replace", of, {name: whole}, others, None)
    middle = size - 2 * LIMIT  # for `old` in the middle, for `fifty` near the end
    for sequence in (2, 49, 50, middle, size):
        # As many seconds after the beginning of the year, each has the change of that number.
        time = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=sequence)
        for at in (str(sequence), time.isoformat()):
            for of in (DELETED, KEPT, OF_FIFTY):
                yield ask("configurations.get:get_at", of, at)
            for of in (old, fifty):
                yield ask("content.get:get_at", of, at, 10**6)
            names = ["f7", "f8", "f9"]
            yield ask("delivery.config:merge_at", fifty_name, names, names, at, explain=False)
        yield ask("content.rollback", fifty, sequence, max(0, 50 - sequence), None)
    yield ask("content.rollback", old, middle, 0, None)


def asked_by(tokens: list[str | None], size: int) -> Iterator[tuple[Asked, str | None]]:
    """Each question with each application that its token may be confined to."""
    for confined_to in tokens:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(database, "confined_to", lambda: confined_to)  # noqa: B023
            yield from product([*questions(size), *questions_of_history(size)], [confined_to])
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
        cursor.execute(f"explain analyze {sql}", values)
        cursor.execute("set constraints all immediate")  # as at the end of the transaction
        blocks = counted(cursor, "blocks_fetched") - blocks
        scanned = counted(cursor, "numscans") - scans
        cursor.execute("rollback")
    many = len(values["id"]) if isinstance(values.get("id"), list) else 1
    blocks_of_each = blocks.total() / many
    return Cost(
        f"{question.slice} {values}", blocks_of_each, TABLES & set(scanned), set(scanned) - TABLES
    )


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
        # Else the rows would be scattered over the space that others have left.
        cursor.execute(f"vacuum {', '.join(TABLES)}")
        cursor.execute(LOAD, {"size": size})
        # VACUUM marks as visible to all what is on the disk; each one flushes for the next.
        cursor.execute("set synchronous_commit = on")
        for _ in range(20):
            # The load changes rows several times, and leaves those of a page anywhere.
            for table in ("applications", "configurations"):
                cursor.execute(f"cluster {table} using {table}_pkey")
            cursor.execute(f"vacuum (analyze) {', '.join(TABLES)}")
            cursor.execute(
                "select bool_and(relallvisible = relpages) from pg_class where relname = any(%s)",
                [list(TABLES)],
            )
            if cursor.fetchone() == (True,):
                break
    with (
        closing(opened(engine.pool._connect)) as plain,
        closing(opened(engine.reads._connect)) as lists,
    ):
        tokens = [f"application {number}" for number in (size // 400, size - 3, size - 2, size - 1)]
        for one, confined_to in asked_by([None, *tokens], size):
            if one.how in ("read_batched", "write_batched"):
                values = Statement("", confined_to, "").in_lists(one.values)
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
    grown = [(few.blocks, many) for few, many in pairs if many.blocks > 2 * few.blocks + 40]
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
