"""Naive twins of metadata.wikipedia: dumps, templates and wikitext, from their definitions."""

import bz2
import xml.etree.ElementTree as ET


def naive_articles(xml: bytes) -> list[tuple[str, str]]:
    """Titles and wikitext of the articles of a dump that is whole and valid and has <ns>, all in memory."""
    root = ET.fromstring(xml)
    name = root.tag.removesuffix("mediawiki")
    articles = []
    for page in root.iter(f"{name}page"):
        if page.findtext(f"{name}ns") == "0" and page.find(f"{name}redirect") is None:
            articles.append((page.findtext(f"{name}title"), page.findtext(f"{name}revision/{name}text")))
    return articles


def naive_spans(dump: bytes, least: int) -> list[tuple[int, int]]:
    """Bounds of the spans of a multistream dump, unpacked stream by stream; its last stream has no page."""
    starts, rest = [], dump
    while rest:
        starts.append(len(dump) - len(rest))
        stream = bz2.BZ2Decompressor()
        stream.decompress(rest)
        rest = stream.unused_data
    chosen = [0]
    for start in starts[1:-1]:
        if start - chosen[-1] >= least:
            chosen.append(start)
    return list(zip(chosen, [*chosen[1:], len(dump)], strict=True))


def naive_without_templates(text: str) -> str:
    """Takes out the innermost {{…}} until there is none."""
    while True:
        end = text.find("}}")
        while end >= 0 and text.rfind("{{", 0, end) < 0:
            end = text.find("}}", end + 2)
        if end < 0:
            return text
        text = text[: text.rfind("{{", 0, end)] + text[end + 2 :]


class Wikitext:
    """Random wikitext together with the text that a reader sees of it."""

    WORDS = ("dog", "Zürich", "東京", "กรุงเทพ", "برلين", "l'eau", "AT&T", "C++", "10%", "naïve")

    def __init__(self, random):
        self.random = random

    def page(self) -> tuple[str, str]:
        lines = [self.line() for _ in range(self.random.randrange(1, 12))]
        return "\n".join(source for source, _ in lines), "\n".join(shown for _, shown in lines if shown)

    def line(self) -> tuple[str, str]:
        source, shown = self.phrase(3)
        before, after = self.random.choice([("", ""), ("* ", ""), ("## ", ""), (": ", ""), ("== ", " =="), ("; ", "")])
        hidden = self.random.choice(
            ["", "", "\n{|\n| a\n{|\n|}\n|}", "\n[[Category:Dogs]]", "\n[[File:A.jpg|thumb|b]]"]
        )
        return before + source + after + hidden, shown

    def phrase(self, depth: int) -> tuple[str, str]:
        parts = [self.part(depth) for _ in range(self.random.randrange(1, 5))]
        return " ".join(source for source, _ in parts), " ".join(shown for _, shown in parts if shown)

    def part(self, depth: int) -> tuple[str, str]:
        word = self.random.choice(self.WORDS)
        if depth == 0 or self.random.random() < 0.4:
            return word, word
        source, shown = self.phrase(depth - 1)
        hidden = source.replace("|", " ")
        seen = [f"''{source}''", f"'''{source}'''", f"<small>{source}</small>", f'<span class="a">{source}</span>']
        gone = [f"{{{{box|{hidden}}}}}", f"<!-- {word} -->", f'<ref name="a">{word}</ref>', f"<math>{word}</math>"]
        gone += [f"[[File:A b.svg|thumb|{source}]]", "<ref name=a />", "__NOTOC__", "[[Image:x]]", "[http://a.org/b]"]
        linked = [(f"[[{word}]]", word), (f"[[a (b)|{word}]]", word), (f"[http://a.org {word}]", word)]
        kept = (word, word)  # so that a phrase is never empty
        choices = [(text, shown) for text in seen] + [(f"{word} {text}", word) for text in gone] + linked + [kept]
        return self.random.choice(choices)
