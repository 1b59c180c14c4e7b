"""Naive twin of fastText's language identification: one file value, one text, one n-gram at a time, for any model.

Every number is of the type that fastText gives it, so answers agree bit by bit.
"""

import re
import struct
from math import floor, log

import numpy as np

F32 = np.float32
TREE, NEGATIVE_SAMPLING, SOFTMAX, ONE_VS_ALL = 1, 2, 3, 4  # losses


class NaiveModel:
    """A model file, read value by value."""

    def __init__(self, content):
        self.content, self.position = content, 0
        header = self.read("2i12id")
        self.width, self.word_ngrams, self.loss = header[2], header[7], header[8]
        self.buckets, self.shortest, self.longest = header[10:13]
        size, self.words, self.labels, _, pairs = self.read("3i2q")
        entries = [self.entry() for _ in range(size)]
        self.ids = {name: i for i, (name, _, _) in enumerate(entries)}
        self.names = [name.decode("utf-8", "replace") for name, _, _ in entries[self.words :]]
        self.kept = dict(self.read("2i") for _ in range(pairs)) if pairs >= 0 else None
        (quantised,) = self.read("?")
        self.row, _ = self.quantised() if quantised else self.dense()
        (quantised_output,) = self.read("?")
        self.output, self.scales = self.quantised(apart=True) if quantised and quantised_output else self.dense()
        if self.loss == TREE:
            self.left, self.right = huffman([count for _, count, _ in entries[self.words :]])

    def read(self, layout):
        found = struct.unpack_from(f"<{layout}", self.content, self.position)
        self.position += struct.calcsize(f"<{layout}")
        return found

    def entry(self):
        end = self.content.index(b"\0", self.position)
        name = self.content[self.position : end]
        self.position = end + 1
        return name, *self.read("qb")

    def dense(self):
        """Return a function from the number of a row to the row, and 1 for each row."""
        rows, columns = self.read("2q")
        begin = self.position
        self.position += 4 * rows * columns
        return lambda i: np.frombuffer(self.content, "<f4", columns, begin + 4 * i * columns), np.ones(rows, F32)

    def quantised(self, apart=False):
        """Return a function from the number of a row to the row, and the norms, if these are to be kept apart."""
        with_norms, count, _, size = self.read("?2qi")
        codes = self.read(f"{size}B")
        width, parts, part, _ = self.read("4i")
        centroids = np.array(self.read(f"{256 * width}f"), F32)
        norms = np.ones(count, F32)
        if with_norms:
            norm_codes = self.read(f"{count}B")
            self.read("4i")
            norms = np.array(self.read("256f"), F32)[list(norm_codes)]

        def row(i):
            found = []
            for p in range(parts):
                length = min(part, width - p * part)
                begin = p * 256 * part + codes[i * parts + p] * length
                found += centroids[begin : begin + length].tolist()
            return np.array(found, F32) * (F32(1) if apart else norms[i])

        return row, norms

    def predict(self, text):
        """Return the label of a text, given as bytes, and its score; nothing where the model knows no part of it."""
        ids = self.row_ids(text)
        if not ids:
            return None
        total = np.zeros(self.width, F32)
        for i in ids:
            total = total + self.row(i)
        mean = total * F32(1 / len(ids))
        found = []
        if self.loss == TREE:
            self.search(2 * self.labels - 2, F32(0), mean, found)
        else:
            for label, p in enumerate(self.probabilities(mean)):
                score = log_of(p)
                if not found or score >= found[-1][0]:
                    found.append((score, label))
        score, label = found[-1]
        return self.names[label], exp_of(score)

    def product(self, i, mean):
        d = F32(0)
        for a, b in zip(self.output(i), mean, strict=True):
            d = d + a * b
        return d * self.scales[i]

    def probabilities(self, mean):
        products = [self.product(i, mean) for i in range(self.labels)]
        if self.loss == SOFTMAX:
            powers = [exp_of(F32(d - max(products))) for d in products]
            total = F32(0)
            for power in powers:
                total = total + power
            return [power / total for power in powers]
        return [sigmoid(float(d)) for d in products]

    def search(self, node, score, mean, found):
        """Append each leaf that is at least as likely as those before it."""
        if score < F32(log(1e-5)) or (found and score < found[-1][0]):
            return
        if node < self.labels:
            found.append((score, node))
            return
        d = self.product(node - self.labels, mean)
        right = F32(1 / float(F32(1) + exp_of(-d)))
        for child, p in ((self.left[node], F32(1 - float(right))), (self.right[node], right)):
            self.search(child, score + log_of(p), mean, found)

    def row_ids(self, text):
        ids, hashes = [], []
        for token in [*filter(None, re.split(rb"[\0\t-\r ]", text)), b"</s>"]:
            number = self.ids.get(token)
            if token.startswith(b"__label__") if number is None else number >= self.words:
                continue
            if number is not None:
                ids.append(number)
            hashes.append(fnv(token))
            if token == b"</s>":
                break
            ids += self.ngram_ids(b"<" + token + b">")
        return ids + self.word_ngram_ids(hashes)

    def ngram_ids(self, word):
        characters = re.findall(rb"(?s)(?:.|^)[\x80-\xbf]*", word)
        buckets = []
        for begin in range(len(characters)):
            for n in range(max(self.shortest, 1), self.longest + 1):
                at_an_end = begin == 0 or begin + n == len(characters)
                if begin + n <= len(characters) and not (n == 1 and at_an_end):
                    buckets.append(fnv(b"".join(characters[begin : begin + n])) % self.buckets)
        return self.bucket_ids(buckets)

    def word_ngram_ids(self, hashes):
        signed = [hashed - 2**32 if hashed >= 2**31 else hashed for hashed in hashes]
        buckets = []
        for begin, hashed in enumerate(signed):
            for following in signed[begin + 1 : begin + self.word_ngrams]:
                hashed = (hashed * 116049371 + following) % 2**64
                buckets.append(hashed % self.buckets)
        return self.bucket_ids(buckets)

    def bucket_ids(self, buckets):
        if self.kept is None:
            return [self.words + bucket for bucket in buckets]
        return [self.words + self.kept[bucket] for bucket in buckets if bucket in self.kept]


def fnv(ngram):
    """Return the hash of an n-gram."""
    hashed = 2166136261
    for byte in ngram:
        signed = byte - 256 if byte > 127 else byte
        hashed = ((hashed ^ signed % 2**32) * 16777619) % 2**32
    return hashed


def exp_of(x):
    """Return exp(x), rounded to the nearest float32; NumPy's own for float32 is not."""
    with np.errstate(over="ignore"):
        return F32(np.exp(np.float64(x)))


def log_of(p):
    return F32(log(float(p) + 1e-5))


def sigmoid(d):
    """Return the logistic function as fastText does outside trees: by a table of 512 steps from -8 to 8."""
    if d < -8:
        return F32(0)
    if d > 8:
        return F32(1)
    step = floor(F32(F32(F32(d) + F32(8)) * F32(32)))
    x = F32(F32(step * 16) / F32(512)) - F32(8)
    return F32(1 / float(F32(1) + exp_of(-x)))


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
