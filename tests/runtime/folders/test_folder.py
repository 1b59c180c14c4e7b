"""Which folders a command may continue, replace or must leave."""

import pytest

from runtime.errors import InputError
from runtime.folders.descriptor import Kind
from runtime.folders.folder import STAMPS, Wanted
from runtime.storage.json_files import write_json
from runtime.storage.listing import CLAIM
from runtime.storage.whole import WORK

KIND = Kind("lists of URLs", "list-urls")


@pytest.fixture
def claimed_folder(tmp_path):
    """Return a folder in which a command was killed before a task had finished; as at a URL, files are in place."""
    (tmp_path / "urls").mkdir()
    (tmp_path / "urls" / "0.parquet").write_bytes(b"of a task without a stamp")
    (tmp_path / WORK).mkdir()
    write_json(tmp_path / WORK / CLAIM, KIND.claim({"run": "one"}))
    return tmp_path


def test_another_description_takes_over_a_folder_in_which_no_task_has_finished(claimed_folder):
    Wanted(KIND, {"run": "other"}).require_usable(claimed_folder)


def test_another_description_is_refused_once_a_task_has_finished(claimed_folder):
    stamps = claimed_folder / WORK / f"urls{STAMPS}"
    stamps.mkdir()
    write_json(stamps / "_0.json", {})
    with pytest.raises(
        InputError, match=r"holds lists of URLs made differently \(run one, not other\); specify another"
    ):
        Wanted(KIND, {"run": "other"}).require_usable(claimed_folder)
    Wanted(KIND, {"run": "one"}).require_usable(claimed_folder)
