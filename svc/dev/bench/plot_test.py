from itertools import pairwise
from xml.etree import ElementTree

from dev.bench.plot import WIDTH, plot

GROUPS = {
    "GET <1>": {"service": 5000.0, "floor": 10_000.0, "pgbench": 2500.4},
    "PUT & more": {"service": 1234.6, "floor": 0.0},
}


def elements(name: str) -> list[ElementTree.Element]:
    drawn = ElementTree.fromstring(plot("Requests & seconds", GROUPS))  # noqa: S314 - our own
    return list(drawn.iter(f"{{http://www.w3.org/2000/svg}}{name}"))


def test_each_group_has_its_label_and_each_bar_its_number_and_name() -> None:
    assert [text.text for text in elements("text")] == [
        "Requests & seconds",
        *("GET <1>", "5,000 service", "10,000 floor", "2,500 pgbench"),
        *("PUT & more", "1,235 service", "0 floor"),
    ]


def test_a_bar_is_as_long_as_its_value_and_none_covers_another() -> None:
    _, *bars = elements("rect")
    lengths = [float(bar.attrib["width"]) for bar in bars]
    shares = [length / max(lengths) for length in lengths]
    assert [round(share, 2) for share in shares] == [0.5, 1, 0.25, 0.12, 0]
    edges = [float(bar.attrib["x"]) + float(bar.attrib["width"]) for bar in bars]
    assert 0 < max(edges) < WIDTH
    tops = [float(bar.attrib["y"]) for bar in bars]
    steps = [below - above for above, below in pairwise(tops)]
    assert all(step > float(bars[0].attrib["height"]) for step in steps)
    assert steps[2] > steps[0]


def test_the_bars_of_a_group_differ_in_colour_and_those_of_one_name_do_not() -> None:
    _, *bars = elements("rect")
    colours = [bar.attrib["fill"] for bar in bars]
    assert len(set(colours)) == 3
    assert colours[:2] == colours[3:]


def test_the_background_is_its_own_and_covers_all() -> None:
    background, *bars = elements("rect")
    [drawn] = elements("svg")
    assert drawn.attrib["viewBox"] == f"0 0 {WIDTH} {background.attrib['height']}"
    assert background.attrib["width"] == str(WIDTH)
    assert background.attrib["fill"] not in {drawn.attrib["fill"], "none"}
    lowest = float(bars[-1].attrib["y"]) + float(bars[-1].attrib["height"])
    assert lowest < float(background.attrib["height"])


def test_it_is_told_to_who_does_not_see_it() -> None:
    [drawn], [title], [described] = elements("svg"), elements("title"), elements("desc")
    assert drawn.attrib["role"] == "img"
    named = [title.attrib["id"], described.attrib["id"]]
    assert drawn.attrib["aria-labelledby"].split() == named
    assert title.text == "Requests & seconds"
    assert described.text == (
        "GET <1>: service 5,000, floor 10,000, pgbench 2,500; PUT & more: service 1,235, floor 0"
    )
