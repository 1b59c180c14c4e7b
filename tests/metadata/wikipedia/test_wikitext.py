"""Wikitext becomes the text that a reader of the article sees."""

import random
import time

import pytest

from metadata.wikipedia.articles import plain_text, tidy, without_blocks
from tests.naive.wikipedia import Wikitext, naive_without_templates
from tests.support.dumps import articles_of

SHOWN = {
    "links show their text": ("[[Dog|dogs]] and [[cat]]s", "dogs and cats"),
    "bold and italics lose their marks": ("'''a''' ''b'' '''''c''''' l'eau", "a b c l'eau"),
    "headings and items stand on lines of their own": ("a\n== b ==\n* c\n## d\n;e: f", "a\nb\nc\nd\ne: f"),
    "entities are decoded": ("a&nbsp;b &amp; c&#8211;d &eacute;&#x4e2d;", "a b & c–d é中"),
    "entities in link targets are decoded": ("[[OS&nbsp;X]]", "OS X"),
    "templates go, nested ones too": ("a {{b|{{c|d={{e}}}}|f}}g {{{1|}}}h", "a g h"),
    "templates over many lines go": ("{{Box\n| a = [[b]]\n| c = {{d}}\n}}\ne", "e"),
    "tables go, nested ones too": ("a\n{| class=x\n|-\n| b\n{|\n| c\n|}\n|}\nd", "a\nd"),
    "indented and HTML tables go": ("a\n:{|\n|b\n|}\n<table><tr><td>c</td></tr></table>d", "a\nd"),
    "references go": ('a<ref>b</ref><ref name="c" /> d<ref name=e>{{f}}</ref>', "a d"),
    "comments go": ("a<!-- [[b\n -->c", "ac"),
    "formulas, code and galleries go": ("a <math>b^2</math><code>c</code>\n<gallery>\nA.jpg|d\n</gallery>\ne", "a\ne"),
    "tags go, their text stays": ('a <span style="x">b</span> <small>c</small><br/>d', "a b c\nd"),
    "files go with captions": ("[[File:A.jpg|thumb|b [[c]] d]]e [[Image:f]]g", "e g"),
    "files are told by their ending in any language": ("[[ファイル:A.svg|右|b]]c [[Datei:X.PNG]]", "c"),
    "categories and interlanguage links go": ("a\n[[Kategorie:B]] [[de:C]]\n[[Категория:D|e]]", "a"),
    "interlanguage links in a line go": ("a [[de:B]] c", "a c"),
    "titles with colons stay": ("see [[Star Trek: Picard]]", "see Star Trek: Picard"),
    "links to other projects show their text": ("a [[wikt:b|c]] [[:de:D|e]]", "a c e"),
    "addresses go, their text stays": ("[http://a.org b] [https://c.org] http://d.org e [//f.org g]", "b e g"),
    "an address takes its own brackets only": ("(see http://a.org/b_(c)). Or http://d.org, e", "(see ). Or , e"),
    "square brackets within links stay": (
        "[[a|b [c] d]] [http://e.org f [g]] [[a|[http://h.org i]]]",
        "b [c] d f [g] i",
    ),
    "nested links show their texts": ("[[a|b [[c|d]] e]]", "b d e"),
    "entities that are none stay": ("a &bc; AT&T &copy", "a &bc; AT&T &copy"),
    "text in square brackets stays": ("uphold[ing] [the] rules", "uphold[ing] [the] rules"),
    "behaviour switches go in any language": ("__NOTOC__a __KEIN_INHALTSVERZEICHNIS__b\n__目次強制__", "a b"),
    "names with underscores stay": ("the method __init__ of", "the method __init__ of"),
    "of language variants the first is shown": ("-{zh-hans:软件; zh-hant:軟體}-和-{字}--{T|zh:x}-", "软件和字"),
    "Thai and Hindi keep their marks": ("'''เบอร์ลิน''' [[बर्लिन|बर्लिन की]]", "เบอร์ลิน बर्लिन की"),
    "joiners that spell stay, invisible marks go": ("می\u200cخواهم a\u00adb \u200fc", "می\u200cخواهم ab c"),
    "empty brackets go": ("Berlin ({{IPA|b}}; ) is", "Berlin is"),
    "an unclosed template takes no text": ("a\n{{b\n| c = d\n\ne", "a\nb\ne"),
    "an unclosed table takes no text": ("a\n{| class=b\n| c\n== d ==\ne", "a\nd\ne"),
    "an unclosed reference takes no text": ("a<ref>b c", "ab c"),
    "an unclosed comment takes no text": ("a <!-- b", "a b"),
    "an unclosed link loses its brackets": ("a [[b|c\nd]] e", "a c\nd e"),
    "an unclosed tag goes": ("a <div class='b'>c\nd</span> e", "a\nc\nd e"),
    "less and greater signs stay": ("1 < 2 and 3 > 2 &lt; 4", "1 < 2 and 3 > 2 < 4"),
    "nothing gives nothing": ("", ""),
    "markup alone gives nothing": ("{{a}}\n[[File:b.jpg]]\n----\n* \n", ""),
}


