"""The plot of `make bench`: bars in groups, as the text of an SVG file."""

from html import escape

WIDTH, LEFT, RIGHT, TOP = 760, 190, 150, 56
BAR, GAP = 16, 14
COLOURS = ("#1f6fd6", "#a3adb8", "#dd9440")

type Groups = dict[str, dict[str, float]]


def plot(title: str, groups: Groups) -> str:
    """A bar for each value, from 0 on, with its name and its number. A group has three at most.

    It has a background of its own, because a page may be light or dark.
    """
    longest = max(value for bars in groups.values() for value in bars.values())
    drawn, y = list[str](), TOP
    for label, bars in groups.items():
        middle = y + BAR * len(bars) / 2
        drawn.append(_text(LEFT - 12, middle, label, ' text-anchor="end"'))
        for (name, value), colour in zip(bars.items(), COLOURS, strict=False):
            width = (WIDTH - LEFT - RIGHT) * value / longest
            drawn.append(
                f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}" fill="{colour}"/>'
            )
            drawn.append(_text(LEFT + width + 6, y + BAR / 2 - 1, f"{value:,.0f} {name}"))
            y += BAR
        y += GAP
    told = "; ".join(
        f"{label}: " + ", ".join(f"{name} {value:,.0f}" for name, value in bars.items())
        for label, bars in groups.items()
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img"'
            ' aria-labelledby="title desc" font-family="sans-serif" font-size="13" fill="#1c2128">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="desc">{escape(told)}</desc>',
            f'<rect width="{WIDTH}" height="{y}" rx="8" fill="#ffffff"/>',
            _text(20, 28, title, ' font-size="15" font-weight="bold"'),
            *drawn,
            "</svg>\n",
        ]
    )


def _text(x: float, middle: float, text: str, attributes: str = "") -> str:
    placed = f'x="{x:.1f}" y="{middle:.1f}" dominant-baseline="central"'
    return f"<text {placed}{attributes}>{escape(text)}</text>"
