"""The options of a gate, and the flags for them.

The gate decides which matched images stay, and with which of their texts. All files are opened before any task starts.
Another installed package can add a step through the entry point GROUP; a user asks for it with `--gate-step
NAME=VALUE`.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import chain
from os import PathLike
from typing import Any

from curation.plugins.gate import warm_gate
from curation.plugins.gate.evaluation import NEAR
from curation.plugins.gate.gate import GROUP, Gate
from curation.plugins.gate.given_tables import GivenTables
from curation.plugins.gate.judge.judge import OUTPUTS
from curation.plugins.gate.listed_hashes import HashTables
from curation.plugins.gate.policies.policies import RULES, Policy
from curation.plugins.gate.step import Step
from curation.plugins.joins.image_tables import Paths
from curation.plugins.near_duplicates.copies import COMPARISONS
from curation.plugins.near_duplicates.vectors import require_cosine
from runtime.argument_types import require_part, require_several, typed
from runtime.arguments import Parser, add_fields, add_flags, helps, made
from runtime.errors import InputError
from runtime.messages import did_you_mean
from runtime.packages import hooks, own_hooks
from runtime.storage.listing import listed_versions
from runtime.warming import Call


@typed
@dataclass(frozen=True)
class GateOptions:
    """The options of a gate, before any of its files is found or opened.

    status: img2dataset's output folders of the matched images; only downloaded images stay.
    only: files of lists of the uids or URLs that may stay.
    images: tables of images, by uid or url: for each a list of its files or folders.
    keep: the condition over columns of images and status that an image must meet, in SQL.
    policy: names of rules, some with a number, such as min_words:3.
    judge: a file of weights by which the rules junk and headline judge; None: this package's weights.
    robots: WARC files or tables of hosts' robots.txt, tdmrep.json and ai.txt: images get the signals of their hosts.
    robots_agents: agents, or files of agents, whose rules in robots.txt count; by default those in robots_agents.txt.
    decontaminate: tables of the pictures of evaluation sets; these pictures are removed.
    decontaminate_cosine: an image is removed if its embedding has at least this cosine with the embedding of such a
        picture; None: embeddings are not compared.
    decontaminate_texts: files of texts of evaluation sets; these texts are removed.
    same_image: a column of images or status, such as sha256 or phash:4; one of the images that agree in it stays.
    same_meaning: a table of semantic copies, with uid and copy_of: an image is removed if the one in copy_of is there.
    match_captions: a table of captions, by uid or url, which replace alt texts; an image without a caption keeps its
        alt texts.
    steps: steps of other packages, by name, some with a value, such as min_saturation=0.2.
    keep_removed: the share of removed images whose texts are written to gate_removed/; None: no texts are written.
    """

    status: Paths = ()
    only: Paths = ()
    images: Sequence[Paths] = ()
    keep: str | None = None
    policy: Sequence[str] = ()
    judge: str | PathLike[str] | None = None
    robots: Paths = ()
    robots_agents: Sequence[str] = ()
    decontaminate: Paths = ()
    decontaminate_cosine: float | None = None
    decontaminate_texts: Paths = ()
    same_image: str | None = None
    same_meaning: Paths = ()
    match_captions: Paths = ()
    steps: Sequence[str] = ()
    keep_removed: float | None = None

    def __post_init__(self) -> None:
        require_cosine("decontaminate_cosine", self.decontaminate_cosine)
        if self.keep_removed is not None:
            require_part("keep_removed", self.keep_removed, "a share of images", "0.01")
        for option in fields(self):
            if option.default == ():
                require_several(option.name, getattr(self, option.name))
        for table in self.images:
            require_several("each table of images", table)

    @property
    def asks_of_images(self) -> bool:
        """Whether any option needs the columns of tables of images."""
        return self.keep is not None or self.same_image is not None or bool(self.decontaminate)

    @property
    def asks_of_single(self) -> bool:
        """Whether options are about single images or texts.

        A single table does not count if only --same-image needs it.
        """
        is_joined = self.status or self.only or self.keep is not None or (self.same_image and len(self.images) > 1)
        return any((is_joined, self.rules.of_single, self.decontaminate, self.decontaminate_texts))

    @cached_property
    def all_tables(self) -> GivenTables:
        """All tables that the options name; opened on the first access."""
        return GivenTables.find(self.status, self.only, self.images)

    @property
    def paths(self) -> list[str | PathLike[str]]:
        """All paths that the options name, and other values that may be paths: agents of hosts, values of steps."""
        judge = () if self.judge is None else (self.judge,)
        of_steps = filter(None, self.named.values())
        of_hosts = (*self.robots, *self.robots_agents)
        of_sets = (*self.decontaminate, *self.decontaminate_texts)
        tables = (*self.status, *self.only, *chain.from_iterable(self.images), *self.same_meaning, *self.match_captions)
        return [*tables, *of_hosts, *of_sets, *judge, *of_steps]

    @property
    def tables(self) -> GivenTables:
        """The tables that conditions on images need."""
        return self.all_tables if self.asks_of_images else replace(self.all_tables, images=())

    @cached_property
    def rules(self) -> Policy:
        """The rules that `policy` names."""
        return Policy.parse(self.policy)

    @cached_property
    def named(self) -> dict[str, str]:
        """The values of `steps`, by name; InputError for an unknown name, or a name with two values.

        >>> GateOptions().named
        {}
        """
        values: dict[str, str] = {}
        for name, _, value in (step.partition("=") for step in self.steps):
            if values.setdefault(name, value) != value:
                raise InputError(f"--gate-step {name} is passed twice, with different values; pass one")
        installed = hooks(GROUP).keys() - own_hooks(GROUP).keys() if self.steps else set()
        if unknown := values.keys() - installed:
            others = f"the installed steps are: {', '.join(sorted(installed)) or 'none'}"
            near = did_you_mean(min(unknown), installed, others)
            raise InputError(f"--gate-step {min(unknown)} is not a step of the gate; {near}")
        return values

    def kernels(self, hashes: Sequence[str] = ()) -> dict[Call, int]:
        """Return functions that compile all kernels the options may need, each with its number of kernels.

        No file is opened. `hashes` are kinds of listed hashes.
        """
        calls = warm_gate.needed(self.rules.numbers)
        if ":" in (self.same_image or ""):
            calls |= COMPARISONS
        if self.decontaminate or NEAR in hashes:
            calls |= warm_gate.HASHES
        if self.decontaminate_cosine is not None:
            calls |= warm_gate.EMBEDDINGS
        return calls

    def find(self, hashes: Sequence[str] = ()) -> Gate:
        """Return the gate of these options; InputError for files that cannot be read, or that no option needs.

        `hashes` are kinds of listed hashes; for each, a table of images must have a column.
        """
        if self.images and not self.asks_of_images and not hashes:
            name = self.images[0][0]
            raise InputError(
                f"--images {name} is a table of images, but no option reads it; say by --keep which images stay, or "
                "leave out --images"
            )
        if self.judge is not None and not any(name in OUTPUTS for name in self.rules.numbers):
            raise InputError(
                f"--judge {self.judge} is used only by the rules junk and headline; pass one of them by --policy"
            )
        asked = {*own_hooks(GROUP), *self.named}
        # Versions are listed before any file is read, so a file that changes meanwhile makes another gate.
        read = listed_versions(self.paths)
        hooked = {name: hook.find(self, _is_step, "a Step") for name, hook in hooks(GROUP).items() if name in asked}
        steps = {name: step for name, step in hooked.items() if step is not None}
        if self.keep_removed is not None and not any(step.removes for step in steps.values()):
            raise InputError(
                "--keep-removed writes texts that a gate removes, but no other option removes any; pass a condition or "
                "a policy"
            )
        return Gate(self, steps, HashTables.among(self.all_tables, hashes), read)


def _is_step(hook: Any) -> bool:
    return isinstance(hook, Step) and type(hook) is not Step


POLICY = {
    "--policy RULE": "rules by which images and texts are removed, such as `recommended`. `recommended` stands for all "
    "rules with a star, and N for a number: "
    + ", ".join(f"{rule.form}{'*' * bool(rule.recommended)}" for rule in RULES.values()),
}


def add(parser: Parser) -> None:
    """Add the flags of the gate to a parser: --policy among the general flags, the others under their own heading."""
    add_fields(parser, GateOptions, POLICY)
    group = parser.add_argument_group("which images stay")
    add_flags(group, helps(__package__, "images"), nargs="+", action="append")
    add_fields(group, GateOptions, helps(__package__, "gate"))
    add_flags(group, helps(__package__, "steps"), dest="steps", nargs="+")
    parser.take_defaults(GateOptions)


def options(args: Namespace) -> dict[str, Any]:
    """Return the field `gate` of `Options`, by its name: the GateOptions that the parsed flags give."""
    return {"gate": made(GateOptions, args)}
