"""The options of a gate, as a user gives them; those that serve nothing are refused before any file is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

from curation.by_uid.tables import Paths
from curation.gate.expression_text import require_no_day_of_the_run, require_short
from curation.gate.image_rules import OF_HOSTS
from curation.gate.plan import GatePlan
from curation.near_copies.words import WORD_BITS, require_distance
from runtime.errors import InputError, require_several, typed

_PATHS = ("status", "only", "images", "robots", "decontaminate", "decontaminate_texts", "same_meaning", "captions")
_SEVERAL = (*_PATHS, "robots_agents", "policy", "steps")  # options that are lists


@typed
@dataclass(frozen=True)
class GateOptions:
    """The options of a gate, before any of its files is found or opened.

    status: img2dataset's output folders, where matched images were downloaded; those that exist stay.
    only: files of lists of the uids or URLs that may stay.
    images: tables of images, by uid or url: for each a list of its files or folders.
    keep: the condition over columns of images and status that an image must meet, in Spark SQL.
    policy: names of rules, some with a number, as min_words:3.
    robots: WARC files or tables of robots.txt, tdmrep.json and ai.txt of hosts: images get the signals that they state.
    robots_agents: agents, or files of them, whose rules in robots.txt count; without any, those of robots_agents.txt.
    decontaminate: tables of the pictures of evaluation sets, which are removed.
    decontaminate_within: bits in which the pHash of such a picture may differ.
    decontaminate_texts: files of texts of evaluation sets, which are removed.
    same_image: a column of images or status, as sha256 or phash:4: one image of those that are alike in it stays.
    same_meaning: a table of semantic copies, with uid and copy_of: a copy goes where the image that it is one of stays.
    captions: a table of captions, by uid or url.
    match_captions: balance images by their captions; by alt texts where there is none.
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
    decontaminate_texts: Paths = ()
    same_image: str | None = None
    same_meaning: Paths = ()
    captions: Paths = ()
    match_captions: bool = False
    steps: Sequence[str] = ()
    keep_removed: float | None = None

    def __post_init__(self) -> None:
        require_distance(self.decontaminate_within, WORD_BITS, "decontaminate_within")
        share = self.keep_removed
        if share is not None and not (isinstance(share, Real) and 0 < share <= 1):
            raise InputError(f"keep_removed is {share!r}; it is a share of images, above 0 and at most 1")
        for name in _SEVERAL:
            require_several(name, getattr(self, name))
        for table in self.images:
            require_several("each table of images", table)

    @property
    def asks_of_images(self) -> bool:
        """Whether anything is asked that columns of tables of images answer."""
        return self.keep is not None or self.same_image is not None or bool(self.decontaminate)

    def find(self, hashes: Sequence[str] = ()) -> GatePlan:
        """Return the plan for what is asked for; InputError for tables that cannot be read, or that serve nothing.

        Of `hashes`, kinds that are listed, tables of images must have columns.
        """
        return GatePlan.find(self, hashes)

    def require_use(self, hashes: Sequence[str] = ()) -> None:
        """Refuse tables that nothing asks for, and conditions without a table."""
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
        if self.keep is not None:
            require_short(self.keep)
            require_no_day_of_the_run(self.keep)
