"""The data package of wordnets: its words are those of the wordnets, its licences those that their files state."""

import importlib
from collections import Counter

import pytest

from metadata import InputError, wordnet
from metadata.sources import Sources
from tools import pack_wordnets as packing

DANISH = "# DanNet\tdan\thttp://wordnet.dk\twordnet \n1-n\tlemma\thund\n2-n\tlemma\tgå_''til\n3-n\tlemma\thund\n"
CROATIAN = "# CroWN\thrv\thttp://a.example\tCC BY 3.0\n1-n\thrv:lemma\tpas\n1-n\thrv:def\tx\n"
PERSIAN = "# PWN\tfas\thttp://b.example\tFree to use \n1-n\tlemma\tسگ\n"
PRINCETON = "  1 Permission to use, copy, modify and distribute this software  \n"


@pytest.fixture
def wordnets(tmp_path):
    folder = tmp_path / "wordnets"
    texts = {"dan/a.tab": DANISH, "dan/LICENSE": "of DanNet", "dan/README": "cite us", "hrv/b.tab": CROATIAN}
    texts |= {"fas/c.tab": PERSIAN, "en/LICENSE": "of Princeton"}
    texts |= {f"en/data.{part}": PRINCETON for part in ("verb", "adj", "adv")}
    texts["en/data.noun"] = f"{PRINCETON}00001740 03 n 02 black_dog 0 hound 0 000 | a dog\n"
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def words_in(folder) -> dict[str, list[str]]:
    """Return the words that a build finds in a folder, by language."""
    return {
        each.language.code: wordnet.lemmas(each, Counter(), each.language.code == "en")
        for each in wordnet.find([str(folder)])
    }


def test_a_package_has_the_words_of_the_wordnets_that_may_be_passed_on(wordnets, tmp_path):
    lines = packing.pack(packing.find([str(wordnets)]), tmp_path / "made", "1.0")
    assert lines == [
        "da  DanNet: 2 words, wordnet",
        "en  Princeton WordNet: 1 words, wordnet",
        "fa  PWN: left out, as its licence, Free to use, is not known to permit redistribution",
        "hr  CroWN: 1 words, CC BY 3.0",
    ]
    module = tmp_path / "made" / wordnet.MODULE
    assert words_in(module) == {"da": ["gå til", "hund"], "en": ["black dog"], "hr": ["pas"]}
    assert (module / "licences/a/LICENSE").read_text() == "of DanNet"
    assert (module / "licences/a/README").read_text() == "cite us"
    assert wordnet.licences(wordnet.find([str(module)]))["CroWN"] == "CC BY 3.0"
    assert "| hr | [CroWN](http://a.example) | 1 | CC BY 3.0 |" in (tmp_path / "made/README.md").read_text()
    project = (tmp_path / "made/pyproject.toml").read_text()
    assert 'license = "CC-BY-3.0 AND LicenseRef-WordNet"' in project
    assert "@" not in project


def test_a_licence_that_must_come_along_is_beside_the_wordnet_or_it_is_left_out(wordnets, tmp_path):
    (wordnets / "dan" / "LICENSE").unlink()
    lines = packing.pack(packing.find([str(wordnets / "dan"), str(wordnets / "hrv")]), tmp_path / "made", "1.0")
    assert lines[0] == "da  DanNet: left out, as its licence, wordnet, must come with it, and is not beside it"
    with pytest.raises(InputError, match=r"made exists; give a new folder"):
        packing.pack([], tmp_path / "made", "1.0")
    with pytest.raises(InputError, match="no wordnet may be redistributed"):
        packing.pack(packing.find([str(wordnets / "fas")]), tmp_path / "other", "1.0")


def test_a_build_states_the_package_where_its_wordnets_are_of_it(wordnets, tmp_path, monkeypatch):
    packing.pack(packing.find([str(wordnets)]), tmp_path / "made", "1.0")
    monkeypatch.syspath_prepend(str(tmp_path / "made"))
    importlib.invalidate_caches()
    monkeypatch.setattr(wordnet, "version", lambda package: f"1.0 of {package}")
    assert wordnet.package_folder() == str(tmp_path / "made" / wordnet.MODULE)
    assert Sources.find(wordnet=[wordnet.package_folder()]).versions() == {
        "clip-curation-wordnets": "1.0 of clip-curation-wordnets"
    }
    assert Sources.find(wordnet=[str(wordnets)]).versions() == {}
