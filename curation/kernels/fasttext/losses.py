"""Choose the likeliest label as fastText does, from the products of a text's vector and the rows of the output matrix.

Each loss has two functions. The fast one takes products that may be wrong by `error`, and returns the label and whether
the label is certain. The other function is for texts whose label is uncertain: it computes with the types and in the
order of fastText. If labels are equally likely, both choose the later one.

A model's Huffman tree is two arrays. `children` int64 [2 * labels - 1, 2] has the left and right child of each node:
the leaves come first and are the labels, the root comes last. `weights` float32 [2 * labels - 1, 16]: a node goes right
with probability 1 / (1 + exp(-weights · mean)). If these products are known already, the caller passes them as
`weights`, float32 [labels - 1], and the number of labels as `mean`. A label's score is the sum of log(p + 0.00001) over
the probabilities p on its path. The types and the order of operations are fastText's, as labels with close scores would
be swapped otherwise.
"""

import math
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from curation.kernels.fasttext.rows import FLOAT, LANES, VECTOR, dot
from runtime.kernels import inline, lean
from runtime.kernels.machine import HALF, WORD, at, instruction

_EPSILON = 1e-5
_LEAST_SCORE = np.float32(math.log(_EPSILON))  # fastText drops labels with a lower score.
# A descendant may score above its node by 0.00001 per level, and by less for rounding. NEAR_SHARE allows for 150 levels
# of this.
NEAR_SHARE = 1 - 2e-3
MAX_TREE_LEVELS = 150
MAX_SCORE_FACTOR = 100  # Scores may be multiplied by this; a label with a smaller share of the best score is left out.

DAMAGED = -2
TREE, NEGATIVE_SAMPLING, SOFTMAX, ONE_VS_ALL = 1, 2, 3, 4
_ROUNDING = 1e-5  # If products are equal, log probabilities differ from fastText's by at most this.
_LOGISTIC_STEPS = 512  # fastText's table of the logistic function has this many steps.
_LOGISTIC_MAX = 8.0  # The table ends at this argument.
_MAX_CERTAIN_ERROR = 1e20  # With a larger error, no product is certain, and some may not be finite.
# A score that may be wrong by more is computed again. Actual errors were less than a 1500th of this bound, so scores
# are within 0.00001 of fastText's.
_MAX_SCORE_SHIFT = 0.01
_LEAST_POWER = np.float32(-87.0)  # exp of a smaller number is not a normal float32.

# exp(x) is 2^n 2^f. These are the terms of the Taylor series of 2^f, for f from -0.5 to 0.5.
_TERM_0, _TERM_1, _TERM_2, _TERM_3, _TERM_4, _TERM_5, _TERM_6, _TERM_7 = (
    np.float32(math.log(2) ** k / math.factorial(k)) for k in range(8)
)
_PER_HALVING = np.float32(1 / math.log(2))
_SHIFT = np.float32(1.5 * 2**23)  # A number plus _SHIFT has the nearest integer in its lowest bits.


@inline
def right_probability(weights, node, mean):
    """Return the probability of a node's right child, as float32."""
    return np.float32(1.0 / np.float64(np.float32(1.0) + np.float32(math.exp(-dot(weights, node, mean)))))


@inline
def left_probability(right):
    """Return the probability of the left child, given the right child's probability."""
    return np.float32(1.0 - np.float64(right))


@inline
def log_probability(p):
    """Return the term that a probability adds to a score: log(p + 0.00001), as float32."""
    return np.float32(math.log(np.float64(p) + _EPSILON))


@inline
def likeliest(children, weights, mean, near_enough, waiting):
    """Return the likeliest label, its score, and whether another label is so near that the search order decides.

    A label is near if its probability is at least `near_enough`, a number up to NEAR_SHARE, times the best probability.
    The likelier child of each node is visited first; mostly, no other child has to be visited. `waiting` is scratch
    memory, four arrays as long as the tree. They hold, for each node that waits, its number (int64), the product of the
    probabilities on its path (float64), its parent's score and its own probability (float32).
    """
    nodes, products, scores, probabilities = waiting
    root = len(children) - 1
    labels = len(children) // 2 + 1
    label = 0
    best = 0.0
    score = np.float32(0.0)
    near = False
    nodes[0] = root
    products[0] = 1.0
    left = 1  # This counts the nodes that wait.
    while left > 0:
        left -= 1
        node = nodes[left]
        product = products[left]
        if product < best * near_enough:
            continue
        node_score = np.float32(0.0) if node == root else scores[left] + log_probability(probabilities[left])
        while node >= labels and product >= best * near_enough:
            right = right_probability(weights, node, mean)
            likely = max(left_probability(right), right)
            unlikely = min(left_probability(right), right)
            side = np.int64(right == likely)
            nodes[left] = children[node, 1 - side]
            products[left] = product * (np.float64(unlikely) + _EPSILON)
            scores[left] = node_score
            probabilities[left] = unlikely
            left += 1
            product *= np.float64(likely) + _EPSILON
            node_score += log_probability(likely)
            node = children[node, side]
        if node < labels and product >= best * near_enough:
            near = product * near_enough <= best
            if product > best:
                label = node
                best = product
                score = node_score
    return label, score, near


