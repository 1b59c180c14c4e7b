"""Only addresses of HTTP are fetched, to paths below the folder, under manners that a server accepts."""

import io

import pytest
import requests

from metadata.commands import listing
from metadata.download.fetch import Manners, fetch
from metadata.download.sources import SOURCES, Download, plan
from runtime.errors import InputError
from tests.support.downloads import one, visible
from tests.support.http_server import Answer


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/a", "http://"])
def test_a_redirect_to_anything_but_http_is_not_followed(server, tmp_path, manners, location):
    result = one(server, tmp_path, manners, Answer(302, headers={"Location": location}))
    assert (result.outcome, visible(tmp_path)) == ("failed", [])


def test_a_redirect_out_of_https_is_not_followed(monkeypatch, tmp_path, manners):
    unsafe = requests.Response()
    unsafe.url, unsafe.status_code, unsafe.raw = "http://a.org/x", 200, io.BytesIO(b"x")
    monkeypatch.setattr(requests.Session, "request", lambda *arguments, **options: unsafe)
    [result] = fetch([Download("https://a.org/x", "x")], tmp_path, manners)
    assert (result.outcome, visible(tmp_path)) == ("failed", [])
    assert "redirects to http://a.org/x" in result.reason


def test_a_redirect_in_a_circle_ends(server, tmp_path, manners):
    assert one(server, tmp_path, manners, Answer(302, headers={"Location": "/a.bin"})).outcome == "failed"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a.org/x", "//a.org/x", "https://", "http://a:b/c", "x"])
def test_only_addresses_of_http_are_mirrors(url):
    with pytest.raises(InputError, match="not a URL to download from"):
        plan(["en"], SOURCES, mirror=url)


@pytest.mark.parametrize("contact", ["a\r\nX: y", "é"])
def test_bad_manners_are_refused(contact):
    with pytest.raises(InputError, match="contact"):
        Manners(contact)


def test_a_password_of_a_mirror_is_not_told(server, tmp_path, manners):
    url = server.serve("/a", Answer(404)).replace("//", "//me:secret@")
    [result] = fetch([Download(url, "a")], tmp_path, manners)
    assert "404" in result.reason
    assert "secret" not in "".join([result.reason, *listing([result])])
