"""The page of a comparison in a real browser: it fits a phone, is read with the keyboard, and runs nothing foreign."""

from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from curation.plugins.compare.comparing import compare
from curation.plugins.compare.differences import facts_of
from curation.plugins.compare.manifests import Manifest
from curation.plugins.compare.shown import comparison_page
from tests.compare.test_page import hostile_facts
from tests.report import test_browser as of_report
from tests.report.test_browser import PHONE, colours, require_harmless, resize
from tests.support.hostile_strings import EVERY
from tests.support.in_turn import in_turn

pytestmark = pytest.mark.browser
chromium, browser = of_report.chromium, of_report.browser


@pytest.fixture(scope="module")
def facts(runs) -> dict:
    return facts_of(compare(Manifest.open(runs["one"]), Manifest.open(runs["metadata"]), in_turn()))


def show(browser, folder: Path, facts: dict) -> None:
    """Write the page of a comparison and open it."""
    (folder / "compare.html").write_text(comparison_page(facts), "utf-8")
    browser.get((folder / "compare.html").as_uri())


def test_what_comes_from_outside_is_shown_and_does_nothing(browser, tmp_path, facts):
    show(browser, tmp_path, hostile_facts(facts))
    require_harmless(browser, "Comparison", (tmp_path / "compare.html").as_uri())
    assert len(browser.find_elements(By.CSS_SELECTOR, "article")) == 6 * len(EVERY)


@pytest.mark.parametrize("width", [1280, PHONE, 320])
def test_the_page_fits_any_screen(browser, tmp_path, facts, width):
    resize(browser, width)
    long = hostile_facts(facts)
    long["one"]["name"] = "s3://bucket/" + "x" * 400
    for shown in (facts, long):
        show(browser, tmp_path, shown)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_the_keyboard_reaches_each_part_and_scrolls_its_table(browser, tmp_path, facts):
    resize(browser, PHONE)
    show(browser, tmp_path, facts)
    reached = []
    for _ in range(14):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        element = browser.switch_to.active_element
        reached.append(element.get_attribute("aria-label") or element.text)
        assert browser.execute_script("return getComputedStyle(arguments[0]).outlineStyle", element) == "solid"
    links = ["Images", "Funnels", "Settings", "Languages", "Head and tail", "Entries", "Examples"]
    tables = ["Funnels", "Settings that differ", "Languages", "What the columns mean", "Head and tail"]
    assert reached == [*links, *tables, "Entries that gained most", "Entries that lost most"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_words_stand_out_from_what_is_behind_them(browser, tmp_path, facts, scheme):
    colours(browser, scheme)
    show(browser, tmp_path, facts)
    words = browser.execute_script(of_report.WORDS)
    assert [each for each in words if of_report.contrast(*each[:2]) < 4.5] == []
