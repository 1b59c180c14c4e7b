"""Naive twins of clusters: the centre of each vector, the best centres of each, and vectors of length 1."""

from math import fsum, sqrt


def naive_square(vector, centre) -> float:
    """Return the squared Euclidean distance."""
    return fsum((float(a) - float(b)) ** 2 for a, b in zip(vector, centre, strict=True))


def naive_scores(vector, centres, prices) -> list[tuple[float, int]]:
    """Return squared distance plus price of each centre, and its number, the lowest first."""
    scores = [naive_square(vector, centre) + price for centre, price in zip(centres, prices, strict=True)]
    return sorted((score, number) for number, score in enumerate(scores))


def naive_centre(vector, centres, prices) -> int:
    """Return the centre with the lowest score, of equal ones the first."""
    return naive_scores(vector, centres, prices)[0][1]


def naive_unit(vector) -> list[float]:
    """Return a vector with length 1, or zeros."""
    length = sqrt(fsum(float(each) ** 2 for each in vector))
    return [float(each) / length if length else 0.0 for each in vector]


def naive_means(vectors, numbers, weights, centres) -> list[list[float]]:
    """Return the weighted mean of the vectors of each centre, or the centre where it has none."""
    means = []
    for number, centre in enumerate(centres):
        own = [(weight, vector) for vector, of, weight in zip(vectors, numbers, weights, strict=True) if of == number]
        total = sum(weight for weight, _ in own)
        columns = range(len(centre))
        means.append([sum(w * float(v[i]) for w, v in own) / total if own else float(centre[i]) for i in columns])
    return means
