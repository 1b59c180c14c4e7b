"""The metadata languages, one row of languages.csv each; the order of rows decides the order of entries' ids.

Only this module looks up the names that Wikipedia, wordnets and language-ID models use for a language.

The table was made by these rules:

- A Wikipedia has its own row if some language-ID model has a label for its language: lid.176 (the default), OpenLID,
  NLLB's lid218e or GlotLID. The few Wikipedias that no model is known to label are merged into `other`. If a label of
  lid.176 were required, Hausa and Zulu would also be merged: lid.176, whose only label for `other` is lrc, would gain
  nothing, and the other models would lose two languages. map_bms and roa_tara have no label; their rows are for tables
  of pairs that state their languages.
- A variety that lid.176 labels as a larger language is merged into that language, so that texts that the default model
  labels match the variety's entries: ary into ar, hyw into hy, nds_nl into nds, be_tarask (whose dump is be_x_old) into
  be, simple into en. Varieties that lid.176 distinguishes (arz, azb, pnb; sh beside bs, hr and sr) are languages of
  their own.
- Chinese in Han characters is one language, although lid.176 has labels for more: of 1,650 Chinese Wikipedia phrases
  and titles, lid.176 labelled one as Wu and none as Cantonese, too few to balance. Southern Min and Hakka have rows of
  their own, as their Wikipedias are in Latin letters and would only crowd out Chinese words.
- `als` is Albanian (sq) in wordnets and in the label als_Latn, by ISO 639-3; in Wikipedia and lid.176 it is Alemannic.
- The labels include iw, fil and nb, which tables of pairs use.
- Labels of OpenLID, lid218e and GlotLID are ISO 639-3 codes with a script. A macrolanguage and its parts, and all
  scripts of a language, are one language unless lid.176 distinguishes them: arb, ars, apc … into ar; fas, pes, prs into
  fa; zho, cmn, yue in any Han script into zh; srp_Cyrl and srp_Latn into sr; zsm and msa into ms. Bokmål (nob) is
  `no`, as in Wikipedia and lid.176, and Nynorsk (nno) is `nn`.
- The row `other` lists labels that are known to have no language of their own here: labels of lid218e and OpenLID
  without a Wikipedia that has a row, and the codes for no language (und, zxx, mis, mul), in any script. Most of
  GlotLID's 2,102 labels are in no row and also mean `other`; `is_label` returns whether a label is in the table.

The scripts of each language are in scripts.csv, which tests/support/cldr_scripts.py makes from CLDR. All other names
that a table of pairs may use for a language, such as its English name, are in language_names.csv, made by
tests/support/cldr_names.py.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, lru_cache
from unicodedata import combining, normalize

from runtime.errors import InputError
from runtime.messages import nearest_names
from runtime.packages import table_rows


@dataclass(frozen=True)
class Language:
    """A metadata language, with the codes and labels that Wikipedia, wordnets and language-ID models use for it."""

    code: str
    name: str
    wikipedia: tuple[str, ...]  # Wikipedia codes, with underscores
    wordnet: tuple[str, ...]  # ISO 639-3, as wordnets use it
    labels: tuple[str, ...]  # labels of language-ID models, without __label__
    spaced: bool  # whether spaces separate words
    scripts: tuple[str, ...]  # ISO 15924 codes of the language's scripts; empty if none is known


def _read() -> Iterator[Language]:
    scripts = {row["code"]: tuple(row["scripts"].split()) for row in table_rows("metadata", "scripts.csv")}
    for row in table_rows("metadata", "languages.csv"):
        yield Language(
            code=row["code"],
            name=row["name"],
            wikipedia=tuple(row["wikipedia"].split()),
            wordnet=tuple(row["wordnet"].split()),
            labels=tuple(row["labels"].split()),
            spaced=row["spaced"] == "yes",
            scripts=scripts.get(row["code"], ()),
        )


LOCALE = "root"  # ICU 78 cuts words by the same rules in every language of languages.csv, as a test checks.
LANGUAGES = tuple(_read())
OTHER = LANGUAGES[-1]  # the language of texts in any language without a row


def _index(column: str) -> dict[str, Language]:
    index: dict[str, Language] = {}
    for language in LANGUAGES:
        index |= dict.fromkeys(getattr(language, column), language)
    return index


_BY_CODE = {language.code: language for language in LANGUAGES}
_BY_WIKIPEDIA = _index("wikipedia")
_BY_WORDNET = _index("wordnet")
_BY_LABEL = _BY_WIKIPEDIA | _BY_CODE | _index("labels")  # A model's label wins over an equal code.
_SCRIPTS_OF_TAGS = ("hans", "hant", "jpan", "kore")  # subtags that stand for scripts in scripts.csv
_FAR_SIMILARITY = 0.5  # Names that are less similar to the given name are not suggested.
LONGEST_NAME = 100  # characters; a longer string cannot be the name of a language
_BY_NAME = {language.name.lower(): language for language in LANGUAGES}


def language(code: str) -> Language:
    """Return the language with the metadata code `code`; InputError, which suggests codes, if there is none."""
    if code not in _BY_CODE:
        raise InputError(unknown(code))
    return _BY_CODE[code]


def unknown(code: str) -> str:
    """Return a sentence that says that this table does not have a code, and suggests codes."""
    return f"{code!r} is not the code of a metadata language; {_advice(code)}"


def named(code: str) -> str:
    """Return the name and the code of a language.

    >>> named("de")
    'German (de)'
    """
    return f"{language(code).name} ({code})"


def of_label(label: str) -> Language:
    """Return the language of a label of a language-ID model; `other` if the table does not have the label.

    >>> of_label("__label__jpn_Jpan").code, of_label("ja").code, of_label("tlh_Latn").code
    ('ja', 'ja', 'other')
    """
    return _BY_LABEL.get(_plain(label.removeprefix("__label__")), OTHER)


def is_label(label: str) -> bool:
    """Return whether languages.csv has a label; `of_label` gives `other` for labels it lacks and for some that it has.

    >>> is_label("__label__jpn_Jpan"), is_label("zxx_Zxxx"), is_label("bem_Latn"), is_label("tlh_Latn")
    (True, True, True, False)
    """
    name = _plain(label.removeprefix("__label__"))
    return name in _BY_LABEL or name.partition("_")[0] in OTHER.labels


def of_tag(tag: str) -> Language | None:
    """Return the language of a BCP 47 tag, by the tag's primary subtag; None if the table has no such language.

    >>> of_tag("zh-Hant").code, of_tag("EN_us").code, of_tag("x-default"), of_tag("und")
    ('zh', 'en', None, None)
    """
    primary = _plain(tag.strip().lower()).partition("_")[0]
    language = of_label(primary) if 2 <= len(primary) <= 3 else OTHER
    return None if language is OTHER else language


def of_stated(stated: str) -> Language | None:
    """Return the language that a table of pairs states as a label, a BCP 47 tag or an English name; None if unknown.

    >>> [of_stated(each).code for each in ("eng_Latn", "EN", "en-US", "Simplified Chinese", "ger", "und")]
    ['en', 'en', 'en', 'zh', 'de', 'other']
    >>> of_stated("zz"), of_stated("tlh"), of_stated("no text")
    (None, None, None)
    """
    return _of_stated(stated) if len(stated) <= LONGEST_NAME else None


@lru_cache(maxsize=1 << 16)  # The cache is bounded because a column may hold millions of values, such as texts.
def _of_stated(stated: str) -> Language | None:
    name = stated.strip().removeprefix("__label__")
    if is_label(name):
        return of_label(name)
    by_name = _stated_names()
    language = by_name.get(name) or by_name.get(key(name))
    if language is None and (tag := _stated_tag().fullmatch(_plain(name).lower())):
        language = by_name.get(tag["language"])
    if language is None and name.endswith(")"):  # An example is Portuguese (Brazil).
        language = by_name.get(key(name.partition("(")[0]))
    return language


def key(name: str) -> str:
    """Return a language's tag or name in the form in which it is looked up.

    The form is lower case without accents, with `_` for spaces and punctuation.

    >>> key("zh-Hant"), key("Chinese (Simplified)"), key("Norwegian Bokmål")
    ('zh_hant', 'chinese_simplified', 'norwegian_bokmal')
    """
    plain = name.lower()
    if not name.isascii():
        plain = "".join(character for character in normalize("NFKD", name.casefold()) if not combining(character))
    return re.sub(r"[\W_]+", "_", plain).strip("_")


@cache
def _stated_names() -> dict[str, Language]:
    """Return each language by the `key` of its labels and other names, and by its own exact name (Mon, not mon)."""
    others = {row["name"]: _BY_CODE[row["code"]] for row in table_rows("metadata", "language_names.csv")}
    labels = {key(label): language for label, language in _BY_LABEL.items()}
    return others | labels | {language.name: language for language in LANGUAGES}


@cache
def _stated_tag() -> re.Pattern[str]:
    """Return the pattern of a BCP 47 tag in lower case with underscores; its group `language` is the first part.

    Optional parts follow: a script, a region with variants, an extension.
    """
    scripts = {*_SCRIPTS_OF_TAGS}
    for language in LANGUAGES:
        scripts.update(map(str.lower, language.scripts))
    region = r"([a-z]{2}|[0-9]{3})(_([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"
    return re.compile(rf"(?P<language>[a-z0-9_]+?)(_({'|'.join(sorted(scripts))}))?(_{region})?(_[a-z0-9]_.+)?")


def of_wikipedia(code: str) -> Language:
    """Return the language into which the Wikipedia `code` is merged; InputError for an unknown code.

    >>> of_wikipedia("zh-yue").code, of_wikipedia("simple").code, of_wikipedia("als").code
    ('zh', 'en', 'als')
    """
    if not is_wikipedia(code):
        raise InputError(f"{code!r} is not the code of a Wikipedia in a metadata language; {_advice(code)}")
    return _BY_WIKIPEDIA[_plain(code)]


def is_wikipedia(code: str) -> bool:
    """Return whether `code` is a code of a Wikipedia in languages.csv; False for other projects, such as commons."""
    return _plain(code) in _BY_WIKIPEDIA


def of_wordnet(code: str) -> Language:
    """Return the language of a wordnet with the ISO 639-3 code `code`; InputError for an unknown code.

    >>> of_wordnet("als").code, of_wordnet("cmn").code
    ('sq', 'zh')
    """
    if code not in _BY_WORDNET:
        raise InputError(f"{code!r} is not the code of a wordnet language; {_advice(code)}")
    return _BY_WORDNET[code]


def _plain(code: str) -> str:
    return code.replace("-", "_")


def _advice(code: str) -> str:
    """Return a question that suggests the codes that may be meant; if there are none, the codes that look most alike.

    >>> _advice("jpn"), _advice("klingon")
    ('did you mean ja?', 'use a code such as en; the nearest are kg (Kongo), lad (Ladino), ln (Lingala)')
    """
    stated = of_stated(code)
    if stated and stated is not OTHER:
        return f"did you mean {stated.code}?"
    by_name = {
        name: language for name, language in (_BY_NAME | _BY_WORDNET | _BY_LABEL).items() if language is not OTHER
    }
    if near := dict.fromkeys(by_name[name].code for name in nearest_names(_plain(code), by_name, 3)):
        return f"did you mean {' or '.join(near)}?"
    far = dict.fromkeys(by_name[name] for name in get_close_matches(_plain(code).lower(), by_name, 3, _FAR_SIMILARITY))
    shown = ", ".join(f"{language.code} ({language.name})" for language in far)
    return f"use a code such as en{shown and f'; the nearest are {shown}'}"
