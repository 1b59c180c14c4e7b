"""Licences that pages state are read alike by kernels, by a parser of JSON, and by the naive twin."""

import json
import random
import re

import numpy as np
import pyarrow as pa
import pytest
from fastwarc.warc import ArchiveIterator

from curation.inputs.crawl import html_pages
from curation.kernels.markup import find_license
from curation.licences import LICENCES, NAMES, licence_name, license_column
from tests.naive.licences import naive_licences, naive_stated
from tests.support.checkout import SHARED
from tests.support.crawl_records import read_back
from tests.support.wat_records import fast, image, of_links, slow

pytestmark = pytest.mark.kernels

needs_shared = pytest.mark.skipif(not (SHARED / "wat").is_dir(), reason="needs the shared data: wat and warc")

CC = "creativecommons.org"
ADDRESSES = [
    *(f"https://{CC}/licenses/{code}/4.0/" for code in ("by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd")),
    *(f"http://{CC}/licenses/{code}/1.0" for code in ("by-nd-nc", "nd-nc", "nc", "sa", "by-nd-sa", "by-by", "GPL")),
    *(f"//www.{CC}/licenses/{code}/1.0/" for code in ("sampling", "sampling+", "nc-sampling+", "publicdomain", "ok")),
    *(f"HTTP://{CC.upper()}/PublicDomain/{code}/1.0/deed.de" for code in ("zero", "mark", "certification", "x", "")),
    f"https://{CC}/licenses/by/2.5/scotland/legalcode.sr-Cyrl",
    f"https://{CC}:443//licenses//by-sa/3.0/de/",
    f"https://{CC}/licenses/devnations/2.0/",
    f"https://{CC}/licenses/by",
    f"https://{CC}/licenses/?lang=de",
    f"https://{CC}/",
    f"{CC}/licenses/by-nc/4.0",
    f" https://de.{CC}/licenses/by/4.0",
    f"https://not{CC}/licenses/by/4.0",
    f"https://x-{CC}/licenses/by/4.0",
    f"https://a.org/?u=https://{CC}/licenses/by/4.0/",
    f"https://{CC}.a.org/licenses/by/4.0/",
    f"https://{CC}:x/licenses/by/",
    *("/license", "#license", "", " ", "CC BY-NC 4.0", "cc0 1.0", "CC-BY-SA", "cc by saturday", "CC0rp", "© license é"),
    *("https://spdx.org/licenses/CC-BY-4.0", "CC BYNC", "acc by", "cc zero", "ccby_nd", "cc by-nd-", "CC 0"),
]
RELS = ["license", "LICENSE", "nofollow\tLicense", "licence", "licenses", "nofollow", "", "cc:license", "dct:license"]
METAS = ["license", "DC.rights", "dcterms:license", "DC.Rights.License", "og:license", "rights", "dcterms.rights", "x"]
TYPES = ["application/rsl+xml", "Application/RSL+XML; charset=utf-8", "text/html", "application/rsl+xml2", ""]
NODES = ["WebPage", "ImageObject", ["Article", "VideoObject"], ["Article"], None, 7]
PIECES = ["<!--", "-->", "<template>", "</template>", "<svg>", "</svg>", "<script>", "</script>", "<p>", "</p>", "é x"]
PIECES += ["<noscript>", "</noscript>", "<title>", "</title>", "<textarea>", "</textarea>", "license", "<img src=b>"]


def statement(draw):
    """A tag, or a script, that may state a licence."""
    address = draw.choice(ADDRESSES)
    escaped = address.replace("/", draw.choice(["/", "/", "&#47;", "&sol;"]))
    kind = draw.randrange(6)
    if kind == 0:
        tag, key = draw.choice(["meta", "META"]), draw.choice(["name", "property", "itemprop"])
        return f'<{tag} {key}="{draw.choice(METAS)}" content="{escaped}">'
    if kind == 1:
        graph = {"@graph": [node(draw, draw.choice(ADDRESSES)), 7, [node(draw, "")]]} if draw.random() < 0.4 else {}
        text = json.dumps([node(draw, address) | graph] if draw.random() < 0.3 else node(draw, address) | graph)
        text = text[: draw.choice([len(text)] * 5 + [9])].replace("é", "&eacute;")
        media_type = draw.choice(["application/ld+json", " Application/LD+JSON", "text/x", "application/rsl+xml"])
        return f'<script type="{media_type}">{text}</script>'
    tag = draw.choice(["a", "a", "A", "area", "link", "p"])
    said = draw.choice(["rel", "rel", "itemprop", "class"])
    quote = draw.choice(['"', "'"])
    media_type = f" type='{draw.choice(TYPES)}'" if draw.random() < 0.3 else ""
    statement = f"{said}={quote}{draw.choice(RELS)}{quote}{media_type} HREF={quote}{escaped}{quote}"
    return f"<{tag} {statement}>{draw.choice(['', '</a>'])}"


