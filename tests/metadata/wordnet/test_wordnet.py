"""Wordnets are found, named and read in each form in which they are distributed."""

import gzip
import lzma
import re
import socket
import tarfile
import zipfile
from collections import Counter

import pytest

from metadata import InputError
from metadata.wordnet import find, lemmas
from tests.naive.wordnet import naive_dict_lemmas, naive_tab_fields

LICENCE = "  1 This software and database is being provided to you, the LICENSEE  \n"
ADJECTIVES = (
    '00001740 00 a 01 able 0 005 = 05200169 n 0000 | (usually followed by `to\') having the means; "able to swim"  \n'
    "00004615 00 s 02 galore(ip) 0 cut(p) 1 001 & 00004413 a 0000 | in great numbers  \n"
    "00005107 00 s 0a a 0 b 0 c 0 d 0 e 0 f 0 g 0 h 0 i 0 New_World(a) 0 001 & 00004413 a 0000 | ten words  \n"
)
PARTS = ("noun", "verb", "adj", "adv")


@pytest.fixture
def princeton(tmp_path):
    """A dict folder as Princeton's archive holds it."""
    folder = tmp_path / "dict"
    folder.mkdir()
    for part in PARTS:
        (folder / f"data.{part}").write_text(LICENCE + (ADJECTIVES if part == "adj" else ""))
        (folder / f"index.{part}").write_text(LICENCE + "able a 1 1 = 1 1 00001740\n")
    (folder / "LICENSE").write_text("licence")
    return folder


@pytest.fixture
def tab(tmp_path):
    """Write a tab file with these lines, return its path."""

    def write(*lines, head="# Wordnet\tfra\thttp://x/\tCC BY", name="wn-data-fra.tab"):
        encoded = [line if isinstance(line, bytes) else line.encode() for line in (head, *lines)]
        (tmp_path / name).write_bytes(b"".join(line + b"\n" for line in encoded))
        return tmp_path / name

    return write


@pytest.fixture
def lmf(tmp_path):
    """Write a WN-LMF file of lexicons, given as language → lemmas, return its path."""

    def write(name="wordnet.xml", **lexicons):
        content = _LMF.format("".join(_lexicon(*each) for each in lexicons.items())).encode()
        compress = {".gz": gzip.compress, ".xz": lzma.compress}.get(name[-3:], bytes)
        (tmp_path / name).write_bytes(compress(content))
        return tmp_path / name

    return write


