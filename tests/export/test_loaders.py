"""The two loaders of Meta CLIP find the texts and the probabilities of a run, for each tar."""

import csv
import json
import tarfile
from collections import Counter
from hashlib import sha224
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.commands.export import main
from curation.export.forms import export
from curation.export.loaders import local_ids, of_list
from curation.export.metaclip import MetaClip
from curation.schemas import CANDIDATE
from runtime.errors import InputError
from tests.naive.loaders import FirstLoader, SecondLoader
from tests.naive.sampling import naive_keep_probability
from tests.support.downloaded import matched
from tests.support.finished_run import LISTS, image, write_parts
from tests.support.in_turn import in_turn
from tests.support.online_run import write_tar

NUMBERS = {"00000": range(0, 25), "01999": range(25, 40), "04321": range(40, 60)}
OTHERS = [image(number) for number in range(90, 93)]  # in the tars, but in no run


@pytest.fixture
def tars(run, tmp_path) -> list[Path]:
    """Tars of all images of the run and of some others, in an order that is drawn."""
    (tmp_path / "images").mkdir()
    for stem, other in zip(NUMBERS, OTHERS, strict=True):
        rows = [*(run.images[number] for number in NUMBERS[stem]), other]
        Random(stem).shuffle(rows)
        write_tar(tmp_path / "images" / f"{stem}.tar", rows)
    return sorted((tmp_path / "images").iterdir())


@pytest.fixture
def written(run, tars, tmp_path) -> Path:
    export(in_turn(), run.path, tmp_path / "out", MetaClip([tars[0].parent]))
    return tmp_path / "out"


def uids_of(tar: Path) -> dict[str, str]:
    """Return the uid of each key of a tar, in its order."""
    with tarfile.open(tar) as file:
        members = [member for member in file if member.name.endswith(".json")]
        return {member.name[:-5]: json.load(file.extractfile(member))["uid"] for member in members}


def names_in(written: Path) -> list[dict]:
    with (written / "names.csv").open(encoding="utf-8", newline="") as file:
        return [*csv.DictReader(file)]


def first(written: Path) -> FirstLoader:
    return FirstLoader(written / "text_probabilities")


def second(written: Path) -> SecondLoader:
    t_of = {row["name"]: row["t"] for row in names_in(written)}
    return SecondLoader(written / "text_entries", written / "entry_probabilities", t_of)


def test_folders_are_named_by_the_number_of_the_tar(written):
    for loader in ("text_probabilities", "text_entries"):
        found = [path.relative_to(written / loader).as_posix() for path in (written / loader).rglob("*.json")]
        assert sorted(found) == ["0/00000.json", "0/01999.json", "4000/04321.json"]
    assert {path.name for path in written.iterdir()} == {
        "entry_probabilities", "keys.parquet", "names.csv", "text_entries", "text_probabilities",
    }  # fmt: skip


def test_keys_are_those_of_the_tar_in_its_order(written, tars):
    for tar in tars:
        assert [*first(written).texts(tar)] == [*second(written).texts(tar)] == [*uids_of(tar)]


def test_texts_are_those_of_the_image_with_their_probability_or_their_entries(written, tars, run):
    images, rates = {row["uid"]: row for row in run.images}, run.rates.tolist()
    starts = {code: sum(len(LISTS[each]) for each in [*LISTS][:place]) for place, code in enumerate(LISTS)}
    for tar in tars:
        of_first, of_second = first(written).texts(tar), second(written).texts(tar)
        for key, uid in uids_of(tar).items():
            texts = images[uid]["candidates"] if uid in images else []
            probabilities = [naive_keep_probability(each["entries"], rates) for each in texts]
            assert [text for text, _ in of_first[key]] == [each["text"] for each in texts]
            assert [probability for _, probability in of_first[key]] == pytest.approx(probabilities)
            assert of_second[key] == [
                [each["text"], each["language"], [id - starts[each["language"]] for id in each["entries"]]]
                for each in texts
            ]


def test_arrays_hold_the_rate_of_each_entry(written, run):
    loader, begin = second(written), 0
    for code, entries in LISTS.items():
        array = loader.probabilities(code)
        assert array.dtype == np.float32
        assert array.tolist() == run.rates[begin : begin + len(entries)].tolist()
        begin += len(entries)


@pytest.mark.parametrize("loader", [first, second])
def test_what_a_loader_keeps_agrees_with_our_probabilities(written, tars, run, loader):
    """Chi-square over images, each kept or not in many epochs; its mean is 1 a degree of freedom."""
    epochs, chance, found = 200, Random(1), Counter()
    for tar in tars:
        uids = uids_of(tar)
        for _ in range(epochs):
            found.update(uids[key] for key in loader(written).kept(tar, chance))
    rates, square, freedom = run.rates.tolist(), 0.0, 0
    for row in run.images:
        each = [naive_keep_probability(text["entries"], rates) for text in row["candidates"]]
        p = sum(each) / len(each)
        if p < 1:
            square += (found[row["uid"]] - epochs * p) ** 2 / (epochs * p * (1 - p))
            freedom += 1
        else:
            assert found[row["uid"]] == epochs
    assert freedom > 20
    assert abs(square - freedom) < 4 * (2 * freedom) ** 0.5
    assert not any(found[row["uid"]] for row in OTHERS)


