"""Judge a language-ID model and rules on texts of known languages: recall, precision and mistakes of each language.

    python tests/bench/evaluate_languages.py GOLD [RULES [MODEL]]

GOLD is a CSV or Parquet file with `text` and `language`, and for witnesses `page_url` and `page_language`. RULES is
JSON with fields of LanguageRules, such as '{"min_score": 0.75, "witnesses": ["han", "page"]}'. Each witness, which is
evidence besides the model's label, is also tried alone.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from curation.inputs.candidates import coded
from curation.language.engines import Identifier
from curation.language.label_decisions import WITNESSES, LanguageRules, Stated, Surroundings, judge, weighed
from curation.url_hosts import hosts
from metadata.languages import OTHER, named
from runtime.terminal import aligned
from runtime.wording import number, percent


def evaluate_witnesses(
    texts: pa.Array, gold: pa.Array, identifier: Identifier, rules: LanguageRules, stated: Stated
) -> list[dict]:
    """Return rows without witnesses, with each witness in `rules` alone, and with all of these witnesses.

    Each choice of witnesses has a row for each true language, and one, whose language is None, for all texts. `decided`
    is the number of texts whose language a witness decides; `right` is the share of these that get their true
    language, and `right_before` the share that get it without witnesses. `gold` has codes of languages.
    """
    labels, scores = identifier.predict(texts)
    own = np.array(gold.to_pylist())
    before = np.array(judge(texts, labels, scores, replace(rules, witnesses=()), stated)[0].to_pylist())
    rows = []
    for choice in dict.fromkeys([(), *((name,) for name in rules.witnesses), tuple(rules.witnesses)]):
        answers, reasons = judge(texts, labels, scores, replace(rules, witnesses=choice), stated)
        given = np.array(answers.to_pylist())
        decided = pc.is_in(reasons, pa.array([*WITNESSES])).to_numpy(zero_copy_only=False)
        for code in [None, *np.unique(own).tolist()]:
            mask = own == (code or own)
            wrong, times = np.unique(given[mask & (given != own)], return_counts=True)
            row = {
                "witnesses": " ".join(choice),
                "language": code,
                "texts": int(mask.sum()),
                "decided": int((mask & decided).sum()),
                "right": _mean(given == own, mask & decided),
                "right_before": _mean(before == own, mask & decided),
                "recall": _mean(given == own, mask),
                "precision": _mean(given == own, given == code if code else given != OTHER.code),
                "mistaken_for": str(wrong[times.argmax()]) if len(wrong) else "",
            }
            rows.append(row)
    return rows


def _mean(values: np.ndarray, mask: np.ndarray) -> float | None:
    return float(values[mask].mean()) if mask.any() else None


def stated_by(table: pa.Table, texts: pa.Array, identifier: Identifier, rules: LanguageRules) -> Stated:
    """Return the language that each text's page states, and the language that the texts around it give."""
    nothing = pa.nulls(len(table), pa.string())
    columns = {name: table[name].cast(pa.string()).combine_chunks() for name in table.column_names}
    pages = coded(columns.get("page_language", nothing))
    pages = pc.if_else(pc.equal(pages, OTHER.code), None, pages)  # empty labels became `other`
    urls = columns.get("page_url", nothing)
    if "pool" not in rules.witnesses:
        return Stated(pages, nothing)
    around = rules.pool_shares or Surroundings(urls, hosts(urls, str.lower), pages)
    return Stated(pages, weighed(texts, identifier.predict(texts), identifier, around))


def main(path: str, rules: str = "{}", model: str | None = None) -> None:
    """Print a line for each choice of witnesses, and one for each language with all of them."""
    table = pq.read_table(path) if path.endswith(".parquet") else csv.read_csv(path)
    texts = table["text"].cast(pa.large_string()).combine_chunks()
    identifier = Identifier.open(model)
    asked = LanguageRules(**json.loads(rules))
    gold = coded(table["language"].cast(pa.string()).combine_chunks())
    rows = evaluate_witnesses(texts, gold, identifier, asked, stated_by(table, texts, identifier, asked))
    lines = [("witnesses", "language", "texts", "decided", "right", "before", "recall", "precision", "mistaken for")]
    for row in sorted(rows, key=lambda row: -row["texts"]):
        if row["language"] is None or row["witnesses"] == " ".join(asked.witnesses):
            shares = (percent(row[name]) for name in ("right", "right_before", "recall", "precision"))
            name = named(row["language"]) if row["language"] else "all"
            counts = number(row["texts"]), number(row["decided"])
            lines.append((row["witnesses"] or "none", name, *counts, *shares, row["mistaken_for"]))
    print("\n".join(aligned(lines, left=(0, 1, 8))))


if __name__ == "__main__":
    main(*sys.argv[1:])
