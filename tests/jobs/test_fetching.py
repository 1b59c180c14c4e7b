"""Test that fetched files become sources of a build; a dry run fetches and builds nothing."""

import pytest

from metadata import Entries, commands
from metadata.download.sources import Download
from tests.support.http_server import Answer, file, serving

TAB = "# Test\tjpn\thttp://example.org\tCC0\n00000001-n\tjpn:lemma\t猫\n00000002-n\tjpn:lemma\t写真\n".encode()


@pytest.fixture
def planned(monkeypatch):
    """Let the plan be a wordnet on a server of this machine, and a page-view file that the server has not."""
    with serving() as server:
        good = Download(server.serve("/wn-data-jpn.tab", file(TAB)), "wordnet/wn-data-jpn.tab")
        gone = Download(server.serve("/pageviews.gz", Answer(404)), "pageviews/pageviews.gz")
        monkeypatch.setattr(commands, "plan", lambda *arguments: [good, gone])
        yield


@pytest.mark.usefixtures("planned")
def test_a_fetched_file_is_a_source_and_a_missing_one_is_said(tmp_path, capsys):
    commands.main(["--download", "--contact", "a@example.org", "--languages", "ja", "--output", str(tmp_path / "out")])
    assert {"猫", "写真"} <= set(Entries.open(tmp_path / "out").of("ja").to_pylist())
    assert (tmp_path / "out" / "downloads" / "wordnet" / "wn-data-jpn.tab").read_bytes() == TAB
    result, messages = capsys.readouterr()
    assert "404" in messages
    assert "Japanese (ja)" in result


@pytest.mark.usefixtures("planned")
def test_a_dry_run_writes_nothing(tmp_path, capsys):
    commands.main(["--download", "--contact", "a@example.org", "--dry-run", "--output", str(tmp_path / "out")])
    assert "wn-data-jpn.tab" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
