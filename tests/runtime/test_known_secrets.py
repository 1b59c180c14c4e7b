"""The secrets of the addresses that a process was given are in nothing that it shows, however a library spells them."""

import json
import random
import string
import traceback
from base64 import b64encode
from urllib.parse import quote, quote_plus, unquote

import pytest

from runtime import redaction, terminal
from runtime.errors import InputError, ParameterError, without_secrets
from runtime.redaction import hidden, learn, note, redacted, secret_addresses

ALPHABETS = (string.hexdigits, string.ascii_letters + string.digits + "+/", string.ascii_lowercase, "abYZ09'é ~!$")
NAMES = ("X-Amz-Signature", "sig", "Signature", "access_token", "X-Amz-Security-Token", "api_key", "password", "jwt")
HOSTS = ("a.org", "bucket", "[2001:db8::1]", "[::1]:8080", "10.0.0.1:9000", "bücher.example")
FORMS = (str, quote, quote_plus, lambda text: quote(text, safe=""), lambda text: quote(quote(text, safe=""), safe=""))


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    for name in ("_addresses", "_values"):
        monkeypatch.setattr(redaction, name, {})
    monkeypatch.setattr(redaction, "_unread", [])


def secret(chance: random.Random) -> str:
    """Return a random secret, with a digit in the middle so that it is no word, and as base64 ends."""
    alphabet, size = chance.choice(ALPHABETS), chance.choice([4, 5, 7, 19, 39])
    first, last = ("".join(chance.choices(alphabet, k=size // 2 + 1)).strip() or "xy" for _ in range(2))
    return f"{first}{chance.randrange(10)}{last}{'=' * chance.choice([0, 0, 1, 2])}"


def given(chance: random.Random) -> tuple[str, list[str]]:
    """Return an address with secrets in one or more of the places that a URL has, and these secrets."""
    user, word, value, end = (secret(chance) for _ in range(4))
    escape = chance.choice(FORMS[3:])
    host, scheme = chance.choice(HOSTS), chance.choice(["https", "s3", "ftp", "simplecache::https", "git", "webdav"])
    beginning, secrets = chance.choice(
        [
            (f"{scheme}://{escape(user)}:{escape(word)}@{host}/b/c.csv", [user, word]),
            (f"{scheme}://{escape(user)}@{host}/b/c.csv", [user]),
            (f"{scheme}://:{escape(word)}@{host}", [word]),
            (f"s3://{user.replace('/', '')}:{word}@bucket/in", [user.replace("/", ""), word]),
            (f"s3:{quote(user, safe='')}:{escape(word)}@b/in", [user, word]),
            (f"{scheme}://{host}/b", []),
        ]
    )
    query = f"?part=1&{chance.choice(NAMES)}={escape(value)}&Expires=99" if chance.random() < 0.7 else ""
    fragment = f"#access_token={escape(end)}" if chance.random() < 0.3 else ""
    secrets = [*secrets, *([value] if query else []), *([end] if fragment else [])]
    return chance.choice([*[str] * 4, *FORMS])(beginning + query + fragment), secrets


def shown_by_libraries(address: str, secrets: list[str]) -> list[str]:
    """Return what libraries say of an address and its parts."""
    rest = unquote(unquote(address)).partition("://")[2] or address
    spellings = [form(each) for each in (address, rest) for form in FORMS]
    parts = [form(each) for each in secrets for form in FORMS]
    both = b64encode(":".join(secrets[:2]).encode()).decode()
    return [
        *(f"{each} cannot be read" for each in spellings),
        *(f'Invalid bucket name "{each}": expected' for each in (*spellings, *parts)),
        *(f"GET /b%3FX-Amz-Signature%3D{each} (Caused by ...)" for each in parts),
        *(f"the key {each!r} is not known, headers {json.dumps({'a': each})}" for each in parts),
        *([f"Authorization: Basic {both}"] if address.count("@") and "://" in address and len(secrets) > 1 else []),
    ]


def naively_in(secret: str, text: str) -> bool:
    """Say whether a text has a secret in any spelling."""
    for _ in range(6):
        if any(
            form(secret).lower() in text.lower() for form in (str, quote, quote_plus, lambda each: repr(each)[1:-1])
        ):
            return True
        text = unquote(text)
    return False


@pytest.mark.slow
def test_none_of_a_thousand_random_addresses_shows_a_secret(capsys):
    chance, checked = random.Random(37), 0
    for _ in range(1000):
        address, secrets = given(chance)
        redaction._values.clear()
        note(address)
        texts = chance.sample(shown_by_libraries(address, secrets), 15)
        terminal.say(text := chance.choice(texts))
        said = [*map(redacted, texts), str(InputError(text)), str(ParameterError(text, "a")), capsys.readouterr().err]
        said += [hidden(address)] if "://" in address else []
        assert not [(each, line) for each in secrets for line in said if naively_in(each, line)], address
        checked += len(secrets) * len(said)
    assert checked > 25_000


def test_sentences_stay_as_they_are_whatever_the_secrets():
    chance = random.Random(37)
    for _ in range(1000):
        note(given(chance)[0])
    sentence = "the input data holds 20,000 rows of 3 files: https://a.org/b/c.csv?part=1 (s3://bucket/in) is read"
    assert redacted(sentence) == sentence


@pytest.mark.parametrize(
    ("address", "text", "shown"),
    [
        ("s3://KEY:SECRET@bucket/in", 'Invalid bucket name "KEY:SECRET@bucket"', 'Invalid bucket name "***@bucket"'),
        ("https://a.org/b?X-Amz-Signature=0f0f0f", "/b%3FX-Amz-Signature%3D0f0f0f", "/b"),
        ("https://a.org/b?sig=d00d", "no d00d, 'd00d', %253Dd00d; 1d00d2", "no ***, '***', %253D***; 1d00d2"),
        ("https://a.org/b?X-Amz-SignedHeaders=host;range&X-Amz-Signature=0f", "the host='a'", "the host='a'"),
        ("https://data:word@a.org/b", "data: a word of the data; user 'data'", "data: a word of the data; user '***'"),
        ("https://me:pw@a.org/b", "some pw of me, host me:pw@a.org", "some pw of me, host ***@a.org"),
        ("https://a.org/b?sig=0f", "0f0f, 0f; sig=0f, b?Sig%3D0f", "0f0f, 0f; ***, b"),
    ],
)
def test_a_secret_is_hidden_where_it_is_one(address, text, shown):
    hidden(address)
    assert redacted(text) == shown


@pytest.mark.parametrize("address", ["s3:KEY:SECRET@b", "git://me:SECRET@h/x", "/home/git:/me:SECRET@h/x"])
def test_an_address_of_another_form_is_hidden_in_a_text(address):
    assert "SECRET" not in redacted(f"{address} does not exist")


def test_a_worker_hides_what_it_has_learned(monkeypatch):
    hidden("https://a.org/b?sig=d00dfeed")
    told = secret_addresses()
    nothing = {"_addresses": {}, "_values": {}, "_unread": []}
    for name, value in nothing.items():
        monkeypatch.setattr(redaction, name, value)
    assert redacted("xd00dfeed") == "xd00dfeed"
    learn(told)
    assert redacted("xd00dfeed") == "x***"


def test_the_trace_of_an_error_does_not_say_a_secret_alone():
    hidden("https://a.org/b?sig=d00dfeed")
    shown = without_secrets(KeyError("d00dfeed"))
    assert "d00dfeed" not in "".join(traceback.format_exception(shown))
