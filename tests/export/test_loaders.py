"""The two loaders of Meta CLIP find the texts and the probabilities of a run, for each tar."""

import csv
import json
import tarfile
from collections import Counter
from pathlib import Path
from random import Random
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.export.clip_export import main
from curation.plugins.export.formats import export
from curation.plugins.export.metaclip import MetaClip, local_ids, metaclip_key, of_list, threshold_of
from curation.schemas import CANDIDATE
from runtime.errors import InputError
from runtime.folders.descriptor import DESCRIPTOR
from tests.naive.loaders import FirstLoader, SecondLoader, naive_key
from tests.naive.sampling import naive_keep_probability
from tests.support.downloaded import matched
from tests.support.finished_run import LISTS, image, write_parts
from tests.support.in_turn import in_turn
from tests.support.meta_clip_tars import placed
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
    return FirstLoader(written / "text_probabilities", written.parent / "first")


def second(written: Path, t: str = "5") -> SecondLoader:
    return SecondLoader(written / "text_entries", written.parent / "second", t)


def test_names_are_those_that_the_loaders_open(written, run):
    assert {path.relative_to(written).as_posix() for path in written.rglob("[!.]*") if path.is_file()} == {
        "text_probabilities/0/0.json",
        "text_probabilities/99/1999.json",
        "text_probabilities/21/4321.json",
        "text_entries/0/0.json",
        "text_entries/0/1999.json",
        "text_entries/4000/4321.json",
        "text_entries/per_lang_t/5_en.npy",
        "text_entries/per_lang_t/5_ja.npy",
        "text_entries/per_lang_t/5_no.npy",
        "names.csv",
        "keys.parquet",
        DESCRIPTOR,
    }


def test_keys_are_those_of_samples_with_texts_in_the_order_of_the_tar(written, tars, run):
    known = {row["uid"] for row in run.images}
    for tar in tars:
        keys = [key for key, uid in uids_of(tar).items() if uid in known]
        assert [*first(written).texts(int(tar.stem))] == [*second(written).texts(int(tar.stem))] == keys


def test_the_first_loader_s_keys_have_no_dot_and_slash_before_them(run, tmp_path):
    (tmp_path / "images").mkdir()
    keys = ["./a", "b", "./c/d"]
    tar = tmp_path / "images" / "7.tar"
    write_tar(tar, [row | {"key": key} for row, key in zip(run.images, keys, strict=False)])
    export(in_turn(), run.path, tmp_path / "out", MetaClip([tar]))
    placed([tar], tmp_path)
    assert [*first(tmp_path / "out").texts(7)] == first(tmp_path / "out").keys(7) == ["a", "b", "c/d"]
    assert [*second(tmp_path / "out").texts(7)] == second(tmp_path / "out").keys(7) == keys


def test_texts_are_those_of_the_image_with_their_probability_or_their_entries(written, tars, run):
    images, rates = {row["uid"]: row for row in run.images}, run.rates.tolist()
    starts = {code: sum(len(LISTS[each]) for each in [*LISTS][:place]) for place, code in enumerate(LISTS)}
    for tar in tars:
        uids, of_second = uids_of(tar), second(written).texts(int(tar.stem))
        for key, of_first in first(written).texts(int(tar.stem)).items():
            texts = images[uids[key]]["candidates"]
            probabilities = [naive_keep_probability(each["entries"], rates) for each in texts]
            assert [text for text, _ in of_first] == [each["text"] for each in texts]
            assert [probability for _, probability in of_first] == pytest.approx(probabilities)
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


@pytest.mark.slow
@pytest.mark.parametrize("loader", [first, second])
def test_what_a_loader_keeps_agrees_with_our_probabilities(written, tars, run, loader):
    """Chi-square over images, each kept or not in many epochs; its mean is 1 a degree of freedom."""
    epochs, chance, found = 200, Random(1), Counter()
    placed(tars, written.parent)
    for tar in tars:
        uids = uids_of(tar)
        for _ in range(epochs):
            found.update(uids[key] for key in loader(written).kept(int(tar.stem), chance))
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
    assert rows == [{"uid": row["uid"], "key": naive_key(row["url"])} for row in run.images]