def test_the_key_of_meta_clip_s_own_tars_stands_beside_the_uid(written, run):
    rows = pq.read_table(written / "keys.parquet").to_pylist()
    assert rows == [{"uid": row["uid"], "key": sha224(row["url"].encode()).hexdigest()[:24]} for row in run.images]


def test_names_of_languages_and_thresholds_are_those_of_a_table(run, tars, tmp_path):
    (tmp_path / "names.csv").write_text("language,name,t\nen,eng_Latn,20k\nja,jpn_Jpan,\n", "utf-8")
    flags = ["--format", "metaclip", "--tars", *map(str, tars), "--names", str(tmp_path / "names.csv")]
    main([str(run.path), "--output", str(tmp_path / "out"), *flags])
    t = {row["language"]: row["t"] for row in names_in(tmp_path / "out")}
    found = {path.name for path in (tmp_path / "out" / "entry_probabilities").iterdir()}
    assert found == {"20k_eng_Latn.npy", f"{t['ja']}_jpn_Jpan.npy", f"{t['no']}_no.npy"}
    named = {language for texts in second(tmp_path / "out").texts(tars[0]).values() for _, language, _ in texts}
    assert named == {"eng_Latn", "jpn_Jpan", "no"}


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ("language,name\nxx,french\n", "names xx, of which the run has no entries; it has en, ja, no"),
        ("language,name\nen,a/b\n", "'a/b' cannot be part of a file's name"),
        ("language,name\nen,ja\n", "two languages have one name"),
        ("code,name\nen,english\n", "has the columns code, name; give language, name, t"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(run, tars, tmp_path, table, fault):
    (tmp_path / "names.csv").write_text(table, "utf-8")
    with pytest.raises(InputError, match=fault):
        export(in_turn(), run.path, tmp_path / "out", MetaClip(tars, tmp_path / "names.csv"))
    assert not (tmp_path / "out").exists()


def test_tars_without_a_number_or_with_the_same_one_are_refused(run, tars, tmp_path):
    tars[0].rename(tars[0].with_name("first.tar"))
    with pytest.raises(InputError, match="has no number for a name"):
        export(in_turn(), run.path, tmp_path / "out", MetaClip([tars[0].parent]))
    (tmp_path / "other").mkdir()
    write_tar(tmp_path / "other" / tars[1].name, run.images[:2])
    with pytest.raises(InputError, match="2 tars are called 01999.tar"):
        export(in_turn(), run.path, tmp_path / "out", MetaClip([tars[1], tmp_path / "other"]))


def test_tars_are_refused_where_no_loader_is_written_for(run, tars, tmp_path, capsys):
    for flags, fault in (
        (["--format", "datacomp", "--tars", str(tars[0])], "tars are for the formats mds, metaclip and webdataset"),
        (["--format", "metaclip", "--names", "names.csv"], "names are for what metaclip writes of tars"),
    ):
        with pytest.raises(SystemExit):
            main([str(run.path), "--output", str(tmp_path / "out"), *flags])
        assert fault in capsys.readouterr().err


def test_images_that_failed_the_gate_have_no_texts(run, tars, tmp_path):
    facts = json.loads((run.path / "run.json").read_text("utf-8"))
    write_parts(run.path / "gated", matched(run.images[:10]), files=2)
    facts["rows"] |= {"gated": 10}
    (run.path / "run.json").write_text(json.dumps(facts), "utf-8")
    export(in_turn(), run.path, tmp_path / "out", MetaClip(tars))
    for tar in tars:
        uids = uids_of(tar)
        with_texts = {uids[key] for key, texts in first(tmp_path / "out").texts(tar).items() if texts}
        assert with_texts == {row["uid"] for row in run.images[:10]} & set(uids.values())


def test_an_empty_tar_gives_an_empty_object(run, tmp_path):
    (tmp_path / "images").mkdir()
    write_tar(tmp_path / "images" / "00000.tar", [])
    export(in_turn(), run.path, tmp_path / "out", MetaClip([tmp_path / "images"]))
    assert first(tmp_path / "out").texts(Path("00000.tar")) == {}


def test_texts_of_all_languages_are_of_the_one_list_where_there_is_one():
    texts = pa.array([{"text": "é", "language": code, "entries": [1]} for code in ("en", "ja", None)], CANDIDATE)
    of_other = of_list(texts, "other")
    assert of_other.field("language").to_pylist() == ["other"] * 3
    assert local_ids(of_other, {"other": slice(0, 3)}).to_pylist() == [[1]] * 3
    assert of_list(texts, None) is texts
