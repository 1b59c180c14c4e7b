"""Deal out the samples of a mix to its parts by their weights."""

from runtime.kernels import kernel


@kernel
def deal(weights, taken, out):
    """out[i] = the part that is furthest behind its share, the first of equal ones; `taken` counts what each has.

    Of n samples a part is to have weights[part] * n.
    """
    number = 0
    for part in range(len(taken)):
        number += taken[part]
    for i in range(len(out)):
        number += 1
        chosen, most = 0, weights[0] * number - taken[0]
        for part in range(1, len(weights)):
            behind = weights[part] * number - taken[part]
            if behind > most:
                chosen, most = part, behind
        out[i] = chosen
        taken[chosen] += 1
