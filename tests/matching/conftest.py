"""Each engine's way from entries and rules to a finder."""

import pytest

from curation.matching.finders import AhoCorasick
from curation.matching.matcher import Matcher
from tests.support.matching import saved


@pytest.fixture(params=("trie", "saved trie", "ahocorasick"))
def build(request, tmp_path):
    """Each engine's way from entries and rules to a finder."""
    return {
        "trie": Matcher.build,
        "saved trie": lambda *given: saved(Matcher.build(*given), tmp_path / "matcher"),
        "ahocorasick": AhoCorasick.build,
    }[request.param]
