"""N-grams and titles that Spark counts and chooses are those of the definitions, on any number of cores."""

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metadata.config import MetadataConfig
from metadata.languages import language
from metadata.stages.choosing import TASK_BYTES, percentiles
from metadata.stages.ngrams import NgramPlan, ngram_entries
from metadata.stages.titles import TitlePlan, title_entries
from metadata.wikipedia.dump_files import WikipediaFile
from runtime.storage.own_files import OwnFile
from tests.naive import ngrams as naive

LETTERS = {"en": "aabé. ", "de": "abß1, ", "zh": "中国人日本 A1。", "bo": "བོདཡིག་་ a", "th": "กขค A", "fr": ",. "}


def texts_of(code: str) -> list[str]:
    chance = random.Random(code)
    return ["".join(chance.choices(LETTERS[code], k=60)) for _ in range(150)]


def dump(folder: Path, code: str, texts: list[str], number: int = 0) -> WikipediaFile:
    path = folder / f"{code}-{number}.parquet"
    pq.write_table(pa.table({"title": [f"{code}_{i}" for i in range(len(texts))], "text": texts}), path)
    return WikipediaFile(str(path), "parquet", code)


def plan_of(folder: Path, codes, config: MetadataConfig, tasks: int = 2) -> NgramPlan:
    for code in codes:
        (folder / code).mkdir(parents=True)
    return NgramPlan(config, folder, folder / "work [1]", tasks * TASK_BYTES)


def chosen(folder: Path, code: str, name: str) -> list[tuple]:
    path = folder / code / f"{name}.parquet"
    return list(zip(*pq.read_table(path).to_pydict().values(), strict=True)) if path.exists() else []


@pytest.mark.slow
@pytest.mark.parametrize(
    "numbers",
    [
        {"english_unigram_count": 3},
        {"english_unigram_count": 1, "unigram_share": 1.0, "bigram_share": 1.0, "longest_entry": 7}
        | {"bigram_score": "pmi", "bigram_min_pmi": 0},
    ],
)
def test_entries_of_random_texts_are_those_of_the_definitions(engine, tmp_path, numbers):
    config = MetadataConfig(**numbers)
    texts = {code: texts_of(code) for code in LETTERS} | {"it": ["one"], "pt": ["..."], "es": ["a b"]}
    files = {code: [dump(tmp_path, code, own)] for code, own in texts.items()}
    out = tmp_path / "out"
    tallies = ngram_entries(engine, files, plan_of(out, files, config))
    for code, own in texts.items():
        own = [text for text in own if text.strip()]
        unigrams, bigrams = naive.entries(own, code, language(code).spaced, config)
        assert chosen(out, code, "unigrams") == unigrams
        assert chosen(out, code, "bigrams") == [(entry, pytest.approx(score, rel=1e-12)) for entry, score in bigrams]
        words, pairs = naive.count(own, code)
        found = [tallies[code][name] for name in ("words", "distinct_words", "distinct_pairs", "unigrams", "bigrams")]
        assert found == [sum(words.values()), len(words), len(pairs), len(unigrams), len(bigrams)]
    assert chosen(out, "en", "bigrams")
    assert chosen(out, "zh", "bigrams")


def test_entries_do_not_depend_on_files_or_partitions(engine, tmp_path):
    results = []
    for parts, tasks in ((1, 1), (3, 4)):
        files = {
            code: [dump(tmp_path, code, texts_of(code)[i::parts], i) for i in range(parts)] for code in ("de", "zh")
        }
        out = tmp_path / f"out{parts}"
        ngram_entries(engine, files, plan_of(out, files, MetadataConfig(), tasks))
        results.append({(code, name): chosen(out, code, name) for code in files for name in ("unigrams", "bigrams")})
    assert results[0] == results[1]
    assert all(results[0].values())


@pytest.mark.parametrize("percent", [0, 30, 33.3, 100])
def test_percentiles_are_those_of_numpy_to_the_last_bit(engine, tmp_path, percent):
    chance = random.Random(percent)
    numbers = {
        "en": [chance.gauss(0, 20) for _ in range(500)],
        "ja": [chance.choice([-1.0, 0.0, 2.0, 2.0 + 2**-52]) for _ in range(500)],
        "cy": [1e9, -1e9],
        "be": [5.0],
    }
    rows = [(code, value) for code, own in numbers.items() for value in own]
    files = [OwnFile(tmp_path / f"{number}.parquet", None, "") for number in range(3)]
    for number, file in enumerate(files):
        codes, values = zip(*rows[number::3], strict=True)
        pq.write_table(pa.table({"language": codes, "value": values}), file.path)
    found = {code: (each.number, each.value) for code, each in percentiles(engine, files, percent, tmp_path).items()}
    assert found == {code: (len(own), float(np.percentile(own, percent))) for code, own in numbers.items()}


def titles_of(engine, folder: Path, lines: list[str], articles: dict[str, list[str]], **numbers):
    """Return the title entries of each language, and the tallies."""
    (folder / "titles").mkdir()
    views = folder / "pageviews"
    views.write_text("".join(f"{line} 0\n" for line in lines), encoding="utf-8")
    plan_folder, files = folder / "ngrams", {}
    for code, titles in articles.items():
        own = [WikipediaFile(str(folder / f"{code}.parquet"), "parquet", code)]
        pq.write_table(pa.table({"title": titles, "text": ["text"] * len(titles)}), own[0].path)
        ngram_entries(engine, {code: own}, plan_of(plan_folder / f"of_{code}", [code], MetadataConfig()))
        written = sorted((plan_folder / f"of_{code}" / code).glob("titles-*.parquet"))
        files[code] = [OwnFile(path, None, "") for path in written]
    codes = frozenset({"en", "de", "fr"})
    plan = TitlePlan(MetadataConfig(**numbers), codes, {}, files, folder / "titles", folder / "work", 3 * TASK_BYTES)
    tallies = title_entries(engine, [str(views)], plan)
    return {code: chosen(folder, "titles", code) for code in codes}, tallies


def test_only_titles_that_are_articles_stay_where_a_dump_is_given(engine, tmp_path):
    lines = ["de Groß_Haus 9", "de.m Groß__Haus_ 2", "de Umleitung 5", "de H%C3%BCtte 1", "fr Redirection 4"]
    found, tallies = titles_of(engine, tmp_path, lines, {"de": ["Groß Haus", "Hütte", "Ungesehen"]}, title_share=1.0)
    assert found == {"en": [], "de": [("Groß Haus", 11.0), ("Hütte", 1.0)], "fr": [("Redirection", 4.0)]}
    assert (tallies["dropped", "no_article"], tallies["excerpts"], tallies["titles"] - tallies["lines"]) == (1, 0, 3)


def test_a_dump_with_less_than_half_of_the_views_is_an_excerpt_and_drops_no_title(engine, tmp_path):
    lines = ["de Haus 9", "de Hütte 10", "en House 80", "en Home 69", "en Shed 70"]
    found, tallies = titles_of(engine, tmp_path, lines, {"de": ["Haus"], "en": ["House", "Home"]}, title_share=0.5)
    assert found == {"en": [("House", 80.0)], "de": [("Hütte", 10.0)], "fr": []}
    assert (tallies["dropped", "no_article"], tallies["excerpts"]) == (1, 1)
    assert tallies.by_language("excerpt") == {"de": 1}
