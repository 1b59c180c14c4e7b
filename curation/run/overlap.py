"""Compare what two runs kept."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from curation.run.results import Results


def overlap(one: Results, other: Results, share: float = 1.0) -> pa.Table:
    """Return how many images `only_one`, `both` and `only_other` kept, by language; with a `share`, of a sample."""
    left = one.kept(share).select(["uid", "language"]).rename_columns(["uid", "left"])
    right = other.kept(share).select(["uid", "language"]).rename_columns(["uid", "right"])
    joined = left.join(right, "uid", join_type="full outer")
    in_one, in_other = pc.is_valid(joined["left"]), pc.is_valid(joined["right"])
    columns = {
        "language": pc.coalesce(joined["left"], joined["right"]),
        "only_one": pc.and_not(in_one, in_other),
        "both": pc.and_(in_one, in_other),
        "only_other": pc.and_not(in_other, in_one),
    }
    names = ["only_one", "both", "only_other"]
    sums = pa.table(columns).group_by("language").aggregate([(name, "sum") for name in names])
    return sums.select(["language", *(f"{name}_sum" for name in names)]).rename_columns(["language", *names])
