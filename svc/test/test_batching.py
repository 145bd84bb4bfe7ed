"""What is read and changed together: through real HTTP, several instances, and in the table."""

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx
import psycopg2
import pytest
from psycopg2.extensions import connection
from pydantic import SecretStr

import database
from config import Settings
from conftest import Server, side_by_side
from edge import metrics
from edge.tokens import hash_of
from features.configurations.replace import repository
from postgres.batching import MOST, Statement
from postgres.conftest import Proxy
from wire.changes import Change

APPLICATIONS = "/api/v1/applications"
CONFIGURATIONS = "/api/v1/configurations"
NOWHERE = f"{CONFIGURATIONS}/01ARZ3NDEKTSV4RRFFQ69G5FAV"
JSON = {"Content-Type": "application/json"}
CROWD = 16


def make(api: httpx.Client, number: int, owner: str = "owner") -> list[str]:
    """The paths of so many new configurations, each with its index as name, of a new owner."""
    application = api.post(APPLICATIONS, json={"name": owner}).json()["id"]
    bodies = ({"application_id": application, "name": str(n)} for n in range(number))
    return [api.post(CONFIGURATIONS, json=body).headers["location"] for body in bodies]


def put(
    client: httpx.Client,
    path: str,
    name: int,
    config: dict[str, Any],
    headers: dict[str, str] | None = None,
    **members: str,
) -> httpx.Response:
    return client.put(path, json={"name": str(name), "config": config, **members}, headers=headers)


@pytest.fixture(scope="module")
def instances(dsn: str) -> Iterator[list[Server]]:
    """Two services on one database, in which `one` and `two` write."""
    tokens = ",".join(f"{name}:write:{hash_of(name.encode())}" for name in ("one", "two"))
    settings = {"DATABASE_URL": dsn, "API_TOKENS": tokens, "MAX_BODY_BYTES": "100000"}
    running = [Server(**settings) for _ in range(2)]
    for server in running:
        server.client.headers["Authorization"] = "Bearer one"
    with side_by_side(*running):
        yield running


def test_changes_that_meet_keep_each_its_own_outcome(
    api: httpx.Client, instances: list[Server]
) -> None:
    client, paths = instances[0].client, make(api, CROWD)

    def replace(turn: int, n: int) -> tuple[int, int]:
        path, config, body = paths[n], {"turn": turn}, f'{{"name": "{n}", "config": '
        large = body + '{"large": [' + ",".join(["1e300"] * 2000) + "]}}"
        kinds: dict[int, Callable[[], httpx.Response]] = {
            200: lambda: put(client, path, n, config),
            409: lambda: put(client, path, 0, config),
            412: lambda: put(client, path, n, config, headers={"If-Match": '"1000"'}),
            404: lambda: put(client, NOWHERE, n, config),
            400: lambda: put(client, path, n, config, application_id=NOWHERE[-26:]),
            413: lambda: client.put(path, content=large, headers=JSON),
        }
        # Few of a crowd fail, so that most of what is refused together was in order.
        status = [*kinds][(turn + n) % len(kinds) if n % 4 == 1 else 0]
        return status, kinds[status]().status_code

    with ThreadPoolExecutor(CROWD) as crowd:
        turns = [(turn, n) for turn in range(30) for n in range(CROWD)]
        outcomes = list(crowd.map(lambda one: replace(*one), turns))
    assert [got for _, got in outcomes] == [expected for expected, _ in outcomes]
    assert {expected for expected, _ in outcomes} == {200, 400, 404, 409, 412, 413}
    answers = [api.get(path) for path in paths]
    assert {answer.json()["name"] for answer in answers} == {str(n) for n in range(CROWD)}
    history = [api.get(f"{path}/revisions/2").json()["config"] for path in paths]
    assert all(set(config) == {"turn"} for config in history)


def test_a_configuration_that_is_locked_holds_up_no_other(
    api: httpx.Client, db: connection, dsn: str
) -> None:
    locked, *others = make(api, CROWD)
    holder = psycopg2.connect(dsn)
    with holder.cursor() as cursor:
        cursor.execute("select from configurations where id = %s for update", [locked[-26:]])
    with ThreadPoolExecutor(CROWD) as crowd:
        waiting = crowd.submit(put, api, locked, 0, {"late": True})
        turns = [(path, n + 1) for _ in range(5) for n, path in enumerate(others)]
        answers = list(crowd.map(lambda one: put(api, one[0], one[1], {"turn": 1}), turns))
        assert not waiting.done()
        holder.close()
        assert waiting.result().status_code == 200
    assert {answer.status_code for answer in answers} == {200}
    assert api.get(locked).json()["config"] == {"late": True}


