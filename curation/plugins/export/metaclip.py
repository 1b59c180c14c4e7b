"""Export `metaclip`: counts, probabilities and texts with their entries, or files for Meta CLIP's own data loaders.

An entry id is a position, from 0, in its language's list of entries, array of counts and array of probabilities. The
names follow Algorithm 1 of "Demystifying CLIP Data". A list has only the entries that occur in a text: a run does not
store the others.

If tars are given, one JSON file per tar is written for each of Meta CLIP's two data loaders instead. The loader of
version 1.2 draws a text of an image and keeps it with the probability that the file states next to the text. The file
for the worldwide loader has the entry ids of each text; an array of probabilities is written per list of entries, for
all entries of the metadata.
Images have the keys of the tar, in the tar's order; images without texts are left out.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from hashlib import sha224
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from curation.balancing.sampling import keep_probability
from curation.config import ENGLISH
from curation.plugins.annotations.clusters import Choice
from curation.plugins.export.formats import ALL, Beside, ByCluster, Form, chosen
from curation.plugins.tars.joined import Numbered, Scan, each_tar, matched_images, require_samples
from curation.plugins.tars.samples import distinct_tars, tar_name
from curation.run.finished_run import matched_files
from curation.run.results import Results
from curation.schemas import TRAINED_TEXTS
from runtime.arrow import parts
from runtime.errors import InputError
from runtime.folders.folder import Folder, Made, WorkItem, items_of
from runtime.folders.stamps import Input
from runtime.progress import advancing
from runtime.shipping import Shipped
from runtime.storage.arrays import save_array
from runtime.storage.json_files import write_json
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches, part_writer
from runtime.storage.paths import make_folder
from runtime.storage.scratch import scratch
from runtime.storage.whole import whole
from runtime.wording import counted

TEXT_PROBABILITIES, TEXT_ENTRIES = "text_probabilities", "text_entries"
LOADERS = (TEXT_PROBABILITIES, TEXT_ENTRIES)
ARRAYS = f"{TEXT_ENTRIES}/per_lang_t"
SAMPLES = "samples"  # the name of a tally of the samples that are written
NAMES, KEYS = "names.csv", "keys.parquet"
KEY_DIGITS = 24  # A key of Meta CLIP's own tars is so many hex digits of the SHA-224 of a URL without blanks and tabs.
URL_KEYS = pa.schema([pa.field("uid", pa.string()), pa.field("key", pa.string())])
COLUMNS = ("language", "name", "t")  # the columns of names.csv
Sample = tuple[str, list[list], list[list]]  # key, [text, probability] …, [text, language, [entry ids]] …

METADATA, COUNTS, PROBABILITIES, SHARDS = "metadata", "entry_counts", "entry_probs", "texts"
INDEX = "index.json"
TEXTS = "texts"  # the name of a tally of the texts that are written


@dataclass(frozen=True)
class MetaClip(Form):
    """The export format `metaclip`: counts, probabilities and texts; with tars, JSON files for Meta CLIP's loaders."""

    tars: Sequence[str | Path] = ()
    clusters: ByCluster = ALL

    writes = "counts, probabilities and texts for a loader that balances as it reads"

    def __post_init__(self) -> None:
        if self.clusters.tables and not self.tars:
            raise InputError("the format metaclip chooses clusters only if it reads tars; pass the tars (--tars)")
        self.clusters.require_choice("metaclip")

    def write(self, run: Results, folder: Folder) -> str:
        """Write the files for a balancing loader or, with tars, for Meta CLIP's two loaders; return a description."""
        if self.tars:
            tars = distinct_tars(self.tars)
            beside = Beside.of(folder.engine, run, (), self.clusters)
            samples = write_loaders(run, tars, beside, folder)
            return f"{counted(samples, 'sample')} of {counted(len(tars), 'tar')} with texts for both loaders{beside}"
        _write_languages(run, folder.path)
        files = matched_files(run)
        listed = run.counted_entries.rows["id"].to_numpy()
        languages = indices_of(run.languages, listed)
        with scratch() as local:
            shipped = folder.engine.ship(save_array(local / "listed.npy", listed))
            make = partial(write_shard, listed=shipped, languages=languages, one_list=run.one_list)
            result = folder.make("write texts", items_of(files), make, SHARDS)
        noted = dict(result.noted(SHARDS))
        shards = {file.path.stem: noted[file.path.stem] for file in files}
        sizes = {code: indices.stop - indices.start for code, indices in languages.items()}
        index = {"metadata": run.facts["made_from"]["metadata"], "languages": sizes, "shards": shards}
        write_json(folder.path / INDEX, index)
        written = f"{counted(int(result[TEXTS]), 'text')} in {counted(len(files), 'shard')}"
        return f"{written} and the entries of {counted(len(run.languages), 'language')}"


