"""The judge scores texts as its naive twin does; a file of weights is whole or refused, and decides on a run."""

import base64
import json
import os
import random
import time
import tracemalloc
import zlib
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import CurationConfig
from curation.plugins.gate.filters import TEXT, ImageBatch
from curation.plugins.gate.judge.judge import (
    FORMAT,
    OUTPUTS,
    Judge,
    JudgedOutput,
    digest,
    features,
    score_batch,
    standard,
)
from curation.plugins.gate.judge.reasons import reasons_of
from curation.plugins.gate.kernels.features import BITS, MAX_FEATURES
from curation.plugins.gate.options import GateOptions
from curation.plugins.gate.policies.policies import Policy
from curation.schemas import MATCHED, PAGE_KINDS
from runtime.engine.local import Local
from runtime.errors import InputError
from tests.naive.judge import naive_features, naive_probabilities, naive_sums, naive_why
from tests.support.captions import rows_of, run, write_pairs
from tests.support.downloaded import all_bytes
from tests.support.finished_run import candidate
from tests.support.finished_run import image as matched
from tests.support.gates import gated

pytestmark = pytest.mark.kernels

LETTERS = "aZé:%/.-_ 9日本ไทย한글ßĞ\u0301“”ΑБ\U0001f600|@#'&"
TEXTS = (
    *(
        "",
        " ",
        "\u0301",
        "x",
        "a" * 5_000,
        "a b " * 3_000,
        "犬" * 200,
        "A.B",
        "-",
        "a-b",
        "dog " * 24,
        "dog " * 23 + "犬犬",
    ),
    *(
        "the shop-name's Shop Name logo",
        "sh" + "-" * 155 + "opname",
        "sh" + "-" * 150 + "opname",
        "SHOPNAME",
        "sh.op na\u0301me",
        "IMG_0450.jpg",
        "100 % cotton",
        "Ǆ ǅ ﬁ ſ K",
    ),
)
URLS = (
    *(
        "",
        "a",
        ":",
        "http:",
        "http://",
        "http:///",
        "http://a.example",
        "http://a.example?x=/y.jpg",
        "http://a.example/",
    ),
    *("http://a.example/b/", "https://u:p@Shop-Name.co.uk:8080/My%20Dog%2Fcat.JPG#x/y", "http://[2001:db8::1]/a.png"),
    *("http://a.example/.jpg", "http://a.example/b.c/d", "http://a.example/%", "http://a.example/b.%4", "a/b?c"),
    *("http://a.example" + "/folder" * 40 + "/" + "nameOfFile" * 40 + ".longEnding", "http://é.example/größe.PNG"),
)
PAGES = (
    *(None, "", "http://", "a", "https://www.shop-name.co.uk/", "https://u:p@www.Shop-Name.co.uk:80", "http://[::1]/a"),
    *(
        "http://a.example.",
        "http://-ab-.example/x",
        "http://---.example",
        "http://sh_op%20name.example",
        "http://aé.example",
    ),
)
SIZES = (None, 0, 1, 7, 8, 33, 500, 99_999, 2**31 - 1)


def nasty_images(chance: random.Random, number: int) -> list[dict]:
    """Return images with up to three texts each, drawn from nasty texts, addresses and numbers."""

    def made(most: int) -> str:
        return "".join(chance.choices(LETTERS, k=chance.randrange(most)))

    def text_of() -> dict:
        text = chance.choice([made(130), made(130), chance.choice(TEXTS)])
        own = {
            "kind": chance.choice([*PAGE_KINDS, *PAGE_KINDS, "text", None]),
            "page_url": chance.choice([None, *PAGES]),
        }
        return candidate(text, "en") | own

    def image_of(at: int) -> dict:
        url = chance.choice([f"{chance.choice(['http://', 'x:', ''])}{made(40)}/{made(80)}", chance.choice(URLS)])
        page = chance.choice([chance.choice(PAGES), f"http://{made(20)}/{made(9)}"])
        sizes = {name: chance.choice(SIZES) for name in ("stated_width", "stated_height", "shown")}
        stated = {"page_url": page, "signals": chance.choice([None, 0, chance.getrandbits(30)]), **sizes}
        stated["surroundings"] = chance.choice([None, 0, chance.randrange(2_099_520_000)])
        return matched(at, url) | stated | {"candidates": [text_of() for _ in range(chance.randrange(4))]}

    rows = [image_of(number) for number in range(number)]
    return [*rows, matched(number, "http://a.example/b.jpg") | {"candidates": None}]


