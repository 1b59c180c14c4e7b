"""State facts about the texts of an image: language and its evidence, entries with counts and rates, and the draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from curation.balancing.sampling import choose_texts, coins
from curation.config import WITNESSES
from curation.plugins.find.run_again import RunAgain, is_of_label
from curation.report.charts import UNDETERMINED
from curation.run.results import Results
from curation.schemas import SAMPLED
from runtime.draws import draws

MAX_STATED_TEXTS = 64  # An image has at most so many texts by default; `--set max_texts` may allow more.
_BY_WITNESS = {
    "han": "other evidence: it has Chinese characters or kana",
    "pool": "other evidence: the other texts of its page, host and file",
    "page": "other evidence: its page states the language",
}


@dataclass(frozen=True)
class TextFacts:
    """States facts about texts of a run."""

    run: Results
    again: RunAgain

    def of_texts(self, texts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the facts about texts, rows of PAIRS, CURATED or GATE_REMOVED, or candidates of MATCHED."""
        return [self._of_text(text) for text in texts[:MAX_STATED_TEXTS]]

    def _of_text(self, text: dict[str, Any]) -> dict[str, Any]:
        return {
            "text": text["text"],
            "kind": text.get("kind"),
            "page_url": text.get("page_url"),
            "language": text["language"],
            "lid_score": text.get("lid_score"),
            "evidence": self._evidence(text),
            "entries": [self._entry(id) for id in text.get("entries", ())],
        }

    def _evidence(self, text: dict[str, Any]) -> str:
        """Return the evidence from which the language of a text follows."""
        if "lid_score" not in text:
            return "the sample of removed texts does not state it"
        if text["lid_score"] is None:
            return "the input states it"
        if "judged" in text:
            judged = text["judged"]
            if judged in WITNESSES:
                return _BY_WITNESS[judged]
            return f"{judged}: {UNDETERMINED[judged]}" if judged else "the language model"
        by_model = is_of_label(self.again, text["text"], text["language"])
        if by_model is None:
            return "the language model or other evidence"
        return "the language model" if by_model else "not the language model, but other evidence or a rule"

    def _entry(self, id: int) -> dict[str, Any]:
        """Return an entry with its count and rate, and the t of its language.

        Its string is None if no counted text has the entry, and the metadata cannot be opened.
        """
        rows = self.run.counted_entries.rows
        ids = rows["id"].to_numpy()
        position = int(np.searchsorted(ids, id))
        entry = None
        count = 0
        rate = 1.0
        if position < len(ids) and ids[position] == id:
            entry = rows["entry"][position].as_py()
            count = rows["count"][position].as_py()
            rate = rows["rate"][position].as_py()
        elif self.again.entries is not None:
            entry = self.again.entries.entry(id)
        code = next(code for code, part in self.run.languages.items() if part.start <= id < part.stop)
        t = self.run.facts["languages"].get(code, {}).get("t")
        return {"id": id, "entry": entry, "language": code, "count": count, "rate": rate, "t": t}

    def of_draw(self, image: dict[str, Any]) -> dict[str, Any]:
        """Return the text that was drawn of a counted image, its probability, and the draw that decided."""
        batch = pa.RecordBatch.from_pylist([image], SAMPLED)
        seed = self.run.facts["parameters"]["seed"]
        texts, chosen, probability = choose_texts(batch, self.run.rates, seed)
        draw = float(coins(batch["uid"], seed)[0])
        return {
            "texts": len(texts),
            "text_draw": float(draws(seed, "text", batch["uid"])[0]),
            "text": texts[int(chosen[0])]["text"].as_py(),
            "probability": float(probability[0]),
            "draw": draw,
            "kept": draw < float(probability[0]),
        }