def node(draw, address):
    values = [address, {"@id": address}, {"url": address}, [address, 7], None, {}, {"@id": 7}]
    return {"@type": draw.choice(NODES), "license": draw.choice(values), "image": {"license": "/terms é"}}


def page(draw):
    """A page with an image, statements, and pieces that hide some of them."""
    said = [statement(draw) if draw.random() < 0.7 else draw.choice(PIECES) for _ in range(draw.randrange(7))]
    return "<img src=a alt=x>" + "".join(said)


def names(bits):
    return {name for name, bit in LICENCES.items() if bits & bit}


def differing(seed, pages):
    """The pages whose licences are not those of the twin; few have SVG that HTML cuts in two, as in other tests."""
    draw = random.Random(seed)
    made = (page(draw) for _ in range(pages))
    return [html for html in made if names(html_pages.parse(html.encode(), {}).licences) != naive_licences(html)]


def test_licences_of_made_up_pages_are_those_of_the_twin():
    assert differing(seed=1, pages=2_000) == []


@pytest.mark.slow
def test_licences_of_many_made_up_pages_are_those_of_the_twin():
    assert differing(seed=4, pages=20_000) == []


def record(draw):
    """The headers, links and metas of a WAT record as objects of JSON, some of them odd."""
    links = [
        {"path": draw.choice(["A@/href", "A@/href", "LINK@/href", "AREA@/href", "FORM@/action"]), "url": address}
        | ({"rel": draw.choice([*RELS, "x " * 60 + "license"])} if draw.random() < 0.7 else {"text": "License {"})
        for address in draw.choices(ADDRESSES, k=draw.randrange(4))
    ]
    links = [each | {"type": draw.choice([*TYPES, 7])} if draw.random() < 0.3 else each for each in links]
    links = [dict(draw.sample([*each.items()], len(each))) if draw.random() < 0.2 else each for each in links]
    metas = [
        {draw.choice(["name", "property"]): draw.choice(METAS), "content": draw.choice([*ADDRESSES, 7, None])}
        for _ in range(draw.randrange(3))
    ]
    return headers(draw), links, metas, [each for each in links if draw.random() < 0.2]


def headers(draw):
    """Some headers of a WAT record, with the links that its Link headers hold."""
    fields = {"Server": "license", "Cache-Control": "public"}
    for name in draw.sample(["Link", "link", "LINK", "X-Link"], draw.randrange(3)):
        values = [header_link(draw) for _ in range(draw.randrange(1, 3))]
        fields[name] = draw.choice([", ".join(values), values, values[0]])
    return fields


def header_link(draw):
    address = draw.choice(ADDRESSES).strip().replace(",", "")
    rel = draw.choice(["license", "LICENSE", "nofollow", "x license"])
    quote = draw.choice(['"', ""]) if " " not in rel else '"'
    media_type = f"; type={quote}{draw.choice(TYPES[:4]).partition(';')[0]}{quote}" if draw.random() < 0.5 else ""
    return f"<{address}>; rel={quote}{rel}{quote}{media_type}"


def links_of(fields):
    """The links of the headers, as tokens, address and type; those without a word of licences are of no interest."""
    found = []
    for name, value in fields.items():
        for each in value if isinstance(value, list) else [value]:
            if name.lower() != "link" or not re.search("license|publicdomain", each, re.I):
                continue
            for address, rel, kind in re.findall('<([^>]*)>; rel="?([^";,]*)"?(?:; type="?([^",]*)"?)?', each):
                found.append((rel, address, kind))
    return found


def block_of(draw, fields, links, metas, more):
    separators = draw.choice([(",", ":"), (",", ":"), (", ", ": ")])
    parts = (links, metas, more, fields)
    text = [json.dumps(each, separators=separators, ensure_ascii=draw.random() < 0.5) for each in parts]
    if draw.random() < 0.7:
        text = [each.replace("/", "\\/") for each in text]
    alt = draw.choice(["x", 'a{\\"rel\\":\\"license\\"', "license", "creativecommons.org/licenses/by/4.0"])
    found = f"{image(alt=alt)},{text[0][1:-1]}".rstrip(",")
    return of_links(found, head=f'{{"Metas":{text[1]},"Link":{text[2]}}}', headers=text[3])