def judged(rows: list[dict]) -> ImageBatch:
    return ImageBatch.of(pa.RecordBatch.from_pylist(rows, MATCHED))


def pairs_of(rows: list[dict]) -> list[tuple[dict, dict]]:
    return [(text, row) for row in rows for text in row["candidates"] or []]


def naive_numbers(rows: list[dict]) -> list[list[int]]:
    return [sorted(feature.number for feature in naive_features(*pair)) for pair in pairs_of(rows)]


def some_judge(seed: int = 0, bias: tuple[float, ...] = (0.3, -0.2)) -> Judge:
    weights = np.random.default_rng(seed).integers(-128, 128, (1 << BITS, len(OUTPUTS))).astype(np.int8)
    return Judge(weights, 0.004, bias, {"rows": 3})


def blind_judge(*bias: float) -> Judge:
    """Return a judge to which all texts are alike."""
    return replace(some_judge(), weights=np.zeros((1 << BITS, len(OUTPUTS)), np.int8), bias=bias)


def test_features_are_those_of_the_naive_twin_on_nasty_images():
    rows = nasty_images(random.Random(1), 500)
    rows += [
        matched(0, url) | {"candidates": [candidate(text, "en")], "page_url": PAGES[4]}
        for url in URLS
        for text in TEXTS
    ]
    numbers = [row.tolist() for row in features(judged(rows))]
    assert numbers == naive_numbers(rows)
    assert max(map(len, numbers)) <= MAX_FEATURES


def test_features_of_slices_and_of_nothing_are_the_same():
    rows = nasty_images(random.Random(2), 80)
    batch = pa.RecordBatch.from_pylist(rows, MATCHED)
    for begin, length in ((17, 41), (0, 1), (80, 1), (5, 0)):
        numbers = [row.tolist() for row in features(ImageBatch.of(batch.slice(begin, length)))]
        assert numbers == naive_numbers(rows[begin : begin + length])
    nothing = ImageBatch.of(batch.slice(0, 0))
    assert standard().probabilities(nothing).shape == (0, len(OUTPUTS))
    assert reasons_of(nothing, JudgedOutput("junk", 50)) == []
    few = judged(rows)
    chosen = np.arange(len(few.texts))[::-3]  # texts of an image may lack, and come in any order
    numbers = [row.tolist() for row in features(few.with_some_texts(chosen))]
    assert numbers == [naive_numbers(rows)[at] for at in chosen]


@pytest.mark.parametrize("judge", [standard(), some_judge()], ids=["standard", "drawn"])
def test_scores_are_sums_of_weights_and_probabilities_their_softmax(judge):
    rows = nasty_images(random.Random(3), 150)
    shares = judge.probabilities(judged(rows))
    assert np.allclose(shares, [naive_probabilities(judge, *pair) for pair in pairs_of(rows)], rtol=1e-12, atol=0)
    sums = np.array([naive_sums(judge, naive_features(*pair)) for pair in pairs_of(rows)])
    odds = np.log(shares) - np.log1p(-shares.sum(axis=1, keepdims=True))
    assert np.array_equal(np.rint((odds - judge.bias) / judge.step), sums)


def test_a_rule_removes_from_its_number_on():
    given = judged(nasty_images(random.Random(6), 150))
    shares = standard().probabilities(given)
    for output, name in enumerate(OUTPUTS):
        for percent in (1, 50, 99):
            [chosen] = Policy.parse([f"{name}:{percent}"]).filters(TEXT)
            assert np.array_equal(chosen.mask(given), shares[:, output] >= percent / 100)


