"""Hostile names of files, columns, classes and more act neither on a terminal nor in what commands write."""

import json
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from curation.commands import clip_verify as verify
from curation.language.engines import Identifier
from curation.plugins.export import clip_export as export
from curation.plugins.gate.options import GateOptions
from curation.plugins.hashing import clip_hash as hash_images
from curation.plugins.report_sections.alignment import read_classes
from curation.plugins.tars.headers import told
from runtime.console import command
from tests.support.finished_run import finished_run, image
from tests.support.hostile_strings import ACTING, EVERY, in_a_name
from tests.support.without_spark import without_spark

NAMES = [in_a_name(text) for text in EVERY]


@pytest.fixture
def require_plain(capsys):
    """Call a function as a command does; fail if it says more lines, or anything that acts on a terminal."""

    def require_plain(call, lines: int = 1) -> None:
        capsys.readouterr()
        with suppress(SystemExit), command("it"):
            call()
        out, err = capsys.readouterr()
        assert ACTING.findall(out + err) == []
        assert "Traceback" not in err
        assert len(err.splitlines()) <= lines, err

    return require_plain


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_of_a_file(name, require_plain, tmp_path):
    folder = tmp_path / f"a{name}"
    folder.mkdir()
    (folder / f"{name}.tar").write_bytes(b"no tar")
    with without_spark():
        require_plain(lambda: hash_images.main(["--input", str(folder), "--output", str(tmp_path / "out")]), lines=3)
    require_plain(lambda: verify.main([str(folder)]))
    require_plain(lambda: export.main([str(folder), "--format", "huggingface", "--output", str(tmp_path / "card")]))
    assert len(told({str(folder / name): "is cut"}, 2)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_of_a_run_in_a_card(name, tmp_path):
    run = finished_run(tmp_path / f"a{name}", [image(number) for number in range(9)])
    export.main([str(run.path), "--format", "huggingface", "--output", str(tmp_path / "card")])
    front = (tmp_path / "card" / "README.md").read_text("utf-8").split("---\n")[1]
    described = json.loads((tmp_path / "card" / "croissant.json").read_text("utf-8"))
    assert yaml.safe_load(front)["pretty_name"] == described["name"] == f"a{name}"


@pytest.mark.parametrize("text", EVERY, ids=range(len(EVERY)))
def test_of_columns_policies_classes_languages_and_models(text, require_plain, tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array(["a"])] * 2, ["uid", text]), path)
    require_plain(lambda: GateOptions(images=[[str(path)]], keep="nope > 1").find())
    require_plain(lambda: GateOptions(images=[[str(path)]], keep=f"{text} > (").find())
    require_plain(lambda: GateOptions(policy=[text]).find())
    (tmp_path / "classes.json").write_text(json.dumps({text: 1}))
    require_plain(lambda: read_classes([f"en={tmp_path / 'classes.json'}"]))
    require_plain(lambda: read_classes([f"{text}=x"]))
    require_plain(lambda: Identifier.open(tmp_path / f"a{in_a_name(text)}"))
