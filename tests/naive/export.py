"""Naive twins of exports and downloads, from the definitions of their formats."""


def naive_subset(uids: list[str]) -> list[tuple[int, int]]:
    return sorted((int(uid[:16], 16), int(uid[16:], 16)) for uid in uids)


def naive_shard(images: list[dict], lists: dict[str, list[str]]) -> dict[str, list[dict]]:
    """An entry's id is the number of entries of its language, of those that a text has, before it."""
    languages = [code for code, entries in lists.items() for _ in entries]
    seen = {id for image in images for text in image["candidates"] for id in text["entries"]}
    local = {id: sum(other < id and languages[other] == languages[id] for other in seen) for id in seen}
    return {
        image["uid"]: [
            {
                "text": text["text"],
                "language": text["language"],
                "matched_entry_ids": [local[id] for id in text["entries"]],
            }
            for text in image["candidates"]
        ]
        for image in images
    }


def naive_statuses(images: list[dict], results: list[dict]) -> dict[str, str]:
    """The status of each image, by its uid: success if one of its results is that."""
    found = {image["uid"]: "not_tried" for image in images}
    for result in results:
        if found.get(result["uid"], "success") != "success":
            found[result["uid"]] = result["status"]
    return found


def naive_existing(images: list[dict], results: list[dict]) -> list[dict]:
    statuses = naive_statuses(images, results)
    return [image for image in images if statuses[image["uid"]] == "success"]
