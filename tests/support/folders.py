"""A tiny folder of each kind that commands write, and what those who read it make of it; no Spark."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation import CurationConfig, clusters, curate, online
from curation.exclusion import Exclusion
from curation.language import engines
from curation.language.engines import Identifier, default_model
from curation.matching.finders import open_matchers, save_matchers
from curation.plugins.clustering.training import TrainedClusters
from curation.plugins.export.datacomp import DataComp
from curation.plugins.export.formats import export
from curation.plugins.export.huggingface import HuggingFace
from curation.plugins.export.metaclip import MetaClip
from curation.plugins.export.removal import remove_from_manifest
from curation.plugins.gate.evaluation import EvaluationSets, EvaluationTexts
from curation.plugins.gate.options import GateOptions
from curation.plugins.online.batches import OnlineConfig
from curation.plugins.online.dataset import read_rates
from curation.plugins.online.epochs import Epoch
from curation.run.request import Options
from curation.run.results import Results
from metadata import Entries, MetadataConfig, Sources, build_metadata
from runtime.shipping import Shipped
from runtime.storage.arrays import save_array
from runtime.storage.checksums import checksum_of
from tests.support import keyed_files, own_tables
from tests.support.cluster_tables import cluster_rows, write_folder
from tests.support.downloaded import results
from tests.support.flips import bytes_of, write_pairs
from tests.support.in_turn import in_turn
from tests.support.kept_work import Inputs, broken_off
from tests.support.online_run import Made
from tests.support.written_run import write_run

ENTRIES = Entries.build({"en": ["a", "photo", "dog", "black dog", "cat"], "ja": ["犬", "猫"]})
IMAGES = [[("a dog", "en", [0, 2])], [("a", "en", [0]), ("犬", "ja", [5])], [("犬", "ja", [5])]] * 20
RESULTS = ("curated", "counts.parquet", "thresholds.json")
RATES = np.linspace(0, 1, 99)
BROKEN_OFF = "broken off: "  # before the name of an export, a removal or an index


class Folders:
    """Folders below `root`, each made when it is first asked for."""

    def __init__(self, root: Path, sample: Path):
        self.root = root
        self.sample = sample
        self.kept = Inputs(root / "inputs")

    def of(self, name: str) -> Path:
        """Return the folder of a name: that of a function of this module, or of `kept_work`."""
        folder = self.root / name
        if not folder.exists():
            make = globals().get(f"make_{name}") or partial(make_kept, name=name)
            make(folder, self)
        return folder

    def pairs(self, number: int) -> list[str]:
        """Return the paths of so many tables of pairs."""
        (self.root / "pairs").mkdir(exist_ok=True)
        paths = [self.root / "pairs" / f"{number}.parquet" for number in range(number)]
        for place, path in enumerate(paths):
            if not path.exists():
                write_pairs(path, range(place * 200, place * 200 + 200))
        return [str(path) for path in paths]


def make_run(folder: Path, _: Folders) -> None:
    write_run(folder, ENTRIES, IMAGES, t=10)


def make_removed(folder: Path, made: Folders) -> None:
    one = Exclusion.of(uids=["c4ca4238a0b923820dcc509a6f75849b"])
    remove_from_manifest(in_turn(), made.of("run"), one, folder)


def make_curated(folder: Path, made: Folders, inputs: int = 2, t: int = 5, **options: object) -> None:
    """Curate tables of pairs, or go on with the folder of such a run."""
    config = CurationConfig(english_threshold=t)
    given = Options(**options)
    curate(made.pairs(inputs), folder, metadata=ENTRIES, config=config, options=given, engine=in_turn())


def make_unique(folder: Path, made: Folders) -> None:
    make_curated(folder, made, unique_images=True)


def make_gated(folder: Path, made: Folders) -> None:
    rows = [{"url": f"http://a.example/{number}.jpg", "status": "success"} for number in range(0, 150, 2)]
    images = made.root / "images"
    if not images.exists():
        results(images, rows, columns=["url", "status"])
    make_curated(folder, made, gate=GateOptions(status=[str(images)]))


def make_metadata(folder: Path, _: Folders) -> None:
    ENTRIES.save(folder, {"sources": {"en": {"list": 5}}})


def make_built(folder: Path, made: Folders) -> None:
    """Build metadata of two languages of the sample, or build them again."""
    sources = Sources.find(wikipedia=[str(made.sample / "wikipedia")], languages=["he", "hi"])
    build_metadata(in_turn(), MetadataConfig(), sources, folder)


def make_kept(folder: Path, made: Folders, name: str) -> None:
    """Write tables, an export, a removal or an index; or leave one that broke off."""
    make = partial(made.kept.make, name.removeprefix(BROKEN_OFF))
    if name.startswith(BROKEN_OFF):
        broken_off(make, made.root / f"of {name}").rename(folder)
    else:
        make(in_turn(), folder)


def make_clustered(folder: Path, made: Folders) -> None:
    write_folder(folder, cluster_rows(uids(made)))


def make_keyed(folder: Path, _: Folders) -> None:
    folder.mkdir()
    keyed_files.write_keyed_files(folder)


def make_online(folder: Path, _: Folders) -> None:
    folder.mkdir()
    Made(folder)


def make_matchers(folder: Path, _: Folders) -> None:
    save_matchers(ENTRIES, "unicode", folder)


def make_exclusion(folder: Path, _: Folders) -> None:
    Exclusion.of(uids=["0" * 32], domains=["example.org"], regexes=["gif$"]).save(folder)


def make_model(folder: Path, _: Folders) -> None:
    folder.mkdir()
    shutil.copy(default_model(), folder)


def make_sets(folder: Path, made: Folders) -> None:
    EvaluationSets.read([made.of("hashes")], 4).save(folder)


def make_texts(folder: Path, _: Folders) -> None:
    EvaluationTexts.of(["a dog", "犬"]).save(folder)


def make_centres(folder: Path, _: Folders) -> None:
    vectors = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    TrainedClusters.of(vectors, 10, 2, 0).save(folder)


def make_array(folder: Path, _: Folders) -> None:
    folder.mkdir()
    save_array(folder / "rates.npy", RATES)


# What readers make of a folder.


def everything(folder: Path, _: Folders) -> object:
    """Return what the readers of a finished run make of it: figures, images, exports and a removal."""
    run = Results.open(folder)
    figures = run.counts.tolist(), run.rates.tolist(), run.languages, run.kept().to_pylist(), run.kept_counts().tolist()
    images = pa.Table.from_batches(run.matched(None)).to_pylist(), run.examples(range(len(run.counts)), None)
    return figures, images, run.facts["rows"], derived(folder, HuggingFace({"name": "run"}), MetaClip())


def nothing(folder: Path, _: Folders) -> None:
    """Read nothing, where clip-verify alone is asked."""


def of_removed(folder: Path, _: Folders) -> object:
    found = Results.open(folder)
    return found.counts.tolist(), found.kept().to_pylist(), derived(folder, HuggingFace({"name": "run"}), DataComp())


def derived(folder: Path, *forms: object) -> dict[str, str]:
    """Return the checksums of exports in these forms, and of a removal."""
    made = folder.parent / "made"
    shutil.rmtree(made, ignore_errors=True)
    for number, form in enumerate(forms):
        export(in_turn(), folder, made / str(number), form)
    remove_from_manifest(in_turn(), folder, Exclusion.of(domains=["no.example"]), made / "removed")
    return bytes_of(made, without=("run.json",))


def gone_on(**more: object) -> Callable[[Path, Folders], object]:
    """Return a reader that goes on with a run with other options, and returns the bytes of its results."""

    def gone_on_with(folder: Path, made: Folders) -> object:
        make_curated(folder, made, **more)
        return {name: each for name, each in bytes_of(folder).items() if name.startswith(RESULTS)}

    return gone_on_with


def made_again(name: str) -> Callable[[Path, Folders], object]:
    """Return a reader that goes on with what a command left, and returns the bytes of all files."""

    def made_again(folder: Path, made: Folders) -> object:
        made.kept.make(name, in_turn(), folder)
        return bytes_of(folder)

    return made_again


def built_again(folder: Path, made: Folders) -> object:
    make_built(folder, made)
    return entries_of(folder, made)


def entries_of(folder: Path, _: Folders) -> object:
    entries = Entries.open(folder)
    return entries.table.to_pydict(), entries.digest


def rows_of(folder: Path, _: Folders) -> object:
    return own_tables.rows_of(folder)


def rows_of_clusters(folder: Path, _: Folders) -> object:
    return own_tables.rows_of(folder / "clusters")


def rows_of_curated(folder: Path, _: Folders) -> object:
    return own_tables.rows_of(folder / "curated")


def evaluation_of(folder: Path, _: Folders) -> object:
    return own_tables.evaluation_of(folder)


def vectors_of(folder: Path, _: Folders) -> object:
    return own_tables.vectors_of(folder)


def built_clusters(folder: Path, made: Folders) -> object:
    """Return what training reads of the folder of clip-cluster."""
    found = clusters.build([str(folder)], Results.open(made.of("run")), folder.parent / "clusters.arrow")
    return found.images, found.without, found.clusters.of(pa.array(uids(made))).to_pylist(), found.clusters.kept


def captions_of(folder: Path, made: Folders) -> object:
    return keyed_files.captions_of(folder / "captions", uids(made, "keyed/run"))


def clusters_of(folder: Path, made: Folders) -> object:
    return keyed_files.clusters_of(folder / "clusters", uids(made, "keyed/run"))


def uids(made: Folders, run: str = "run") -> list[str]:
    """Return the uids of a run's matched images."""
    top, _, below = run.partition("/")
    files = sorted((made.of(top) / below / "matched").glob("*.parquet"))
    return [uid for file in files for uid in pq.read_table(file, columns=["uid"])["uid"].to_pylist()]


