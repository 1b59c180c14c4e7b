"""A small finished run whose images have several texts, pages, languages and hosts, for searches."""

from pathlib import Path
from random import Random

from tests.support.finished_run import FinishedRun, finished_run, ids_in
from tests.support.hostile_strings import EVERY

HOSTS = ["img.shop.co.uk", "SHOP.co.uk:8080", "a.me.github.io", "bücher.example", "xn--bcher-kva.example"]
HOSTS += ["10.0.0.1", "user:pw@é.example", "www.b%C3%BCcher.example", "cdn.notshop.co.uk", "x.example"]
TEXTS = [("a photo", "en"), ("a dog", "en"), ("A DOG, a cat", "en"), ("犬と猫", "ja"), ("猫", "ja"), ("hund", "no")]
TEXTS += [(f"a photo {hostile}", "en") for hostile in EVERY]


def random_images(chance: Random, number: int) -> list[dict]:
    """Return images with up to four texts, on hosts and pages in several spellings."""
    images = []
    for row in range(number):
        page = chance.choice([None, f"https://{chance.choice(HOSTS)}/page/{row}"])
        texts = chance.sample(TEXTS, chance.choice([1, 1, 2, 4]))
        candidates = []
        for text, code in texts:
            own_page = page and chance.choice([None, f"http://www.{chance.choice(HOSTS)}/other"])
            place = {"page_url": own_page, "record": None}
            found = {"language": code, "lid_score": chance.choice([None, 0.5]), "entries": ids_in(text, code)}
            candidates.append({"text": text, "kind": "alt"} | found | place)
        stated = {"signals": 0, "stated_width": None, "stated_height": None, "surroundings": None, "shown": 1}
        url = f"https://{chance.choice(HOSTS)}/{row}/shop.co.uk.jpg?token=s3cr3tvalue"
        uid = f"{chance.getrandbits(128):032x}"
        images.append({"uid": uid, "url": url, "page_url": page, "candidates": candidates} | stated)
    return images


def searched_run(path: Path, number: int = 60, files: int = 3, t: int = 5, seed: int = 0) -> FinishedRun:
    """Write a run over random images."""
    return finished_run(path, random_images(Random(seed), number), files=files, t=t)
