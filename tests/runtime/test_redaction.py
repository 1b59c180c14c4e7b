"""URLs are shown, in texts and alone, without what grants access, and with all that says which object they are of."""

import pickle
import traceback

import pytest

from runtime.errors import InputError, ParameterError, without_secrets
from runtime.redaction import redacted

SIGNED = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20260101&X-Amz-Expires=60&X-Amz-Signature=0f"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:word@a.org:80/b.csv", "https://a.org:80/b.csv"),
        ("https://me@a.org/b@c.csv", "https://a.org/b@c.csv"),
        ("ftp://me:w@rd@a.org/b", "ftp://a.org/b"),
        ("https://me:w/rd@a.org/b", "https://a.org/b"),
        ("s3://KEY:SECRET@bucket/b", "s3://bucket/b"),
        ("http:/me:word@a.org/b", "http:/a.org/b"),
        ("simplecache::https://me:word@a.org/b", "simplecache::https://a.org/b"),
        ("zip://b.csv::https://me:word@a.org/c.zip?token=0f", "zip://b.csv::https://a.org/c.zip"),
        (f"https://a.org/b.csv?{SIGNED}", "https://a.org/b.csv"),
        (f"https://a.org/b.csv?versionId=7&{SIGNED}&x-id=GetObject", "https://a.org/b.csv?versionId=7&x-id=GetObject"),
        ("https://a.org/b?X-Goog-Signature=0f&generation=5", "https://a.org/b?generation=5"),
        ("https://a.org/b?AWSAccessKeyId=K&Expires=1&Signature=0f%3D", "https://a.org/b"),
        ("https://a.org/b?Policy=e30_&Signature=0f~&Key-Pair-Id=K", "https://a.org/b"),
        ("https://a.org/b?GoogleAccessId=g&Expires=1&Signature=0f", "https://a.org/b"),
        ("https://a.org/b?OSSAccessKeyId=K&Expires=1&Signature=0f", "https://a.org/b"),
        ("https://a.org/b?q-sign-algorithm=sha1&q-ak=K&q-signature=0f", "https://a.org/b"),
        ("https://a.org/b?sv=2024-11-04&st=1&se=2&sr=b&sp=r&sig=0f%3D&snapshot=3", "https://a.org/b?snapshot=3"),
        ("abfs://box@a.dfs.core.windows.net/b?sig=0f", "abfs://box@a.dfs.core.windows.net/b"),
        ("github://org:repo@main/b.csv", "github://org:repo@main/b.csv"),
        ("https://a.org/b?access_token=0f", "https://a.org/b"),
        ("https://a.org/b?part=1&api-key=0f#c", "https://a.org/b?part=1#c"),
        ("https://a.org/b?%73ig=0f;part=1", "https://a.org/b?part=1"),
        ("https://a.org/b#access_token=0f", "https://a.org/b"),
        ("https://a.org/b?key=AIzaSyA1234567890abcdefghijklmnopqrstuvw", "https://a.org/b"),
        ("https://a.org/b?x=eyJhbGciOi.eyJzdWIi.c2ln", "https://a.org/b"),
    ],
)
def test_what_grants_access_is_not_shown(url, shown):
    assert redacted(url) == shown == redacted(shown)


@pytest.mark.parametrize(
    "url",
    [
        "https://a.org:8080/b@c/d:e@f.csv",
        "http://[::1]:80/b@c.csv",
        "https://a.org/get?id=3&key=b.csv&author=me&design=2&st=TX&expires=never&pageToken=7&tokenizer=x&v=",
        "https://a.org/b?sig=",
        "s3://bucket/part-0000?.parquet",
        "zip://*.csv::/data/a.zip",
        "/data/a?sign.csv",
        "hf://datasets/me/b@main/c.parquet",
    ],
)
def test_what_says_which_object_it_is_stays(url):
    assert redacted(url) == url


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET https://me:word@a.org/b failed (see /c)", "GET https://a.org/b failed (see /c)"),
        ("401, message='No', url='http://a.org/b?sig=0f&part=1'", "401, message='No', url='http://a.org/b?part=1'"),
        (
            "Max retries exceeded with url: /b?X-Amz-Signature=0f (Caused by",
            "Max retries exceeded with url: /b (Caused by",
        ),
        ('{"path": "https://a.org/b?token=0f", "size": 1}', '{"path": "https://a.org/b", "size": 1}'),
    ],
)
def test_errors_of_libraries_are_shown_without_it(text, shown):
    assert redacted(text) == shown


def test_refusals_never_say_it():
    error = InputError("https://me:word@a.org/b does not exist")
    assert str(error) == str(pickle.loads(pickle.dumps(error))) == "https://a.org/b does not exist"
    assert str(ParameterError("is https://me:word@a.org", "output")) == "output is https://a.org"


@pytest.mark.parametrize(
    ("kind", "shown_as"),
    [(PermissionError, PermissionError), (TimeoutError, OSError), (KeyError, RuntimeError), (InputError, InputError)],
)
def test_the_trace_of_an_error_does_not_say_what_its_causes_said(kind, shown_as):
    try:
        try:
            raise ConnectionError("no answer from https://a.org/b?sig=0f")
        except ConnectionError as cause:
            raise kind("b cannot be read") from cause
    except kind as error:
        shown = without_secrets(error)
    assert type(shown) is shown_as
    assert "b cannot be read" in str(shown)
    assert "0f" not in "".join(traceback.format_exception(shown))
    assert without_secrets(shown) is shown
