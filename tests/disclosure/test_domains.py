"""Domains are counted as one row at a time would, however the rows are cut into files and tasks."""

from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins import domains
from curation.plugins.domains import count_domains, host_counts, origins, period
from runtime.storage.own_files import own_files
from tests.naive.disclosure import naive_domains
from tests.support.in_turn import in_turn

pytestmark = pytest.mark.kernels

NASTY = [
    None,
    "",
    "http://",
    "https://:0",
    "no url",
    "http://A.Example.:80/x",
    "https://user:pass@a.example@b.example/#",
    "http://[2001:DB8::1]:8080/a",
    "http://10.0.0.1/",
    "http://münchen.example/ü",
    "http://xn--mnchen-3ya.example?q",
    "http://b%C3%BCcher.example/",
    "http://co.uk/",
    "http://x.y.github.io\\a",
    "http://日本。jp/",
    "//a.example/",
    "http://a.example:80:90/",
    f"http://{'a' * 300}.example/",
    "http://=cmd|calc/",
]


def counted(urls: list[str | None], folder, files: int) -> dict[str, int]:
    (folder / "in").mkdir(parents=True)
    (folder / "out").mkdir()
    for number in range(files):
        column = pa.array(urls[number::files], pa.string())
        pq.write_table(pa.table({"url": column}), folder / "in" / f"{number}.parquet")
    found = count_domains(in_turn(), own_files(folder / "in", None, ""), "url", folder / "out")
    rows = [*found.largest(found.domains)]
    assert [*found.largest(3)] == rows[:3]
    assert rows == sorted(rows, key=lambda row: (-row[1], row[0]))
    assert (found.domains, found.images) == (len(rows), sum(images for _, images in rows))
    return dict(rows)


@pytest.mark.parametrize("seed", range(6))
def test_domains_are_those_of_a_naive_count(tmp_path, seed, monkeypatch):
    monkeypatch.setattr(domains, "BATCH_ROWS", 64)
    monkeypatch.setattr(domains, "READ_ROWS", 3)
    random = Random(seed)
    hosts = [f"{random.choice('abw')}.{number}.{random.choice(['com', 'co.uk', 'github.io'])}" for number in range(90)]
    urls = [f"http://{random.choice(hosts)}/{number}" for number in range(seed * 150)] + NASTY * random.randint(1, 3)
    random.shuffle(urls)
    assert counted(urls, tmp_path, random.randint(1, 5)) == naive_domains(urls)


@pytest.mark.parametrize("urls", [[], [None, None], ["", "x"]])
def test_without_hosts_nothing_is_counted(tmp_path, urls):
    assert counted(urls, tmp_path, 2) == {}


def test_hosts_that_meet_in_a_place_of_the_table_are_kept_apart():
    urls = [f"http://h{number % 2000}/" for number in range(5000)]
    rows = host_counts(pa.array(urls)).to_pylist()
    assert {row["name"]: row["images"] for row in rows} == {f"h{n}": 3 if n < 1000 else 2 for n in range(2000)}


def test_slices_are_counted_as_rows_of_their_own():
    urls = pa.array(["http://a/", "http://b/", None, "http://b/"])
    assert host_counts(urls.slice(1)).to_pylist() == [{"name": "b", "images": 2}]


# Inputs


def facts(*paths: str) -> dict:
    return {"made_from": {"inputs": [{"path": path, "format": "wat", "size": 5} for path in paths]}}


def test_names_of_common_crawl_state_the_crawl_and_its_time():
    names = ["CC-MAIN-20240517233122-20240518023122-00000", "CC-MAIN-20240529010203-20240530040506-00001"]
    below = "s3://commoncrawl/crawl-data/CC-MAIN-2024-22/segments/1715971057216.39/wat"
    (found,) = origins(facts(*(f"{below}/{name}.warc.wat.gz" for name in names)))
    assert (found.name, found.set, found.files, found.bytes) == ("CC-MAIN-2024-22", "Common Crawl", 2, 10)
    assert period([found]) == ("2024-05-17", "2024-05-30")


@pytest.mark.parametrize(
    ("name", "days"),
    [
        ("IAH-20080430204825-00000-blackbook.warc.wat.gz", ("2008-04-30", "2008-04-30")),
        ("CC-MAIN-20240517233122-20240518023122-00000.warc.wat.gz", ("2024-05-17", "2024-05-18")),
        ("recipes.warc.wat.gz", None),
        ("120240517233122.warc.wat.gz", None),
    ],
)
def test_times_are_those_in_the_name_of_the_file(name, days):
    assert period(origins(facts(f"/20200101000000/{name}"))) == days
    table = {"path": f"/t/{name}", "format": "parquet", "size": 1}
    assert period(origins({"made_from": {"inputs": [table]}})) is None


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/data/laion-400m/0.parquet", "LAION"),
        ("/data/LAION2B/0.parquet", "LAION"),
        ("/data/cc12m.tsv", "Conceptual 12M"),
        ("/data/wit/en.jsonl", "Wikipedia-based Image Text"),
        ("/data/with/en.jsonl", None),
        ("/data/pelaion/0.parquet", None),
        ("/laion/a/b/c.parquet", None),
    ],
)
def test_words_of_the_last_names_of_a_path_name_a_public_set(path, named):
    (found,) = origins(facts(path))
    assert found.set == named


def test_a_large_table_that_tasks_share_is_one_file():
    (found,) = origins(facts("/data/a.parquet", "/data/a.parquet"))
    assert (found.files, found.bytes) == (1, 10)
    assert origins({"made_from": {}}) == []