def test_keys_are_made_from_urls_without_blanks_and_tabs():
    url = "https://a.example.org/my dog.jpg"
    assert naive_key(url) == metaclip_key(url) == "cb17bb8cfe21ab85bcacdb4a"
    assert metaclip_key(" http://é.example/a\tb\u00a0c ") == naive_key("http://é.example/ab\u00a0c")


def test_a_run_without_english_has_the_t_of_its_first_language_in_all_names():
    languages = {"ja": slice(0, 1), "no": slice(1, 2)}
    run = SimpleNamespace(languages=languages, facts={"languages": {"no": {"t": 3}, "ja": {"t": 7}, "en": {"t": 1}}})
    assert threshold_of(run) == 7


def test_tars_without_a_number_or_with_the_same_one_are_refused(run, tars, tmp_path):
    tars[0].rename(tars[0].with_name("first.tar"))
    with pytest.raises(InputError, match="the name of .* is not a number"):
        export(in_turn(), run.path, tmp_path / "out", MetaClip([tars[0].parent]))
    (tmp_path / "other").mkdir()
    write_tar(tmp_path / "other" / tars[1].name, run.images[:2])
    with pytest.raises(InputError, match="2 tars are called 01999.tar"):
        export(in_turn(), run.path, tmp_path / "out", MetaClip([tars[1], tmp_path / "other"]))
    (tmp_path / "other" / tars[1].name).rename(tmp_path / "other" / "1999.tar")
    with pytest.raises(
        InputError, match="01999.tar and .*1999.tar have the same number, so their JSON files would have"
    ):
        export(in_turn(), run.path, tmp_path / "out", MetaClip([tars[1], tmp_path / "other"]))


def test_tars_of_another_download_are_refused(run, tmp_path):
    (tmp_path / "others").mkdir()
    write_tar(tmp_path / "others" / "00000.tar", OTHERS)
    with pytest.raises(InputError, match="none of the samples in 1 tar is among the images of"):
        export(in_turn(), run.path, tmp_path / "out", MetaClip([tmp_path / "others"]))
    assert not (tmp_path / "out").exists()


def test_tars_are_refused_where_no_loader_is_written_for(run, tars, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(run.path), "--output", str(tmp_path / "out"), "--format", "datacomp", "--tars", str(tars[0])])
    assert "only the formats metaclip and webdataset read --tars" in capsys.readouterr().err


def test_images_that_failed_the_gate_have_no_texts(run, tars, tmp_path):
    facts = json.loads((run.path / "run.json").read_text("utf-8"))
    write_parts(run.path / "gated", matched(run.images[:10]), files=2)
    facts["rows"] |= {"gated": 10}
    (run.path / "run.json").write_text(json.dumps(facts), "utf-8")
    export(in_turn(), run.path, tmp_path / "out", MetaClip(tars))
    for tar in tars:
        uids = uids_of(tar)
        with_texts = {uids[key] for key in first(tmp_path / "out").texts(int(tar.stem))}
        assert with_texts == {row["uid"] for row in run.images[:10]} & set(uids.values())


def test_an_empty_tar_gives_an_empty_object(run, tmp_path):
    (tmp_path / "images").mkdir()
    write_tar(tmp_path / "images" / "00000.tar", [])
    write_tar(tmp_path / "images" / "00001.tar", run.images)
    export(in_turn(), run.path, tmp_path / "out", MetaClip([tmp_path / "images"]))
    assert first(tmp_path / "out").texts(0) == second(tmp_path / "out").texts(0) == {}


def test_texts_of_all_languages_are_of_the_one_list_where_there_is_one():
    texts = pa.array([{"text": "é", "language": code, "entries": [1]} for code in ("en", "ja", None)], CANDIDATE)
    of_other = of_list(texts, "other")
    assert of_other.field("language").to_pylist() == ["other"] * 3
    assert local_ids(of_other, {"other": slice(0, 3)}).to_pylist() == [[1]] * 3
    assert of_list(texts, None) is texts