def online_epoch(folder: Path, _: Folders) -> object:
    """Return what an epoch of training keeps, of a folder with an index, its tars, and a run."""
    index = online.Index.open(folder / "index", folder / "tars")
    rates = read_rates(folder / "run" / "counts.parquet", index.metadata)
    return Epoch(index, rates, OnlineConfig(), 1).kept(range(int(index.first_blocks[-1]))).to_pylist()


def found_by_matchers(folder: Path, _: Folders) -> object:
    open_matchers.cache_clear()
    finders = open_matchers(folder)
    return [finders.find(code, pa.array(["a black dog", "犬と猫"])).to_pylist() for code in ("en", "ja")]


def excluded(folder: Path, _: Folders) -> object:
    rows = pa.record_batch({"url": ["https://a.example.org/", "https://c.example/a.gif", "https://c.example/"]})
    return Exclusion.open(folder).excluded(rows).to_pylist()


def digest_of_model(folder: Path, _: Folders) -> object:
    engines._opened.cache_clear()
    return Identifier.open(folder / "lid.176.ftz").digest


def of_sets(folder: Path, _: Folders) -> object:
    numbers = range(40)
    rows = {
        "uid": [f"u{number}" for number in numbers],
        "url": [f"http://a.example/{number}.jpg" for number in numbers],
    }
    hashes = np.arange(0, 2**63, 2**58, dtype=np.uint64)[:, None]
    sets = EvaluationSets.open(folder)
    return sets.sets_of(pa.record_batch(rows)).tolist(), sets.kinds["phash"].find(hashes, 4).tolist(), sets.sets


def of_texts(folder: Path, _: Folders) -> object:
    return EvaluationTexts.open(folder).fails(pa.array(["a dog", "x"])).tolist()


def of_centres(folder: Path, _: Folders) -> object:
    return [each.tolist() for each in TrainedClusters.open(folder).distances(np.eye(8, dtype=np.float32))]


def shipped(folder: Path, made: Folders) -> object:
    array = Shipped(folder / "rates.npy", checksum=checksum_of(made.of("array") / "rates.npy"))
    return np.load(array.path(), allow_pickle=False).tolist()