def of_records(seed, records):
    draw = random.Random(seed)
    made = [record(draw) for _ in range(records)]
    return made, [block_of(draw, *each) for each in made]


@pytest.mark.parametrize("records", [300, pytest.param(5_000, marks=pytest.mark.slow)])
def test_licences_of_records_are_read_alike_by_kernels_and_parser_and_the_twin(records):
    made, blocks = of_records(records, records)
    assert fast(blocks) == slow(blocks)
    for (fields, links, metas, more), block in zip(made, blocks, strict=True):
        stated = links_of(fields)
        for each in [*links, *more]:
            if each["path"] in ("A@/href", "LINK@/href", "AREA@/href"):
                kind = each.get("type", "")
                stated.append((each.get("rel", ""), each["url"], kind if isinstance(kind, str) else ""))
        named = [
            (each[key], each["content"])
            for each in metas
            for key in ("name", "property")
            if key in each and type(each["content"]) is str
        ]
        (row, *_), _ = fast([block])
        assert names(row[4]) == naive_stated(stated, named), block


def test_a_link_counts_where_nothing_else_is_stated_and_the_lists_of_a_record_may_be_odd():
    link = '{"path":"A@/href","url":"https:\\/\\/creativecommons.org\\/licenses\\/by\\/4.0"}'
    heads = ("{}", '{"Metas":7}', '{"Metas":[7,{"name":7,"content":"license"}]}', '{"Metas":[{"name":"license"}]}')
    for head in heads:
        blocks = [of_links(f"{image(alt='x')},{link}", head=head)]
        assert [names(row[4]) for row in fast(blocks)[0]] == [names(row[4]) for row in slow(blocks)[0]] == [{"cc-by"}]
    stating = '{"Metas":[{"content":"all mine","property":"dcterms:license"}]}'
    blocks = [of_links(f"{image(alt='x')},{link}", head=stating)]
    assert [names(row[4]) for row in fast(blocks)[0]] == [{"other"}]


def test_the_word_is_found_wherever_it_is():
    for size in (*range(7, 12), 63, 64, 65, 140, 300):
        for at in range(0, size - 7, 1 if size < 150 else 7):
            for word in (b"license", b"LiCeNsE", b"licdomai"):
                data = bytearray(b"liceliced" * size)[:size] + bytes(80)
                data[at : at + len(word)] = word
                found = find_license(np.frombuffer(bytes(data), np.uint8), 0, size)
                assert found == (at if at + 8 <= size else size), (size, at, word)


def test_the_bits_stay_as_they_are_and_the_column_names_them():
    assert [LICENCES[name] for name in NAMES] == [1 << bit for bit in (*range(14, 24), 30)]
    signals = pa.array(
        [None, 0, 1 | 8192, LICENCES["cc0"] | 5, LICENCES["cc0"] | LICENCES["other"], 1 << 30], pa.int32()
    )
    expected = ["none", "none", "none", "cc0", "several", "rsl"]
    assert license_column(signals).to_pylist() == expected
    assert license_column(signals.slice(3, 2)).to_pylist() == expected[3:5]
    assert license_column(signals.slice(0, 0)).to_pylist() == []
    assert licence_name(0) == "none"


@needs_shared
@pytest.mark.shared
@pytest.mark.parametrize("name", ["aut-example", "whirlwind"])
def test_real_pages_state_what_the_twin_finds(name):
    tree = {}
    for row in read_back((SHARED / "warc" / f"{name}.warc.gz").read_bytes()):
        tree.setdefault(row["page_url"], set()).update(names(row["signals"]))
    assert {url: found for url, found in tree.items() if found} == {
        url: found for url, found in naive_pages(SHARED / "warc" / f"{name}.warc.gz").items() if found and url in tree
    }
    assert sum(map(bool, tree.values())) == {"aut-example": 4, "whirlwind": 1}[name]


def naive_pages(path):
    """The licences of each HTML page of a WARC file, by fastwarc and the twin."""
    with path.open("rb") as file:
        found = ArchiveIterator(file, parse_http=True)
        pages = (
            (each.headers.get("WARC-Target-URI"), each.http_content_type or "", each.reader.read()) for each in found
        )
        return {url: naive_licences(html.decode("utf-8", "replace")) for url, kind, html in pages if "html" in kind}