def write_shard(
    file: OwnFile, made: Made, listed: Shipped, languages: Mapping[str, slice], one_list: str | None = None
) -> None:
    """Write one file of matched images as one JSON object: uid → its texts, each with its language and entries.

    `listed` has the sorted ids of all entries that occur in a text. `languages` has the slice of each language in it.
    Record the numbers of images and texts in the task's result. Each image has its own line, so a shard can be read in
    parts.
    """
    images = texts = 0
    name = f"{file.path.stem}.json"
    with made.file(SHARDS, name) as path, path.open("wb") as out:
        for batch in advancing(batches(file, columns=["uid", "candidates"])):
            for uid, of_image in _images(batch, listed.array(), languages, one_list):
                out.write(member(images, uid, of_image))
                images += 1
                texts += len(of_image)
        out.write(b"\n}\n" if images else b"{\n}\n")
    made.result.note(SHARDS, [file.path.stem, {"images": images, "texts": texts}])
    made.result.add(TEXTS, texts)


def _write_languages(run: Results, folder: Path) -> None:
    """Write, for each language, the entries that occur in a text (JSON), and their counts and sampling rates.

    Counts are int64 .npy, rates float32 .npy. A run does not store the strings of entries that occur in no text.
    """
    metadata, counts, probabilities = (make_folder(folder / name) for name in (METADATA, COUNTS, PROBABILITIES))
    for code in run.languages:
        rows = run.entries(code)
        ids = rows["id"].to_numpy()
        write_json(metadata / f"{code}.json", rows["entry"].to_pylist())
        save_array(counts / f"{code}.npy", run.counts[ids])
        save_array(probabilities / f"{code}.npy", run.rates[ids])


def _images(
    batch: pa.RecordBatch, listed: np.ndarray, languages: Mapping[str, slice], one_list: str | None
) -> Iterator[tuple[str, list[dict]]]:
    """Yield the uid of each image of a MATCHED batch, and its texts as the dictionaries that a shard has."""
    texts, offsets = parts(batch["candidates"])
    texts = renumbered(of_list(texts, one_list), listed)
    columns = (texts.field("text"), texts.field("language"), local_ids(texts, languages))
    values = zip(*(column.to_pylist() for column in columns), strict=True)
    rows = [{"text": text, "language": code, "matched_entry_ids": ids} for text, code, ids in values]
    for uid, begin, end in zip(batch["uid"].to_pylist(), offsets, offsets[1:], strict=False):
        yield uid, rows[begin:end]


@dataclass(frozen=True)
class Lists:
    """A run's lists of entries: the rates of all entries; by language, a list's slice of ids.

    `one_list` is the language of the list if there is only one, otherwise None.
    """

    rates: Shipped
    languages: Mapping[str, slice]
    one_list: str | None


def write_loaders(run: Results, tars: list[Input], beside: Beside, folder: Folder) -> int:
    """Write the JSON of each tar for both loaders, the arrays, keys.parquet and names.csv.

    Return the number of samples; InputError if there are none.
    """
    _require_numbers(tars)
    files = matched_files(run)
    with scratch() as local:
        rates = folder.engine.ship(save_array(local / "rates.npy", run.rates))
        lists = Lists(rates, run.languages, run.one_list)
        make = partial(write_tar, lists=lists, choice=beside.choice)
        tables = [matched_images(files, run.counted[1]), *beside.tables]
        tallies = each_tar(folder, "write the texts", tars, tables, make)
    samples = int(tallies[SAMPLES])
    require_samples(folder, samples, tars, f"among the images of {run.path}{beside}")
    keys = WorkItem([Input(KEYS, "own", 1)], files)
    folder.make("write the keys of images", [keys], _write_keys)
    arrays = make_folder(folder.path / ARRAYS)
    t = threshold_of(run)
    for code, ids in run.languages.items():
        save_array(arrays / f"{t}_{code}.npy", run.rates[ids].astype(np.float32))
    with whole(folder.path / NAMES) as path, path.open("w", encoding="utf-8", newline="") as file:
        rows = [(code, code, t) for code in run.languages]
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    return samples


