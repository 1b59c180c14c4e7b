"""Check the options of a gate, and find and open the files that they name: tables, conditions and rules.

The gate decides which matched images stay, and with which of their texts. An option without an effect is refused before
any file is opened, and all files are opened before any task starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real

import pyarrow as pa

from curation.config import require_distance
from curation.leaves.by_uid.captions import find_captions
from curation.leaves.by_uid.tables import ImageTable, Paths
from curation.leaves.gate.evaluation import EMBEDDING, EvaluationSets
from curation.leaves.gate.evaluation_texts import EvaluationTexts
from curation.leaves.gate.expression_text import names_in, require_columns, require_no_day_of_the_run, require_short
from curation.leaves.gate.host_files import HostFiles
from curation.leaves.gate.image_rules import OF_HOSTS
from curation.leaves.gate.listed_hashes import HashTables, UidList
from curation.leaves.gate.meaning import SameMeaning
from curation.leaves.gate.pictures import Pictures, SameImage
from curation.leaves.gate.policies import RULES, Policy
from curation.leaves.gate.robots_text import robots_agents
from curation.leaves.gate.steps import Gate, named
from curation.leaves.near_copies.index import WORD_BITS
from curation.leaves.near_copies.vectors import require_cosine
from curation.report.languages import counted
from runtime.engine.interface import Engine
from runtime.errors import InputError, require_several, typed
from runtime.redaction import hidden

_PATHS = ("status", "only", "images", "robots", "decontaminate", "decontaminate_texts", "same_meaning", "captions")
_SEVERAL = (*_PATHS, "robots_agents", "policy", "steps")  # options that are lists

STATUS, SUCCESS = "status", "success"  # img2dataset's column, and its word for an image that was downloaded
NOT_TRIED, NO_STATUS = "not_tried", "no_status"  # statuses: an image in no result; one whose status is null
FOUND = "_found_in_"  # added columns begin with this; no user's table has such names
ROW = "_row_of_"  # added columns with hashes of rows begin with this
FAILED = "failed"  # img2dataset's statuses of other tries begin with this
Table = ImageTable | UidList


@typed
@dataclass(frozen=True)
class GateOptions:
    """The options of a gate, before any of its files is found or opened.

    status: img2dataset's output folders of the matched images; an image that was downloaded stays.
    only: files of lists of the uids or URLs that may stay.
    images: tables of images, by uid or url: for each a list of its files or folders.
    keep: the condition over columns of images and status that an image must meet, in Spark SQL.
    policy: names of rules, some with a number, as min_words:3.
    robots: WARC files or tables of hosts' robots.txt, tdmrep.json and ai.txt: images get the signals of their hosts.
    robots_agents: agents, or files of agents, whose rules in robots.txt count; by default those in robots_agents.txt.
    decontaminate: tables of the pictures of evaluation sets, which are removed.
    decontaminate_within: bits in which the pHash of such a picture may differ.
    decontaminate_cosine: the least cosine of embeddings of such a picture; None: embeddings are not compared.
    decontaminate_texts: files of texts of evaluation sets, which are removed.
    same_image: a column of images or status, as sha256 or phash:4: of images alike in that column, one stays.
    same_meaning: a table of semantic copies, with uid and copy_of: an image goes if its copy_of is left.
    captions: a table of captions, by uid or url.
    match_captions: balance images by their captions; an image without a caption by its alt texts.
    steps: steps of other packages, by name, some with a value, as min_saturation=0.2.
    keep_removed: the share of removed images whose texts are written to gate_removed/; None: of none.
    """

    status: Paths = ()
    only: Paths = ()
    images: Sequence[Paths] = ()
    keep: str | None = None
    policy: Sequence[str] = ()
    robots: Paths = ()
    robots_agents: Sequence[str] = ()
    decontaminate: Paths = ()
    decontaminate_within: int = 4
    decontaminate_cosine: float | None = None
    decontaminate_texts: Paths = ()
    same_image: str | None = None
    same_meaning: Paths = ()
    captions: Paths = ()
    match_captions: bool = False
    steps: Sequence[str] = ()
    keep_removed: float | None = None

    def __post_init__(self) -> None:
        require_distance(self.decontaminate_within, WORD_BITS, "decontaminate_within")
        require_cosine("decontaminate_cosine", self.decontaminate_cosine)
        share = self.keep_removed
        if share is not None and not (isinstance(share, Real) and 0 < share <= 1):
            raise InputError(f"keep_removed is {share!r}; it is a share of images, above 0 and at most 1")
        for name in _SEVERAL:
            require_several(name, getattr(self, name))
        for table in self.images:
            require_several("each table of images", table)

    @property
    def asks_of_images(self) -> bool:
        """Whether any option needs the columns of tables of images."""
        return self.keep is not None or self.same_image is not None or bool(self.decontaminate)

    def find(self, hashes: Sequence[str] = ()) -> GatePlan:
        """Return the plan of these options; InputError for tables that cannot be read, or that no option needs.

        `hashes` are kinds of listed hashes; for each, a table of images must have a column.
        """
        return GatePlan.find(self, hashes)

    def require_use(self, hashes: Sequence[str] = ()) -> None:
        """Refuse tables that no option needs, and conditions without a table."""
        if self.captions and not self.match_captions:
            raise InputError(
                f"--captions {self.captions[0]} changes nothing where alt texts are balanced; give --match-captions to "
                "balance by captions, or give the captions to clip-export and BalancedDataset, which put them beside "
                "texts"
            )
        if self.match_captions and not self.captions:
            raise InputError("--match-captions balances by captions; name tables of them by --captions")
        if self.robots_agents and not self.robots:
            raise InputError("--robots-agents names agents of robots.txt; give files of robots.txt by --robots")
        if not self.robots and (unfed := [rule for rule in OF_HOSTS if rule in self.policy]):
            raise InputError(f"the rule {unfed[0]} is about what hosts say; give files of robots.txt by --robots")
        if self.images and not self.asks_of_images and not hashes:
            name = self.images[0][0]
            raise InputError(f"--images {name} is a table of images, and no --keep says which of them stay")
        if self.keep is not None and not self.images and not self.status:
            raise InputError(f"--keep {self.keep!r} is over columns of tables of images; name them by --images")
        if self.decontaminate_cosine is not None and not self.decontaminate:
            raise InputError(
                "--decontaminate-cosine compares with evaluation sets; name their tables by --decontaminate"
            )
        if self.keep is not None:
            require_short(self.keep)
            require_no_day_of_the_run(self.keep)


@dataclass(frozen=True)
class GatePlan:
    """The opened tables of a gate, and its conditions on images and texts."""

    results: ImageTable | None = None
    folders: Sequence[str] = ()  # of the results, without secrets
    only: UidList | None = None
    images: tuple[ImageTable, ...] = ()  # empty if no option needs them
    hashes: HashTables = HashTables({})  # empty if no hashes are listed
    keep: str | None = None
    policy: Policy = Policy()
    hosts: HostFiles | None = None
    agents: tuple[str, ...] = ()  # whose rules in robots.txt count
    evaluation: EvaluationSets | None = None
    evaluation_texts: EvaluationTexts | None = None
    pictures: Pictures | None = None
    meaning: SameMeaning | None = None
    captions: ImageTable | None = None  # a table of captions that replace alt texts
    named: Mapping[str, str] = field(default_factory=dict)  # values of steps of other packages, by name
    keep_removed: float | None = None  # the share of removed images that is written down

    @classmethod
    def find(cls, options: GateOptions, hashes: Sequence[str] = ()) -> GatePlan:
        """Return the plan of options; InputError for tables that cannot be read, or that no option needs.

        `hashes` are kinds of listed hashes; for each, a table of images must have a column.
        """
        options.require_use(hashes)
        same = None if options.same_image is None else SameImage.parse(options.same_image)
        evaluation = (options.decontaminate, options.decontaminate_within, options.decontaminate_cosine)
        plan = cls(
            results=_results(options.status) if options.status else None,
            folders=[hidden(str(each)) for each in options.status],
            only=UidList.find(options.only) if options.only else None,
            images=tuple(map(ImageTable.find, options.images)),
            keep=options.keep,
            policy=Policy.parse(options.policy),
            hosts=HostFiles.find(options.robots) if options.robots else None,
            agents=robots_agents(options.robots_agents) if options.robots else (),
            evaluation=EvaluationSets.read(*evaluation) if options.decontaminate else None,
            evaluation_texts=EvaluationTexts.read(options.decontaminate_texts) if options.decontaminate_texts else None,
            meaning=SameMeaning.find(options.same_meaning) if options.same_meaning else None,
            captions=find_captions(options.captions) if options.captions else None,
            named=named(options.steps),
            keep_removed=options.keep_removed,
        )
        plan.require_comparable()
        given = list(filter(None, (plan.results, *plan.images)))
        plan = replace(plan, hashes=HashTables.among(given, hashes))
        plan = plan if options.asks_of_images else replace(plan, images=())
        if plan.keep is not None:
            known = [name for names in plan.column_names.values() for name in names]
            require_columns(names_in(plan.keep, known), plan.column_names)
        if same is not None:
            plan = replace(plan, pictures=Pictures.find(plan.table_with(same.column, "--same-image"), same))
        if plan.keep_removed is not None and not plan.removes:
            raise InputError(
                "--keep-removed writes down what a gate removes, and nothing is asked for that removes images; give a "
                "condition or a policy"
            )
        return plan

    def __bool__(self) -> bool:
        return bool(self.removes or self.hosts)

    @property
    def removes(self) -> bool:
        """Whether images or texts may be removed: files of hosts alone remove none."""
        return any((self.asks, self.pictures, self.meaning, self.captions, self.images_per_domain, self.named))

    @property
    def asks(self) -> bool:
        """Whether single images or texts are checked: by tables, conditions, rules or evaluation sets."""
        is_for_copies = self.pictures and self.keep is None and self.tables == (self.pictures.table,)
        is_joined = self.tables and (not is_for_copies or self.results is not None)
        rules = [chosen for chosen in self.policy.rules if chosen.rule is not RULES["max_images_per_domain"]]
        return any((is_joined, rules, self.evaluation, self.evaluation_texts))

    def lines(self) -> list[str]:
        """Return all that the gate asks of images, as lines for people: one per kind of condition, one of tables."""
        sets = self.evaluation.names if self.evaluation else []
        conditions = {
            "downloaded": [f"{STATUS} = '{SUCCESS}'"] if self.results else [],
            "named in": [self.only.name] if self.only else [],
            "keep": [self.keep] if self.keep is not None else [],
            "policy": self.policy.names,
            "hosts say": [f"{self.hosts.name} ({counted(len(self.hosts.files), 'file')})"] if self.hosts else [],
            "no picture of": sets,
            "no text of": [f"{counted(len(self.evaluation_texts.keys), 'text')} of evaluation sets"]
            if self.evaluation_texts
            else [],
            "one image for each": [str(self.pictures.same)] if self.pictures else [],
            "no copy in": [self.meaning.table.name] if self.meaning else [],
            "balanced by": [self.captions.name] if self.captions else [],
            "steps": [f"{name}={value}" if value else name for name, value in self.named.items()],
        }
        tables = [f"{table.name} ({counted(len(table.files), 'file')})" for table in self.tables]
        return [f"{what}: {', '.join(each)}" for what, each in (conditions | {"tables": tables}).items() if each]

    def open(self, engine: Engine) -> Gate:
        """Return the gate with its steps; InputError for an expression that Spark cannot evaluate."""
        return Gate.open(engine, self)

    def require_comparable(self) -> None:
        """Refuse evaluation sets without URLs if no table of images has a column to compare their hashes with."""
        sets = self.evaluation
        if sets and sets.vectors and not self.tables_with(EMBEDDING):
            raise InputError(
                f"--decontaminate-cosine needs a column {EMBEDDING} in a table of images; name it by --images"
            )
        if sets and not sets.has_urls and not any(map(self.tables_with, sets.columns)):
            raise InputError(
                "the tables of --decontaminate have hashes of pictures, and no table of images has sha256 or phash; "
                "hash the downloaded pictures by clip-hash, and give the hashes by --images"
            )

    def tables_with(self, column: str) -> list[ImageTable]:
        """Return the tables of images that have a column of this name."""
        return [table for table in (self.results, *self.images) if table is not None and column in table.columns.names]

    @property
    def images_per_text(self) -> int | None:
        """The largest number of images that a text may have, or it is removed; None: any number."""
        return self.policy.number_of("max_images_per_text")

    @property
    def images_per_domain(self) -> int | None:
        """The largest number of images of a registered domain that stay; None: all."""
        return self.policy.number_of("max_images_per_domain")

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables: the results of a download, the list of images that may stay, and the tables of images."""
        return tuple(filter(None, (self.results, self.only, *self.images)))

    @property
    def columns(self) -> list[tuple[Table, pa.Schema]]:
        """Each table with the columns that conditions may name; the download's columns hide equal names of others."""
        of_download = {*map(str.lower, self.results.columns.names)} if self.results else set()
        seen = []
        for table in self.tables:
            is_own = table is self.results
            seen.append((table, [field for field in table.columns if is_own or field.name.lower() not in of_download]))
        return [(table, pa.schema(fields)) for table, fields in seen]

    @property
    def column_names(self) -> dict[str, list[str]]:
        """The names in `columns`, by the name of the table."""
        return {table.name: columns.names for table, columns in self.columns}

    def table_with(self, column: str, flag: str) -> ImageTable:
        """Return the only table of images that has a column; InputError if none or several have it.

        `flag` is named in errors as the one that asks for the column.
        """
        seen = [table for table, columns in self.columns if column in columns.names]
        found = [table for table in self.tables_with(column) if table in seen]
        if len(found) > 1:
            names = " and ".join(table.name for table in found)
            raise InputError(f"column {column} of {flag} is in several tables ({names}); rename one")
        if not found:
            raise InputError(
                f"column {column} of {flag} is in no table of images; give one by --images: clip-hash writes sha256 "
                "and phash of downloaded pictures"
            )
        return found[0]


def _results(folders: Paths) -> ImageTable:
    table = ImageTable.find(folders, "results of img2dataset, with 00000.parquet beside 00000.tar")
    if STATUS not in table.columns.names:
        raise InputError(
            f"{table.files[0][0]} has the columns {table.columns.names}; results of img2dataset have status and uid "
            "or url"
        )
    return table
