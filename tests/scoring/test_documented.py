"""docs/reference/files names what clip-score writes."""

import json

from curation.plugins.scoring.clip_score import SCORED_OF_RUN, ScoreRequest, score_images
from tests.docs.test_docs import columns, documented_columns, require_documented
from tests.support.finished_run import finished_run, image
from tests.support.in_turn import in_turn
from tests.support.pictures import picture, stored, write_tar
from tests.support.plain_scorer import PlainScorer


def test_the_columns_and_fields_are_those_of_the_reference(tmp_path):
    assert columns(SCORED_OF_RUN) == documented_columns("scores/{digest}.parquet")
    run = finished_run(tmp_path / "run", [image(0)])
    members = {"0.jpg": stored(picture()), "0.json": {"uid": image(0)["uid"]}}
    write_tar(tmp_path / "0.tar", members)
    scorer = PlainScorer()
    scorer.made_by |= {"library": "open_clip", "pretrained": None, "weights": "0", "precision": "fp32"}
    scorer.ran_on |= {"batch_size": 4, "versions": {"torch": "2.5"}}
    score_images(ScoreRequest([str(tmp_path / "0.tar")], tmp_path / "scores", run.path), scorer, engine=in_turn())
    require_documented(json.loads((tmp_path / "scores" / "_folder.json").read_text("utf-8")), "_folder.json of scores")