def write_tar(numbered: Numbered, made: Made, scan: Scan, lists: Lists, choice: Choice | None) -> None:
    """Write the two JSON files of a tar, one per loader, with one sample per line; tally the samples."""
    number = 0
    with ExitStack() as stack:
        paths = [stack.enter_context(made.file(*path_parts)) for path_parts in jsons_of(tar_number(numbered[1]))]
        first, second = (stack.enter_context(path.open("wb")) for path in paths)
        for key, with_probability, with_entries in _samples(scan, lists, choice):
            first.write(member(number, key.removeprefix("./"), with_probability))
            second.write(member(number, key, with_entries))
            number += 1
        for file in (first, second):
            file.write(b"\n}\n" if number else b"{}\n")
    made.result.add(SAMPLES, number)


def _samples(scan: Scan, lists: Lists, choice: Choice | None) -> Iterator[Sample]:
    for samples, joined in scan.read():
        if joined is not None:
            rows = joined.filter(pc.is_valid(joined[TRAINED_TEXTS.name]))
            rows = chosen(rows, samples["uid"].take(rows["row"]), choice)
            yield from of_samples(samples["key"].take(rows["row"]).to_pylist(), rows, lists)


def of_samples(keys: Sequence[str], rows: pa.RecordBatch, lists: Lists) -> Iterator[Sample]:
    """Yield a Sample for each of `rows`: its key, and its texts in two forms, for Meta CLIP's two loaders.

    The first form has each text with its probability, the second each text with its language and entry ids. `keys` has
    the samples' keys in the order of `rows`.
    """
    texts, offsets = parts(rows[TRAINED_TEXTS.name])
    probability = keep_probability(texts.field("entries"), lists.rates.array()).tolist()
    of_lists = of_list(texts, lists.one_list)
    ids = local_ids(of_lists, lists.languages).to_pylist()
    codes = of_lists.field("language").to_pylist()
    text = texts.field("text").to_pylist()
    for key, begin, end in zip(keys, offsets, offsets[1:], strict=False):
        span = slice(begin, end)
        with_probability = [list(values) for values in zip(text[span], probability[span], strict=True)]
        yield key, with_probability, [list(values) for values in zip(text[span], codes[span], ids[span], strict=True)]


def indices_of(languages: Mapping[str, slice], listed: np.ndarray) -> dict[str, slice]:
    """Return the slice of indices in the sorted ids `listed` of each language, given its slice of ids.

    >>> indices_of({"en": slice(0, 4), "ja": slice(4, 6)}, np.array([0, 2, 5]))
    {'en': slice(0, 2, None), 'ja': slice(2, 3, None)}
    """
    indices: dict[str, slice] = {}
    for code, ids in languages.items():
        begin, end = np.searchsorted(listed, [ids.start, ids.stop]).tolist()
        indices[code] = slice(begin, end)
    return indices


def renumbered(texts: pa.StructArray, listed: np.ndarray) -> pa.StructArray:
    """Return texts with each entry as its index in the sorted ids `listed`; InputError for an entry that is not there.

    A null list of entries becomes an empty one.
    """
    ids, offsets = parts(texts.field("entries"))
    values = ids.to_numpy(zero_copy_only=False)
    indices = np.searchsorted(listed, values)
    is_listed = indices < len(listed)
    is_listed[is_listed] = listed[indices[is_listed]] == values[is_listed]
    if not is_listed.all():
        raise InputError(
            f"entry {values[~is_listed][0]} is in a text, but not in counts.parquet; matched/ and counts.parquet come "
            "from two different runs"
        )
    entries = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(indices, pa.int32()))
    return pa.StructArray.from_arrays(
        [texts.field("text"), texts.field("language"), entries], ["text", "language", "entries"]
    )


