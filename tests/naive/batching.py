"""Naive twins of runtime.arrow: lists of items and of rows."""


def naive_gather(items: list, size_of, size: int, number: int) -> list[list]:
    """Return lists of items, each the fewest that have `size`, or `number` items; the last has the rest."""
    found = []
    while items:
        end = 1
        while end < len(items) and sum(map(size_of, items[:end])) < size and end < number:
            end += 1
        found.append(items[:end])
        items = items[end:]
    return found


def naive_gather_rows(batches: list[list], size_of, rows: int, size: int, exact: bool) -> list[list]:
    """Return rows of batches, given as lists, in larger ones."""
    batches = [batch for batch in batches if batch]
    found = []
    while batches:
        gathered, held = [], 0
        while batches and len(gathered) < rows and held < size:
            batch = batches.pop(0)
            if exact and len(gathered) + len(batch) > rows:
                room = rows - len(gathered)
                batches.insert(0, batch[room:])
                batch = batch[:room]
            gathered, held = gathered + batch, held + size_of(batch)
        found.append(gathered)
    return found
