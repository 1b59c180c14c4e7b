"""The report in a real browser, opened from a file: it sorts and filters, fits a phone, and runs nothing foreign."""

import base64
import shutil
from dataclasses import replace

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from curation.plugins.clustering.clip_cluster import cluster_page as clusters_page
from curation.plugins.report_sections.search import Chosen, search_section
from curation.plugins.report_sections.text_sections import observe_shape, removed_section, thinned
from curation.report.facts import Observed
from curation.report.page import write_report
from curation.run.request import Observation
from metadata.languages import LANGUAGES
from metadata.rules import normalise
from tests.clustering.test_page import hostile_facts
from tests.report.contrast import BACKGROUND, INK, WORDS, contrast, luminance
from tests.report.runs import finished, hostile, nothing_read, row
from tests.support.hostile_strings import EVERY
from tests.support.http_server import Answer

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
)
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PHONE = 390


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """A headless Chromium with an empty profile, for all tests of this module."""
    binary = next(filter(None, map(shutil.which, CHROMIUM)), None)
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("no Chromium: install Debian's chromium-driver, or chromium and chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


@pytest.fixture
def browser(chromium):
    """The same browser as a reader finds it: wide, light, with scripts and an empty console."""
    resize(chromium, 1280)
    colours(chromium, "light")
    scripts(chromium, True)
    chromium.get_log("browser")
    return chromium


def resize(browser, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width <= PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def colours(browser, scheme: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def scripts(browser, run: bool) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not run})


def show(browser, folder, run, rates, samples=()) -> None:
    """Write the report and open it."""
    write_report(folder / "report.html", run, rates, list(samples))
    browser.get((folder / "report.html").as_uri())


def all_languages():
    """Return a run with texts and entries in every language."""
    run, rates = finished({language.code: ["x", "y"] for language in LANGUAGES}, range(2 * len(LANGUAGES)))
    for i, language in enumerate(LANGUAGES):
        run.matched.add("texts", 10**9 - i, language=language.code)
    return run, rates


def with_sections():
    """Return a run with what observers add: the shape of its counts, and what a gate removed."""
    run, rates = finished({language.code: ["x", "y" * 90] for language in LANGUAGES}, range(2 * len(LANGUAGES)))
    long = {
        "text": "W" * 300,
        "url": f"http://a.example/{'x' * 400}",
        "step": "conditions",
        "rule": "x" * 90,
        "why": None,
    }
    gone = row(entries=[], **long)
    removed = removed_section([gone, gone], thinned(20 * run.counts.values, run), run)
    shape = observe_shape(Observation(None, [], [], run))
    return replace(run, observed={"shape": shape, "gate_removed": Observed(section=removed)}), rates


def with_gate():
    """Return a run with a gate of many rules, each of which removes texts of each language."""
    run, rates = finished()
    counted = {"failed": 10**5, "alone": 10**5, "removed": 10**5, "removed_texts": {"en": 100, "he": 10}}
    rules = [counted | {"text": f"max_images_per_domain:{number}"} for number in range(1_000, 1_024)]
    gate = {"tables": [], "conditions": rules[:12], "texts": rules[12:], "policy": ["recommended"]}
    return replace(run, gate=gate, made={"at": "2026-12-01T21:41:31+00:00", "command_line": "x" * 900}), rates


def with_search(lists=None, texts=("the dog", "כלב אדום", "白い犬")):
    """Return a run whose report has the search: all entries, the first two texts with each, and tail entries last."""
    run, rates = finished() if lists is None else finished(lists, range(sum(map(len, lists.values()))))
    every = [*range(len(run.counts))]
    rows = {id: [number for number, text in enumerate(texts) if run.entries.entry(id) in text] for id in every}
    chosen = Chosen(np.array(every[:-1]), np.array(every[-1:]), len(texts), rows)
    section = search_section(chosen, dict(enumerate(texts)), run)
    return replace(run, observed={"search": Observed(section=section)}), rates


def with_long_entries():
    """Return a run whose report has the search, with entries and texts that no line holds."""
    return with_search({"en": ["w" * 300, "w", "W"]}, ["w" * 900])


def one(browser, selector: str):
    return browser.find_element(By.CSS_SELECTOR, selector)


def texts(browser, selector: str) -> list[str]:
    """Return what is seen of each element that is displayed."""
    found = browser.find_elements(By.CSS_SELECTOR, selector)
    return [element.text for element in found if element.is_displayed()]


def heading(browser, label: str):
    buttons = browser.find_elements(By.CSS_SELECTOR, "#languages thead button")
    return next(button for button in buttons if button.text == label)


def codes(browser) -> list[str]:
    return texts(browser, "#languages tbody th code")


# --- the table of languages ---


@pytest.mark.slow
def test_a_click_on_a_heading_sorts_by_its_numbers_and_another_the_other_way(browser, tmp_path):
    show(browser, tmp_path, *finished())
    heading(browser, "t").click()
    assert codes(browser) == ["ja", "en", "he"]  # 60, 20, 2
    heading(browser, "t").click()
    assert codes(browser) == ["he", "en", "ja"]
    heading(browser, "texts").click()
    assert codes(browser) == ["en", "he", "ja"]
    sorted_by = browser.find_elements(By.CSS_SELECTOR, "#languages [aria-sort]")
    assert [(each.text, each.get_attribute("aria-sort")) for each in sorted_by] == [("texts", "descending")]


def test_rows_without_a_number_stay_below_either_way(browser, tmp_path):
    run, rates = finished()  # the input gave the language of Hebrew texts, so that they have no score
    for name, value in (("texts", 10), ("identified", 10), ("score", 9.5)):
        run.matched.add(name, value, language="ja")
    show(browser, tmp_path, run, rates)
    assert codes(browser) == ["en", "he", "ja"]
    heading(browser, "mean score").click()
    assert codes(browser) == ["ja", "en", "he"]
    heading(browser, "mean score").click()
    assert codes(browser) == ["en", "ja", "he"]


def test_the_heading_of_the_languages_sorts_by_name_and_from_the_keyboard(browser, tmp_path):
    show(browser, tmp_path, *finished({"de": ["a"], "cs": ["b"], "en": ["c"]}, [3, 2, 1]))
    heading(browser, "language").send_keys(Keys.ENTER)
    assert texts(browser, "#languages tbody th") == ["Czech cs", "English en", "German de", "Hebrew he"]


def test_the_filter_takes_names_and_codes_and_shows_how_many_are_left(browser, tmp_path):
    show(browser, tmp_path, *finished())
    one(browser, "#filter").send_keys("ANES")
    assert (codes(browser), one(browser, "#found").text) == (["ja"], "1 of 3 shown")
    one(browser, "#filter").clear()
    one(browser, "#filter").send_keys("he")
    assert (codes(browser), one(browser, "#found").text) == (["he"], "1 of 3 shown")
    one(browser, "#filter").send_keys("xyz")
    assert (codes(browser), one(browser, "#found").text) == ([], "0 of 3 shown")


def test_kept_images_stand_beside_the_texts_and_are_seen_without_scrolling(browser, tmp_path):
    show(browser, tmp_path, *all_languages())
    headings = texts(browser, "#languages thead button")
    assert headings[:3] == ["language", "texts", "kept"]
    table, kept = one(browser, ".wide").rect, heading(browser, "kept").rect
    assert kept["x"] + kept["width"] < table["x"] + table["width"]


def test_a_table_of_a_demo_fits_a_screen(browser, tmp_path):
    show(browser, tmp_path, *finished())
    assert browser.execute_script("var t = document.querySelector('.wide'); return t.scrollWidth - t.clientWidth") == 0


def test_what_was_filtered_out_stays_out_when_the_rest_is_sorted(browser, tmp_path):
    show(browser, tmp_path, *finished({"de": ["a"], "cs": ["b"], "en": ["c"]}, [3, 2, 1]))
    one(browser, "#filter").send_keys("e")
    heading(browser, "language").click()
    heading(browser, "language").click()
    assert codes(browser) == ["he", "de", "en", "cs"]
    one(browser, "#filter").send_keys("n")
    heading(browser, "texts").click()
    assert codes(browser) == ["en"]


def test_the_sums_stay_below_however_the_table_is_sorted_and_filtered(browser, tmp_path):
    show(browser, tmp_path, *finished())
    before = one(browser, "#languages tfoot").text
    heading(browser, "kept").click()
    one(browser, "#filter").send_keys("xyz")
    assert one(browser, "#languages tfoot").text == before
    assert before.startswith("all 21,000")


def test_without_scripts_all_is_there_to_read_and_nothing_that_would_not_work(browser, tmp_path):
    scripts(browser, False)
    show(browser, tmp_path, *finished(), [row("the dog", [0, 2])])
    assert codes(browser) == ["en", "he", "ja"]
    assert one(browser, "#languages tbody tr").text.startswith(
        "English en 20,000 300 20 0.077 % 12,500 62.5 % 0.90 310"
    )
    assert not one(browser, "#tools").is_displayed()
    one(browser, ".legend summary").click()
    assert "images kept on average over many seeds" in one(browser, ".legend dl").text
    assert texts(browser, ".text mark") == ["the", "dog"]


# --- the search ---


def found(browser, typed: str) -> list[str]:
    """Type into the search; return the entries that it shows."""
    one(browser, "#word").clear()
    one(browser, "#word").send_keys(typed)
    return texts(browser, "#hits bdi")


def test_a_word_shows_its_entries_with_language_count_rate_and_texts(browser, tmp_path):
    show(browser, tmp_path, *with_search())
    assert texts(browser, "#hits *") == []
    assert found(browser, "Dog") == ["dog", "red dog"]
    assert one(browser, "#hits-found").text == "2 of 9 entries"
    first, second = texts(browser, "#hits li")
    assert first.splitlines() == [
        "dog English · in 900 texts, 300 of them kept · rate 0.0222 (t = 20)",
        "the dog",
    ]
    assert second.splitlines()[1] == "None of the rows in which texts were looked for has this entry."
    classes = [each.get_attribute("class") for each in browser.find_elements(By.CSS_SELECTOR, "#hits bdi")]
    assert classes == ["head", "tail"]
    assert found(browser, "xyz") == []
    assert one(browser, "#hits-found").text == "None of the 9 entries of this page contains it."
    one(browser, "#word").clear()
    one(browser, "#word").send_keys(" ")
    assert (texts(browser, "#hits *"), one(browser, "#hits-found").text) == ([], "")


ODD = [
    "Straße",
    "STRASSE 1",
    "ﬁsh",
    "Fish & chips",
    "selfish",
    "l’été",
    "ＡＢＣ",
    "abc™x",
    "ὈΔΥΣΣΕΎΣ",
    "C++",
    "a.b",
    "ab",
]
OF_SCRIPTS = {"en": ODD, "he": ["כלב", "כלב אדום"], "ja": ["犬", "白い犬", "写真"], "th": ["แมว", "แมวดำ"]}


def hits_by_definition(run, typed: str) -> list[str]:
    """Return the entries that the search shows: equal, beginning, a word's beginning, another part; then by count."""

    def key(text: str) -> str:
        return " ".join(normalise(text).upper().split())

    ranked = []
    for id in range(len(run.counts)):
        entry, wanted = key(run.entries.entry(id)), key(typed)
        tests = (entry == wanted, entry.startswith(wanted), f" {wanted}" in entry, wanted in entry)
        if wanted and any(tests):
            ranked.append((tests.index(True), -run.counts.values[id], id))
    return [run.entries.entry(id) for *_, id in sorted(ranked)]


TYPED = ("s", "STRASSE", "straße", "fi", "ﬁ", "fish", "été", "l'é", "abc", "ὀδυσσεύς", "c+", ".", "a", "CHIPS  ", "לב")


@pytest.mark.parametrize("typed", [*TYPED, "כלב", "犬", "写", "แมว", "& c", "(", "\\"])
def test_hits_are_those_and_in_the_order_of_their_definition(browser, tmp_path, typed):
    run, rates = with_search(OF_SCRIPTS)
    show(browser, tmp_path, run, rates)
    assert found(browser, typed) == hits_by_definition(run, typed)


def test_of_many_hits_the_first_are_shown_and_all_are_counted(browser, tmp_path):
    show(browser, tmp_path, *with_search({"en": [f"e{number}" for number in range(1_200)]}))
    assert found(browser, "e")[:2] == ["e1199", "e1198"]
    assert len(texts(browser, "#hits li")) == 50
    assert one(browser, "#hits-found").text == "1,200 of 1,200 entries; the first 50 are shown"


def test_the_search_is_reached_named_and_heard_without_a_mouse(browser, tmp_path):
    show(browser, tmp_path, *with_search())
    one(browser, "nav a[href='#search']").send_keys(Keys.ENTER)
    for _ in range(3):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        if browser.switch_to.active_element.get_attribute("id") == "word":
            break
    box = browser.switch_to.active_element
    box.send_keys("犬")
    assert texts(browser, "#hits bdi") == ["犬"]
    assert (box.accessible_name, box.aria_role) == ("Search entries", "searchbox")
    assert one(browser, "#hits-found").aria_role == "status"
    assert (one(browser, "#hits").accessible_name, one(browser, "#hits").aria_role) == ("Entries found", "list")


def test_hits_from_right_to_left_run_so_and_their_figures_do_not(browser, tmp_path):
    show(browser, tmp_path, *with_search())
    assert found(browser, "כל") == ["כלב"]
    line, text = browser.find_elements(By.CSS_SELECTOR, "#hits p")
    assert (line.value_of_css_property("direction"), text.value_of_css_property("direction")) == ("ltr", "rtl")
    assert one(browser, "#hits bdi").get_attribute("lang") == text.get_attribute("lang") == "he"
    assert one(browser, "#word").value_of_css_property("direction") == "rtl"
    assert one(browser, "#hits bdi").rect["x"] < one(browser, "#hits small").rect["x"]


def test_hostile_entries_and_texts_are_found_and_do_nothing(browser, tmp_path):
    some = [text for text in EVERY if text.strip()]
    show(browser, tmp_path, *with_search({"en": some}, EVERY))
    assert len(found(browser, "e")) > 10
    assert len(found(browser, "<script>")) > 1
    require_harmless(browser, "Curation report", (tmp_path / "report.html").as_uri())
    assert browser.find_elements(By.CSS_SELECTOR, "#hits li :not(p, bdi, small)") == []


def test_without_scripts_the_search_is_not_offered(browser, tmp_path):
    scripts(browser, False)
    show(browser, tmp_path, *with_search())
    assert not one(browser, "#word").is_displayed()
    assert "needs scripts" in one(browser, "noscript p").text


# --- texts of any script ---


def test_a_text_from_right_to_left_runs_so_and_the_sentence_about_it_does_not(browser, tmp_path):
    show(browser, tmp_path, *finished(), [row("כלב ליד חתול", [5, 6], language="he")])
    first, second = browser.find_elements(By.CSS_SELECTOR, ".text mark")
    assert (first.text, second.text) == ("כלב", "חתול")
    assert first.rect["x"] > second.rect["x"]
    assert one(browser, ".text").value_of_css_property("direction") == "rtl"
    assert one(browser, ".reason").value_of_css_property("direction") == "ltr"
    quoted, number = one(browser, ".entries bdi").rect["x"], one(browser, ".entries small").rect["x"]
    assert quoted < number


def test_a_text_without_spaces_is_marked_inside_and_named_by_its_language(browser, tmp_path):
    show(browser, tmp_path, *finished(), [row("白い犬と猫の写真", [7, 8], language="ja")])
    assert texts(browser, ".text mark") == ["犬", "猫"]
    assert one(browser, ".text").text == "白い犬と猫の写真"
    assert one(browser, ".text").get_attribute("lang") == "ja"


def test_an_entry_that_turns_writing_around_does_not_turn_what_follows_it(browser, tmp_path):
    turning = "dog \u202e"
    show(browser, tmp_path, *finished({"en": [turning, "the"]}, [7, 900]), [row(f"{turning} and more", [0])])
    quoted, after = browser.execute_script("""
        var reason = document.querySelector(".reason"), range = document.createRange();
        range.selectNode(reason.lastChild);
        return [reason.querySelector("bdi").getBoundingClientRect().right, range.getBoundingClientRect().left];""")
    assert after >= quoted


# --- hostile input ---


def require_harmless(browser, title: str, address: str) -> None:
    """Fail if a script of data ran, if anything was asked of elsewhere, or if an element of data is on the page."""
    assert (browser.title, browser.current_url) == (title, address)
    assert browser.find_elements(By.CSS_SELECTOR, "img, iframe, link, base, bdi svg, p svg, li svg, body style") == []
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert browser.get_log("browser") == []


def test_what_comes_from_outside_is_shown_on_the_report_and_does_nothing(browser, tmp_path):
    run, rates, rows = hostile()
    show(browser, tmp_path, run, rates, rows)
    require_harmless(browser, "Curation report", (tmp_path / "report.html").as_uri())
    shown = browser.execute_script("return document.body.textContent")
    as_read = [text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n") for text in EVERY]
    assert [text for text in as_read if text not in shown] == []
    heading(browser, "kept").click()
    assert codes(browser)[0] == "en"


def test_what_comes_from_outside_is_shown_with_clusters_and_does_nothing(browser, tmp_path):
    (tmp_path / "clusters.html").write_text(clusters_page(hostile_facts()), "utf-8")
    browser.get((tmp_path / "clusters.html").as_uri())
    require_harmless(browser, "Clusters", (tmp_path / "clusters.html").as_uri())
    assert len(browser.find_elements(By.CSS_SELECTOR, "#texts ~ * li")) >= 2 * len(EVERY)


def test_a_script_or_picture_that_came_through_all_the_same_would_be_refused(browser, tmp_path):
    write_report(tmp_path / "report.html", *finished(), [])
    html = (tmp_path / "report.html").read_text("utf-8")
    through = (
        "<h1>Curation report<script>document.title='taken'</script><img src='report.html' onerror='document.title=1'>"
    )
    (tmp_path / "report.html").write_text(html.replace("<h1>Curation report", through), "utf-8")
    browser.get((tmp_path / "report.html").as_uri())
    assert browser.title == "Curation report"
    refused = [each["message"] for each in browser.get_log("browser")]
    assert any("script" in message and "Content Security Policy" in message for message in refused)
    assert any("img-src" in message for message in refused)


# --- pictures ---


def test_pictures_are_requested_after_a_click_alone_without_referrer_and_a_lost_one_leaves_its_box(
    browser, tmp_path, server
):
    picture = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
    here = server.serve("/here.gif", Answer(body=picture, headers={"Content-Type": "image/gif"}))
    show(browser, tmp_path, *finished(), [row("the dog", [0, 2], url=url) for url in (here, f"{server.url}/gone.gif")])
    assert server.requests == []
    one(browser, "button.pictures").click()
    WebDriverWait(browser, 20).until(lambda _: len(server.requests) == 2)
    assert all("Referer" not in each.headers for each in server.requests)
    WebDriverWait(browser, 20).until(lambda _: len(browser.find_elements(By.CSS_SELECTOR, ".picture img")) == 1)
    assert len(texts(browser, ".picture")) == 2
    assert browser.find_elements(By.CSS_SELECTOR, "button.pictures") == []
    browser.get_log("browser")


# --- any run, any screen ---


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, PHONE, 320])
@pytest.mark.parametrize("made", [finished, nothing_read, all_languages, with_sections, with_gate, with_long_entries])
def test_the_page_of_any_run_fits_any_screen_without_network_or_errors(browser, tmp_path, made, width):
    resize(browser, width)
    address = "http://a.example/" + "x" * 400
    long = row("dog " + "犬" * 300 + "W" * 300, [0], url=address, page_url=address)
    show(browser, tmp_path, *made(), [] if made is nothing_read else [long])
    for box in browser.find_elements(By.ID, "word"):
        box.send_keys("w")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert browser.get_log("browser") == []


