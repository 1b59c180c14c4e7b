"""The search of the report: which entries and texts the page has, that it stays small, and that no text acts in it."""

import json
import random
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.config import CurationConfig
from curation.plugins.report_sections import search
from curation.plugins.report_sections.search import (
    ENTRY_BYTES,
    TEXT_BYTES,
    Chosen,
    choose,
    drawn_tail,
    first_rows,
    most_frequent,
    observe_search,
    page_data,
    search_section,
    shortened,
    texts_at,
    written,
)
from curation.plugins.report_sections.text_sections import ROWS_SHOWN, doubtful_section, removed_section
from curation.report.facts import Observed
from curation.report.page import render
from curation.run.request import Observation
from curation.schemas import CURATED
from metadata.languages import LANGUAGES
from runtime.draws import draws
from runtime.storage.own_files import OwnFile
from tests.report.runs import Page, finished, hostile, row
from tests.support.hostile_strings import EVERY

GATE_RULES = 28  # as many as rules.csv of the gate has
DATA = re.compile(r'<script id="search-data" type="application/json">(.*?)</script>', re.DOTALL)


def in_shares(of_languages: list[list[int]], key, room: int) -> list[int]:
    """Return, by definition, the ids that get the room: languages take turns for the first half of it."""
    queues = [sorted(own, key=lambda id: (key(id), id)) for own in of_languages]
    everything = [id for own in queues for id in own]
    if len(everything) <= room:
        return everything
    taken = []
    while len(taken) < room // 2:
        turn = sorted((own.pop(0) for own in queues if own), key=lambda id: (key(id), id))
        taken += turn[: room // 2 - len(taken)]
    rest = sorted((id for id in everything if id not in taken), key=lambda id: (key(id), id))
    return taken + rest[: room - len(taken)]


def made_up(seed: int):
    """Return a run of several languages of very different size, some without an entry that a text has."""
    chance = random.Random(seed)
    sizes = [chance.choice([1, 3, 30, 100]) for _ in range(8)]
    lists = {LANGUAGES[number].code: [f"e{place}" for place in range(size)] for number, size in enumerate(sizes)}
    counts = [chance.choice([0, 0, 1, 1, 2, 5, chance.randrange(1000)]) for _ in range(sum(sizes))]
    return finished(lists, counts, english_threshold=chance.choice([1, 3, 50]))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("room", [0, 1, 7, 40, 10_000])
def test_the_most_frequent_entries_share_the_room_among_languages(monkeypatch, seed, room):
    monkeypatch.setattr(search, "MAX_FREQUENT", room)
    run, _ = made_up(seed)
    counts = run.counts.values
    seen = [[id for id in range(own.start, own.stop) if counts[id]] for own in run.entries.languages.values()]
    expected = in_shares(seen, lambda id: -counts[id], room)
    found = most_frequent(counts, run.entries.languages).tolist()
    assert found == sorted(expected, key=lambda id: (-counts[id], id))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("room", [1, 6, 10_000])
def test_entries_of_the_tail_are_drawn_and_share_the_room_among_languages(monkeypatch, seed, room):
    monkeypatch.setattr(search, "MAX_TAIL", room)
    run, _ = made_up(seed)
    run = replace(run, config=CurationConfig(seed=seed))
    some = [id for id in range(len(run.counts)) if id % 3]
    drawn = dict(zip(some, draws(seed, "searched", pa.array(map(str, some))), strict=True))
    own = [[id for id in some if ids.start <= id < ids.stop] for ids in run.entries.languages.values()]
    found = drawn_tail(np.array(some), run).tolist()
    assert sorted(found) == sorted(in_shares(own, drawn.get, room))


@pytest.mark.parametrize("seed", range(4))
def test_the_tail_is_rarer_than_t_and_has_texts_and_the_rows_of_entries_are_the_first(monkeypatch, seed):
    monkeypatch.setattr(search, "MAX_FREQUENT", 5)
    run, _ = made_up(seed)
    chance = random.Random(seed)
    lists = [sorted(chance.sample(range(len(run.counts)), k=chance.choice([0, 1, 3]))) for _ in range(60)]
    columns = [pa.array(piece, pa.list_(pa.int32())) for piece in (lists[:7], lists[7:7], lists[7:])]
    chosen = choose(columns, run)
    rates = {id: run.thresholds.of_language[run.entries.language(id)] for own in lists for id in own}
    rare = {id for id, t in rates.items() if run.counts.values[id] < t} - {*chosen.frequent.tolist()}
    assert {*chosen.tail.tolist()} == rare
    assert chosen.searched == len(lists)
    for id in chosen.ids:
        assert chosen.rows_of.get(id, []) == [number for number, own in enumerate(lists) if id in own][:4]


def test_rows_are_read_where_they_are_however_the_column_is_cut():
    texts = [f"text {number}" for number in range(50)]
    for size in (1, 7, 50):
        columns = [pa.array(texts[begin : begin + size]) for begin in range(0, 50, size)]
        assert texts_at(columns, [49, 3, 3, 0]) == {number: texts[number] for number in (0, 3, 49)}
    assert texts_at([], []) == {}
    assert first_rows(np.zeros(0, np.int32), np.zeros(0, np.int64)) == {}


def test_the_page_has_language_count_kept_texts_and_distinct_texts_of_each_entry():
    run, _ = finished()
    chosen = Chosen(np.array([2, 0]), np.array([6]), 9, {0: [1, 4, 5, 8], 2: [4]})
    texts = {1: "a dog", 4: "the dog", 5: "a dog", 8: "no dog"}
    assert page_data(chosen, texts, run) == {
        "languages": [["en", "English", 20], ["he", "Hebrew", 2], ["ja", "Japanese", 60]],
        "texts": ["the dog", "a dog"],
        "entries": [["the", 0, 12_000, 4_000, [0]], ["dog", 0, 900, 300, [1, 0]], ["חתול", 1, 2, 0, []]],
    }


def test_a_text_of_any_kind_is_cut_around_the_entry_to_the_bytes_it_may_have():
    for filler in ("x", "犬", "𓀀", "<", '"', "\\", "\0", "\u202e", "é"):
        for before in (0, 1, 30, 5_000):
            text = filler * before + "dog" + filler * 900
            cut = shortened(text, TEXT_BYTES, text.find("dog"))
            assert "dog" in cut
            assert len(written(cut).encode()) - 2 <= TEXT_BYTES
            assert cut.strip("…") in text
    assert shortened("犬" * 66, TEXT_BYTES) == "犬" * 66
    assert shortened("犬" * 67, TEXT_BYTES).endswith("犬…")


def test_data_of_hostile_entries_and_texts_stay_data():
    run, rates, _ = hostile()
    every = [*range(len(run.counts))]
    chosen = Chosen(np.array(every), np.zeros(0, int), 1, {id: [id] for id in every})
    texts = dict(zip(every, [text for text in EVERY if text.strip()], strict=True))
    section = search_section(chosen, texts, run)
    data = DATA.search(section.html)[1]
    assert "<" not in data
    read = json.loads(data)
    assert [entry[0] for entry in read["entries"]] == [shortened(run.entries.entry(id), ENTRY_BYTES) for id in every]
    plain = [text for text in texts.values() if len(text) < 100]
    assert [text for text in plain if text not in read["texts"]] == []
    page = Page(render(replace(run, observed={"search": Observed(section=section)}), rates, []))
    assert (len(page.scripts), page.open) == (3, [])


def test_both_scripts_of_the_page_may_run_and_the_data_are_none():
    run, rates = finished()
    chosen = choose([pa.array([[0, 2]], pa.list_(pa.int32()))], run)
    section = search_section(chosen, {0: "the dog"}, run)
    read = Page(render(replace(run, observed={"search": Observed(section=section)}), rates, []))
    policy = next(each["content"] for each in read.named("meta") if "http-equiv" in each)
    assert len(re.findall("'sha256-[^']+'", policy)) == 2
    assert [each.get("type") for each in read.named("script")] == ["application/json", None, None]


@pytest.mark.slow
def test_the_largest_page_stays_below_three_megabytes():
    lists = {language.code: [f"{'犬' * 200}{number}" for number in range(20)] for language in LANGUAGES}
    counts = range(1, 20 * len(LANGUAGES) + 1)
    run, rates = finished(lists, counts)
    for language in LANGUAGES:
        for name in ("texts", "matched"):
            run.matched.add(name, 10**9, language=language.code)
        for name in ("kept", "kept_doubtful"):
            run.curated.add(name, 10**9, language=language.code)
    every = [*range(len(counts))]
    long = {"text": "x" * 8_000, "url": f"http://a.example/{'x' * 400}", "page_url": f"http://a.example/{'y' * 400}"}
    chosen = Chosen(np.array(every[-2_000:]), np.array(every[:500]), 10**5, {id: [2 * id, 2 * id + 1] for id in every})
    texts = {number: f"{number:06d}{'<' * 8_000}" for number in range(2 * len(every))}
    rows = {language.code: [row(entries=[0], **long)] * ROWS_SHOWN for language in LANGUAGES[:60]}
    removed = [
        row(entries=[], step="s", rule=f"rule {n}", why=None, **long) for n in range(GATE_RULES) for _ in range(10)
    ]
    sections = {
        "search": search_section(chosen, texts, run),
        "doubtful": doubtful_section(rows, run),
        "gate_removed": removed_section(removed, {}, run),
    }
    observed = {name: Observed(section=section) for name, section in sections.items()}
    html = render(replace(run, observed=observed), rates, [row(entries=[0, 1], **long)] * 24)
    assert len(sections["search"].html.encode()) > 1_250_000
    assert len(html.encode()) < 3_000_000


def test_an_observer_reads_the_manifest_and_says_nothing_where_no_text_has_an_entry(tmp_path):
    rows = [row(f"dog {number}", [0, number % 4], uid=str(number)) for number in range(9)]
    for number, own in enumerate((rows[:4], rows[4:])):
        pq.write_table(pa.Table.from_pylist(own, CURATED), tmp_path / f"{number}.parquet")
    manifest = [OwnFile(tmp_path / f"{number}.parquet", None, "") for number in range(2)]
    run, _ = finished()
    section = observe_search(Observation(None, [], manifest, run)).section
    read = json.loads(DATA.search(section.html)[1])
    examples = {entry: [read["texts"][number] for number in texts] for entry, *_, texts in read["entries"]}
    assert examples["dog"] == ["dog 0", "dog 1"]
    assert examples["red dog"] == ["dog 3", "dog 7"]
    assert examples["犬"] == []
    assert "all 8 entries that texts have" in section.html
    none = finished(counts=[0] * 9)[0]
    assert observe_search(Observation(None, [], [], none)).section is None