def test_changes_of_what_stays_locked_are_refused_for_certain(api: httpx.Client, dsn: str) -> None:
    [path] = make(api, 1)
    holder = psycopg2.connect(dsn)
    impatient = Server(DATABASE_URL=dsn, DATABASE_TIMEOUT_SECONDS="2")
    with side_by_side(impatient), holder.cursor() as cursor, ThreadPoolExecutor(4) as crowd:
        cursor.execute("select from configurations where id = %s for update", [path[-26:]])
        turns = ({"turn": turn} for turn in range(4))
        answers = list(crowd.map(lambda config: put(impatient.client, path, 0, config), turns))
        holder.close()
    assert {answer.status_code for answer in answers} == {503}
    assert all("nothing was changed" in answer.json()["detail"] for answer in answers)
    assert len(api.get(f"{path}/revisions").json()) == 1


async def replace_together(dsn: str, ids: list[str], again: list[str]) -> dict[str, list[str]]:
    """Replaces all in one turn of the event loop, those of `again` until all others are answered;
    how it ended each time: with `done`, or what the exception says."""
    outcomes: dict[str, list[str]] = {id: [] for id in ids}  # noqa: A001

    async def replace(id: str) -> None:
        try:
            await repository.replace(id, None, id, None, '{"late": 1}', None)
        except database.Unavailable as error:
            outcomes[id].append(str(error))
        else:
            outcomes[id].append("done")

    async def replace_again(id: str) -> None:
        while not once.done():
            await replace(id)

    settings = Settings(database_url=SecretStr(dsn), database_timeout_seconds=3)
    async with database.opened(settings, database.Caller, Change, metrics):
        assert database._database
        while not database._database.engine.writes._is_connected:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        once = asyncio.gather(*(replace(id) for id in ids if id not in again))  # noqa: A001
        await asyncio.gather(once, *map(replace_again, again))
    return outcomes


@pytest.fixture
def proxy(dsn: str) -> Iterator[Proxy]:
    with closing(Proxy(dsn)) as proxy:
        yield proxy


def changes(proxy: Proxy) -> int:
    """How many statements that change something have reached PostgreSQL."""
    return sum("update configurations" in one or "execute batch" in one for one in proxy.statements)


TOO_LONG = "The database took too long; nothing was changed."


def test_of_a_full_batch_only_the_one_that_stays_locked_is_refused(
    api: httpx.Client, dsn: str, proxy: Proxy
) -> None:
    ids = [path[-26:] for path in make(api, MOST)]
    [locked] = random.sample(ids, 1)
    with closing(psycopg2.connect(dsn)) as holder, holder.cursor() as cursor:
        cursor.execute("select from configurations where id = %s for update", [locked])
        outcomes = asyncio.run(replace_together(proxy.dsn, ids, []))
    assert outcomes.pop(locked) == [TOO_LONG]
    assert list(outcomes.values()) == [["done"]] * (MOST - 1)
    assert api.get(f"{CONFIGURATIONS}/{locked}").json()["config"] == {}
    print(f"{changes(proxy)} statements")
    assert 2 <= changes(proxy) <= 30


def test_of_a_full_batch_that_is_blocked_as_a_whole_postgresql_gets_few_statements(
    api: httpx.Client, dsn: str, proxy: Proxy
) -> None:
    ids = [path[-26:] for path in make(api, MOST)]
    with closing(psycopg2.connect(dsn)) as holder, holder.cursor() as cursor:
        cursor.execute("lock table configurations in access exclusive mode")
        outcomes = asyncio.run(replace_together(proxy.dsn, ids, []))
    ends = {end for one in outcomes.values() for end in one}
    assert ends <= {TOO_LONG, "The database did not answer in time."}
    print(f"{changes(proxy)} statements")
    assert 2 <= changes(proxy) <= 30


