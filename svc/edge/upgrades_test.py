from types import SimpleNamespace
from typing import Any, cast

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from edge import upgrades


def passed_on(
    monkeypatch: pytest.MonkeyPatch, chunks: list[bytes], *, cycle: object = None
) -> list[bytes]:
    """What the server's parser gets of these, while this request is under way."""
    received = list[bytes]()
    monkeypatch.setattr(upgrades, "_data_received", lambda _, data: received.append(data))
    for chunk in chunks:
        upgrades._without_upgrade(cast(HttpToolsProtocol, SimpleNamespace(cycle=cycle)), chunk)
    return received


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([b"A\r\nUpgrade: h2c\r\n\r\n"], [b"A\r\nignored: h2c\r\n\r\n"]),
        ([b"A\r\nUPGRADE \t: a\r\nupgrade: b\r\n"], [b"A\r\nignored \t: a\r\nignored: b\r\n"]),
        ([b"A\r\n", b"upgrade: h2c\r\n\r\n"], [b"A\r\n", b"ignored: h2c\r\n\r\n"]),
        ([b"A\r\nUpgrade: a\r\n\r\n\r\nUpgrade: b"], [b"A\r\nignored: a\r\n\r\n\r\nUpgrade: b"]),
    ],
    ids=["of any kind", "however it is written", "where the head comes in parts", "but no body's"],
)
def test_the_parser_sees_no_upgrade_in_a_head(
    monkeypatch: pytest.MonkeyPatch, sent: list[bytes], expected: list[bytes]
) -> None:
    assert passed_on(monkeypatch, sent) == expected
    assert passed_on(monkeypatch, sent, cycle=SimpleNamespace(response_complete=True)) == expected


@pytest.mark.parametrize(
    "sent", [b"A\r\nUpgrade-Insecure-Requests: 1\r\n\r\n", b"A\r\nConnection: Upgrade\r\n\r\n"]
)
def test_other_headers_stay_as_they_are(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    assert passed_on(monkeypatch, [sent]) == [sent]


def test_a_body_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    reading: Any = SimpleNamespace(response_complete=False)
    assert passed_on(monkeypatch, [b"Upgrade: 1"], cycle=reading) == [b"Upgrade: 1"]