@inline
def likeliest_in_order(children, weights, mean, waiting):
    """Return the likeliest label and its score in fastText's order: left child before right, the later of equal labels.

    `mean` is the mean vector of a text. If `weights` are known products, `mean` is the number of labels.
    """
    nodes, _, scores, _ = waiting
    labels = len(children) // 2 + 1
    label = 0
    best = _LEAST_SCORE
    nodes[0] = len(children) - 1
    scores[0] = 0.0
    left = 1
    while left > 0:
        left -= 1
        node = nodes[left]
        score = scores[left]
        if score < best:
            continue
        if node < labels:
            label = node
            best = score
            continue
        right = right_probability(weights, node, mean)
        nodes[left] = children[node, 1]
        scores[left] = score + log_probability(right)
        nodes[left + 1] = children[node, 0]
        scores[left + 1] = score + log_probability(left_probability(right))
        left += 2
    return label, best


@inline
def spread_tree(children, weights, mean, score, waiting, columns, out):
    """Add each label's probability to out[columns[label]], unless the column is -1.

    Probabilities below score / MAX_SCORE_FACTOR are left out.
    """
    nodes, products, _, _ = waiting
    labels = len(children) // 2 + 1
    nodes[0] = len(children) - 1
    products[0] = 1.0
    left = 1
    least = score / MAX_SCORE_FACTOR
    while left > 0:
        left -= 1
        node = nodes[left]
        product = products[left]
        if node < labels:
            if columns[node] >= 0:
                out[columns[node]] += product
            continue
        right = right_probability(weights, node, mean)
        for side, probability in ((1, right), (0, left_probability(right))):
            if product * probability >= least:
                nodes[left] = children[node, side]
                products[left] = product * probability
                left += 1


class Tree(NamedTuple):
    """The Huffman tree of a hierarchical softmax; empty arrays for other losses."""

    children: np.ndarray  # int64 [2 * labels - 1, 2]: the children of each node, as the module's text says
    depth: int  # the largest number of inner nodes on a path
    waiting: tuple  # scratch memory of `likeliest`


@instruction(results=2, of=types.float32)
def best_two(builder, products, begin, size):
    """Return the two largest numbers of products[begin:begin + size], the larger first; LANES divides `size`."""
    least = ir.Constant(VECTOR, [-np.inf] * LANES)
    first, second = (cgutils.alloca_once_value(builder, least) for _ in range(2))
    end = builder.add(begin, size)
    step = ir.Constant(WORD, LANES)
    with cgutils.for_range_slice(builder, begin, end, step) as (k, _):
        value = builder.load(at(builder, products, k, VECTOR), align=4)
        best, runner_up = _first_two(builder, builder.load(first), builder.load(second), value)
        builder.store(best, first)
        builder.store(runner_up, second)
    best, runner_up = (ir.Constant(FLOAT, -np.inf) for _ in range(2))
    for lanes in (builder.load(first), builder.load(second)):
        for lane in range(LANES):
            value = builder.extract_element(lanes, ir.Constant(HALF, lane))
            best, runner_up = _first_two(builder, best, runner_up, value)
    return best, runner_up


def _first_two(builder, best, runner_up, value):
    """Return the two largest of three numbers (or vectors of numbers); `best` is at least `runner_up`."""
    more = builder.fcmp_ordered(">", value, best)
    loser = builder.select(more, best, value)
    larger = builder.select(builder.fcmp_ordered(">", loser, runner_up), loser, runner_up)
    return builder.select(more, value, best), larger


@inline
def best_two_of_row(products, row):
    """Return the two largest numbers of products[row], the larger first."""
    columns = products.shape[1]
    return best_two(products, row * columns, columns)


@inline
def raise_powers(products, row, best):
    """Replace each number of products[row] by exp(number - best).

    The relative error is 0.0000003, plus 0.0000001 for each unit below `best`, so it is small where the power is large.
    """
    for k in range(products.shape[1]):
        halvings = max(np.float32(products[row, k] - best), _LEAST_POWER) * _PER_HALVING
        shifted = halvings + _SHIFT
        rest = halvings - (shifted - _SHIFT)
        value = ((_TERM_7 * rest + _TERM_6) * rest + _TERM_5) * rest + _TERM_4
        value = (((value * rest + _TERM_3) * rest + _TERM_2) * rest + _TERM_1) * rest + _TERM_0
        bits = np.float32(value).view(np.int32) + (np.float32(shifted).view(np.int32) << 23)
        products[row, k] = np.int32(bits).view(np.float32)


@inline
def likeliest_of_softmax(products, text, labels, error):
    """Return label, score, and whether the label is certain; the products are replaced by powers (`raise_powers`).

    The powers are added one after the other, as in fastText, so two thousand small powers may lose up to 0.00001.
    """
    best, second = best_two_of_row(products, text)
    label = 0
    while products[text, label] != best:
        label += 1
    raise_powers(products, text, best)
    total = np.float32(0.0)
    for k in range(labels):
        total += products[text, k]
    return label, np.float32(1.0 / np.float64(total) + _EPSILON), best - second > 2 * error + _ROUNDING


