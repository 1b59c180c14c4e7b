"""Tables of the Hub are read as from a folder, at one commit, or are refused in a sentence."""

import io
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.inputs import files
from runtime.errors import InputError
from runtime.storage.listing import expand, names_in
from tests.support.hub_server import SIGNATURE, TOKEN, Answer

ROWS = 3000
TABLE = pa.table(
    {
        "note": [f"{number:>200}" for number in range(ROWS)],
        "url": [f"https://e.example/{number}.jpg" for number in range(ROWS)],
        "text": [f"ein Hund 犬 {number}" for number in range(ROWS)],
        **{f"score_{number}": [float(number * row) for row in range(ROWS)] for number in range(7)},
    }
)


def parquet(**options) -> bytes:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink, **options)
    return sink.getvalue()


def texts(source) -> list[str]:
    return [text for batch in files.read(source) for text in batch["text"].to_pylist()]


def store(request) -> bool:
    return request.path.startswith("/store/")


@pytest.fixture
def pairs(hub) -> str:
    """A dataset with two tables; its commit."""
    return hub.dataset("o/pairs", {"data/a.parquet": parquet(), "data/deep/b.parquet": parquet(), "README.md": b"# P"})


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("hf://datasets/o/pairs", ["data/a.parquet", "data/deep/b.parquet"]),
        ("hf://datasets/o/pairs@main", ["data/a.parquet", "data/deep/b.parquet"]),
        ("hf://datasets/o/pairs/data/", ["data/a.parquet", "data/deep/b.parquet"]),
        ("hf://datasets/o/pairs/data/*.parquet", ["data/a.parquet"]),
        ("hf://datasets/o/pairs@main/**/*.parquet", ["data/a.parquet", "data/deep/b.parquet"]),
        ("hf://datasets/o/pairs@{commit}/data/a.parquet", ["data/a.parquet"]),
    ],
)
def test_datasets_folders_globs_and_files_are_read_at_their_commit(pairs, address, names):
    sources = files.find([address.format(commit=pairs)])
    assert [source.path for source in sources] == [f"hf://datasets/o/pairs@{pairs}/{name}" for name in names]
    assert [texts(source) for source in sources] == [TABLE["text"].to_pylist()] * len(names)
    assert {source.file_size for source in sources} == {len(parquet())}
    assert all(len(source.etag) == 64 for source in sources)


@pytest.mark.parametrize("branch", ["refs/convert/parquet", "refs/pr/3", "v1.0", "a%2Fb"])
def test_branches_of_any_name_are_resolved(hub, branch):
    hub.dataset("o/pairs", {"README.md": b"# P"})
    commit = hub.datasets["o/pairs"].commit({"default/train/0.parquet": parquet()}, branch.replace("%2F", "/"))
    (source,) = files.find([f"hf://datasets/o/pairs@{branch}/default"])
    assert source.path == f"hf://datasets/o/pairs@{commit}/default/train/0.parquet"


def test_small_files_and_lines_are_read(hub):
    lines = b"".join(b'{"url": "https://e.example/%d.jpg", "text": "a dog"}\n' % number for number in range(50))
    hub.dataset("o/pairs", {"pairs.jsonl": lines})
    (source,) = files.find(["hf://datasets/o/pairs"])
    assert texts(source) == ["a dog"] * 50


def test_a_revision_is_resolved_once_and_its_commit_is_read_though_the_branch_moves(hub, pairs, caplog):
    caplog.set_level("INFO", "curation")
    (source, _) = files.find(["hf://datasets/o/pairs"])
    moved = hub.datasets["o/pairs"].commit({"data/a.parquet": parquet(row_group_size=7)})
    assert (texts(source), moved != pairs) == (TABLE["text"].to_pylist(), True)
    assert [source.path for source in files.find(["hf://datasets/o/pairs/data/a.parquet"])] == [source.path]
    assert len(hub.asked("/revision/")) == 1
    assert caplog.messages == [f"hf://datasets/o/pairs@main may move; its commit now is {pairs}"]


def test_of_ten_columns_those_that_are_used_are_fetched_and_the_footer(hub):
    data = parquet(compression="none", use_dictionary=False)
    hub.dataset("o/pairs", {"a.parquet": data})
    (source,) = files.find(["hf://datasets/o/pairs"])
    assert len(texts(source)) == ROWS
    group = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0)
    wanted = sum(group.column(number).total_compressed_size for number in (1, 2))
    assert len(data) > 5 * wanted
    assert wanted < hub.sent < wanted + 2 * (66 << 10)  # the footer is read by the driver, and again by the task


def test_ten_thousand_files_are_listed_by_few_requests(hub):
    hub.dataset("o/pairs", {f"data/{number:05}.parquet": b"" for number in range(10_000)})
    hub.requests.clear()
    assert len(expand("hf://datasets/o/pairs").files) == 10_000
    assert len(hub.requests) <= 15
    assert len(expand("hf://datasets/o/pairs/data/*.parquet").files) == 10_000
    assert len(hub.requests) <= 32


def test_a_folder_that_is_missing_at_a_commit_takes_one_request(hub, pairs):
    hub.requests.clear()
    assert names_in(f"hf://datasets/o/pairs@{pairs}/data/_delta_log") == []
    assert names_in(f"hf://datasets/o/pairs@{pairs}/data/_delta_log") == []
    assert len(hub.requests) == 1


def test_a_file_that_was_looked_up_is_not_looked_up_again(hub, pairs):
    (source, _) = files.find(["hf://datasets/o/pairs"])
    hub.requests.clear()
    texts(source)
    assert {"resolve" in request.path or store(request) for request in hub.requests} == {True}