def wide_tables(browser) -> list[str]:
    """Return the names of the tables whose columns have to be scrolled to."""
    tables = browser.find_elements(By.CSS_SELECTOR, ".wide")
    names = [(table.get_property("scrollWidth") - table.get_property("clientWidth"), table) for table in tables]
    return [table.get_attribute("aria-label") for beyond, table in names if beyond]


@pytest.mark.parametrize("made", [finished, all_languages, with_sections, with_gate])
def test_no_column_of_any_table_is_cut_off_on_a_wide_screen(browser, tmp_path, made):
    show(browser, tmp_path, *made())
    assert wide_tables(browser) == []


def test_on_a_phone_the_columns_that_matter_are_seen_without_scrolling(browser, tmp_path):
    resize(browser, 400)
    show(browser, tmp_path, *with_gate())
    assert wide_tables(browser) == ["Languages", "Doubtful texts"]
    for label in ("kept", "t", "tail share"):
        button = heading(browser, label).rect
        assert button["x"] + button["width"] < 400 - 17  # the padding of the page, and the border of the card
    left = one(browser, ".stacked td:nth-child(3)")
    assert left.text == "80.8 %"
    assert left.rect["x"] + left.rect["width"] < 400 - 16


def test_the_last_column_can_be_scrolled_to_on_a_phone_and_the_languages_stay(browser, tmp_path):
    resize(browser, PHONE)
    show(browser, tmp_path, *all_languages())
    last, name = one(browser, "#languages tbody td:last-child"), one(browser, "#languages tbody th")
    assert last.rect["x"] > PHONE
    browser.execute_script("document.querySelector('.wide').scrollLeft = 10000")
    assert name.rect["x"] + name.rect["width"] <= last.rect["x"] + last.rect["width"] <= PHONE
    assert name.rect["x"] >= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_words_stand_out_from_what_is_behind_them(browser, tmp_path, scheme):
    colours(browser, scheme)
    show(browser, tmp_path, *with_search(), [row("the red dog", [0, 2, 3])])
    found(browser, "dog")
    page, ink = map(luminance, browser.execute_script(f"return [{BACKGROUND}(document.body), {INK}(document.body)]"))
    assert (page > ink) == (scheme == "light")
    faint = [words for words in browser.execute_script(WORDS) if contrast(*words[:2]) < 4.5]
    assert faint == []
