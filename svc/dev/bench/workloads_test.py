import json

from pydantic import TypeAdapter

from dev.bench import workloads
from dev.bench.load import TURN
from dev.bench.workloads import NUMBER, WORKLOADS, Workload
from wire.types import Ulid


def test_documents_are_of_about_1500_bytes_or_64_kb_and_differ() -> None:
    texts = [text for _, _, _, text in workloads.rows()]
    assert len(set(texts)) == len(texts) == 2200
    assert all(1400 < len(text) < 1700 for text in texts[:2000])
    assert all(64_000 < len(text) < 67_000 for text in texts[2000:])
    assert json.loads(workloads.document(1000, "7"))["turn"] == "7"


def test_each_document_has_a_ulid_and_a_name_of_its_own() -> None:
    ids, applications, names, _ = map(set, zip(*workloads.rows(), strict=True))
    assert len(ids) == len(names) == 2200
    for found in ids | applications:
        TypeAdapter(Ulid).validate_python(found)


def test_a_workload_has_a_request_for_each_of_its_numbers() -> None:
    workload = Workload("PUT", f"/{NUMBER}", f'{{"{NUMBER}": "{TURN}"}}', range(1000, 1002))
    first, second = (one.decode() for one in workload.requests())
    assert first.startswith("PUT /1000 HTTP/1.1\r\n")
    assert first.endswith(f'\r\n\r\n{{"1000": "{TURN}"}}')
    assert second == first.replace("1000", "1001")


def test_what_is_written_is_never_what_is_read() -> None:
    read, written = (
        {
            number
            for workload in WORKLOADS.values()
            for number in workload.numbers
            if (workload.method == "GET") == reads and NUMBER in workload.path
        }
        for reads in (True, False)
    )
    assert read
    assert written
    assert not read & written


def test_each_write_is_another_than_the_one_before() -> None:
    for workload in WORKLOADS.values():
        assert (workload.method == "GET") == (not workload.body)
        assert (TURN in workload.body) == bool(workload.body)