def test_texts_are_scored_once_for_both_rules(monkeypatch):
    given, scored = judged(nasty_images(random.Random(7), 20)), []
    monkeypatch.setattr(
        "curation.plugins.gate.judge.judge.score_batch", lambda *asked: scored.append(1) or score_batch(*asked)
    )
    shares = [JudgedOutput(name, 50).probabilities(given) for name in OUTPUTS]
    assert len(scored) == 1
    assert np.array_equal(np.transpose(shares), standard().probabilities(given))
    other = some_judge().probabilities(given)
    assert not np.array_equal(other, np.transpose(shares))
    fewer = given.with_some_texts(np.arange(3))
    assert np.array_equal(some_judge().probabilities(fewer), other[:3])


def test_the_name_of_a_site_is_looked_for_in_bounded_time():
    def seconds(size: int) -> float:
        one = matched(0, "http://a.example/dog.jpg") | {"page_url": f"http://{'a' * size}b.example/"}
        given = judged([one | {"candidates": [candidate("a" * size, "en") | {"kind": "alt"}]}] * 50)
        begin = time.process_time()
        standard().probabilities(given)
        return time.process_time() - begin

    assert min(seconds(6_000) for _ in range(3)) < 8 * min(seconds(200) for _ in range(9))


def test_reasons_name_the_probability_and_the_features_that_weigh_most():
    rows = nasty_images(random.Random(4), 60)
    for output, name in enumerate(OUTPUTS):
        reasons = reasons_of(judged(rows), JudgedOutput(name, 50))
        assert reasons == [naive_why(standard(), output, *pair) for pair in pairs_of(rows)]


def test_a_judge_is_read_back_from_its_content(tmp_path):
    for judge in (standard(), some_judge(), blind_judge(-1e300, 5.0)):
        back = Judge.parse(judge.content(), "a.json")
        assert np.array_equal(back.weights, judge.weights)
        assert (back.step, back.bias, back.facts, back.digest) == (judge.step, judge.bias, judge.facts, judge.digest)
        assert back.content() == judge.content()
        (tmp_path / "judge.json").write_bytes(judge.content())
        assert Judge.read(tmp_path / "judge.json").digest == judge.digest


def changed(**more) -> bytes:
    """Return the content of a file with other fields, and with the digest of these if they can have one."""
    return json.dumps(json.loads(some_judge().content()) | more).encode()


def signed(**more) -> bytes:
    """Return the content of a file with step or bias that no judge has, and with their digest."""
    judge = replace(some_judge(), **more)
    return changed(**more, digest=digest(judge.weights, judge.step, judge.bias))


def packed(weights: bytes) -> bytes:
    return changed(weights=base64.b64encode(zlib.compress(weights, 9)).decode())


