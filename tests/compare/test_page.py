"""The page of a comparison shows all parts, and text of the web does nothing in it, nor on the terminal."""

import copy

import pytest

from curation.plugins.compare.comparing import compare
from curation.plugins.compare.differences import facts_of
from curation.plugins.compare.manifests import Manifest
from curation.plugins.compare.shown import comparison_page, comparison_text
from runtime.terminal import plain
from tests.report.runs import Page
from tests.support.hostile_strings import ACTING, EVERY
from tests.support.in_turn import in_turn


@pytest.fixture(scope="module")
def facts(runs) -> dict:
    return facts_of(compare(Manifest.open(runs["one"]), Manifest.open(runs["metadata"]), in_turn()))


def hostile_facts(facts: dict) -> dict:
    """Return facts in which all that comes from outside is hostile."""
    found = copy.deepcopy(facts)
    for side in ("one", "other"):
        found[side] |= {"name": EVERY[0], "repeated": 3, "unnamed": 2}
    for name in ("gained", "lost"):
        found[name] = [
            row | {"entry": text, "language": text} for text, row in zip(EVERY, 99 * found[name], strict=False)
        ]
    found["funnel"] = [{"step": text, "one": 1, "other": 2} for text in EVERY]
    found["settings"] = [{"setting": text, "one": text, "other": text} for text in EVERY]
    row = {"uid": "u", "probability": 0.5}
    rows = [row | dict.fromkeys(("url", "text", "language", "page_url"), text) for text in EVERY]
    found["examples"] = {name: [{"one": row, "other": row} for row in rows] for name in found["examples"]}
    return found


def test_the_page_shows_every_part(facts):
    page = Page(comparison_page(facts))
    headings = ("Images", "Funnels", "Settings that differ", "Languages", "Head and tail", "Entries", "Examples")
    assert all(heading in page.text for heading in headings)
    assert len(page.named("svg")) == 1
    wide = [each for each in page.named("div") if "wide" in each.get("class", "")]
    assert len(wide) >= 5
    assert all(each["tabindex"] == "0" and each["role"] == "region" and each["aria-label"] for each in wide)


def test_the_page_of_tables_has_images_and_examples_only(runs):
    sides = [Manifest.open(runs[name] / "curated") for name in ("one", "seed")]
    page = Page(comparison_page(facts_of(compare(*sides, in_turn()))))
    assert [link["href"] for link in page.named("a")] == ["#images", "#examples"]
    assert "only in OTHER" in page.text
    assert "text 0 of image" in page.text


def test_the_page_of_equal_manifests_says_so(runs):
    sides = [Manifest.open(runs[name]) for name in ("nothing", "nothing")]
    page = Page(comparison_page(facts_of(compare(*sides, in_turn()))))
    assert "None: both have the same images with the same texts." in page.text
    assert "All settings are the same." in page.text


def test_what_comes_from_outside_is_text_and_nothing_else(facts):
    attacked, usual = Page(comparison_page(hostile_facts(facts))), Page(comparison_page(facts))
    assert attacked.scripts == usual.scripts == []
    assert {name for name, _ in attacked.elements} <= {name for name, _ in usual.elements}
    assert not [name for _, attributes in attacked.elements for name in attributes if name.startswith("on")]
    assert all(attacked.text.count(text[:100]) >= 2 for text in EVERY)
    assert ACTING.findall(plain(comparison_text(hostile_facts(facts)))) == []
