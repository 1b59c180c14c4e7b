"""Drop comments, references, templates, tables and the like from wikitext, before its lines are read.

Each pass reads the text once, however unbalanced its brackets are; a parser of the whole grammar does not
(DESIGN.md, "Wikitext to plain text"). An opening that is never closed takes nothing with it: its brackets are swept
away in `wikitext`.
"""

import re
from collections.abc import Callable, Iterable, Iterator

# Tags whose content is no running text. MediaWiki, too, takes these out before it reads templates, and templates
# before tables and links.
SILENT_TAGS = frozenset(
    "ce categorytree chem code gallery graph hiero imagemap includeonly indicator inputbox mapframe maplink math"
    " pre ref references score script source style syntaxhighlight templatedata templatestyles timeline".split()
)
# Files are recognised by their ending, too: each language has its own names for the namespace, and old ones as well.
MEDIA = "djvu|flac|gif|jpe?g|midi?|mp3|mpe?g|og[agvx]|opus|pdf|png|stl|svg|tiff?|wav|webm|webp|xcf"

_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
_SILENT_TAG = re.compile(rf"<(/?)({'|'.join(sorted(SILENT_TAGS))})\b([^<>]*)>", re.IGNORECASE)
_ARGUMENT = re.compile(r"\{\{\{[^{}]*\}\}\}")
_BRACES = re.compile(r"(\{\{)|\}\}")
_TABLE = re.compile(r"^[ \t:*#]*(\{\|)|^[ \t]*\|\}(?!\})|(<table\b)[^<>]*>|</table\s*>", re.MULTILINE | re.IGNORECASE)
_TABLE_LINE = re.compile(r"^[ \t]*(?:\{\||\||!(?=.*(?:!!|\|))).*$", re.MULTILINE)
_SQUARES = re.compile(r"(\[\[)|\]\](?:\](?!\]))?")  # ]]] ends an address in a caption, and the caption
_FILE = re.compile(rf"\[\[[^\[\]|:]+:[^\[\]|]*\.(?:{MEDIA})\s*[|\]]", re.IGNORECASE)
_PREFIX = re.compile(r"\[\[\s*([^\[\]|:]*[^\[\]|:\s])\s*:")
_VARIANTS = re.compile(r"-\{(?:([^{}|]*)\|)?([^{}]*)\}-")
_FIRST_VARIANT = re.compile(r"\s*[a-z]{2,3}(?:-[a-z]+)*\s*:([^;]*)")
_HIDDEN_VARIANTS = frozenset("THDN-")  # flags of rules that show nothing: title, hidden, description, name, removal


def without_blocks(wikitext: str, namespaces: Iterable[str] = ()) -> str:
    """Return `wikitext` less all that is no running text; links into `namespaces` (files, categories) go with it.

    >>> without_blocks("{{Box|a={{b}}}}[[File:X.jpg|thumb|A [[dog]]]]Dogs<ref>[[Cats]]</ref> bark")
    'Dogs bark'
    """
    dropped = {name.casefold() for name in namespaces}
    text = _ARGUMENT.sub("", _without_silent_tags(_without_comments(wikitext)))
    text = _without(text, _pairs(text, _BRACES))
    text = _TABLE_LINE.sub("", _without(text, _pairs(text, _TABLE)))
    text = _without(text, _pairs(text, _SQUARES, lambda start: _is_dropped(text, start, dropped)))
    return _VARIANTS.sub(_variant, text)


def _without_comments(text: str) -> str:
    """Return `text` without comments; one that is never closed only loses its opening."""
    end = text.rfind("-->") + len("-->")  # beyond it the search for an end would run over all the rest again and again
    return _COMMENT.sub("", text[:end]) + text[end:].replace("<!--", "")


def _without_silent_tags(text: str) -> str:
    tags = list(_SILENT_TAG.finditer(text))
    last_end = {tag[2].lower(): tag.start() for tag in tags if tag[1]}
    kept, position, inside = [], 0, None
    for tag in tags:
        opens, name = not tag[1], tag[2].lower()
        if inside is None:
            kept.append(text[position : tag.start()])
            if opens and not tag[3].endswith("/") and last_end.get(name, -1) > tag.start():
                inside = name
        elif not opens and name == inside:
            inside = None
        else:
            continue
        position = tag.end()
    return "".join([*kept, text[position:]])


def _pairs(text: str, edge: re.Pattern, chosen: Callable[[int], bool] = lambda start: True) -> list[tuple[int, int]]:
    """Return start and end of each opening that is closed, inner ones too; a match of `edge` with a group opens."""
    opened, pairs = [], []
    for match in edge.finditer(text):
        if match.lastindex:
            opened.append(match.start())
        elif opened and chosen(start := opened.pop()):
            pairs.append((start, match.end()))
    return pairs


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    return "".join(text[start:end] for start, end in _between(sorted(spans), len(text)))


def _between(spans: list[tuple[int, int]], length: int) -> Iterator[tuple[int, int]]:
    position = 0
    for start, end in spans:
        if start >= position:
            yield position, start
        position = max(position, end)
    yield position, length


def _is_dropped(text: str, start: int, namespaces: set[str]) -> bool:
    prefix = _PREFIX.match(text, start)
    if prefix is None:
        return False
    return prefix[1].replace("_", " ").casefold() in namespaces or bool(_FILE.match(text, start))


def _variant(match: re.Match) -> str:
    """Return what a reader of the first variant sees of -{zh-hans:…;zh-hant:…}-."""
    if match[1] and _HIDDEN_VARIANTS & set(match[1]):
        return ""
    first = _FIRST_VARIANT.match(match[2])
    return first[1] if first else match[2]