def local_ids(texts: pa.StructArray, languages: Mapping[str, slice]) -> pa.ListArray:
    """Return the entries of each text as positions in its language's list; InputError for another language's entry."""
    ids, offsets = parts(texts.field("entries"))
    codes = texts.field("language").dictionary_encode()
    # The last slice is for null.
    slices = [languages.get(code, slice(0, 0)) for code in codes.dictionary.to_pylist()] + [slice(0, 0)]
    of_text = codes.indices.fill_null(len(slices) - 1).to_numpy()
    of_id = np.repeat(of_text, np.diff(offsets))
    starts = np.array([of_language.start for of_language in slices], np.int64)
    stops = np.array([of_language.stop for of_language in slices], np.int64)
    values = ids.to_numpy(zero_copy_only=False).astype(np.int64)
    wrong = np.flatnonzero((values < starts[of_id]) | (values >= stops[of_id]))
    if len(wrong):
        raise InputError(
            f"entry {values[wrong[0]]} does not belong to the language of its text; matched/ and counts.parquet come "
            "from two different runs"
        )
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values - starts[of_id], pa.int32()))


def of_list(texts: pa.StructArray, one_list: str | None) -> pa.StructArray:
    """Return texts with `one_list` as the language of each, or unchanged if it is None.

    `one_list` is the language of the single list against which all texts are matched.
    """
    if one_list is None:
        return texts
    columns = {"text": texts.field("text"), "language": pa.repeat(one_list, len(texts))}
    return pa.StructArray.from_arrays([*columns.values(), texts.field("entries")], [*columns, "entries"])


def threshold_of(run: Results) -> int:
    """Return the t that names all arrays: the threshold of English or, without English, of the first language."""
    codes = [*run.languages]
    return run.facts["languages"][ENGLISH if ENGLISH in codes else codes[0]]["t"]


def member(number: int, key: str, value: Any) -> bytes:
    """Return a member of a JSON object on a new line: after `{` if it is the first (`number` is 0), else after `,`."""
    return b"%b\n%b: %b" % (b"," if number else b"{", orjson.dumps(key), orjson.dumps(value))


def jsons_of(number: int) -> list[tuple[str, str]]:
    """Return the folder and the name of the JSON file of tar `number`, for each of LOADERS.

    >>> jsons_of(4321)
    [('text_probabilities/21', '4321.json'), ('text_entries/4000', '4321.json')]
    """
    groups = (number % 100, number - number % 2_000)
    return [(f"{loader}/{group}", f"{number}.json") for loader, group in zip(LOADERS, groups, strict=True)]


def tar_number(tar: Input) -> int:
    """Return the number that a tar's name states; InputError if the name is not a number.

    >>> tar_number(Input("images/04321.tar", "tar", 0))
    4321
    """
    stem = Path(tar_name(tar)).stem
    if not (stem.isascii() and stem.isdecimal()):
        raise InputError(
            f"the name of {tar.path} is not a number; pass tars with the names that img2dataset writes, such as "
            "00000.tar"
        )
    return int(stem)


def _require_numbers(tars: Sequence[Input]) -> None:
    tar_by_number: dict[int, Input] = {}
    for tar in tars:
        other = tar_by_number.setdefault(tar_number(tar), tar)
        if other is not tar:
            raise InputError(
                f"{other.path} and {tar.path} have the same number, so their JSON files would have the same name; "
                "give only one of them"
            )


def _write_keys(files: Sequence[OwnFile], made: Made) -> None:
    """Write a table with the uid of each image, and the key that Meta CLIP's own tars have for the image's URL."""
    with part_writer(made.path("", KEYS), URL_KEYS, row_group_rows=1 << 20) as writer:
        for file in files:
            for batch in batches(file, columns=["uid", "url"]):
                keys = [*map(metaclip_key, batch["url"].to_pylist())]
                writer.write(pa.RecordBatch.from_arrays([batch["uid"], pa.array(keys, pa.string())], schema=URL_KEYS))
    made.wrote("", KEYS, writer.checksum)


def metaclip_key(url: str) -> str:
    """Return the key of a URL in Meta CLIP's own tars.

    >>> metaclip_key("https://a.example.org/my dog.jpg")
    'cb17bb8cfe21ab85bcacdb4a'
    """
    return sha224(url.replace(" ", "").replace("\t", "").encode()).hexdigest()[:KEY_DIGITS]
