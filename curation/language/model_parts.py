"""Turn a fastText model file of any layout into what the kernels of `kernels.fasttext.any_model` read.

The input stays in the file, which is mapped: processes of one machine share its pages. Dictionary and output, a few
megabytes, are arrays of each process.
"""

from __future__ import annotations

import numpy as np

from curation.kernels.fasttext.any_model import Output
from curation.kernels.fasttext.dictionary import index_entries, number_of
from curation.kernels.fasttext.label_tree import MOST_LEVELS
from curation.kernels.fasttext.losses import TREE, Tree
from curation.kernels.fasttext.ngrams import Words
from curation.kernels.fasttext.products import BLOCK
from curation.kernels.fasttext.rows import Rows
from curation.language.fasttext_arrays import MOST_LABELS, NO_NODE_YET, bitmap, huffman_tree
from curation.language.fasttext_file import CENTROIDS, Dense, ModelFile, Quantised, Quantiser

_VERSION = 12  # models of 11 are read in another way
_MOST_KEPT = 1 << 26  # buckets of a pruned model: a bitmap of 8 MB
_LARGEST = 1e15  # of the output's numbers: no product of them overflows
_END = np.frombuffer(b"</s>", np.uint8)


def read_words(model: ModelFile) -> Words | None:
    """Return the dictionary and buckets of a model; None where only fastText itself can read them."""
    header, dictionary = model.header, model.dictionary
    count = dictionary.words
    kinds = model.count_of_kind(0, 0, count), model.count_of_kind(1, count, count + dictionary.labels)
    buckets, ranks = model.array(dictionary.pairs, "<i4", max(dictionary.kept, 0), 2).T
    pruned, order = dictionary.kept >= 0, np.argsort(buckets)
    if header.version != _VERSION or header.word_ngrams < 1 or (pruned and header.buckets > _MOST_KEPT):
        return None
    model.require(kinds == (count, dictionary.labels) and _are_distinct(buckets[order], header.buckets))
    kept, before = bitmap(buckets, header.buckets if pruned else 0, 0)
    slots = np.full(1 << (2 * len(dictionary.entries)).bit_length(), -1, np.int32)
    content = model.array(0, "u1", len(model.content))
    index_entries(content, dictionary.entries, slots)
    end, end_hash = number_of(content, dictionary.entries, slots, _END)
    return Words(
        dictionary.entries,
        slots,
        count,
        end if end < count else -1,
        end_hash,
        max(header.buckets, 1),
        header.shortest_ngram,
        header.longest_ngram,
        header.word_ngrams,
        pruned,
        kept,
        before,
        ranks[order].astype(np.int32),
    )


def _are_distinct(buckets: np.ndarray, count: int) -> bool:
    """Return whether each of the sorted buckets that are kept is one, and comes once."""
    return len(buckets) == 0 or bool(buckets[0] >= 0 and buckets[-1] < count and (np.diff(buckets) > 0).all())


def read_rows(model: ModelFile) -> Rows:
    """Return the input of a model."""
    content, inputs, width = model.array(0, "u1", len(model.content)), model.inputs, model.header.width
    nothing = np.empty(0, np.float32)
    if isinstance(inputs, Dense):
        return Rows(content, width, inputs.values, -1, 0, 1, nothing, -1, nothing)
    quantiser = inputs.quantiser
    centroids, norms = _centroids(model, quantiser), _norms(model, inputs)
    norm_codes = -1 if inputs.norm_codes is None else inputs.norm_codes
    return Rows(content, width, -1, inputs.codes, quantiser.parts, quantiser.size, centroids, norm_codes, norms)


def _centroids(model: ModelFile, quantiser: Quantiser) -> np.ndarray:
    return model.array(quantiser.centroids, "<f4", CENTROIDS * quantiser.columns).astype(np.float32)


def _norms(model: ModelFile, matrix: Quantised) -> np.ndarray:
    return _centroids(model, matrix.norms) if matrix.norms else np.empty(0, np.float32)


def read_output(model: ModelFile) -> Output | None:
    """Return what leads from a text's vector to its label; None where only fastText itself can find it."""
    weights, scales = _weights(model)
    labels, loss = len(weights), model.header.loss
    tree = _tree(model) if loss == TREE else Tree(np.empty((0, 2), np.int64), 0, _waiting(0))
    if tree is None or not 2 <= labels <= MOST_LABELS:
        return None
    model.require(bool((np.abs(weights) < _LARGEST).all()))
    with np.errstate(invalid="ignore"):
        longest = float((np.sqrt((weights.astype(np.float64) ** 2).sum(axis=1)) * np.abs(scales)).max())
    blocks = np.zeros((-(-labels // BLOCK) * BLOCK, weights.shape[1]), np.float32)
    blocks[:labels] = weights
    blocks = np.ascontiguousarray(blocks.reshape(-1, BLOCK, weights.shape[1]).transpose(0, 2, 1))
    return Output(loss, labels - 1 if loss == TREE else labels, blocks, scales, longest, tree)


def _weights(model: ModelFile) -> tuple[np.ndarray, np.ndarray]:
    """Return a row for each label, and a factor for each product with one."""
    outputs = model.outputs
    rows, columns = outputs.rows, outputs.columns
    if isinstance(outputs, Dense):
        return model.array(outputs.values, "<f4", rows, columns).astype(np.float32), np.ones(rows, np.float32)
    parts, part = outputs.quantiser.parts, outputs.quantiser.size
    codes, centroids = model.array(outputs.codes, "u1", rows, parts), _centroids(model, outputs.quantiser)
    weights = np.empty((rows, columns), np.float32)
    for begin in range(0, columns, part):
        stop = min(begin + part, columns)
        table = centroids[CENTROIDS * begin : CENTROIDS * stop].reshape(CENTROIDS, stop - begin)
        weights[:, begin:stop] = table[codes[:, begin // part]]
    if outputs.norm_codes is None:
        return weights, np.ones(rows, np.float32)
    return weights, _norms(model, outputs)[model.array(outputs.norm_codes, "u1", rows)]


def _tree(model: ModelFile) -> Tree | None:
    counts = [label.occurrences for label in model.labels()]
    if len(counts) > MOST_LABELS:
        return None
    model.require(all(0 <= count < NO_NODE_YET // len(counts) for count in counts))
    children = huffman_tree(counts)
    levels = np.zeros(len(children), np.int64)
    for node in range(len(children) - 1, len(counts) - 1, -1):  # parents come behind their children
        levels[children[node]] = levels[node] + 1
    return Tree(children, int(levels.max()), _waiting(len(children))) if levels.max() <= MOST_LEVELS else None


def _waiting(nodes: int) -> tuple[np.ndarray, ...]:
    return tuple(np.empty(nodes, dtype) for dtype in ("i8", "f8", "f4", "f4"))
