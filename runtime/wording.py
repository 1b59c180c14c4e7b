"""Format numbers for people: counts with separators and nouns, shares in percent, large numbers abbreviated."""


def number(value: float | None) -> str:
    """Return a count as text, rounded to a whole number; a dash for None.

    >>> number(1234567), number(12.6), number(None)
    ('1,234,567', '13', '–')
    """
    return "–" if value is None else f"{value:,.0f}"


def counted(value: float, thing: str) -> str:
    """Return a count and the noun `thing`, in the plural unless the count is 1.

    >>> counted(1, "file"), counted(2500, "file")
    ('1 file', '2,500 files')
    """
    return f"{number(value)} {thing if value == 1 else f'{thing}s'}"


def quotient(part: float, whole: float) -> float | None:
    """Return `part` / `whole`; None if `whole` is 0."""
    return part / whole if whole else None


def percent(part: float | None, whole: float = 1) -> str:
    """Return `part` / `whole` in percent, with two significant digits below 0.1 %; a dash for None or a `whole` of 0.

    >>> percent(1, 8), percent(0.00012345), percent(0), percent(1, 0)
    ('12.5 %', '0.012 %', '0.0 %', '–')
    """
    if part is None or not whole:
        return "–"
    share = 100 * part / whole
    return f"{share:.2g} %" if 0 < share < 0.1 else f"{share:.1f} %"


def decimal(value: float | None, digits: int = 2) -> str:
    """Return a number with `digits` decimals; a dash for None.

    >>> decimal(0.4567), decimal(3.55, 1), decimal(None)
    ('0.46', '3.5', '–')
    """
    return "–" if value is None else f"{value:.{digits}f}"


def short(value: float) -> str:
    """Return a count with at most three digits and, from 1,000 on, a unit: k, M or B.

    >>> [short(each) for each in (7, 1000, 25_000, 999_999, 1_600_000, 10**9)]
    ['7', '1k', '25k', '1M', '1.6M', '1B']
    """
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if value >= 0.9995 * unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g}"
