"""Count the tokens of kept texts by language: which share a text encoder of CLIP cuts off.

The user names a tokenizer.json, as models at Hugging Face have it; nothing is downloaded. The package tokenizers reads
it and adds the tokens of begin and end that the file asks for.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.report.facts import Observed, Section
from curation.report.page import environment
from curation.run.request import Observation, Options
from runtime.errors import InputError
from runtime.packages import require_packages
from runtime.shipping import Shipped
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches
from runtime.tallies import Tallies

CONTEXT = 77  # tokens, with begin and end
COUNTS = {
    "texts": ("tokens", "count"),
    "cut": ("cut", "sum"),
    "tokens": ("tokens", "sum"),
}  # of the texts of a language


@dataclass(frozen=True)
class TokensObserver:
    """Counts kept texts, those over CONTEXT tokens, and tokens, by language."""

    tokenizer: Path

    def observe(self, seen: Observation) -> Observed:
        """Count in tasks that read the manifest; return the counts of each language and the section of the report."""
        engine = seen.context.engine
        with seen.context.progress.stage("count tokens"):
            counts = engine.run(seen.manifest, partial(count, tokenizer=engine.ship(self.tokenizer)))
        by_name = {name: counts.by_language(name) for name in COUNTS}
        languages = {
            code: {name: values[code] for name, values in by_name.items()}
            for code in seen.run.codes()
            if code in by_name["texts"]
        }
        html = environment(__package__).get_template("tokens.html").render(languages=languages, most=CONTEXT)
        found = {"tokenizer": self.tokenizer.name, "most": CONTEXT, "languages": languages}
        return Observed(found, Section("tokens", f"Texts over {CONTEXT} tokens", html))


def find(options: Options) -> TokensObserver | None:
    """Return the observer of the tokenizer in `options`; None if there is none."""
    if options.tokenizer is None:
        return None
    require_packages(["tokenizers"])
    opened(Path(options.tokenizer))
    return TokensObserver(Path(options.tokenizer))


def opened(path: Path) -> Any:
    """Return the tokenizer in a tokenizer.json, which cuts and fills nothing."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # each core has a task
    from tokenizers import Tokenizer  # optional

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers has no class for it
        raise InputError(f"{path} is no tokenizer ({error}); give a tokenizer.json, as models have it") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def count(file: OwnFile, tokenizer: Shipped) -> Tallies:
    """Return the COUNTS of a CURATED file by language."""
    tallies, encode = Tallies(), tokenizer.opened(opened).encode_batch_fast
    for batch in batches(file, columns=["text", "language"]):
        tokens = pa.array([*map(len, encode(batch["text"].to_pylist()))], pa.int64())
        rows = pa.table({"language": batch["language"], "tokens": tokens, "cut": pc.greater(tokens, CONTEXT)})
        for row in rows.group_by("language").aggregate([*COUNTS.values()]).to_pylist():
            for name, summed in COUNTS.items():
                tallies.add(name, row["_".join(summed)], row["language"])
    return tallies
