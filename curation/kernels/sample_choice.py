"""Choose samples by the probabilities of their entries.

`text_offsets` split `ids` (entry ids) into texts, and `image_offsets` split the texts into images; both start at 0.
"""

from runtime.kernels import inline, kernel


@inline
def probability(ids, start, stop, rates):
    """Return 1 - the product of (1 - rates[id]) over ids[start:stop]."""
    miss = 1.0
    for i in range(start, stop):
        miss *= 1.0 - rates[ids[i]]
    return 1.0 - miss


@kernel
def write_probabilities(ids, text_offsets, rates, out):
    """Set out[text] to the probability that at least one entry of the text keeps it; `id` does so at rates[id]."""
    for text in range(len(out)):
        out[text] = probability(ids, text_offsets[text], text_offsets[text + 1], rates)


@kernel
def expected_size(ids, text_offsets, image_offsets, rates, out):
    """Set out[image, column] to the mean probability that a text of the image is kept at rates[:, column].

    `out` must be zeros.
    """
    for image in range(len(out)):
        first, last = image_offsets[image], image_offsets[image + 1]
        for text in range(first, last):
            for column in range(rates.shape[1]):
                miss = 1.0
                for i in range(text_offsets[text], text_offsets[text + 1]):
                    miss *= 1.0 - rates[ids[i], column]
                out[image, column] += (1.0 - miss) / (last - first)


@kernel
def choose_texts(ids, text_offsets, image_offsets, rates, text_draws, chosen, out):
    """Choose a text of each image: set chosen[image] to its index, and out[image] to the probability that it is kept.

    text_draws[image], a number in [0, 1), picks the text. `chosen` and `out` must be zeros, and stay zero for an image
    without texts.
    """
    for image in range(len(out)):
        first, last = image_offsets[image], image_offsets[image + 1]
        if last > first:
            text = first + int(text_draws[image] * (last - first))
            chosen[image] = text
            out[image] = probability(ids, text_offsets[text], text_offsets[text + 1], rates)
