"""Every protocol by which pages and hosts opt out, in every place and syntax, is read as tests/cases/opt_outs.csv says.

`draft` of a case is what the protocol's own text makes of the statement; `product` and `wat` are the signals that are
read of it, from a WARC file or a file of a host, and from a WAT file.
"""

import csv
from html.parser import HTMLParser

import pytest

from curation.inputs.crawl.wat import read as read_wat
from curation.licences import LICENCES
from curation.plugins.gate.robots.robots_text import PATHS, HostRules
from curation.schemas import HOST_SIGNALS, SIGNALS
from tests.support.checkout import ROOT
from tests.support.crawl_records import image, read_back, warc, wat

CASES = [*csv.DictReader((ROOT / "tests" / "cases" / "opt_outs.csv").read_text("utf-8").splitlines())]
IMAGE = "<img src=/x.jpg alt=x>"
REFUSALS = {"noai", "noimageai", "noml", "tdm-reservation", "content-usage", "content-signal", "robots", "ai.txt"}
# Statements that count although the protocol's own text is silent or calls them unknown.
STRICTER = {"Content-Usage: train-genai=n", "User-agent: *\\nContent-Usage: train-ai=n\\nDisallow: /"}


def said(signals: int) -> set[str]:
    names = SIGNALS | HOST_SIGNALS | LICENCES
    return {name for name, bit in names.items() if signals & bit}


def of_host(case) -> set[str]:
    content = case["statement"].replace("\\n", "\n").encode()
    return said(HostRules({case["place"]: content}, ("gptbot", "ccbot")).signals("/x.jpg"))


def of_warc(case) -> set[str]:
    header = ["Content-Type: text/html"]
    html = IMAGE
    if case["place"] == "header":
        header.append(case["statement"])
    elif case["place"] == "image":
        html = case["statement"]
    else:
        html = case["statement"] + IMAGE
    (row,) = read_back(warc(html, "\r\n".join(header)))
    return said(row["signals"])


class Head(HTMLParser):
    """Collects metas and links as records of WAT have them."""

    def __init__(self, html):
        super().__init__()
        self.metas, self.links = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "meta":
            self.metas.append(attributes)
        elif tag in ("link", "a"):
            self.links.append({"path": f"{tag.upper()}@/href", "url": attributes.pop("href"), **attributes})


def of_wat(case) -> set[str]:
    if case["place"] == "header":
        name, _, value = case["statement"].partition(":")
        packed = wat(image(alt="x"), headers={name: value.strip()})
    else:
        head = Head(case["statement"])
        packed = wat(image(alt="x"), *head.links, head={"Metas": head.metas})
    (row,) = read_back(packed, read_wat)
    return said(row["signals"])


def test_every_protocol_has_cases():
    protocols = {case["protocol"] for case in CASES}
    assert len(CASES) >= 60
    assert protocols >= {"robots directives", "TDMRep", "AIPREF", "Content-Signal", "robots.txt", "ai.txt", "RSL"}
    assert {case["place"] for case in CASES} >= {"header", "meta", "link", "script", "image", *PATHS}


@pytest.mark.parametrize("case", CASES, ids=[f"{case['protocol']} {case['statement']}" for case in CASES])
def test_a_statement_is_read_wherever_it_is_stated(case):
    if case["place"] in PATHS:
        assert of_host(case) == {*case["product"].split()}
    else:
        assert of_warc(case) == {*case["product"].split()}
        assert of_wat(case) == {*case["wat"].split()}


@pytest.mark.parametrize("case", CASES, ids=[f"{case['protocol']} {case['statement']}" for case in CASES])
def test_a_statement_counts_as_a_refusal_where_its_protocol_says_so(case):
    refuses = bool({*case["product"].split()} & REFUSALS)
    if case["draft"] == "refuses":
        assert refuses
    elif case["draft"] in ("permits", "nothing", "informs"):
        assert refuses == (case["statement"] in STRICTER)