def test_however_many_wait_for_a_row_that_stays_locked_all_others_are_changed(
    api: httpx.Client, dsn: str
) -> None:
    locked, *free = (path[-26:] for path in make(api, MOST))
    several = [*free, *([locked] * 4)]
    with closing(psycopg2.connect(dsn)) as holder, holder.cursor() as cursor:
        cursor.execute("select from configurations where id = %s for update", [locked])
        outcomes = asyncio.run(replace_together(dsn, several, free))
    assert outcomes.pop(locked) == [TOO_LONG] * 4
    assert {outcome for ends in outcomes.values() for outcome in ends} == {"done"}


def test_who_changed_what_is_told_apart_where_changes_meet(
    api: httpx.Client, instances: list[Server]
) -> None:
    paths = make(api, CROWD)

    def replace(n: int) -> None:
        name = ("one", "two")[n % 2]
        headers = {"Authorization": f"Bearer {name}"}
        path = paths[n % CROWD]
        answer = put(instances[0].client, path, n % CROWD, {"by": name, "n": n}, headers=headers)
        assert answer.status_code == 200

    with ThreadPoolExecutor(CROWD) as crowd:
        list(crowd.map(replace, range(10 * CROWD)))
    for path in paths:
        for revision in api.get(f"{path}/revisions").json()[:-1]:
            then = api.get(f"{path}/revisions/{revision['revision']}").json()
            assert then["actor"] == then["config"]["by"]


def test_one_statement_locks_in_the_order_of_the_ids_so_that_none_wait_in_a_ring(
    api: httpx.Client, db: connection, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = sorted(path[-26:] for path in make(api, CROWD))
    middle = CROWD // 2
    asked: list[tuple[str, database.Values]] = []

    async def change(sql: str, values: database.Values) -> database.Row:
        asked.append((sql, values))
        return {"application_id": "", "body": ""}

    monkeypatch.setattr(database, "write_batched", change)
    for n in random.sample(range(CROWD), CROWD):
        asyncio.run(repository.replace(ids[n], None, str(n), None, '{"late": 1}', None))
    lists = Statement("", None, "").in_lists([values for _, values in asked])
    holder, together = psycopg2.connect(dsn), psycopg2.connect(dsn)
    with holder.cursor() as cursor, ThreadPoolExecutor() as beside:
        cursor.execute("select from configurations where id = %s for update", [ids[middle]])
        waiting = beside.submit(together.cursor().execute, asked[0][0], lists)
        with db.cursor() as look:
            blocked: tuple[int, ...] | None = (0,)
            while blocked == (0,) and not waiting.done():
                pid = together.info.backend_pid
                look.execute("select cardinality(pg_blocking_pids(%s))", [pid])
                blocked = look.fetchone()
            look.execute("select id from configurations order by id for share skip locked")
            free = [row[0] for row in look.fetchall()]
        holder.close()
        waiting.result()
    together.close()
    assert free == ids[middle + 1 :]


def test_a_get_sees_what_was_answered_before_it_began_through_every_instance(
    api: httpx.Client, instances: list[Server]
) -> None:
    paths = make(api, CROWD)

    def follow(n: int) -> None:
        for turn in range(15):
            tag = put(instances[turn % 2].client, paths[n], n, {"turn": turn}).headers["etag"]
            for server in instances:
                assert server.client.get(paths[n]).json()["config"] == {"turn": turn}
                known = server.client.get(paths[n], headers={"If-None-Match": tag})
                assert known.status_code == 304
                older = {"If-None-Match": f'"{int(tag[1:-1]) - 1}"'}
                assert server.client.get(paths[n], headers=older).json()["config"]["turn"] == turn

    with ThreadPoolExecutor(CROWD) as crowd:
        list(crowd.map(follow, range(CROWD)))


def test_many_who_ask_for_the_same_and_for_what_is_not_there_get_their_own_answer(
    api: httpx.Client,
) -> None:
    paths = make(api, 4)
    tag = api.get(paths[0]).headers["etag"]

    def ask(n: int) -> tuple[int, str]:
        path = [*paths, NOWHERE][n % 5]
        answer = api.get(path, headers={"If-None-Match": tag} if n % 3 == 0 else {})
        name = json.loads(answer.content)["name"] if answer.status_code == 200 else ""
        return answer.status_code, name

    def expected(n: int) -> tuple[int, str]:
        if n % 5 == 4:
            return 404, ""
        return (304, "") if n % 3 == 0 else (200, str(n % 5))

    with ThreadPoolExecutor(CROWD) as crowd:
        assert list(crowd.map(ask, range(600))) == [expected(n) for n in range(600)]
