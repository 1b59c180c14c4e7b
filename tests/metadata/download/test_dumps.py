"""The files of a dump are chosen from its published checksums: parts, else the multistream dump with its index."""

import bz2
import hashlib

import pytest

from metadata.download.fetch import fetch, files_to_fetch
from metadata.download.sources import Snapshot, content_current, pages_articles, plan
from runtime.errors import InputError
from tests.support.downloads import visible
from tests.support.http_server import Answer, file

ARTICLES = "dewiki-20240101-pages-articles"
WHOLE = [f"{ARTICLES}.xml.bz2", f"{ARTICLES}-multistream.xml.bz2", f"{ARTICLES}-multistream-index.txt.bz2"]
PARTS = [f"{ARTICLES}1.xml-p1p90.bz2", f"{ARTICLES}2.xml-p91p100.bz2", f"{ARTICLES}2.xml-p101p2000.bz2"]
STREAMS = [name.replace("articles", "articles-multistream") for name in PARTS]
INDEXES = [name.replace("articles", "articles-multistream-index").replace(".xml", ".txt") for name in PARTS]
OTHERS = ["dewiki-20240101-stub-articles1.xml.gz", "dewiki-20240101-pages-articles1.xml-p1p90.7z"]


def chosen(*names, dump="20240101"):
    return pages_articles("dewiki", dump, names)


def test_parts_are_chosen_in_the_order_of_their_pages():
    assert chosen(*OTHERS, *PARTS[::-1], *STREAMS, *INDEXES, *WHOLE) == PARTS


def test_of_latest_the_dated_names_are_listed():
    assert chosen(*WHOLE, *PARTS, dump="latest") == [name.replace("20240101", "latest") for name in PARTS]
    assert chosen(*WHOLE, dump="latest") == [name.replace("20240101", "latest") for name in WHOLE[1:]]


def test_parts_are_not_chosen_while_they_may_not_be_all():
    assert chosen(*WHOLE, *PARTS[1:]) == WHOLE[1:]  # the first one is missing
    assert chosen(*WHOLE, *PARTS, f"{ARTICLES}3.xml-p1900p2500.bz2") == WHOLE[1:]  # pages 1900 to 2000 are in two
    assert chosen(*PARTS) == []  # the whole is not yet there
    assert chosen(*PARTS, *WHOLE[1:]) == WHOLE[1:]


def test_multistream_parts_are_chosen_with_their_indexes():
    assert chosen(*WHOLE, *STREAMS, *INDEXES) == [
        STREAMS[0],
        INDEXES[0],
        STREAMS[1],
        INDEXES[1],
        STREAMS[2],
        INDEXES[2],
    ]
    assert chosen(*WHOLE, *STREAMS, *INDEXES[1:]) == WHOLE[1:]


def test_a_multistream_dump_may_have_no_index():
    assert chosen(WHOLE[0], WHOLE[1]) == [WHOLE[1]]
    assert chosen(WHOLE[0]) == []


def test_all_pages_of_the_content_that_is_current_are_chosen():
    names = [f"dewiki-2025-11-01-p{pages}.xml.bz2" for pages in ("10p20", "1p9", "100p200")]
    others = ["dewiki-2025-10-01-p1p9.xml.bz2", "frwiki-2025-11-01-p1p9.xml.bz2", "dewiki-2025-11-01.json"]
    assert content_current("dewiki", "2025-11-01", [*names, *others]) == [names[1], names[0], names[2]]


def served(server, folder, sums, kind, bodies):
    """Serve files and the list of their checksums."""
    lines = [f"{hashlib.new(kind, body).hexdigest()}  {name}\n" for name, body in bodies.items()]
    server.serve(f"{folder}/{sums}", Answer(body="".join(lines).encode()))
    for name, body in bodies.items():
        server.serve(f"{folder}/{name.replace('20240101', 'latest')}", file(body))


def test_parts_arrive_from_a_mirror_that_lists_them_under_their_date(server, tmp_path, manners):
    bodies = {name: bz2.compress(name.encode()) for name in (*PARTS, *WHOLE)}
    served(server, "/dewiki/latest", "dewiki-latest-sha1sums.txt", "sha1", bodies)
    downloads, failed = files_to_fetch(plan(["de"], ["wikipedia"], mirror=server.url), manners)
    assert failed == []
    results = fetch(downloads, tmp_path, manners)
    assert [result.outcome for result in results] == ["fetched"] * 3
    names = [name.replace("20240101", "latest") for name in PARTS]
    assert [result.path for result in results] == [tmp_path / "wikipedia" / name for name in names]
    assert [path.read_bytes() for path in (result.path for result in results)] == [bodies[name] for name in PARTS]


CONTENT = "/other/mediawiki_content_current/dewiki/2025-11-01/xml/bzip2"


def test_the_content_that_is_current_arrives_once_it_is_whole(server, tmp_path, manners):
    bodies = {f"dewiki-2025-11-01-p{pages}.xml.bz2": bz2.compress(b"a") for pages in ("1p9", "10p20")}
    served(server, CONTENT, "SHA256SUMS", "sha256", bodies)
    snapshot = Snapshot(dump="20251101", content_current=True)
    planned = plan(["de"], ["wikipedia"], mirror=server.url, snapshot=snapshot)
    downloads, [failure] = files_to_fetch(planned, manners)
    assert downloads == []
    assert (failure.outcome, failure.reason) == (
        "failed",
        f"{server.url}{CONTENT}/_SUCCESS: the server answered with status 404",
    )
    assert not server.asked(f"{CONTENT}/SHA256SUMS")
    server.serve(f"{CONTENT}/_SUCCESS", Answer(body=b""))
    downloads, failed = files_to_fetch(planned, manners)
    results = fetch(downloads, tmp_path, manners)
    assert failed == []
    assert {result.outcome for result in results} == {"fetched"}
    assert all(result.check.startswith("sha256 ") for result in results)
    assert visible(tmp_path) == sorted(bodies)


def test_a_dump_that_is_not_listed_fails_and_the_others_are_looked_up(server, manners):
    served(server, "/frwiki/latest", "frwiki-latest-sha1sums.txt", "sha1", {"frwiki-20240101-abstract.xml.gz": b"a"})
    served(server, "/jawiki/latest", "jawiki-latest-sha1sums.txt", "sha1", {WHOLE[1].replace("de", "ja"): b"a"})
    downloads, failed = files_to_fetch(plan(["de", "fr", "ja"], ["wikipedia"], mirror=server.url), manners)
    assert [download.path for download in downloads] == ["wikipedia/jawiki-latest-pages-articles-multistream.xml.bz2"]
    assert sorted(result.reason.removeprefix(server.url) for result in failed) == [
        "/dewiki/latest/dewiki-latest-sha1sums.txt: the server answered with status 404",
        "/frwiki/latest/frwiki-latest-sha1sums.txt lists no file of pages",
    ]


def test_without_a_network_the_look_up_is_refused(manners):
    with pytest.raises(InputError, match=r"check the network and the proxy, or name a mirror \(mirror\)"):
        files_to_fetch(plan(["de"], ["wikipedia"], mirror="http://127.0.0.1:9"), manners)