_LMF = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE LexicalResource SYSTEM "http://globalwordnet.github.io/schemas/WN-LMF-1.1.dtd">
<LexicalResource xmlns:dc="https://globalwordnet.github.io/schemas/dc/">{}</LexicalResource>
"""


def _lexicon(language, written):
    language = language.replace("_", "-")
    entries = "".join(
        f'<LexicalEntry id="{language}-{i}"><Lemma writtenForm="{lemma}" partOfSpeech="n"/>'
        f'<Form writtenForm="{lemma}s"/><Sense id="{language}-s{i}" synset="{language}-1"/></LexicalEntry>'
        for i, lemma in enumerate(written)
    )
    return (
        f'<Lexicon id="{language}" label="A wordnet" language="{language}" email="a@b.c" license="CC0" version="1">'
        f'{entries}<Synset id="{language}-1" ili="i1" partOfSpeech="n"/></Lexicon>'
    )


def _read(*paths, **options):
    """Return the lemmas of each language that the paths hold, and what was counted."""
    tally, found = Counter(), {}
    for file in find(map(str, paths)):
        found.setdefault(file.language.code, []).extend(lemmas(file, tally, **options))
    return found, tally


def test_a_dict_folder_gives_every_word_of_every_synset_without_adjective_markers(princeton):
    found, tally = _read(princeton)
    assert found == {"en": ["able", "galore", "cut", *"abcdefghi", "New World"]}
    assert tally == {"lines": 7, "synsets": 3, "lemmas": 13}


def test_the_names_of_synsets_are_their_first_words(princeton):
    assert _read(princeton, names_only=True)[0] == {"en": ["able", "galore", "a"]}


def test_a_broken_line_of_a_dict_file_is_counted_and_the_next_is_read(princeton):
    broken = "00001741 00 n\n00001742 00 n 03 dog 0 001 | dog\nnot a synset at all\n00001743 00 n 01 cat 0 000 | cat\n"
    (princeton / "data.noun").write_text(broken)
    found, tally = _read(princeton / "data.noun")
    assert found == {"en": ["cat"]}
    assert tally["dropped", "fields"] == 3


def test_a_dict_folder_that_lacks_a_part_is_refused(princeton):
    (princeton / "data.verb").unlink()
    with pytest.raises(InputError, match="data.verb"):
        find([str(princeton)])


@pytest.mark.parametrize("key", ["fra:lemma", "lemma"])
def test_a_tab_file_gives_the_fields_whose_key_says_lemma_once_each(tab, key):
    path = tab(f"1-n\t{key}\tChien", f"1-n\t{key}\tpomme_de_terre", f"2-n\t{key}\tChien", f"2-n\t{key}\tchien")
    assert _read(path)[0] == {"fr": ["Chien", "pomme de terre", "chien"]}


@pytest.mark.parametrize("key", ["fra:def\t0", "fra:exe\t0", "arb:lemma:root", "arb:lemma:brokenplural", "lemmas", ""])
def test_other_keys_of_a_tab_file_are_no_lemmas(tab, key):
    found, tally = _read(tab(f"1-n\t{key}\tchien", "1-n\tlemma\tchat"))
    assert found == {"fr": ["chat"]}
    assert tally["other_keys"] == 1


def test_broken_lines_of_a_tab_file_are_counted_and_the_next_is_read(tab):
    path = tab(
        "1-n\tlemma", "", b"1-n\tlemma\tcaf\xe9", "1-n\tlemma\t", "1-n\tlemma\t_", "# note", "1-n\tlemma\tchat\r"
    )
    found, tally = _read(path)
    assert found == {"fr": ["chat"]}
    assert tally == {
        "lines": 8,
        "lemmas": 1,
        ("dropped", "fields"): 2,
        ("dropped", "encoding"): 1,
        ("dropped", "empty"): 2,
    }


def test_placeholders_and_lost_letters_are_counted(tab):
    found, tally = _read(tab(*(f"1-n\tlemma\t{word}" for word in ("GAP!", "PSEUDOGAP!", "sva?a", "latón ?", "Gap"))))
    assert found == {"fr": ["Gap"]}
    assert tally["dropped", "placeholder"] == tally["dropped", "lost_letter"] == 2


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("als", "sq"),
        ("cat", "ca"),
        ("eus", "eu"),
        ("glg", "gl"),
        ("ind", "id"),
        ("zsm", "ms"),
        ("nno", "nn"),
        ("nob", "no"),
    ]
    + [("cmn", "zh"), ("arb", "ar"), ("fas", "fa")],
)
def test_line_1_says_the_language_of_a_tab_file_and_else_its_name(tab, code, language):
    said = tab(head=f"# Name\t{code}\thttp://x/\tCC BY", name="wn-data-eng.tab")
    named = tab(head="1-n\tlemma\tx", name=f"wn-data-{code}.tab")
    assert [file.language.code for file in find([str(said), str(named)])] == [language, language]


def test_a_folder_of_tab_files_is_read_whole_and_what_is_no_wordnet_in_it_is_passed_over(tmp_path, tab):
    (tmp_path / "msa").mkdir()
    tab("1-n\tlemma\tanjing", head="# B\tind\tx\tMIT", name="msa/wn-data-ind.tab")
    tab("1-n\tlemma\tkucing", head="# B\tzsm\tx\tMIT", name="msa/wn-data-zsm.tab")
    (tmp_path / "msa" / "README").write_text("read me")
    (tmp_path / "citation.bib").write_text("@book")
    assert _read(tmp_path)[0] == {"id": ["anjing"], "ms": ["kucing"]}


def test_nltks_zips_are_read_as_they_are(tmp_path, princeton, tab):
    with zipfile.ZipFile(tmp_path / "wordnet.zip", "w") as archive:
        for file in sorted(princeton.iterdir()):
            archive.write(file, f"wordnet/{file.name}")
    with zipfile.ZipFile(tmp_path / "omw-1.4.zip", "w") as archive:
        archive.write(tab("1-n\tlemma\tchien"), "omw-1.4/fra/wn-data-fra.tab")
        archive.writestr("omw-1.4/fra/LICENSE", "licence")
    found, _ = _read(tmp_path / "wordnet.zip", tmp_path / "omw-1.4.zip")
    assert found == {"en": _read(princeton)[0]["en"], "fr": ["chien"]}


@pytest.mark.parametrize("name", ["oewn.xml", "oewn.xml.gz", "oewn.xml.xz"])
def test_lmf_gives_the_lemmas_of_its_entries_and_not_their_other_forms(lmf, name):
    found, tally = _read(lmf(name, en=["dog", "New_York", "dog", "café"]))
    assert found == {"en": ["dog", "New York", "café"]}
    assert tally == {"lexical_entries": 4, "lemmas": 3}


MEMBERS = """<Lexicon id="oewn" label="O" language="en" email="a@b.c" license="CC0" version="2025">{}
<Synset id="s1" ili="i1" partOfSpeech="n" {}/><Synset id="s2" ili="i2" partOfSpeech="n" {}/></Lexicon>"""


@pytest.mark.parametrize("member", ["{}", "{}-{}"])  # ids of entries, or of senses
def test_lmf_names_a_synset_by_its_first_member(tmp_path, member):
    senses = {"hound": ["s1"], "dog": ["s1", "s2"], "domestic_dog": ["s1"], "frank": ["s2"], "lonely": ["s3"]}
    entries = "".join(
        f'<LexicalEntry id="{word}"><Lemma writtenForm="{word}" partOfSpeech="n"/>'
        + "".join(f'<Sense id="{word}-{synset}" synset="{synset}"/>' for synset in synsets)
        + "</LexicalEntry>"
        for word, synsets in senses.items()
    )
    orders = [("s1", ["domestic_dog", "dog", "hound"]), ("s2", ["frank", "dog"])]
    first, second = (" ".join(member.format(word, synset) for word in words) for synset, words in orders)
    path = tmp_path / "english-wordnet-2025.xml.gz"

    def written(*members):
        path.write_bytes(gzip.compress(_LMF.format(MEMBERS.format(entries, *members)).encode()))

    written(f'members="{first}"', f'members="{second}"')
    assert _read(path, names_only=True)[0] == {"en": ["domestic dog", "frank"]}
    assert len(_read(path)[0]["en"]) == 5
    written(f'members="{first}"', "")
    found, tally = _read(path, names_only=True)
    assert found == {"en": ["domestic dog"]}
    assert tally["synsets_without_members"] == 1
    written("", "")
    found, tally = _read(path, names_only=True)
    assert len(found["en"]) == 5  # without an order, every lemma may be a name
    assert tally["synsets_without_members"] == 2


@pytest.mark.parametrize("packing", ["", ":gz", ":bz2", ":xz"])
def test_archives_of_tar_are_read_as_they_are(tmp_path, lmf, princeton, packing):
    path = tmp_path / f"omw-2.0.tar{packing.replace(':', '.')}"
    with tarfile.open(path, f"w{packing or ':'}") as archive:
        for code, word in (("ja", "犬"), ("cmn", "狗")):
            archive.add(lmf(f"{code}.xml", **{code: [word]}), f"omw-2.0/omw-{code}/omw-{code}.xml")
            archive.add(princeton / "LICENSE", f"omw-2.0/omw-{code}/LICENSE")
    assert _read(path)[0] == {"zh": ["狗"], "ja": ["犬"]}
    with pytest.raises(InputError, match=r"broken.tar.xz cannot be opened .*; a wordnet is a folder"):
        find([str(write_broken(tmp_path, path))])


def write_broken(folder, path):
    (folder / "broken.tar.xz").write_bytes(path.read_bytes()[:100])
    return folder / "broken.tar.xz"


def test_archives_in_a_folder_are_read(tmp_path, lmf, princeton):
    folder = tmp_path / "wordnets"
    folder.mkdir()
    with tarfile.open(folder / "omw-ja-2.0.tar.xz", "w:xz") as archive:
        archive.add(lmf(ja=["犬"]), "omw-ja/omw-ja.xml")
    with zipfile.ZipFile(folder / "english-wordnet-2025.zip", "w") as archive:
        for file in sorted(princeton.iterdir()):
            archive.write(file, f"oewn2025/{file.name}")
    with zipfile.ZipFile(folder / "notes.zip", "w") as archive:
        archive.writestr("notes.txt", "none")
    assert _read(folder, names_only=True)[0] == {"en": ["able", "galore", "a"], "ja": ["犬"]}


def test_lexicons_of_two_languages_in_one_lmf_file_are_kept_apart(lmf):
    path = lmf(en=["dog"], pt_BR=["cachorro"], als=["qen"], cmn_Hans=["狗"], sq=["mace"])
    assert _read(path)[0] == {"en": ["dog"], "pt": ["cachorro"], "sq": ["qen", "mace"], "zh": ["狗"]}


def test_reading_lmf_uses_neither_the_network_nor_the_users_home(lmf, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(socket, "socket", None)
    assert _read(lmf(en=["dog"]))[0] == {"en": ["dog"]}
    assert not list(home.iterdir())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("</LexicalResource>", ""),
        ("<!DOCTYPE", "<!DOCKIND"),
        (' partOfSpeech="n"/><Form', "/><Form"),
        ("Lemma", "Limma"),
    ],
)
def test_lmf_that_breaks_the_rules_of_its_form_is_refused(lmf, old, new):
    path = lmf(en=["dog"])
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match="wordnet.xml is not a WN-LMF"):
        _read(path)


def test_a_lexicon_is_found_wherever_it_stands_in_a_long_file(lmf):
    path = lmf(de=["Hund"] * 20_000, ja=["犬"])
    assert path.stat().st_size > 1 << 21
    assert [file.language.code for file in find([str(path)])] == ["de", "ja"]


@pytest.mark.parametrize("name", ["missing", "missing.zip", "empty", "broken.zip", "notes.txt", "page.xml", "x.tab"])
def test_what_is_no_wordnet_is_refused_by_name(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 but no more")
    (tmp_path / "notes.txt").write_text("dog")
    (tmp_path / "page.xml").write_text("<html></html>")
    (tmp_path / "x.tab").write_text("dog\tcat\n")
    with pytest.raises(InputError, match=rf"{re.escape(name)}\b.*a wordnet is a folder"):
        find([str(tmp_path / name)])


def test_an_unknown_language_is_refused_with_the_files_name(tab):
    with pytest.raises(InputError, match="wn-data-fra.tab: 'qqq' is not the code of a wordnet language"):
        find([str(tab(head="# Name\tqqq\thttp://x/\tCC BY"))])


def test_a_compressed_file_that_breaks_off_is_refused(lmf):
    path = lmf("whole.xml.gz", en=[f"word{i}" for i in range(50_000)])
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match="whole.xml.gz cannot be read"):
        find([str(path)])


def test_a_file_that_is_named_twice_is_read_once(tab):
    path = str(tab("1-n\tlemma\tchien"))
    assert len(find([path, path])) == 1


@pytest.mark.shared
def test_princetons_wordnet_gives_what_the_naive_twin_gives(shared_data):
    for file in find([str(shared_data / "wordnet" / "english")]):
        with open(file.path, encoding="utf-8") as text:
            assert lemmas(file, Counter()) == naive_dict_lemmas(text.read())


@pytest.mark.slow
@pytest.mark.shared
def test_real_tab_files_lose_only_what_is_odd(shared_data):
    files = find(str(shared_data / "wordnet" / folder) for folder in ("omw", "wiktionary"))
    assert len(files) == 32
    plain = re.compile(r"[^\W\d_]+(?:[ -][^\W\d_]+)*")
    for file in files:
        with open(file.path, encoding="utf-8") as text:
            fields = naive_tab_fields(text.read())
        tally = Counter()
        found = lemmas(file, tally)
        assert set(filter(plain.fullmatch, fields)) <= set(found)
        assert len(found) > (0.85 if file.language.code == "he" else 0.95) * len(fields)  # points tell homographs apart
        assert not [lemma for lemma in found if re.search(r"[_|{}\t]|\w\+\w|GAP|^\s|\s$", lemma)]
        assert not tally["dropped", "fields"]
