"""A Wikipedia of each language as dumps hold it: articles of made-up sentences with wikitext around them."""

import bz2
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from xml.sax.saxutils import escape

from tests.sample.texts import sections, sentence

SENTENCES = {"en": 40}  # of an article; English words need a count, others a share
FEWER_SENTENCES = 12
STOPS = {"hi": "।", "ja": "。", "th": "", "zh": "。"}
ENGLISH_NAMES = ("Talk", "File", "Category")
NAMES = {  # of namespaces
    "de": ("Diskussion", "Datei", "Kategorie"),
    "es": ("Discusión", "Archivo", "Categoría"),
    "fr": ("Discussion", "Fichier", "Catégorie"),
    "ja": ("ノート", "ファイル", "Category"),
    "pl": ("Dyskusja", "Plik", "Kategoria"),
    "ru": ("Обсуждение", "Файл", "Категория"),
}
MARKUP = ("Infobox", "thumb", "Captioned", "wikitable", "Tablehead", "Tablecell", "cite", "example", "Hidden", "Talked")
HEAD = """\
<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="{code}">
  <siteinfo>
    <sitename>Wikipedia</sitename>
    <dbname>{code}wiki</dbname>
    <base>https://{code}.wikipedia.org/wiki/</base>
    <case>first-letter</case>
    <namespaces>
      <namespace key="0" case="first-letter" />
      <namespace key="1" case="first-letter">{talk}</namespace>
      <namespace key="6" case="first-letter">{file}</namespace>
      <namespace key="14" case="first-letter">{category}</namespace>
    </namespaces>
  </siteinfo>
"""
PAGE = """\
  <page>
    <title>{title}</title>
    <ns>{namespace}</ns>
    <id>{id}</id>{redirect}
    <revision>
      <id>{id}</id>
      <timestamp>2024-06-01T00:00:00Z</timestamp>
      <contributor><username>Sample</username><id>1</id></contributor>
      <model>wikitext</model>
      <format>text/x-wiki</format>
      <text bytes="{size}" xml:space="preserve">{text}</text>
    </revision>
  </page>
"""
ARTICLE = """\
{{{{Infobox thing
| name  = {title}
| image = {title}.jpg
}}}}
[[{file}:{title}.jpg|thumb|220px|Captioned [[{title}]]]]
'''{title}'''. {lead}

== {title} ==
{body}
* {first}
* {second}

{{| class="wikitable"
! Tablehead
|-
| Tablecell || 1
|}}

[[{category}:{title}]]
"""


def write_dump(path: Path, language: str) -> None:
    """Write the pages of a language: an article for each title, a talk page and a redirect."""
    talk, file, category = NAMES.get(language, ENGLISH_NAMES)
    head = HEAD.format(code=language, talk=talk, file=file, category=category)
    pages = "".join(PAGE.format(id=number, **page) for number, page in enumerate(_pages(language), 1))
    path.write_bytes(bz2.compress(f"{head}{pages}</mediawiki>\n".encode()))


@cache
def ranked_titles(language: str) -> dict[str, int]:
    """Return the titles of the articles, each with its place in its section: what texts name, and what is absent."""
    slots = [items for slot, items in sections(language).items() if slot not in ("templates", "entries")]
    return {item[0].upper() + item[1:]: rank for items in slots for rank, item in enumerate(items)}


def _pages(language: str) -> Iterator[dict]:
    random = Random(f"wikipedia {language}")
    first, *others = ranked_titles(language)
    for title in (first, *others):
        yield _page(title, _article(title, language, random))
    yield _page(f"{first} 2", f"#REDIRECT [[{first}]]", redirect=f'\n    <redirect title="{escape(first)}" />')
    talk, _, _ = NAMES.get(language, ENGLISH_NAMES)
    yield _page(f"{talk}:{first}", "Talked about. --[[User:Sample|Sample]]", namespace=1)


def _page(title: str, text: str, namespace: int = 0, redirect: str = "") -> dict:
    size = len(text.encode())
    return {"title": escape(title), "text": escape(text), "size": size, "namespace": namespace, "redirect": redirect}


def _article(title: str, language: str, random: Random) -> str:
    _, file, category = NAMES.get(language, ENGLISH_NAMES)
    stop = STOPS.get(language, ".")
    written = [
        _marked_up(sentence(language, random), random) + stop + _footnote(random)
        for _ in range(SENTENCES.get(language, FEWER_SENTENCES))
    ]
    lead, first, second, *body = written
    return ARTICLE.format(
        title=title, file=file, category=category, lead=lead, first=first, second=second, body="\n\n".join(body)
    )


def _marked_up(text: str, random: Random) -> str:
    """Return a sentence with one of its words marked up, and perhaps two numbers, most of which are rare words."""
    words = text.split(" ")
    place, form = int(random.random() * len(words)), int(random.random() * 4)
    word = words[place]
    words[place] = (f"[[{word}]]", f"[[Target|{word}]]", f"''{word}''", word)[form]
    numbers = (int(1000 + random.random() * 9000) for _ in range(2))
    return " ".join(words) + (" ({}, {})".format(*numbers) if random.random() < 0.6 else "")


def _footnote(random: Random) -> str:
    if random.random() < 0.1:
        return "<ref>{{cite web |url=https://example.org |title=Cited}}</ref>"
    return "<!-- Hidden -->" if random.random() < 0.05 else ""
