"""HTML that is safe by default: what is not `Markup` already is escaped. And numbers as a person reads them."""

from __future__ import annotations

from html import escape


class Markup(str):
    """A string that is HTML already."""


def markup(*parts) -> Markup:
    """Return the parts one after the other, those that are no `Markup` escaped; None is nothing.

    >>> markup(Markup("<br>"), "a < b", None)
    '<br>a &lt; b'
    """
    return Markup(
        "".join(part if isinstance(part, Markup) else escape(str(part)) for part in parts if part is not None)
    )


def tag(name: str, *children, **attributes) -> Markup:
    """Return an element; a trailing `_` of an attribute is dropped, others become `-`, and None leaves it out.

    >>> tag("b", "<script>", class_="big", data_value=3)
    '<b class="big" data-value="3">&lt;script&gt;</b>'
    """
    given = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    start = "".join(f' {key}="{escape(str(value))}"' for key, value in given.items())
    return Markup(f"<{name}{start}>{markup(*children)}</{name}>")


def foreign(text: str, name: str = "bdi", **attributes) -> Markup:
    """Return an element with text of the crawl, whose own direction does not disturb what stands around it."""
    return tag(name, text, dir="auto", **attributes)


def bars(rows: list[Markup]) -> Markup:
    """Return a table of rows that `bar_row` made."""
    return tag("table", tag("tbody", *rows), class_="bars")


def bar_row(label, value, remark, most) -> Markup:
    """Return a row with a bar as long as `value` of `most`; where that is None or the value 0, without a bar."""
    bar = tag("i", style=bar_width(value, most)) if most and value else None
    return tag(
        "tr", tag("th", label, scope="row"), tag("td", number(value)), tag("td", bar, class_="bar"), tag("td", remark)
    )


def bar_width(value, most) -> str:
    """Return the style of a bar as long as `value` of `most`."""
    return f"--share: {100 * value / most if most else 0:.2f}%"


def number(value) -> str:
    """Return a number of things, rounded to a whole one; of nothing, a dash.

    >>> number(1234567), number(12.6), number(None)
    ('1,234,567', '13', '–')
    """
    return "–" if value is None else f"{value:,.0f}"


def percent(part, whole=1) -> str:
    """Return a share in percent, small ones with two digits that count; a dash where there is no whole.

    >>> percent(1, 8), percent(0.00012345), percent(0), percent(1, 0)
    ('12.5 %', '0.012 %', '0.0 %', '–')
    """
    if part is None or not whole:
        return "–"
    share = 100 * part / whole
    return f"{share:.2g} %" if 0 < share < 0.1 else f"{share:.1f} %"


def short(value) -> str:
    """Return a number of things in the least room.

    >>> [short(each) for each in (7, 1000, 25_000, 999_999, 1_600_000, 10**9)]
    ['7', '1k', '25k', '1M', '1.6M', '1B']
    """
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if value >= 0.9995 * unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g}"
