"""Find the likeliest label for the mean of a text's rows, in the Huffman tree of a fastText model.

The tree is two arrays. `children` int64 [2 labels - 1, 2] has the left and right child of each node; the leaves come
first and are the labels, the root comes last. `weights` float32 [2 labels - 1, 16]: a node goes right with probability
1 / (1 + exp(-weights · mean)). If these products are known already, the caller passes them as `weights`, float32
[labels - 1], and the number of labels as `mean`. A label's score is the sum of log(p + 0.00001) over the probabilities
p on its path. Types and order of operations are fastText's: otherwise labels with close scores would change places.
"""

import math

import numpy as np

from curation.kernels.fasttext.rows import dot
from runtime.kernels import inline

_EPSILON = 1e-5
_LEAST = np.float32(math.log(_EPSILON))  # fastText leaves out labels with a lower score
# A node's descendants may score above it, by 0.00001 a level, and rounding adds less: enough for paths of 150 nodes.
NEAR = 1 - 2e-3
MOST_LEVELS = 150


@inline
def right_probability(weights, node, mean):
    """Return the probability of a node's right child, as float32."""
    return np.float32(1.0 / np.float64(np.float32(1.0) + np.float32(math.exp(-dot(weights, node, mean)))))


@inline
def left_probability(right):
    """Return the probability of the left child beside a right one's."""
    return np.float32(1.0 - np.float64(right))


@inline
def log_probability(p):
    """Return the term that a probability adds to a score."""
    return np.float32(math.log(np.float64(p) + _EPSILON))


@inline
def likeliest(children, weights, mean, near_enough, waiting):
    """Return the likeliest label, its score, and whether another is so near that only the order of the search decides.

    A label is so near if its probability is `near_enough` times the other's, NEAR at most. The likelier child of each
    node comes first; mostly no other needs a look. `waiting` is scratch memory, four arrays
    as long as the tree. They hold for each node that waits: its number (int64), the product of the probabilities on
    its path (float64), its parent's score and its own probability (float32).
    """
    nodes, products, scores, probabilities = waiting
    root, labels = len(children) - 1, len(children) // 2 + 1
    label, best, score, near = 0, 0.0, np.float32(0.0), False
    nodes[0], products[0] = root, 1.0
    left = 1  # nodes that wait
    while left > 0:
        left -= 1
        node, product = nodes[left], products[left]
        if product < best * near_enough:
            continue
        own = np.float32(0.0) if node == root else scores[left] + log_probability(probabilities[left])
        while node >= labels and product >= best * near_enough:
            right = right_probability(weights, node, mean)
            likely, unlikely = max(left_probability(right), right), min(left_probability(right), right)
            side = np.int64(right == likely)
            nodes[left], products[left] = children[node, 1 - side], product * (np.float64(unlikely) + _EPSILON)
            scores[left], probabilities[left] = own, unlikely
            left += 1
            product *= np.float64(likely) + _EPSILON
            own += log_probability(likely)
            node = children[node, side]
        if node < labels and product >= best * near_enough:
            near = product * near_enough <= best
            if product > best:
                label, best, score = node, product, own
    return label, score, near


@inline
def likeliest_in_order(children, weights, mean, waiting):
    """Return the likeliest label and its score as fastText finds them: left before right, the later one of equals."""
    nodes, _, scores, _ = waiting
    labels = len(children) // 2 + 1
    label, best = 0, _LEAST
    nodes[0], scores[0] = len(children) - 1, 0.0
    left = 1
    while left > 0:
        left -= 1
        node, score = nodes[left], scores[left]
        if score < best:
            continue
        if node < labels:
            label, best = node, score
            continue
        right = right_probability(weights, node, mean)
        nodes[left], scores[left] = children[node, 1], score + log_probability(right)
        nodes[left + 1] = children[node, 0]
        scores[left + 1] = score + log_probability(left_probability(right))
        left += 2
    return label, best