class Faults:
    """Faults that come before the first answers to requests of a kind."""

    def __init__(self, of, *answers: Answer):
        self.of, self.answers = of, [*answers]

    def __call__(self, request):
        return self.answers.pop(0) if self.answers and self.of(request) else None


BUSY = Answer(429, b"slow down", {"Retry-After": "1"})
BAD_GATEWAY = Answer(502)
CUT = Answer(206, b"x" * 5000, {"Content-Range": "bytes 0-4999/9999"}, sent=100)
SHORT = Answer(206, b"PAR1")


@pytest.mark.parametrize("fault", [BUSY, BAD_GATEWAY, CUT, SHORT])
@pytest.mark.parametrize("part", ["/store/", "/resolve/"])
def test_requests_for_bytes_that_fail_for_a_moment_are_tried_again(hub, pairs, part, fault):
    hub.fault = Faults(lambda request: part in request.path, fault, fault)
    (source, _) = files.find(["hf://datasets/o/pairs"])
    hub.fault = Faults(lambda request: part in request.path, fault, fault, fault)
    assert texts(source) == TABLE["text"].to_pylist()
    assert hub.fault.answers == []


@pytest.mark.parametrize("part", ["/revision/", "/tree/", "/paths-info/"])
def test_look_ups_of_a_busy_hub_wait_as_long_as_it_says(hub, pairs, part):
    reset = Answer(429, b"{}", {"ratelimit": '"api";r=0;t=1'})
    hub.fault = Faults(lambda request: part in request.path, BUSY, reset)
    begin = time.monotonic()
    assert len(files.find(["hf://datasets/o/pairs/data"])) == 2
    assert time.monotonic() - begin > 2
    assert hub.fault.answers == []


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"X-Linked-Etag": '"0f"'}, "its ETag is 0f, not "),
        ({"X-Repo-Commit": "f" * 40}, f"its commit is {'f' * 40}, not "),
    ],
)
def test_an_answer_of_another_version_is_refused(hub, pairs, headers, words):
    (source, _) = files.find(["hf://datasets/o/pairs"])

    def fault(request):
        if "/resolve/" in request.path:
            hub.fault = None
            answer = hub.answer(request)
            hub.fault = fault
            return Answer(answer.status, answer.body, answer.headers | headers)
        return None

    hub.fault = fault
    with pytest.raises(InputError, match=f"not the file that was listed \\({words}"):
        texts(source)


def test_a_hub_that_sends_whole_files_only_is_refused(hub, pairs):
    hub.fault = lambda request: Answer(200, parquet()) if store(request) else None
    with pytest.raises(InputError, match="cannot send parts of files; copy it to this machine"):
        files.find(["hf://datasets/o/pairs"])


def test_a_token_that_ends_while_files_are_read_ends_in_a_sentence(hub, pairs):
    (source, _) = files.find(["hf://datasets/o/pairs"])
    hub.token = "another"
    with pytest.raises(InputError, match=r"the Hub refuses the token for hf://.* \(status 401\); log in by") as refused:
        texts(source)
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("hf://datasets/o/none", r"hf://datasets/o/none@main does not exist, or is private; check the name at http"),
        ("hf://datasets/o/pairs@v2", "hf://datasets/o/pairs@v2 does not name a revision of the dataset; http"),
        ("hf://datasets/o/pairs/none", "hf://datasets/o/pairs/none does not exist; expected an input: a file"),
        ("hf://datasets/o/pairs/*.csv", r"hf://datasets/o/pairs/\*.csv does not exist; expected an input: a file"),
        ("hf://datasets/pairs", "hf://datasets/pairs does not name a dataset; expected hf://datasets/OWNER/NAME"),
    ],
)
def test_what_does_not_exist_is_refused_in_a_sentence(pairs, address, sentence):
    with pytest.raises(InputError, match=f"^{sentence}"):
        files.find([address])


def test_a_gated_dataset_says_where_its_conditions_are(hub, monkeypatch):
    hub.dataset("o/pairs", {"a.parquet": parquet()}, gated=True)
    assert len(files.find(["hf://datasets/o/pairs"])) == 1
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(
        InputError, match=r"is gated: accept its conditions at http://.*/datasets/o/pairs, and log in by"
    ):
        files.find(["hf://datasets/o/pairs"])


def test_a_private_dataset_is_read_by_who_may(hub, monkeypatch):
    hub.dataset("o/pairs", {"a.parquet": parquet()}, private=True)
    (source,) = files.find(["hf://datasets/o/pairs"])
    assert len(texts(source)) == ROWS
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(InputError, match="does not exist, or is private"):
        files.find(["hf://datasets/o/pairs@other"])


def test_a_hub_that_fails_for_long_ends_in_a_sentence_without_the_signature(hub, pairs):
    (source, _) = files.find(["hf://datasets/o/pairs"])
    hub.fault = lambda request: Answer(503, TOKEN.encode()) if store(request) else None
    with pytest.raises(
        OSError, match=r"cannot be fetched from http.*\(status 503: \*\*\*\); try again later"
    ) as failed:
        texts(source)
    assert not {TOKEN, SIGNATURE} & {*str(failed.value).split()}


def test_no_message_shows_the_token_that_a_server_repeats(hub, pairs):
    from runtime.redaction import redacted

    files.find(["hf://datasets/o/pairs"])
    assert redacted(f"Invalid token Bearer {TOKEN}") == "Invalid token Bearer ***"
