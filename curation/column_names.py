"""Known names of the columns of tables of pairs and of images, for each field."""

from collections.abc import Sequence

from runtime.errors import InputError

RECOGNISED = {  # The names are tried in this order; upper and lower case are the same.
    "url": ("url", "URL", "image_url", "downloadurl"),
    "text": (
        *("text", "TEXT", "caption", "alt", "alt_text"),
        "org_caption",  # Recap-DataComp-1B, beside a model's re_caption
        *("caption_reference_description", "caption_attribution_description"),  # WIT
        "description_clean",  # YFCC100M's subset of OpenAI
    ),
    "uid": ("uid",),
    "language": ("language",),
    "page_url": ("page_url",),
}

USUAL = 4  # Messages list this many names of a field.


def recognised(field: str, names: Sequence[str], path: str, remedy: str = "leave out all but one") -> str | None:
    """Return the first name of RECOGNISED[field] that is in `names`, as `names` spells it; None if none is there.

    Upper and lower case are the same. InputError if `names` has the name twice, in equal or in different case; in the
    latter case, `remedy` ends the message. `path` is the table that the message names.

    >>> recognised("url", ["Image_URL", "Url", "text"], "a table"), recognised("uid", ["text"], "a table")
    ('Url', None)
    """
    for candidate in RECOGNISED[field]:
        if alike := [name for name in names if name.lower() == candidate.lower()]:
            return _one(alike, path, remedy)
    return None


def _one(columns: list[str], path: str, remedy: str) -> str | None:
    if len(set(columns)) > 1:
        names = " and ".join(dict.fromkeys(columns))
        raise InputError(f"{path} has the columns {names}, which differ only in case; {remedy}")
    if len(columns) > 1:
        raise InputError(f"{path} has {len(columns)} columns named {columns[0]}; expected only one")
    return columns[0] if columns else None
