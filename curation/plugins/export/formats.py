"""Export a finished run in one of the formats that other programs read.

An export is a folder made of a run's files (`runtime.folders.folder`), local or at a URL.
"""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import partial
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from curation.plugins.annotations.captions import (
    caption_table,
    captions_of,
    field_of,
    find_captions,
    require_ratio,
    require_source,
)
from curation.plugins.annotations.clusters import CLUSTER, Choice, cluster_table, paths_of
from curation.plugins.joins.image_tables import Paths
from curation.plugins.joins.uid_join import Join, Table, first, images_in, keys
from curation.run.finished_run import FinishedRun, curated_files, pool_files
from runtime.arguments import add_fields
from runtime.engine import Engine, EngineLike
from runtime.errors import InputError
from runtime.folders.descriptor import Kind
from runtime.folders.folder import AlreadyComplete, Folder, Wanted, making
from runtime.folders.stamps import digest_of
from runtime.messages import did_you_mean
from runtime.packages import has, hooks, usable_hooks, versions
from runtime.progress import Progress
from runtime.storage.listing import listed_versions
from runtime.storage.own_files import OwnFile
from runtime.storage.paths import absolute, as_path
from runtime.tallies import Tallies
from runtime.wording import counted, percent

if TYPE_CHECKING:
    from curation.run.results import Results

EXPORT = Kind("an export", "clip-export", version=3)
COARSE = CLUSTER[0].name
MOST_BYTES = 1 << 20  # A file of answers with more bytes is refused.
_KEPT_IMAGES = "kept"  # the name of a tally of kept images, by coarse cluster
_CAPTIONED = "captioned"  # the name of a tally of images with a caption
_KEPT = pa.field("is_kept", pa.bool_())


class Form(Protocol):
    """A format in which a finished run is written for other programs.

    A form is a dataclass whose fields have the names of its command-line flags. The field `clusters` is a ByCluster;
    `answers` maps names of questions to texts. Forms may share the fields `tars`, `captions`, `caption_sources`,
    `clusters`, `answers` and `seed`. No output may overwrite the paths given as `tars`, `captions`, `clusters`
    and `status`.

    Other packages name forms in entry points of the group `clip_curation.export_forms`.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    writes: ClassVar[str]  # the object of "writes" in the help of --format
    flags: ClassVar[tuple[str, Mapping[str, str]]] = ("", {})  # a heading, and the help of each of the form's own flags
    elsewhere: ClassVar[str] = "{flags} cannot be given with --format {form}"  # the error about own flags elsewhere

    @classmethod
    def add_flags(cls, parser: ArgumentParser) -> None:
        """Add the form's own flags to the parser, under one heading; its fields give the types and the defaults."""
        title, helps = cls.flags
        if helps:
            add_fields(parser.add_argument_group(title), cls, helps)

    def write(self, run: Results, folder: Folder) -> str:
        """Write a run in this format to the folder; return a description of the result for a person."""
        ...


@dataclass(frozen=True)
class ByCluster:
    """Tables of clusters by uid, and which images an expert trains on: images of the clusters `coarse`, and outsiders.

    An expert is a model that is trained on a part of the data. Outsiders are images of other clusters; `outsiders` is
    their expected share of the expert's images.
    """

    tables: Sequence[str] = ()
    coarse: Sequence[int] = ()  # If it is empty, the export has all images.
    outsiders: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.coarse and not self.tables:
            raise InputError(
                "clusters are chosen without a table of clusters; pass the output folder of clip-cluster (--clusters)"
            )
        if self.outsiders and not self.coarse:
            raise InputError("outsiders are asked for, but no clusters are chosen; choose some (--expert)")

    def require_choice(self, form: str) -> None:
        """Raise InputError if tables are given but no clusters are chosen; for formats without columns of clusters.

        The message names the format `form`.
        """
        if self.tables and not self.coarse:
            raise InputError(
                f"the format {form} uses --clusters only with --expert; choose clusters with --expert, or leave out "
                "--clusters"
            )


ALL = ByCluster()


def answers_in(path: str | PathLike[str] | None) -> dict[str, str]:
    """Return the answers in a JSON file by the names of their questions, without nulls; {} if `path` is None.

    InputError if the file cannot be read, or holds something else.
    """
    if path is None:
        return {}
    try:
        with as_path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES >> 20} MB")
        answers = json.loads(content)
        # This refuses half of a surrogate pair, which cannot be written.
        json.dumps(answers, ensure_ascii=False).encode()
    except json.JSONDecodeError:
        raise InputError(f"{path} is not JSON; pass a JSON file such as answers.json of a summary") from None
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"the answers in {path} cannot be read ({reason}); pass a JSON file such as answers.json of a summary"
        ) from None
    if not isinstance(answers, dict) or not all(isinstance(answer, str | None) for answer in answers.values()):
        raise InputError(
            f"{path} does not hold answers; pass a JSON object with the name of each question and its answer, "
            "a text or null"
        )
    return {name: answer for name, answer in answers.items() if answer is not None}


