"""Run curate twice under one spark-submit, then save what Spark's UI and REST API say.

job_with_pages.py FOLDER ARGUMENTS -- ARGUMENTS
"""

import sys
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).parents[2]))

from pyspark.sql import SparkSession

from curation.commands import clip_curate as curate

PAGES = ("jobs", "stages", "storage", "environment", "executors", "SQL")
ANSWERS = (
    "",
    "/jobs",
    "/stages?details=true&withSummaries=true",
    "/environment",
    "/allexecutors",
    "/storage/rdd",
    "/sql",
)


def save_pages(folder: Path) -> None:
    """Save every page, with those of all stages and jobs, and every answer."""
    context = SparkSession.getActiveSession().sparkContext
    statuses = context.statusTracker()
    jobs = statuses.getJobIdsForGroup()
    stages = [stage for job in jobs for stage in statuses.getJobInfo(job).stageIds]
    paths = [f"/{page}/" for page in PAGES]
    paths += [f"/jobs/job/?id={job}" for job in jobs] + [f"/stages/stage/?id={stage}&attempt=0" for stage in stages]
    paths += [f"/api/v1/applications/{context.applicationId}{answer}" for answer in ANSWERS]
    for number, path in enumerate(paths):
        with suppress(HTTPError), urlopen(context.uiWebUrl + path, timeout=30) as page:
            (folder / f"{number}.txt").write_bytes(page.read())


if __name__ == "__main__":
    second = sys.argv.index("--")
    curate.main(sys.argv[2:second])
    try:
        curate.main(sys.argv[second + 1 :])
    finally:
        save_pages(Path(sys.argv[1]))
