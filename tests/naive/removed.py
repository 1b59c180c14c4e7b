"""What a gate removes from its definition: one step, one image, one text after the other."""

from collections.abc import Callable, Mapping

from tests.naive.gates import naive_merged

Rules = Mapping[str, Callable[..., bool]]  # title → whether it removes an image; or a text, given its image, too
Left = tuple[list[dict], list[dict]]  # the images that stay, and rows of what goes


def naive_checked(step: str, images: list[dict], of_images: Rules, of_texts: Rules) -> Left:
    """Check images and texts: each text that goes has the first rule that removes its image, or else the text."""
    left, rows = [], []
    for image in images:
        why = [title for title, removes in of_images.items() if removes(image)]
        texts = []
        for text in image["candidates"]:
            own = why or [title for title, removes in of_texts.items() if removes(text, image)]
            if own:
                rows.append(_row(step, own[0], image, text))
            else:
                texts.append(text)
        if texts:
            left.append(image | {"candidates": texts})
    return left, rows


def naive_dropped(step: str, images: list[dict], title: str, stay: set[str]) -> Left:
    """Remove the images whose uids do not stay, with all their texts."""
    return naive_checked(step, images, {title: lambda image: image["uid"] not in stay}, {})


def naive_copies(step: str, images: list[dict], title: str, copy_of: Mapping[str, str], most: int) -> Left:
    """Remove the copies of pictures, given for each the uid that stays."""
    stay = {image["uid"] for image in images if copy_of.get(image["uid"], image["uid"]) == image["uid"]}
    return naive_merged(images, dict(copy_of), most), naive_dropped(step, images, title, stay)[1]


def _row(step: str, rule: str, image: dict, text: dict) -> dict:
    return {
        "uid": image["uid"],
        "url": image["url"],
        "text": text["text"],
        "language": text["language"],
        "page_url": text["page_url"] or image["page_url"],
        "step": step,
        "rule": rule,
        "why": None,
    }
