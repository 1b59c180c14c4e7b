"""What is made of matched images is made of those that passed the gate."""

import json

from curation.plugins.export.formats import export
from curation.plugins.export.metaclip import MetaClip
from curation.run.results import Results
from tests.support.downloaded import matched
from tests.support.finished_run import write_parts
from tests.support.in_turn import in_turn


def test_texts_counts_and_probabilities_are_of_the_images_that_passed(run, tmp_path):
    facts = json.loads((run.path / "run.json").read_text("utf-8"))
    there = run.images[5:25]
    write_parts(run.path / "gated", matched(there), files=2)
    facts["rows"] |= {"gated": len(there)}
    (run.path / "run.json").write_text(json.dumps(facts), "utf-8")
    export(in_turn(), run.path, tmp_path / "out", MetaClip())
    shards = [json.loads(path.read_text("utf-8")) for path in sorted((tmp_path / "out" / "texts").iterdir())]
    assert [uid for shard in shards for uid in shard] == [row["uid"] for row in there]
    assert sum(batch.num_rows for batch in Results.open(run.path).matched()) == len(there)
