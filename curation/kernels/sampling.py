"""Compute the probabilities of texts and images, and choose one text per image.

`text_offsets` cut `ids` (entry ids) into texts, and `image_offsets` cut the texts into images; both start at 0.
"""

from runtime.kernels import inline, kernel


@inline
def probability(ids, start, stop, rates):
    """1 - product of (1 - rates[id]) over ids[start:stop]."""
    miss = 1.0
    for i in range(start, stop):
        miss *= 1.0 - rates[ids[i]]
    return 1.0 - miss


@kernel
def keep_probability(ids, text_offsets, rates, out):
    """out[text] = the probability that its ids give it."""
    for text in range(len(out)):
        out[text] = probability(ids, text_offsets[text], text_offsets[text + 1], rates)


@kernel
def expected_size(ids, text_offsets, image_offsets, rates, out):
    """out[image, column] = the mean probability of its texts under rates[:, column]; `out` comes as zeros."""
    for image in range(len(out)):
        first, last = image_offsets[image], image_offsets[image + 1]
        for text in range(first, last):
            for column in range(rates.shape[1]):
                miss = 1.0
                for i in range(text_offsets[text], text_offsets[text + 1]):
                    miss *= 1.0 - rates[ids[i], column]
                out[image, column] += (1.0 - miss) / (last - first)


@kernel
def choose(ids, text_offsets, image_offsets, rates, text_draws, chosen, out):
    """chosen[image] = one of its texts by its draw, out[image] = that text's probability; both come as zeros."""
    for image in range(len(out)):
        first, last = image_offsets[image], image_offsets[image + 1]
        if last > first:
            text = first + int(text_draws[image] * (last - first))
            chosen[image] = text
            out[image] = probability(ids, text_offsets[text], text_offsets[text + 1], rates)
