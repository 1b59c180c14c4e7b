"""Naive twin of curation.balancing.sampling."""

from tests.naive.sampling import naive_draw, naive_sample


def naive_curated(images: list[dict], rates: list[float], seed: int, files: int) -> list[list[dict]]:
    """Return the rows of each curated file: those that sampling keeps, in the order of draws."""

    def draw(row):
        return naive_draw(seed, "order", row["uid"])

    kept = sorted(naive_sample(images, rates, seed), key=lambda row: (draw(row), row["uid"]))
    return [[row for row in kept if int(draw(row) * files) == file] for file in range(files)]
