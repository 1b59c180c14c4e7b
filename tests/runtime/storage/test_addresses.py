"""URLs are stored without secrets, and opened with them, also in other processes."""

from base64 import b64encode

import pytest

from curation.inputs.files import find
from runtime import redaction
from runtime.errors import InputError
from runtime.redaction import hidden, learn, secret_addresses, with_secrets
from tests.support.http_server import Answer
from tests.support.remote_files import LINES, Ranged, contents

WORD = b64encode(b"me:word").decode()


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(redaction, "_addresses", {})


def as_user(request):
    """Answer the user `me` alone."""
    return Ranged(LINES)(request) if request.headers.get("Authorization") == f"Basic {WORD}" else Answer(401)


@pytest.mark.parametrize(
    "url",
    [
        "https://me:word@a.org/b.csv",
        "https://a.org/b.csv?part=1&sig=0f",
        "zip://b.csv::simplecache::https://me:word@a.org/c.zip?sig=0f",
    ],
)
def test_another_process_opens_what_is_hidden_once_it_has_learned_what_is_known(url, monkeypatch):
    shown, told = hidden(url), secret_addresses()
    assert with_secrets(shown) == with_secrets(url) == url != shown
    monkeypatch.setattr(redaction, "_addresses", {})
    assert with_secrets(shown) == shown
    learn(told)
    assert with_secrets(shown) == url


def test_a_file_beside_one_with_a_user_is_opened_as_the_same_user():
    hidden("https://me:word@a.org/dumps/b.bz2")
    assert with_secrets("https://a.org/dumps/b-index.bz2") == "https://me:word@a.org/dumps/b-index.bz2"
    assert with_secrets("https://a.org.evil/dumps/b") == "https://a.org.evil/dumps/b"


def test_an_input_is_known_by_its_url_without_secrets_and_read_with_them(server):
    url = server.serve("/a.jsonl", as_user).replace("://", "://me:word@")
    (source,) = find([url])
    assert source.path == f"{server.url}/a.jsonl"
    assert len(contents(source)[0]) == 4000


def test_a_new_signature_is_the_same_input_and_another_part_is_another(server):
    for query in ("?part=1&sig=0f", "?part=1&sig=1e", "?part=2&sig=0f"):
        server.serve(f"/a.jsonl{query}", Ranged(LINES))
    first, again = (find([f"{server.url}/a.jsonl?part=1&sig={signature}"]) for signature in ("0f", "1e"))
    assert first == again
    both = find([f"{server.url}/a.jsonl?part={part}&sig=0f" for part in (1, 2)])
    assert [each.path for each in both] == [f"{server.url}/a.jsonl?part={part}" for part in (1, 2)]


def test_two_urls_that_only_secrets_tell_apart_are_refused():
    with pytest.raises(
        InputError, match=r"https://a\.org/b\.csv is passed twice, with different signatures, users or keys"
    ):
        find([f"https://a.org/b.csv?sig={signature}" for signature in ("0f", "1e")])


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_an_error_of_a_server_does_not_say_them(server, status):
    (source,) = find([server.serve("/a.jsonl?sig=0f0f", Ranged(LINES))])
    server.serve("/a.jsonl?sig=0f0f", Answer(status))
    with pytest.raises((OSError, InputError), match=r"/a\.jsonl") as error:
        contents(source)
    assert "0f0f" not in str(error.value)
