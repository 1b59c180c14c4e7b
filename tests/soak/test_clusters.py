"""Clusters by uid and experts agree with their definitions on many random tables, in however many parts."""

from fractions import Fraction
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import clusters as module
from curation.plugins.online.batches import Expert
from curation.run.results import Results
from tests.naive.experts import naive_chance, naive_clusters, naive_takes
from tests.support.cluster_tables import cluster_rows, write_folder
from tests.support.online_run import image, write_run

pytestmark = pytest.mark.soak


def uid(chance: Random) -> str:
    """An MD5, one in capitals, one of few first halves, or an input's own uid."""
    digits = f"{chance.getrandbits(128):032x}"
    halves = f"{chance.choice(['0' * 16, 'f' * 16, '8' + '0' * 15])}{chance.getrandbits(64):016x}"
    return chance.choice([digits, digits.upper(), halves, f"é{chance.randrange(10**6)}"])


@pytest.mark.parametrize("seed", range(30))
def test_clusters_and_experts_are_those_of_the_definition(tmp_path, monkeypatch, seed):
    chance = Random(seed)
    uids = list(dict.fromkeys(uid(chance) for _ in range(chance.randrange(50, 3000))))
    mine = uids[: len(uids) // 2 + 1]
    write_run(tmp_path / "run", [image(n, [[chance.randrange(5)]]) | {"uid": each} for n, each in enumerate(mine)])
    number = chance.randrange(1, 9)
    rows = cluster_rows(uids, coarse=number, without=chance.random() / 2, seed=seed)
    monkeypatch.setattr(module, "PART_ROWS", chance.choice([1, 20, 300, 1 << 20]))
    table = write_folder(tmp_path / "clusters", rows + rows[:50], files=chance.randrange(1, 4))
    found = module.build([table], Results.open(tmp_path / "run"), tmp_path / "store")
    assert found.clusters.of(pa.array(mine)).to_pylist() == naive_clusters(rows, mine)
    coarse = {row["uid"]: row["coarse"] for row in rows if row["uid"] in {*mine}}
    assert found.without == len(mine) - len(coarse)
    kept = pq.read_table(tmp_path / "run" / "curated", columns=["uid"])["uid"].to_pylist()
    chosen = {next(coarse[each] for each in kept if each in coarse)}
    others = sum(coarse.get(each, next(iter(chosen))) not in chosen for each in kept)
    own = sum(coarse.get(each) in chosen for each in kept)
    share = Fraction(chance.randrange(100), 100) * Fraction(others, own + others)
    expert = Expert(found.clusters, tuple(chosen), float(share), seed)
    chance_of_outsiders = naive_chance(kept, coarse, chosen, share)
    assert expert.takes(pa.array(mine)).tolist() == naive_takes(mine, coarse, chosen, chance_of_outsiders, seed)
