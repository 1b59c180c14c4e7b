"""Read damaged tars or pictures: `python damage_files.py tars|pictures|runs FIRST STOP`, a range of seeds.

Each ends in an answer or in one sentence, and within SECONDS. This is a process of its own, as a decoder may die of
damage. The last seed printed is the one that it died of. `runs` hashes and scores a folder of all the damaged tars and
as many whole ones, by the commands.
"""

import json
import random
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import FrameType

from curation.commands.hash_images import main as clip_hash
from curation.hashing.picture_hashes import hash_picture
from curation.scoring.pipeline import Request, score_images
from curation.tars.damage import DamagedTar
from curation.tars.samples import fault_of, samples, texts
from curation.tars.sources import find, read
from tests.support.online_run import FORMATS, images, write_tar
from tests.support.pictures import downloaded_tar, picture, stored
from tests.support.plain_scorer import PlainScorer
from tests.support.without_spark import without_spark

SECONDS = 20
STATUSES = {"ok", "not_an_image", "truncated", "damaged", "too_large"}
ODD = [
    b"-0000001000\0",
    b"77777777777\0",
    b"\xff" * 12,
    b"\x80" + b"\xff" * 11,
    b"x",
    b"L",
    b"\0" * 512,
    b"\xff",
    b"9 path=",
]
FORMS = {"JPEG": {"progressive": True}, "PNG": {}, "WEBP": {}, "GIF": {}, "BMP": {}, "JPEG2000": {}, "AVIF": {},
    "TIFF": {"compression": "tiff_lzw"}}  # fmt: skip


def damaged(whole: bytes, dice: random.Random) -> bytes:
    data = bytearray(whole)
    for _ in range(dice.randint(1, 4)):
        at, change = _place(data, dice), dice.choice(["bit", "odd", "large", "cut", "lose", "repeat"])
        if change == "bit":
            data[at] ^= 1 << dice.randrange(8)
        elif change == "odd":
            odd = dice.choice(ODD)
            data[at : at + len(odd)] = odd
        elif change == "large":  # a number such as a side or the size of a part
            data[at : at + 4] = dice.choice(
                [bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0\0\xff\xff", b"\xff\xff\0\0"]
            )
        elif change == "cut":
            del data[at:]
        elif change == "lose":
            del data[at : at + dice.choice([1, 8, 512])]
        else:
            data[at:at] = data[at : at + dice.choice([8, 512, 4096])]
        data = data or bytearray(1)
    return bytes(data)


def _place(data: bytearray, dice: random.Random) -> int:
    """Return where something happens: mostly at the head of the file or of a block of a tar."""
    kind = dice.random()
    if kind < 0.4:
        return dice.randrange(min(400, len(data)))
    block = 512 * dice.randrange(-(-len(data) // 512))
    at = block + dice.choice([0, 124, 156, 257, 345])
    return at if kind < 0.8 and at < len(data) else dice.randrange(len(data))


def tars(folder: Path) -> list[bytes]:
    rows = images(6)
    rows[1]["key"], rows[2]["key"] = "folder.d/" + "k" * 80, "é" * 40
    found = [downloaded_tar(folder / "pictures.tar", range(6)).read_bytes()]
    for form in FORMATS:
        own = [*rows, *([images(7)[6] | {"key": "é" * 150}] if form != "ustar" else [])]
        write_tar(folder / f"{form}.tar", own, form)
        found.append((folder / f"{form}.tar").read_bytes())
    return found


def read_tar(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    found, own, fault = samples(path), texts(path), None
    found.validate(full=True)
    assert found.num_rows == len(own)
    try:
        for source in find([str(path)]):
            for each in read(source):
                each.uid.encode()
    except DamagedTar as damage:
        fault = str(damage)
    assert fault == fault_of(found)
    return "read" if fault is None else "damaged"


def read_picture(path: Path, data: bytes) -> str:
    return hash_picture(data)["status"]


def pictures(folder: Path) -> list[bytes]:
    return [stored(picture(number), form, **more) for number, (form, more) in enumerate(FORMS.items())]


def run_over(folder: Path, first: int, stop: int) -> None:
    """Hash and score a folder of tars; both name the same damaged ones, and no whole one."""
    wholes = tars(folder)
    (folder / "images").mkdir()
    for seed in range(first, stop):
        whole = wholes[seed % len(wholes)]
        (folder / "images" / f"{seed}-whole.tar").write_bytes(whole)
        (folder / "images" / f"{seed}.tar").write_bytes(damaged(whole, random.Random(seed)))
    with without_spark():
        clip_hash(["--input", str(folder / "images"), "--output", str(folder / "hashes")])
    facts = json.loads((folder / "hashes" / "_hashes.json").read_bytes())
    scored = score_images(Request([str(folder / "images")], folder / "scores"), PlainScorer()).facts
    assert facts["damaged"] == scored["damaged"]
    assert facts["damaged"]
    assert not any("whole" in path for path in facts["damaged"])
    print({"tars": facts["tars"], "damaged tars": len(facts["damaged"])} | facts["statuses"])


KINDS = {"tars": (tars, read_tar), "pictures": (pictures, read_picture)}


def main(kind: str, first: int, stop: int) -> None:
    if kind == "runs":
        with tempfile.TemporaryDirectory() as folder:
            run_over(Path(folder), first, stop)
        return
    make, look = KINDS[kind]

    def late(signum: int, frame: FrameType | None) -> None:
        raise SystemExit(f"not done within {SECONDS} s")

    signal.signal(signal.SIGALRM, late)
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        wholes = make(Path(folder))
        for seed in range(first, stop):
            print(seed, flush=True)
            signal.alarm(SECONDS)
            found[look(Path(folder) / "a.tar", damaged(wholes[seed % len(wholes)], random.Random(seed)))] += 1
            signal.alarm(0)
    print(dict(found))
    assert found.keys() <= STATUSES | {"read"}


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