def require_questions(answers: Mapping[str, str], questions: Iterable[str]) -> None:
    """Raise InputError if `answers` has a name that is not one of the form's `questions`."""
    names = [*questions]
    if unknown := sorted({*answers} - {*names}):
        near = did_you_mean(unknown[0], names, f"the questions are {', '.join(names)}")
        raise InputError(f"no question has the name {' or '.join(unknown)}; {near} (--answers)")


def require_captions(captions: Sequence[str | Path], sources: Sequence[str]) -> None:
    """Raise InputError if sources of captions are given without tables of captions."""
    if sources and not captions:
        raise InputError("sources of captions are chosen without captions; pass tables of captions (--captions)")


ANY = "any"  # This name in place of a source stands for the best caption that an image has from any source.
_SOURCE_NAME = (
    "NAME has letters, digits, '_', '.', '-' and '/', and is not score or source. Rename a source with other "
    "characters in the tables"
)


def source_shares(sources: Sequence[str]) -> dict[str, float]:
    """Return for each source the share of samples whose text its captions replace, sorted by the source's name.

    A source is given as NAME or NAME=SHARE; without SHARE, the share is 0. The name ANY stands for all sources.
    InputError for an invalid or repeated name, or a share that is not from 0 to 1.
    """
    shares: dict[str, float] = {}
    for item in sources:
        name, _, share = item.partition("=")
        taken = {field_of(other) for other in (*shares, "score", "source")}
        if not re.fullmatch(r"[\w./-]+", name, re.ASCII) or field_of(name) in taken:
            raise InputError(
                f"{item!r} is not a valid name of a source, or repeats one; pass each source once, as NAME or "
                f"NAME=SHARE. {_SOURCE_NAME}"
            )
        try:
            shares[name] = float(share or 0)
        except ValueError:
            raise InputError(f"the share of {name} is {share}; pass a number from 0 to 1") from None
    if ANY in shares and len(shares) > 1:
        raise InputError(f"{ANY} stands for all sources of captions; pass either {ANY} or names of sources")
    if shares:
        require_ratio(shares, "caption_sources")
    return dict(sorted(shares.items()))


def single_sources(sources: Sequence[str]) -> list[str]:
    """Return the sorted names of `sources` (each NAME or NAME=SHARE) without ANY; errors are as in `source_shares`."""
    return [name for name in source_shares(sources) if name != ANY]


def forms() -> tuple[dict[str, type[Form]], dict[str, str]]:
    """Return all export formats by name, and a sentence for each format of another package that cannot be used."""
    expected = "a dataclass like curation.plugins.export.formats.Form"
    return usable_hooks(hooks("clip_curation.export_forms"), _is_form, expected)


def _is_form(plugin: Any) -> bool:
    """Return whether a plug-in is a dataclass with all members of Form, and with a `write` of its own."""
    if not (isinstance(plugin, type) and is_dataclass(plugin) and has("add_flags", "write")(plugin)):
        return False
    has_own = hasattr(plugin, "write") and plugin.write is not Form.write
    return has_own and hasattr(plugin, "writes") and hasattr(plugin, "elsewhere")


def export(
    engine: EngineLike,
    source: str | PathLike[str],
    to: str | PathLike[str],
    form: Form,
    overwrite: bool = False,
    progress: Progress | None = None,
    then: Callable[[Path], object] | None = None,
) -> str:
    """Write the run in folder `source` to folder `to` in the format `form`; return a sentence about the result.

    Both may be URLs. `engine` is None for processes of this machine, a Spark session, or a function that starts a
    session. After an interruption, the same call resumes; if the folder is complete, nothing is written anew. `then`
    is called with the complete folder.
    """
    from curation.run.results import Results  # This import is here because few forms need figures of the run.

    run = Results.open(absolute(source))
    paths: list[str | PathLike[str]] = []
    for name in ("tars", "captions", "status"):
        paths += getattr(form, name, ())
    paths += getattr(form, "clusters", ALL).tables
    wanted = Wanted(EXPORT, _description(run, form, paths), [run.path, *paths], overwrite, then=then)
    try:
        with making(engine, to, wanted, progress) as folder:
            written = form.write(run, folder)
    except AlreadyComplete as done:
        return str(done)
    return f"{written} in {as_path(to)}"


def _description(run: FinishedRun, form: Form, paths: Iterable[str | PathLike[str]]) -> dict[str, Any]:
    """Return all that an export depends on: the run, the form with its options, and the versions of files read.

    Options are stated as digests, because the descriptor is published with the export.
    """
    options = {name: digest_of({name: repr(getattr(form, name))}) for name in form.__dataclass_fields__}
    read = digest_of({"files": listed_versions(paths)})
    name = f"{type(form).__module__}.{type(form).__qualname__}"
    return {"run": run.digest, "form": name, "options": options, "read": read, "versions": versions()}