@inline
def softmax_in_order(products, text, labels):
    """Return label and score as fastText computes them; the products are replaced by probabilities."""
    best = products[text, 0]
    for label in range(labels):
        best = max(best, products[text, label])
    total = np.float32(0.0)
    for label in range(labels):
        products[text, label] = math.exp(np.float32(products[text, label] - best))
        total += products[text, label]
    chosen = -1
    score = np.float32(-np.inf)
    for label in range(labels):
        label_score = np.float32(math.log(np.float64(np.float32(products[text, label] / total)) + _EPSILON))
        if label_score >= score:
            chosen = label
            score = label_score
    return chosen, np.float32(math.exp(score))


@inline
def step_of(product):
    """Return the index of a product in the table of the logistic function; -1 below the table, 513 above it."""
    if product < -_LOGISTIC_MAX:
        return np.int64(-1)
    if product > _LOGISTIC_MAX:
        return np.int64(_LOGISTIC_STEPS + 1)
    return np.int64(
        np.float32(np.float32(product + np.float32(_LOGISTIC_MAX)) * np.float32(_LOGISTIC_STEPS / _LOGISTIC_MAX / 2))
    )


@inline
def score_of_step(step):
    """Return the score of a label whose product has this index in the table."""
    p = np.float32(1.0) if step > _LOGISTIC_STEPS else np.float32(0.0)
    if 0 <= step <= _LOGISTIC_STEPS:
        x = np.float32(np.float32(step * 2 * _LOGISTIC_MAX) / np.float32(_LOGISTIC_STEPS)) - np.float32(_LOGISTIC_MAX)
        p = np.float32(1.0 / np.float64(np.float32(1.0) + np.float32(math.exp(-x))))
    return np.float32(math.exp(np.float32(math.log(np.float64(p) + _EPSILON))))


@inline
def likeliest_of_binary(products, text, labels, error):
    """Return label, score, and whether the label is certain, for negative sampling or one against all."""
    best, _ = best_two_of_row(products, text)
    step = step_of(best)
    label = -1
    certain = True
    for k in range(labels):
        product = products[text, k]
        if step_of(np.float32(product + error)) >= step:
            certain &= step_of(np.float32(product + error)) == step_of(np.float32(product - error))
            if step_of(product) == step:
                label = k
    return label, score_of_step(step), certain


@inline
def likeliest_of_tree(tree, products, text, error):
    """Return label, score, and whether the label is certain, for a hierarchical softmax."""
    near = NEAR_SHARE - 2 * tree.depth * error
    if not near > 0:
        return 0, np.float32(0.0), False
    label, score, is_near = likeliest(tree.children, products[text], len(tree.children) // 2 + 1, near, tree.waiting)
    return label, np.float32(math.exp(score)), not is_near


@inline
def tree_in_order(tree, products, text):
    """Return label and score as fastText computes them, for a hierarchical softmax."""
    label, score = likeliest_in_order(tree.children, products[text], len(tree.children) // 2 + 1, tree.waiting)
    return label, np.float32(math.exp(score))


@lean
def likeliest_label(loss, tree, products, text, labels, error):
    """Return the likeliest label, its score, and whether it is certain although products may be wrong by `error`."""
    label = 0
    score = np.float32(0.0)
    certain = False
    if error < _MAX_CERTAIN_ERROR:
        if loss == TREE:
            label, score, certain = likeliest_of_tree(tree, products, text, error)
        elif loss == SOFTMAX:
            label, score, certain = likeliest_of_softmax(products, text, labels, error)
        else:
            label, score, certain = likeliest_of_binary(products, text, labels, error)
    return label, score, certain and score * (1 - score) * error < _MAX_SCORE_SHIFT


@lean
def label_in_order(loss, tree, products, text, labels):
    """Return the likeliest label and its score as fastText finds them; DAMAGED if a product is not finite."""
    for label in range(labels):
        if not abs(products[text, label]) < np.inf:
            return DAMAGED, np.float32(0.0)
    if loss == TREE:
        return tree_in_order(tree, products, text)
    if loss == SOFTMAX:
        return softmax_in_order(products, text, labels)
    label, score, _ = likeliest_of_binary(products, text, labels, np.float32(0.0))
    return label, score


@lean
def spread_products(loss, tree, products, scores, columns, out):
    """Add each label's score for each text to out[text, columns[label]], unless the label's column is -1.

    products[text] are the text's products, and scores[text] is its best score.
    """
    for text in range(len(out)):
        if loss == TREE:
            spread_tree(tree.children, products[text], len(columns), scores[text], tree.waiting, columns, out[text])
            continue
        if loss == SOFTMAX:
            raise_powers(products, text, best_two_of_row(products, text)[0])  # The power of the best product is 1.
        for label in range(len(columns)):
            if columns[label] >= 0:
                product = products[text, label]
                score = product * scores[text] if loss == SOFTMAX else score_of_step(step_of(product))
                out[text, columns[label]] += score
