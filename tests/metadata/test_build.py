"""Test which parts a build counts anew, and that the order of its files changes nothing."""

import os
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from metadata import InputError, build, wordnet
from metadata.build import Build
from metadata.config import MetadataConfig
from metadata.sources import Sources
from metadata.wikipedia import articles
from metadata.wikipedia.dump_files import WikipediaFile
from metadata.wikipedia.dumps import Span
from runtime.folders.parts import Parts
from runtime.tallies import TaskResult
from tests.support import dumps as pages


def planned(folder: Path, *dumps: WikipediaFile, wordnets=(), lists=None, **numbers) -> Build:
    """Return a build of the dumps, and of an empty file of page views, as a command line would plan it."""
    views = folder / "pageviews-20240601-000000"
    if not views.exists():
        views.touch()
    config = MetadataConfig(**numbers)
    parts = Parts(folder / "sources", folder / ".work")
    return Build(config, Sources(wordnet.find(wordnets), list(dumps), [str(views)], lists or {}), parts)


def dump_of(path: Path, *namespaces: str) -> WikipediaFile:
    path.touch()
    return WikipediaFile(str(path), "xml", "de", namespaces=tuple(enumerate(namespaces, 1)))


def test_languages_that_are_wanted_must_exist():
    with pytest.raises(InputError, match="'xx' is not the code of a metadata language"):
        Sources(chosen_codes=["xx"])


def test_rules_are_no_number_that_parts_depend_on(tmp_path):
    dump = dump_of(tmp_path / "a.xml")
    assert planned(tmp_path, dump).ngrams("de") == planned(tmp_path, dump, rules="meta").ngrams("de")


def test_titles_are_counted_anew_once_a_dump_tells_more_namespaces(tmp_path):
    bare, telling = dump_of(tmp_path / "a.xml"), dump_of(tmp_path / "b.xml", "Schublade")
    assert planned(tmp_path, bare).titles().made_from != planned(tmp_path, telling).titles().made_from


def test_of_a_dump_in_two_files_either_may_tell_the_namespaces(tmp_path):
    bare, telling = dump_of(tmp_path / "a.xml"), dump_of(tmp_path / "b.xml", "Schublade")
    assert planned(tmp_path, bare, telling).sources.namespaces == planned(tmp_path, telling, bare).sources.namespaces
    assert planned(tmp_path, bare, telling).sources.namespaces == {"de": ["Schublade"]}


def test_a_dump_in_spans_is_one_file_of_a_part(tmp_path):
    dump = dump_of(tmp_path / "a.xml")
    spans = [replace(dump, span=Span(start, start + 5)) for start in (0, 5, 10)]
    assert planned(tmp_path, *spans).ngrams("de") == planned(tmp_path, dump).ngrams("de")


def test_files_without_an_article_are_named(tmp_path, caplog):
    result = TaskResult()
    for name in ("a", "b", "c"):
        path = tmp_path / f"dewiki-{name}.xml"
        path.write_text(pages.dump(*[pages.page(ns="1" if name == "b" else "0")] * (name != "c")))
        list(articles.articles(dump_of(path), result))
    build = planned(tmp_path, dump_of(tmp_path / "dewiki-a.xml"))
    build.parts.begin("ngrams/de")
    build.parts.finish("ngrams/de", {"tallies": result.rows(), "facts": result.facts})
    assert build._without_articles() == [str(tmp_path / "dewiki-b.xml"), str(tmp_path / "dewiki-c.xml")]
    assert f"no articles were found in {tmp_path / 'dewiki-b.xml'}, {tmp_path / 'dewiki-c.xml'}" in caplog.text


def test_titles_are_counted_anew_once_a_dump_changes_unless_a_list_replaces_its_language(tmp_path):
    dump = dump_of(tmp_path / "a.xml")
    before = planned(tmp_path, dump)
    before.parts.begin("titles")
    before.parts.finish("titles", {"made_from": before.titles().made_from, "tallies": []})
    assert planned(tmp_path, dump).has(before.titles())
    Path(dump.path).write_text("<mediawiki>")
    assert not planned(tmp_path, dump).has(planned(tmp_path, dump).titles())
    listed = planned(tmp_path, dump, lists={"de": ["Hund"]})
    assert listed.has(listed.titles())


def test_languages_are_counted_in_rounds_that_end_once_their_dumps_are_large(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "ROUND_BYTES", 10)
    sizes = {"de": 4, "fr": 5, "es": 11, "it": 1}
    dumps = [WikipediaFile(str(tmp_path / f"{code}.xml"), "xml", code) for code in sizes]
    for dump, size in zip(dumps, sizes.values(), strict=True):
        Path(dump.path).write_bytes(b" " * size)
    plan = planned(tmp_path, *dumps)
    rounds = plan.rounds()
    assert sorted(code for codes in rounds for code in codes) == sorted(sizes)
    assert all(sum(sizes[code] for code in codes[:-1]) < 10 for codes in rounds)
    assert all(sum(sizes[code] for code in codes) >= 10 for codes in rounds[:-1])
    plan.parts.begin("ngrams/es")
    plan.parts.finish("ngrams/es", {"made_from": plan.ngrams("es").made_from, "tallies": []})
    assert plan.rounds() == [[code for code in plan.sources.counted if code != "es"]]


@pytest.mark.parametrize(
    ("number", "ngrams_stay", "titles_stay"),
    [
        ({"english_title_views": 7}, True, False),
        ({"title_limit": 7}, True, False),
        ({"unigram_limit": 7}, False, True),
        ({"bigram_score": "pmi"}, False, True),
        ({"longest_entry": 7}, False, False),
    ],
)
def test_a_number_counts_anew_only_what_depends_on_it(tmp_path, number, ngrams_stay, titles_stay):
    dump = dump_of(tmp_path / "a.xml")
    before, after = planned(tmp_path, dump), planned(tmp_path, dump, **number)
    assert (before.ngrams("de").made_from == after.ngrams("de").made_from) is ngrams_stay
    assert (before.titles().made_from == after.titles().made_from) is titles_stay


def test_the_order_of_two_wordnets_of_a_language_does_not_matter(tmp_path):
    for name, lemma in (("a", "Hund"), ("b", "Apfel")):
        (tmp_path / f"{name}.tab").write_text(f"# X\tdeu\thttps://example.org\tCC0\n1-n\tlemma\t{lemma}\n")
    files = [str(tmp_path / "a.tab"), str(tmp_path / "b.tab")]
    counted = planned(tmp_path).parts
    counted.begin("titles")
    counted.finish("titles", {})
    builds = [planned(tmp_path, wordnets=order) for order in (files, files[::-1])]
    entries = [each.sources_of("de", defaultdict(Counter))[1].entries for each in builds]
    assert entries == [["Apfel", "Hund"]] * 2


def test_a_dump_of_the_same_size_and_time_is_another_dump(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<mediawiki/>")
    before, stat = build._identity(str(path)), path.stat()
    path.write_text("<MEDIAWIKI/>")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert build._identity(str(path)) != before
