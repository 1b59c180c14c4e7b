"""Page views are read and added up as by the naive twin."""

import bz2
import gzip
import json
import random
from collections import Counter

import pyarrow as pa
import pytest

from metadata import InputError
from metadata.wikipedia import dumps, pageviews
from metadata.wikipedia.pageviews import VIEWS, views
from tests.naive.titles import naive_titles


@pytest.fixture
def read(tmp_path):
    """Read these lines (str or bytes) as a page-view file; return its rows and the tally."""

    def read(*lines, name="pageviews-20260101-000000", namespaces=None):
        content = b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines)
        (tmp_path / name).write_bytes({"z2": bz2.compress, "gz": gzip.compress}.get(name[-2:], bytes)(content))
        return _rows(str(tmp_path / name), namespaces)

    return read


def _rows(path, namespaces=None):
    tally = Counter()
    batches = list(views(path, tally, namespaces))
    assert all(batch.schema == VIEWS and batch.num_rows for batch in batches)
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()], tally


def _titles(rows):
    return [title for _, title, _ in rows]


def test_an_hourly_line_gives_wikipedia_title_and_views(read):
    rows, tally = read("en New_York_City 42 1234", "zh-yue 香港 7 0")
    assert rows == [("en", "New York City", 42), ("zh_yue", "香港", 7)]
    assert tally == {"lines": 2, "titles": 2}


def test_a_daily_line_gives_the_days_views_whatever_the_access_and_page_id(read):
    rows, _ = read(
        "en.wikipedia ABC_(band) 207485 desktop 225 A12B9", "de.wikipedia Köln null mobile-app 13 E1F1", name="day.bz2"
    )
    assert rows == [("en", "ABC (band)", 225), ("de", "Köln", 13)]


def test_both_forms_may_stand_in_one_file(read):
    rows, _ = read("en A1 1 0", "en.wikipedia A2 null desktop 2 A2", "en A3 3 0", name="mixed.gz")
    assert sorted(rows) == [("en", "A1", 1), ("en", "A2", 2), ("en", "A3", 3)]


@pytest.mark.parametrize("project", ["en", "en.m", "en.zero"])
def test_desktop_and_mobile_are_the_same_wikipedia(read, project):
    assert read(f"{project} Dog 5 0")[0] == [("en", "Dog", 5)]


@pytest.mark.parametrize(
    "project",
    "en.b en.d en.m.d en.n en.q en.s en.v en.voy commons.m commons.m.m meta.m species.m www.wd www.w incubator.m "
    'en.wiktionary commons.wikimedia de.f xx "" - En'.split(),
)
def test_other_projects_are_left_out(read, project):
    rows, tally = read(f"{project} Dog 5 0", "en Cat 1 0")
    assert _titles(rows) == ["Cat"]
    assert tally["dropped", "other_project"] == 1


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("Caf%C3%A9", "Café"),
        ("O%27Brien", "O'Brien"),
        ("%E3%83%A9", "ラ"),
        ("100%_Wolf", "100% Wolf"),
        ("_Two__spaces_", "Two spaces"),
        ("AC/DC", "AC/DC"),
        ("Rock_&_roll", "Rock & roll"),
        ("C%2B%2B", "C++"),
        ("A%20B", "A B"),
        ("🐶", "🐶"),
        ("«\u00a0Liberté\u00a0»", "«\u00a0Liberté\u00a0»"),
        ("São_Paulo", "São Paulo"),
        ("SÃO_PAULO", "SÃO PAULO"),
        ("Â", "Â"),
        ("Ã", "Ã"),
        ("ÀÉÎ", "ÀÉÎ"),
        ("Amazon.com", "Amazon.com"),
        ("HTTPS", "HTTPS"),
        ("WWW", "WWW"),
        ("Awww.that", "Awww.that"),
        ("St.John/Bahn", "St.John/Bahn"),
        ("OS/2", "OS/2"),
        ("S.de/S", "S.de/S"),
    ],
)
def test_titles_are_decoded_and_spaced(read, written, title):
    assert _titles(read(f"fr {written} 1 0")[0]) == [title]


@pytest.mark.parametrize(
    "title", ["Talk:Dog", "USER__TALK:Someone", "User%20talk%3ASomeone", "Wikipedia_:About", "fr:Chien"]
)
def test_other_namespaces_are_left_out(read, title):
    rows, tally = read(f"en {title} 9 0", "en Dog 1 0")
    assert _titles(rows) == ["Dog"]
    assert tally["dropped", "namespace"] == 1


