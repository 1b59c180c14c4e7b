"""Files of page views are found and recognised, and others refused together."""

import bz2
import gzip
import random

import pytest

from metadata import InputError
from metadata.wikipedia import pageviews


def test_files_of_another_kind_are_refused_together_by_their_first_lines(tmp_path):
    (tmp_path / "a.gz").write_bytes(b"not gzip")
    (tmp_path / "b.txt").write_text("url,text\nhttp://x/1.jpg,A dog on the grass beside a lake\n")
    (tmp_path / "c.bz2").write_bytes(bz2.compress(b"en Dog many 0\n"))
    (tmp_path / "d.gz").write_bytes(gzip.compress(b"en Dog 5 0\n"))
    with pytest.raises(InputError, match=r"a\.gz, \S+b\.txt, \S+c\.bz2; expected"):
        pageviews.find([str(tmp_path)])


def test_of_many_files_of_another_kind_some_are_named(tmp_path):
    for number in range(12):
        (tmp_path / f"{number:02}.txt").write_text("no page views")
    with pytest.raises(InputError, match=r"09\.txt and 2 more; expected"):
        pageviews.find([str(tmp_path)])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"en Dog 5 0",
        b"rest of a line\nen Dog 5 0\n",
        b"commons.m Dog 5 0\n",
        b"en.wikipedia ABC 207485 desktop 225 A12\n",
    ],
)
def test_a_file_of_page_views_is_recognised_by_a_line_at_its_beginning(tmp_path, content):
    path = tmp_path / "views"
    path.write_bytes(content)
    assert pageviews.find([str(tmp_path)]) == [str(path)]


def test_a_compressed_file_that_breaks_off_is_recognised_too(tmp_path):
    lines = b"".join(f"en Title_{random.Random(i).random()} {i + 1} 0\n".encode() for i in range(1_000))
    (tmp_path / "views.gz").write_bytes(gzip.compress(lines)[:-1_000])
    assert len(pageviews.find([str(tmp_path)])) == 1
