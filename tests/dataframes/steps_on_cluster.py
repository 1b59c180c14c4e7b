"""Take the steps on a cluster whose workers do not see this process's temporary folder, nor FOLDER/hidden.

TMPDIR=FOLDER/hidden python -m tests.dataframes.steps_on_cluster classic|connect MASTER FOLDER
"""

import json
import sys
from pathlib import Path

from pyspark.sql import SparkSession

from curation import dataframes
from curation.dataframes import MatchOptions
from tests.dataframes.steps import CONFIG, configure, refusal, take_steps
from tests.support import jvm


def main(kind: str, master: str, folder: Path) -> None:
    builder = SparkSession.builder.master(master).config("spark.api.mode", kind)
    spark = builder.config("spark.executor.extraJavaOptions", jvm.QUICK).getOrCreate()
    configure(spark)
    pairs, metadata, out = spark.read.parquet(str(folder / "pairs")), folder / "metadata", folder / f"cluster-{kind}"
    out.mkdir()

    def refused(artefacts: Path | None) -> str:
        options = MatchOptions(artefacts=artefacts)
        return refusal(lambda: dataframes.match(pairs, metadata, CONFIG, options))

    sentences = {"hidden": refused(folder / "hidden")}
    if kind == "connect":
        sentences["none"] = refused(None)
    (out / "refused.json").write_text(json.dumps(sentences))
    shared = None if kind == "classic" else folder / "shared"
    take_steps(pairs, metadata, out / "steps", MatchOptions(artefacts=shared))
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