@pytest.mark.parametrize(
    "title", ["Star_Trek:_First_Contact", "Datei:_a_story", "Back_to_the_Talk:Dog", "21:9", "Dog:"]
)
def test_a_title_that_merely_contains_a_colon_is_kept(read, title):
    assert _titles(read(f"en {title} 1 0")[0]) == [title.replace("_", " ")]


def test_namespaces_that_a_dump_names_are_added_to_the_table(read):
    lines = ["de Extra:X 1 0", "de Datei:X 1 0", "fr Extra:X 1 0", "zh-yue Extra:X 1 0"]
    assert len(read(*lines)[0]) == 3
    rows, _ = read(*lines, namespaces={"de": ["Extra"], "zh-yue": ["Extra", ""]})
    assert rows == [("fr", "Extra:X", 1)]


def test_a_main_page_is_left_out_in_its_own_wikipedia_only(read):
    rows, tally = read(
        "en Main_Page 9 0", "de Hauptseite 9 0", "da Forside 9 0", "en Forside 1 0", "ja メインページ 9 0"
    )
    assert rows == [("en", "Forside", 1)]
    assert tally["dropped", "main_page"] == 4


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("en Dog 5", "fields"),
        ("en Dog 5 0 0", "fields"),
        ("", "fields"),
        ("en.wikipedia Dog 12 mo", "fields"),
        ("en Big Dog 5 0", "fields"),
        ("en Dog -5 0", "views"),
        ("en Dog 0 0", "views"),
        ("en Dog 1e3 0", "views"),
        ("en Dog  0", "views"),
        ("en Dog 1000000000 0", "views"),
        ("en Dog 99999999999999999999 0", "views"),
        ("en  5 0", "title"),
        ("en _ 5 0", "title"),
        ("en :Dog 5 0", "title"),
        ("en Dog#Breeds 5 0", "title"),
        ("en Dog%0A 5 0", "title"),
        ("en [[Dog]] 5 0", "title"),
        ("en Dog%2520house 5 0", "title"),
        ("en Dog&amp;cat 5 0", "title"),
        ("en Dog\ufffd 5 0", "title"),
        ("en " + "x" * 256 + " 5 0", "title"),
        (b"en Caf\xe9 5 0", "encoding"),
        ("en Caf%E9 5 0", "encoding"),
        ("en CafÃ© 5 0", "mojibake"),
        ("en Donâ€™t 5 0", "mojibake"),
        ("en Ð\x9aÐ¾Ñ\x82 5 0", "mojibake"),
        ("en Caf%C3%83%C2%A9 5 0", "mojibake"),
        ("en Caf%C3%83%C6%92%C3%82%C2%A9 5 0", "mojibake"),  # encoded three times
        ("en %C3%83%C6%92%C3%82%C2%81rbol 5 0", "mojibake"),  # cp1252 and Latin-1 in turn
        ("en São_CafÃ© 5 0", "mojibake"),
        ("en http://example.org 5 0", "url"),
        ("en Https:/example 5 0", "url"),
        ("en See_https://a.b/c 5 0", "url"),
        ("en www.example.org 5 0", "url"),
        ("en Www.example 5 0", "url"),
        ("en en.wikipedia.org/wiki/Dog 5 0", "url"),
        ("en Dog_(bbc.co.uk/news) 5 0", "url"),
    ],
)
def test_a_broken_line_is_counted_under_its_reason_and_the_next_is_read(read, line, reason):
    rows, tally = read(line, "en Cat 1 0")
    assert _titles(rows) == ["Cat"]
    assert tally == {"lines": 2, "titles": 1, ("dropped", reason): 1}


def test_a_file_without_lines_gives_nothing(read):
    assert read() == ([], {})


def test_the_last_line_may_lack_its_end(tmp_path):
    (tmp_path / "views").write_bytes(b"en A1 1 0\nen A2 2 0")
    assert _titles(_rows(str(tmp_path / "views"))[0]) == ["A1", "A2"]


def test_a_file_that_breaks_off_keeps_what_came_before_and_counts_the_rest(tmp_path):
    lines = [f"en Title_{random.Random(i).random()} {i + 1} 0\n".encode() for i in range(20_000)]
    (tmp_path / "views.gz").write_bytes(gzip.compress(b"".join(lines))[:-10_000])
    rows, tally = _rows(str(tmp_path / "views.gz"))
    assert 10_000 < len(rows) < 20_000
    assert tally["dropped", "rest_of_file"] == 1


