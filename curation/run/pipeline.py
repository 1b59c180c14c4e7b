"""Curate pairs: the algorithm of the Meta CLIP papers, one line per step.

The steps are in `steps`, and their tasks in `tasks`.
"""

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from curation.config import CurationConfig
from curation.inputs.files import dialects
from curation.inputs.tables.columns import tables_in
from curation.run.disk_space import require_space, warn_of_temporary_files
from curation.run.output_folder import Output, require_output
from curation.run.request import FoundInputs, Options, Request
from curation.run.results import Results
from curation.run.steps import Counted, Steps
from metadata.entries import Entries
from runtime import terminal
from runtime.argument_types import typed
from runtime.engine import Engine, EngineLike, engine_of, started
from runtime.folders.apart import require_apart
from runtime.progress import ConsoleProgress, Progress
from runtime.warming import compile_kernels


@typed
def curate(
    inputs: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    metadata: str | Path | Entries | None = None,
    config: CurationConfig | None = None,
    options: Options | None = None,
    engine: EngineLike = None,
    progress: Progress | None = None,
) -> Results:
    """Curate `inputs`: write the manifest, the report and all figures into the folder `output`; return the results.

    `inputs` are files, folders, globs, URLs, crawls or tables of the session's catalog (`table:NAME`), one or several;
    `metadata` is a folder that clip-metadata wrote, or entries; None: starter metadata.
    `engine` runs the tasks: None for processes of this machine, a Spark session, or a function that returns a session,
    which is called once the inputs are found and checked.
    InputError if an argument or an input cannot be used. After an interruption, the same call continues the run. A run
    that keeps nothing is not an error here: `facts["warnings"]` of the results says which step left nothing, and why.
    In a notebook, stages, warnings and a link to the report are shown unless `progress` is given.
    """
    shown = progress or (ConsoleProgress() if terminal.is_notebook() else Progress())
    inputs = [inputs] if isinstance(inputs, str | PathLike) else inputs
    request = request_for(config or CurationConfig(), inputs, metadata, output, options or Options(), shown)
    warn_of_temporary_files(output, request.files, request.options, engine_of(engine), shown)
    with Output.claim(output, request.made_from(), request.options.overwrite) as owned:
        claimed = owned
        compile_kernels(request.kernels, shown)
        workers = started(engine, shown, claimed.path)
        if request.tables:
            request, claimed = copy_tables(workers, request, claimed, shown)
        run(Steps(workers, request, claimed, shown))
        results = Results.open(output)  # They are opened before another run may begin to replace them.
        claimed.remove_work()
    if progress is None:
        terminal.display(results.ending())
    return results


def request_for(
    config: CurationConfig,
    inputs: Sequence[str | Path],
    metadata: str | Path | Entries | None,
    output: str | Path,
    options: Options,
    progress: Progress,
) -> Request:
    """Return the request of a run, with everything checked except whether the output folder holds this run.

    Slow parts, such as building starter metadata, come last.
    """
    sources = FoundInputs.find(config, inputs, options.columns)
    require_apart(output, sources.paths)
    require_output(output, options.overwrite)
    require_space(output, sources.files, options, progress)
    for line in dialects(sources.files):
        progress.note(terminal.in_one_line(line))
    return Request.find(config, sources, metadata, options, progress)


def copy_tables(engine: Engine, request: Request, output: Output, progress: Progress) -> tuple[Request, Output]:
    """Copy the request's tables into the output folder; return request and output with the copied files as inputs."""
    from curation.run import catalog  # This import is here because Spark takes long to import.

    copies = []
    spark = catalog.session_for(engine, request.tables)
    for table in request.tables:
        with progress.stage(f"copy table {table}"):
            copies += catalog.copied_inputs(spark, table, request.options.columns, tables_in(output.path))
    request = replace(request, files=[*request.files, *copies], tables=[])
    return request, output.described(request.made_from())


def run(steps: Steps) -> None:
    """Run all steps: match, count, balance and sample, with a gate after matching if the request has one."""
    matched = steps.match()
    images = steps.matched_images(matched)
    gated = dict[str, Any]()
    if steps.request.gate:
        images, gated = steps.gate(images, steps.request.gate)
    counts = steps.count(images)
    balance = steps.balance(images, counts)
    curated = steps.sample(images, counts, balance.rates)
    steps.write_results(images, Counted(matched, counts, balance, curated, gated))
