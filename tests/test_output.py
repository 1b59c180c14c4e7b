"""The output folder: whose it is, what is refused, and that a part with its name is whole."""

import json

import pytest

from curation.output import Output
from metadata import InputError
from metadata.tallies import Tallies

DESCRIPTION = {"inputs": ["a.wat.gz"], "rules": "unicode"}


def with_matched(path) -> Output:
    output = Output.claim(path, DESCRIPTION)
    (output.parts.begin("matched") / "00000.parquet").write_text("rows")
    output.finish_matched(Tallies([{"name": "images", "language": None, "value": 7}]))
    return output


def test_matched_images_of_the_same_description_are_used_again(tmp_path):
    with_matched(tmp_path / "out")
    assert Output.claim(tmp_path / "out", DESCRIPTION).matched_tallies()["images"] == 7


def test_matched_images_of_an_unfinished_run_are_not_used(tmp_path):
    output = Output.claim(tmp_path / "out", DESCRIPTION)
    (output.parts.begin("matched") / "00000.parquet").write_text("some of the rows")
    again = Output.claim(tmp_path / "out", DESCRIPTION)
    assert again.matched_tallies() is None
    assert list(again.parts.begin("matched").iterdir()) == []


def test_another_description_is_refused_and_names_what_differs(tmp_path):
    with_matched(tmp_path / "out")
    with pytest.raises(InputError, match=r"holds another run \(other rules\).*--overwrite"):
        Output.claim(tmp_path / "out", DESCRIPTION | {"rules": "meta"})
    assert (tmp_path / "out" / "matched" / "00000.parquet").exists()


def test_overwrite_removes_the_other_run_and_nothing_else(tmp_path):
    with_matched(tmp_path / "out")
    (tmp_path / "out" / "thesis.txt").write_text("dear to someone")
    output = Output.claim(tmp_path / "out", DESCRIPTION | {"rules": "meta"}, overwrite=True)
    assert output.matched_tallies() is None
    assert (tmp_path / "out" / "thesis.txt").exists()
    assert not (tmp_path / "out" / "matched").exists()


def test_a_part_takes_the_place_of_the_earlier_one_when_it_is_finished(tmp_path):
    output = Output.claim(tmp_path / "out", DESCRIPTION)
    for content in ("first", "second"):
        (output.parts.begin("curated") / "00000.parquet").write_text(content)
        output.parts.finish("curated")
    assert [path.read_text() for path in (tmp_path / "out" / "curated").iterdir()] == ["second"]


def test_files_of_another_version_are_refused(tmp_path):
    with_matched(tmp_path / "out")
    stamp = tmp_path / "out" / "matched" / "_made_from.json"
    stamp.write_text(json.dumps(json.loads(stamp.read_text()) | {"version": 0}))
    with pytest.raises(InputError, match="version of this program"):
        Output.claim(tmp_path / "out", DESCRIPTION)


@pytest.mark.parametrize("path", ["s3://bucket/out", "hdfs://name/out"])
def test_a_url_is_refused(path):
    with pytest.raises(InputError, match="give a local folder"):
        Output.claim(path, DESCRIPTION)


def test_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="is a file"):
        Output.claim(tmp_path / "out", DESCRIPTION)