@pytest.mark.parametrize("name", ["missing.gz", "text.gz"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path, name):
    (tmp_path / "text.gz").write_bytes(b"not gzip")
    with pytest.raises(InputError, match=f"{name} .*expected"):
        list(views(str(tmp_path / name), Counter()))


def _nasty_lines(count: int) -> list[bytes]:
    draw = random.Random(7)
    projects = ["en", "de", "ko", "zh-yue", "fr.m", "simple.zero", "en.d", "commons.m", "", "en.wikipedia", "de."]
    parts = ["Talk:", "특수:", "Datei:", "User talk:", "en:", "Dog", "ラーメン", "_", "__", "%", "%C3%A9", "%E9", "%25"]
    parts += [
        ":",
        "Ã©",
        "é",
        "é\u00a0»",
        "\ufffd",
        "#",
        "&amp;",
        "&",
        "x" * 130,
        "Main_Page",
        "Hauptseite",
        "\x7f",
        "€",
        "İ",
        "ÃƒÂ\x81",
        "São",
        "Ã",
        "Http:/",
        "www.",
        "a",
        ".com/",
        "é.de/",
    ]
    views = ["1", "0", "-1", "007", "999999999", "1000000000", "x", "", "٣"]
    lines = []
    for _ in range(count):
        title = "".join(draw.choices(parts, k=draw.choice([0, 1, 1, 2, 3])))
        hourly = [draw.choice(projects), title, draw.choice(views), "0"]
        daily = [draw.choice([*projects, "en.wikipedia"]), title, "null", "desktop", draw.choice(views), "A1"]
        line = " ".join(draw.choice([hourly, hourly, daily, hourly[:3]])).encode()
        lines.append(line if draw.random() < 0.95 else line.replace(b"D", b"\xff"))
    return lines


@pytest.mark.slow
@pytest.mark.parametrize("block", [40, 1000, 1 << 24])
def test_nasty_lines_give_what_the_naive_twin_gives_however_the_file_is_cut(read, monkeypatch, block):
    monkeypatch.setattr(pageviews, "BLOCK_BYTES", block)
    monkeypatch.setattr(dumps, "CHUNK_BYTES", block)
    lines = _nasty_lines(4_000)
    rows, tally = read(*lines, name="views.gz")
    expected, reasons = naive_titles(b"".join(line + b"\n" for line in lines))
    assert sorted(rows) == sorted(expected)
    assert {key[1]: n for key, n in tally.items() if key[0] == "dropped"} == reasons
    assert len(rows) > 100
    assert len(reasons) == 9


@pytest.mark.shared
def test_titles_that_were_edited_in_51_wikipedias_are_kept_if_they_are_articles(shared_data, read):
    edits = Counter()
    with gzip.open(shared_data / "pageviews" / "edited_titles_51_wikipedias.jsonl.gz", "rt", encoding="utf-8") as file:
        for edit in map(json.loads, file):
            edits[edit["channel"][1:].removesuffix(".wikipedia"), edit["page"], edit["namespace"]] += 1
    rows, _ = read(*(f"{code} {page.replace(' ', '_')} {n} 0" for (code, page, _), n in edits.items()))
    # The list takes whatever stands before a colon for a namespace; in these it is the beginning of an article's title.
    beginnings = {"GO", "Dyne", "ISO 3166-2", "ISO 639", "Skylanders", "UTC+04", "21"}
    articles = Counter({key: n for key, n in edits.items() if key[2] in beginnings | {"Main"}})
    assert Counter(rows) == Counter((code, page, n) for (code, page, _), n in articles.items())


@pytest.mark.shared
def test_the_daily_excerpt_is_read_whole_but_for_the_line_that_breaks_off(shared_data):
    rows, tally = _rows(str(shared_data / "pageviews" / "pageview_complete_excerpt.txt"))
    assert tally == {"lines": 44, "titles": 43, ("dropped", "fields"): 1}
    assert rows[:2] == [("en", "ABC (The Jackson 5 album)", 61), ("en", "ABC (The Jackson 5 album)", 66)]


def test_a_batch_is_of_the_stated_columns():
    assert VIEWS == pa.schema({"wikipedia": pa.string(), "title": pa.string(), "views": pa.int64()})