CONTENT = some_judge().content()
DAMAGED = {
    "empty": b"",
    "cut": CONTENT[: len(CONTENT) // 2],
    "cut at its end": CONTENT[:-4],
    "a sign changed": CONTENT.replace(b'"step": 0.004', b'"step": 0.005'),
    "a weight changed": CONTENT.replace(CONTENT[-400:-380], CONTENT[-380:-360]),
    "not JSON": b"PK\x03\x04\x00\xff",
    "not UTF-8": b'{"format": "\xff"}',
    "another JSON": b'{"rows": [1, 2]}',
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "a string": b'"format"',
    "nested": b"[" * 1_000_000,
    "nested in format": b'{"format": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}",
    "another version": changed(format="clip-curation judge 3"),
    "wrong digest": changed(digest="0" * 64),
    "no digest": changed(digest=None),
    "a bias more": changed(bias=[0.3, -0.2, 1]),
    "a bias less": signed(bias=(0.3,)),
    "no bias": changed(bias=None),
    "NaN as step": signed(step=float("nan")),
    "NaN as bias": signed(bias=(float("nan"), 0.0)),
    "infinite bias": signed(bias=(0.0, float("inf"))),
    "a huge step": changed(step=10**400),
    "a very huge step": b'{"format": "' + FORMAT.encode() + b'", "step": ' + b"9" * 10_000 + b"}",
    "a step in words": changed(step="one"),
    "rows as a number": changed(learnt_from=7),
    "weights as a number": changed(weights=7),
    "weights outside ASCII": changed(weights="é"),
    "weights that are not packed": changed(weights=base64.b64encode(b"weights").decode()),
    "outputs in another order": changed(outputs=["headline", "junk"]),
    "no outputs": changed(outputs=None),
    "few weights": packed(some_judge().weights.tobytes()[:-1]),
    "many weights": packed(some_judge().weights.tobytes() + b"\0"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_or_foreign_file_is_refused_in_one_sentence(name, tmp_path):
    path = tmp_path / "judge.json"
    path.write_bytes(DAMAGED[name])
    with pytest.raises(InputError) as refused:
        GateOptions(policy=["junk:50"], judge=str(path)).find()
    assert str(refused.value) == (  # a program's own words have no dashes
        f"judge {path} is damaged, or its format is not {FORMAT!r} with the outputs junk and headline in this order; "
        "write it again with tools/train_judge.py"
    )


def test_weights_of_an_earlier_version_are_refused_in_one_sentence(tmp_path):
    path = tmp_path / "judge.json"
    path.write_bytes(changed(format="clip-curation judge 1"))
    with pytest.raises(InputError) as refused:
        GateOptions(policy=["junk:50"], judge=str(path)).find()
    assert str(refused.value) == (
        f"judge {path} has weights of an earlier version; train them again with tools/train_judge.py"
    )


def test_what_is_no_file_or_too_large_is_refused_before_it_is_read(tmp_path):
    (tmp_path / "huge.json").touch()
    os.truncate(tmp_path / "huge.json", 1 << 40)
    for path in (tmp_path, tmp_path / "none.json", tmp_path / "huge.json"):
        with pytest.raises(
            InputError, match=f"^judge {path} is not a file of weights; specify one that tools/train_judge"
        ):
            GateOptions(policy=["junk:50"], judge=str(path)).find()


@pytest.mark.parametrize("path", ["/proc/self/mem", "n" * 300])
def test_a_file_that_cannot_be_read_is_refused_in_one_sentence(path):
    with pytest.raises(
        InputError, match=r"^judge .* (cannot be read \(.*\)|is not a file of weights); specify one that tools"
    ):
        GateOptions(policy=["junk:50"], judge=path).find()


def test_weights_that_unpack_to_much_more_take_no_memory():
    packer = zlib.compressobj(9)
    pieces = [packer.compress(bytes(1 << 24)) for _ in range(64)]  # 1 GiB
    bomb = changed(weights=base64.b64encode(b"".join([*pieces, packer.flush()])).decode())
    tracemalloc.start()
    with pytest.raises(InputError, match="is damaged"):
        Judge.parse(bomb, "bomb.json")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


def test_scoring_takes_few_bytes_a_text_and_none_for_its_features():
    one = matched(0, "http://a.example/dog.jpg") | {"candidates": [candidate("a dog in a garden", "en")]}
    batch = pa.Table.from_batches([pa.RecordBatch.from_pylist([one] * 1_000, MATCHED)] * 40).combine_chunks()
    given = ImageBatch.of(batch.to_batches()[0])
    standard().probabilities(ImageBatch.of(given.images.slice(0, 9)))
    tracemalloc.start()
    standard().probabilities(given)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300 * len(given.texts) < MAX_FEATURES * len(given.texts)


def test_a_judge_that_no_rule_asks_is_refused(tmp_path):
    (tmp_path / "judge.json").write_bytes(CONTENT)
    for policy in ([], ["html", "min_words:2"]):
        with pytest.raises(
            InputError, match="judge.json is used only by the rules junk and headline; pass one of them by policy"
        ):
            GateOptions(policy=policy, judge=str(tmp_path / "judge.json")).find()
    assert GateOptions(policy=["headline:50"], judge=str(tmp_path / "judge.json")).find()


def test_a_run_keeps_what_its_judge_says_and_states_its_digest(engine, tmp_path):
    write_pairs(tmp_path / "pairs.parquet")
    usual = run(engine, tmp_path, policy=["junk:99"])
    assert usual.facts["gate"]["judge"] == standard().digest
    every = len(rows_of(tmp_path / "run" / "matched"))
    for name, judge in {"mild": blind_judge(-9.0, -9.0), "strict": blind_judge(9.0, -9.0)}.items():
        path = tmp_path / f"{name}.json"
        path.write_bytes(judge.content())
        kept = run(engine, tmp_path, policy=["headline:50"], judge=str(path))
        assert kept.facts["gate"]["judge"] == judge.digest
        assert len(rows_of(tmp_path / "run" / "gated")) == every
        asked = {"policy": ["junk:50"], "judge": str(path)}
        if name == "mild":
            run(engine, tmp_path, **asked)
            assert rows_of(tmp_path / "run" / "gated") == rows_of(tmp_path / "run" / "matched")
        else:
            with pytest.raises(InputError, match=rf"meets all conditions \(failed: {every:,} a text is left\)"):
                run(engine, tmp_path, **asked)
    assert "judge" not in run(engine, tmp_path, policy=["html"]).facts["gate"]


SAID = ("logo", "a black dog on the sofa", "dog.jpg", "IMG_0450", "Prime minister resigns", "menu", "avatar of Kim")


def some_images(number: int) -> list[dict]:
    chance = random.Random(5)
    rows = []
    for each in range(number):
        candidates = [candidate(text, "en") for text in chance.sample(SAID, chance.randint(1, 3))]
        stated = {"stated_width": chance.choice([None, 20, 600]), "signals": chance.choice([0, 0, 1, 1 << 29])}
        stated["page_url"] = chance.choice([None, f"http://p.example/{each}"])
        rows.append(matched(each, f"http://a.example/{chance.choice(['i', 'dog'])}/{each}.jpg") | stated)
        rows[-1]["candidates"] = candidates
    return rows


POLICY = ["noai", "junk:40", "headline:30"]


def removed_rows(folder) -> list[dict]:
    rows = [row for path in sorted(folder.glob("*/gate_removed/*.parquet")) for row in pq.read_table(path).to_pylist()]
    return sorted(rows, key=lambda row: (row["uid"], row["text"]))


def test_what_is_removed_says_why_it_is_judged_so_and_nothing_of_other_rules(engine, tmp_path):
    images, judge = some_images(60), replace(some_judge(3), step=0.001)
    (tmp_path / "judge.json").write_bytes(judge.content())
    for used, path in ((standard(), None), (judge, str(tmp_path / "judge.json"))):
        written = []
        for files in (1, 4):
            options = GateOptions(policy=POLICY, keep_removed=1, judge=path)
            folder = tmp_path / f"{used.digest[:4]}-{files}"
            gated(engine, folder, images, options, files, CurationConfig(seed=7))
            written.append(removed_rows(folder))
        assert written[0] == written[1]
        text_of = {(row["uid"], text["text"]): (text, row) for row in images for text in row["candidates"]}
        for row in written[0]:
            name, _, percent = row["rule"].partition(":")
            if name in OUTPUTS:
                pair = text_of[row["uid"], row["text"]]
                assert row["why"] == naive_why(used, OUTPUTS.index(name), *pair)
                assert int(row["why"].partition(" %")[0]) >= int(percent)
            else:
                assert row["why"] is None
        assert {row["rule"] for row in written[0]} >= {"noai", "junk:40"}


@pytest.mark.slow
def test_reasons_are_the_same_bytes_for_any_number_of_cores(tmp_path):
    images = some_images(60)
    (tmp_path / "judge.json").write_bytes(replace(some_judge(3), step=0.001).content())
    for cores in (1, 3):
        local = Local(cores)
        options = GateOptions(policy=POLICY, keep_removed=0.7, judge=str(tmp_path / "judge.json"))
        gated(local, tmp_path / "gates", images, options, 3, CurationConfig(seed=7))
        local.close()
    one, other = (all_bytes(tmp_path / "gates" / f"gate{number}" / "gate_removed") for number in range(2))
    assert one == other
