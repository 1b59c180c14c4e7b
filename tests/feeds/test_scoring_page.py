"""The page on scores can be followed from a table of pairs to a gated manifest, with a tiny random model."""

import json
import re
import shlex
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from curation.plugins.scoring import clip_score as score_images
from curation.run.results import Results
from tests.support import spark_jobs
from tests.support.checkout import ROOT
from tests.support.clip_models import transformers_model, twin_score
from tests.support.img2dataset import require_img2dataset, run_img2dataset
from tests.support.picture_set import BROKEN, make_pictures, served
from tests.support.stand_ins import needed

pytestmark = pytest.mark.filterwarnings("default")  # those of other people's code
PAGE = ROOT / "docs" / "how-to" / "scoring.md"
PICTURES = 60
TEXTS = {"en": "a {} dog in the park near our house", "ja": "公園で犬が走っている、写真{}です"}


@pytest.fixture
def web(tmp_path):
    """Pictures on a server, and a table of pairs: most have a text in one language, some in both."""
    rows = make_pictures(tmp_path / "files", PICTURES)
    with served(tmp_path / "files") as urls:
        pairs = [
            (urls[row["name"]], TEXTS[code].format(number))
            for number, row in enumerate(rows)
            for code in {0: ("en",), 1: ("ja",), 2: ("en", "ja")}[number % 3]
        ]
        url, text = zip(*pairs, strict=True)
        pq.write_table(pa.table({"url": url, "text": text}), tmp_path / "pairs.parquet")
        (tmp_path / "words.txt").write_text("dog\npark\nhouse")
        (tmp_path / "words-ja.txt").write_text("犬\n公園\n写真")
        yield {urls[row["name"]]: row for row in rows}


def test_the_page_on_scores_can_be_followed(web, tmp_path, monkeypatch, capsys):
    for module in ("open_clip", "transformers"):
        needed(module)
    require_img2dataset()
    model = transformers_model(tmp_path / "model", "MetaClip2")
    monkeypatch.chdir(tmp_path)
    curate, download, score, gate, by_language, by_worst = commands()
    run_curate(curate)
    run_download(download)
    model_flags = ["--model", "ViT-B-32-quickgelu", "--pretrained", "metaclip_400m"]
    position = score.index("--model")
    assert score[position : position + 4] == model_flags
    score_images.main([*score[1:position], "--model", str(model), *score[position + 4 :]])

    scores = pq.read_table("scores")
    assert "images scored; without a score: none" in capsys.readouterr().out  # img2dataset leaves broken ones out
    assert scores.num_rows == sum(row["kind"] not in BROKEN for row in web.values())
    require_as_twin(scores, model)

    cut = json.loads(Path("scores/_folder.json").read_text())["scores"]["quantiles"]["0.3"]
    run_curate(with_cuts(gate, {"0.25": cut}))
    require_passed(scores.filter(pc.greater_equal(scores["clip_score"], cut)))

    cuts = {code: each["quantiles"]["0.5"] for code, each in facts()["languages"].items()}
    run_curate(with_cuts(by_language, {"0.25": cuts["en"], "0.15": cuts["ja"]}))
    both = scores.to_pylist()
    require_passed(pa.Table.from_pylist([row for row in both if row["clip_score"] >= cuts[row["language"]]]))

    run_curate(with_cuts(by_worst, {"0.15": cut}))
    require_passed(pa.Table.from_pylist([row for row in both if min(row["scores"]) >= cut]))


def commands() -> list[list[str]]:
    """The page's command lines, as words."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)
    return [shlex.split(line) for line in "".join(blocks).replace("\\\n", " ").splitlines()]


def run_curate(words: list[str]) -> None:
    assert words[0] == "clip-curate"
    assert spark_jobs.run_here("jobs/curate.py", *words[1:]) == 0


def run_download(words: list[str]) -> None:
    few = {"--processes_count": "1", "--thread_count": "4"}
    options = [few.get(flag, word) for flag, word in zip(words, words[1:], strict=False)]
    run_img2dataset(options)


def with_cuts(words: list[str], cuts: dict[str, float]) -> list[str]:
    """The command with cuts that suit a random model in place of the page's."""
    kept = words.index("--keep") + 1
    for shown, cut in cuts.items():
        assert shown in words[kept]
        words[kept] = words[kept].replace(shown, f"{cut}")
    return words


def require_passed(expected: pa.Table) -> None:
    run = Results.open("out")
    passed = [uid for batch in run.matched(None) for uid in batch["uid"].to_pylist()]
    assert 0 < len(passed) < PICTURES
    assert sorted(passed) == sorted(expected["uid"].to_pylist())
    assert {*pq.read_table("out/curated")["uid"].to_pylist()} <= {*passed}


def require_as_twin(scores: pa.Table, model: Path) -> None:
    """Compare the scores of some images with those of a plain loop over the tar that img2dataset wrote."""
    import tarfile

    texts = {row["uid"]: row["candidates"] for batch in Results.open("out").matched(None) for row in batch.to_pylist()}
    with tarfile.open(next(Path("all-images").glob("*.tar"))) as tar:
        for row in scores.to_pylist()[::7]:
            data = tar.extractfile(f"{row['key']}.jpg").read()
            expected = [twin_score(model, data, each["text"]) for each in texts[row["uid"]]]
            assert row["scores"] == pytest.approx(expected, abs=1e-5)
            best = max(zip(expected, texts[row["uid"]], strict=True), key=lambda pair: pair[0])
            assert row["clip_score"] == pytest.approx(best[0], abs=1e-5)
            assert row["language"] == best[1]["language"]


def facts() -> dict:
    return json.loads(Path("scores/_folder.json").read_text())