@pytest.mark.parametrize(("wikitext", "shown"), SHOWN.values(), ids=SHOWN)
def test_plain_text_is_what_a_reader_sees(wikitext, shown):
    assert plain_text(wikitext) == shown


@pytest.mark.parametrize("seed", range(200))
def test_generated_pages_give_the_text_they_were_made_of(seed):
    wikitext, shown = Wikitext(random.Random(seed)).page()
    assert plain_text(wikitext) == shown


@pytest.mark.parametrize("seed", range(200))
def test_unbalanced_templates_go_as_in_the_naive_twin(seed):
    chance = random.Random(seed)
    text = "x".join(chance.choices(["{{", "}}", "a", "é ", "\n"], k=chance.randrange(40)))
    assert without_blocks(text) == naive_without_templates(text)


def test_namespaces_of_the_dump_are_dropped_like_files_and_categories():
    assert plain_text("a [[Vaizdas:B|c]] [[Kategorija:D]] e") == "a c Kategorija:D e"
    assert plain_text("a [[Vaizdas:B|c]] [[Kategorija:D]] e", ["Vaizdas", "Kategorija"]) == "a e"


def test_text_that_is_plain_already_is_only_tidied():
    assert tidy("a\u00a0 b\n\n\u200e\n c\u3000d\n—\n") == "a b\nc d"


NASTY = (
    "[[",
    "{{",
    "{{a|",
    "{|\n",
    "<div>",
    "<ref>",
    "<!--",
    "[[a|",
    "<b>[[",
    "<ref name=",
    '<a b="',
    "[http://a ",
    "-{",
)
NASTY += (
    "==a\n",
    "'''a ",
    "[[File:a.jpg|",
    "{{{",
    "<br>",
    "[[a]]",
    "}}",
    "|-\n",
    "(",
    "__A",
    "&",
    "</ref><ref>",
    "<table>",
    "[http://a[b] ",
    "[//",
    "http://a(b ",
    "[[a|[b",
    "=",
)


@pytest.mark.slow
@pytest.mark.parametrize("unit", NASTY)
@pytest.mark.parametrize("per_line", [0, 40, 1000])
def test_unbalanced_markup_takes_no_more_than_linear_time(unit, per_line):
    repeated = unit * 100_000 if not per_line else (unit * per_line + "\n") * (100_000 // per_line)
    started = time.process_time()
    plain_text(repeated[:100_000])
    assert time.process_time() - started < 5  # a parser of the whole grammar takes minutes over most of these


@pytest.mark.parametrize(
    "line", ["[http://" + "a" * 100_000, "[http://a" + " " * 100_000, "=" + "a" * 100_000, "&" + "a" * 100_000]
)
def test_long_lines_take_no_more_than_linear_time(line):
    started = time.process_time()
    plain_text(line)
    assert time.process_time() - started < 5


MARKUP = ("|thumb", "}}", "{{", "<ref", "&nbsp;", "__TOC__", "[[", "]]", "colspan", "{|", "|}", "''", "style=", "http:")


@pytest.mark.slow
@pytest.mark.shared
def test_no_markup_remains_of_real_wikipedias(shared_data):
    rows = articles_of([shared_data / "wikipedia"])
    assert len(rows) > 200
    remains = {mark: title for _, title, text in rows for mark in MARKUP if mark in text}
    assert remains == {}
