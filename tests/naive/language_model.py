"""Naive twin of fastText with a model of lid.176.ftz's shape: one file value, one text, one n-gram at a time.

Every number is of the type that fastText gives it, so answers agree bit by bit.
"""

import re
import struct
from math import log

import numpy as np

F32 = np.float32


class NaiveModel:
    """A model file, read value by value."""

    def __init__(self, content):
        self.content, self.position = content, 0
        self.read("2i12id")
        size, words, self.labels, _, pairs = self.read("3i2q")
        entries = [self.entry() for _ in range(size)]
        self.ids = {name: i for i, (name, _, _) in enumerate(entries[:words])}
        self.names = [name.decode("utf-8", "replace") for name, _, _ in entries[words:]]
        self.kept = {bucket: words + rank for bucket, rank in (self.read("2i") for _ in range(pairs))}
        self.rows = self.quantised()
        _, rows, columns = self.read("?2q")
        self.outputs = np.array(self.read(f"{rows * columns}f"), F32).reshape(rows, columns)
        self.left, self.right = huffman([count for _, count, _ in entries[words:]])

    def read(self, layout):
        found = struct.unpack_from(f"<{layout}", self.content, self.position)
        self.position += struct.calcsize(f"<{layout}")
        return found

    def entry(self):
        end = self.content.index(b"\0", self.position)
        name = self.content[self.position : end]
        self.position = end + 1
        return name, *self.read("qb")

    def quantised(self):
        _, _, count, _, size = self.read("2?2qi")
        codes = self.read(f"{size}B")
        self.read("4i")
        centroids = np.array(self.read("4096f"), F32).reshape(8, 256, 2)
        norm_codes = self.read(f"{count}B")
        self.read("4i")
        norms = np.array(self.read("256f"), F32)
        return [
            np.concatenate([norms[norm_codes[i]] * centroids[part, codes[8 * i + part]] for part in range(8)])
            for i in range(count)
        ]

    def predict(self, text):
        """Return the label of a text, given as bytes, and its score."""
        ids = self.row_ids(text)
        total = np.zeros(16, F32)
        for i in ids:
            total = total + self.rows[i]
        found = []
        self.search(2 * self.labels - 2, F32(0), total * F32(1 / len(ids)), found)
        score, label = found[-1]
        return self.names[label], np.exp(score)

    def search(self, node, score, mean, found):
        """Append each leaf that is at least as likely as those before it."""
        if score < F32(log(1e-5)) or (found and score < found[-1][0]):
            return
        if node < self.labels:
            found.append((score, node))
            return
        d = F32(0)
        for a, b in zip(self.outputs[node - self.labels], mean, strict=True):
            d = d + a * b
        right = F32(1 / float(F32(1) + np.exp(-d)))
        for child, p in ((self.left[node], F32(1 - float(right))), (self.right[node], right)):
            self.search(child, score + F32(log(float(p) + 1e-5)), mean, found)

    def row_ids(self, text):
        ids = []
        for token in filter(None, re.split(rb"[\0\t-\r ]", text)):
            if token == b"</s>":
                break
            if token in self.ids:
                ids.append(self.ids[token])
            elif token.startswith(b"__label__"):
                continue
            ids += self.ngram_ids(b"<" + token + b">")
        return [*ids, 0]

    def ngram_ids(self, word):
        characters = re.findall(rb"(?s).[\x80-\xbf]*", word)
        starts = range(len(characters))
        buckets = [fnv(b"".join(characters[i : i + n])) for i in starts for n in (2, 3, 4) if i + n <= len(characters)]
        return [self.kept[bucket] for bucket in buckets if bucket in self.kept]


def fnv(ngram):
    """Return the bucket of an n-gram."""
    hashed = 2166136261
    for byte in ngram:
        signed = byte - 256 if byte > 127 else byte
        hashed = ((hashed ^ signed % 2**32) * 16777619) % 2**32
    return hashed % 2_000_000


def huffman(counts):
    """Return the left and the right child of each inner node."""
    leaves, inner = list(range(len(counts))), []
    count, left, right = dict(enumerate(counts)), {}, {}
    for node in range(len(counts), 2 * len(counts) - 1):
        pair = []
        for _ in range(2):
            from_leaves = leaves and (not inner or count[leaves[-1]] < count[inner[0]])
            pair.append(leaves.pop() if from_leaves else inner.pop(0))
        left[node], right[node] = pair
        count[node] = sum(count[child] for child in pair)
        inner.append(node)
    return left, right