def of_clusters(choice: Choice) -> str:
    """Return the chosen clusters and the share of outsiders as text for a person."""
    numbers = sorted({*choice.coarse})
    name = f"coarse cluster{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
    return f"{name}, with {percent(choice.outsiders)} of outsiders" if choice.outsiders else name


@dataclass(frozen=True)
class Beside:
    """Tables of captions and clusters to join to a run's images, and the numbers of images without them.

    `choice` decides by their clusters which images are taken; None stands for all.
    """

    tables: Sequence[Table] = ()  # one table of captions, or one for each source, and then one of clusters
    images: int = 0  # the images that the run counted or, after a removal, the images of the manifest
    without_caption: int = 0
    without_cluster: int | None = None  # None if no clusters are joined
    choice: Choice | None = None  # None if all images are taken

    @classmethod
    def of(
        cls, engine: Engine, run: FinishedRun, captions: Paths, by_cluster: ByCluster, sources: Sequence[str] = ()
    ) -> Beside:
        """Find a run's images in the tables; InputError if a table has none of these images, or for an invalid choice.

        If `sources` are given, the captions of each source become a table of their own.
        """
        wanted: Sequence[str | None] = sources or [None]
        of_source = [caption_table(find_captions(captions, source), source) for source in wanted] if captions else []
        clusters = [cluster_table(by_cluster.tables)] if by_cluster.tables else []
        if not (tables := [*of_source, *clusters]):
            return cls()
        kept = [Table(curated_files(run), run.facts["rows"]["kept"], _kept, first, [_KEPT])] if clusters else []
        pool = images_in(pool_files(run))
        texts = [table.fields[0].name for table in of_source]
        tallies = Join(pool, [*kept, *tables]).count(engine, partial(_counted, captions=texts))
        for text, source in zip(texts, wanted, strict=False):
            if not tallies[text]:
                if source:
                    require_source(find_captions(captions, source), source)
                raise InputError(
                    f"none of the {captions_of(source)} in {paths_of(captions)} belongs to an image of {run.path}; "
                    "give tables with uids or URLs of this run"
                )
        captioned, clustered = (pool.rows - int(tallies[name]) for name in (_CAPTIONED, COARSE))
        if clusters and clustered == pool.rows:
            raise InputError(
                f"none of the rows of {paths_of(by_cluster.tables)} belongs to an image of {run.path}; "
                "give tables with uids or URLs of this run"
            )
        choice = None
        if coarse := tuple(by_cluster.coarse):
            by_number = {number: int(images) for number, images in tallies.by_item(_KEPT_IMAGES).items()}
            choice = Choice(by_number, coarse, by_cluster.outsiders, by_cluster.seed)
        return cls(tables, pool.rows, captioned, clustered if clusters else None, choice)

    @property
    def fields(self) -> list[pa.Field]:
        """The fields that tables join to an image."""
        return [*chain.from_iterable(table.fields for table in self.tables)]

    @property
    def lack(self) -> str:
        """A phrase that states the number of images without a caption."""
        return f"{self.without_caption:,} of {counted(self.images, 'image')} have no caption"

    def __str__(self) -> str:
        """Return, in brackets, the chosen clusters and how many images have no cluster; "" without clusters."""
        if self.without_cluster is None:
            return ""
        without = f"{counted(self.without_cluster, 'image')} of the pool have no cluster"
        return f" ({f'of {of_clusters(self.choice)}; ' if self.choice else ''}{without})"


def _kept(file: OwnFile) -> Iterator[pa.RecordBatch]:
    for batch in keys(file):
        yield batch.append_column(_KEPT, pa.repeat(True, len(batch)))


def _counted(rows: pa.RecordBatch, captions: Sequence[str]) -> Tallies:
    """Tally images with any caption, with a caption by column, and with a cluster; and kept images by cluster."""
    tallies = Tallies()
    for name in {*captions, COARSE} & {*rows.schema.names}:
        tallies.add(name, rows.num_rows - rows[name].null_count)
    if captions:
        tallies.add(_CAPTIONED, rows.num_rows - pc.coalesce(*(rows[name] for name in captions)).null_count)
    if _KEPT.name in rows.schema.names:
        for count in rows[COARSE].filter(rows[_KEPT.name]).drop_null().value_counts():
            tallies.add(_KEPT_IMAGES, count["counts"].as_py(), item=count["values"].as_py())
    return tallies


def chosen(rows: pa.RecordBatch, uids: pa.Array, choice: Choice | None) -> pa.RecordBatch:
    """Return the joined rows of the images that `choice` takes by cluster; all rows if it is None."""
    if choice is None:
        return rows
    return rows.filter(pa.array(choice.takes(uids, rows[COARSE].fill_null(-1).to_numpy())))
