"""The search of the site finds flags as they are typed, and pages by the words that people use."""

import json
import re
import shutil
import subprocess

import pytest

from tests.docs.test_commands import SITE
from tests.support.checkout import ROOT

BUILT = ROOT / "build" / "site"
FIRST = 4  # results, which are seen without scrolling
FOUND = [
    ("--target-size", "reference/commands/clip-curate.html#target-size"),
    ("--keep", "reference/commands/clip-curate.html#keep"),
    ("--same-image phash", "reference/commands/clip-curate.html#same-image"),
    ("target-size", "reference/commands/clip-curate.html#target-size"),
    ("deduplicate", "how-to/near-copies.html"),
    ("duplicates", "how-to/near-copies.html"),
    ("resume", "how-to/jobs.html"),
    ("S3", "how-to/object-storage.html"),
    ("threshold", "how-to/choosing-t.html"),
    ("--english-threshold", "reference/commands/clip-curate.html#english-threshold"),
    ("licence", "how-to/jobs.html#licences"),
    ("license", "how-to/opt-outs.html#licences-that-pages-state"),
]


@pytest.fixture(scope="module")
def answers():
    """Return the locations that the built site's own search finds for each query."""
    if not (BUILT / "search").is_dir() or not shutil.which("node"):
        pytest.skip("needs a site that `make docs` has built, and node")
    queries = [*{query for query, _ in FOUND}]
    command = ["node", ROOT / "tests" / "support" / "search.js", BUILT, *queries]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(zip(queries, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize(("query", "page"), FOUND)
def test_the_page_is_among_the_first_results(answers, query, page):
    assert page in answers[query][:FIRST]


@pytest.mark.parametrize("query", ["threshold", "licence", "resume", "duplicates", "--target-size"])
def test_pages_that_say_how_come_before_the_reference_of_names(answers, query):
    kinds = [place.partition("/")[0] for place in answers[query] if place.startswith(("how-to/", "reference/api/"))]
    assert kinds[0] == "how-to"


def test_each_flag_is_a_heading_of_its_own():
    for name, parser in SITE["parsers"]().items():
        headings = re.findall(r'<h3 class="flag" id="([\w-]+)">', SITE["command_page"](name, parser))
        assert len(headings) == len({*headings}) >= 5


def test_keywords_are_of_pages_that_exist():
    assert [page for page in SITE["KEYWORDS"] if not (ROOT / "docs" / page).is_file()] == []
