"""At most so many images of a registered domain stay, by draw: however files are cut, and another seed keeps others."""

import random

import pyarrow as pa

from curation.config import CurationConfig
from curation.plugins.gate.image_limits import DRAW_OF_DOMAINS, Domains
from curation.plugins.gate.step import StepFolder
from curation.run.request import Context
from curation.schemas import MATCHED
from curation.url_hosts import hosts, registered_domain
from runtime.draws import draws
from runtime.storage.own_files import own_files
from runtime.storage.parquet import read_table
from tests.naive.gates import naive_capped
from tests.support.finished_run import image, write_parts

HOSTS = ("a.example", "A.EXAMPLE", "www.a.example", "münchen.example", "xn--mnchen-3ya.example", "b.example:8080")


def capped(engine, folder, images: list[dict], most: int, seed: int, files: int) -> list[dict]:
    write_parts(folder / "in", pa.RecordBatch.from_pylist(images, MATCHED), files)
    (folder / "out").mkdir()
    context = Context(engine, CurationConfig(seed=seed), NotImplemented, NotImplemented, NotImplemented)
    counted = Domains(most).write(own_files(folder / "in", None, ""), StepFolder(folder / "out"), context)
    rows = [row for file in own_files(folder / "out", None, "") for row in read_table(file).to_pylist()]
    assert counted["passed"] == len(rows)
    assert counted["removed", 0] == len(images) - len(rows)
    return rows


def test_hosts_belong_to_the_domain_that_someone_registered():
    domains = {
        "images.shop.co.uk": "shop.co.uk",
        "SHOP.CO.UK.": "shop.co.uk",
        "a.b.shop.example": "shop.example",
        "cdn.me.github.io": "me.github.io",
        "github.io": "github.io",
        "www.city.kawasaki.jp": "city.kawasaki.jp",
        "www.m%C3%BCnchen.de": "xn--mnchen-3ya.de",
        "localhost": "localhost",
        "10.1.2.3": "10.1.2.3",
        "a" * 300 + ".shop.example": "a" * 300 + ".shop.example",
        "": "",
    }
    urls = [f"http://user@{host}:80/p.jpg" for host in domains]
    assert hosts(pa.array(urls), registered_domain).to_pylist() == [*domains.values()]


def test_a_domain_keeps_the_images_with_the_smallest_draws(engine, tmp_path):
    chance = random.Random(2)
    images = [image(number, f"http://{chance.choice(HOSTS)}/{number}.jpg") for number in range(200)]
    kept = {}
    for seed in (0, 1):

        def draw(uid: str, seed: int = seed) -> float:
            return draws(seed, DRAW_OF_DOMAINS, [uid])[0]

        ascii_hosts = [row | {"url": row["url"].replace("münchen", "xn--mnchen-3ya")} for row in images]
        expected = {row["uid"] for row in naive_capped(ascii_hosts, 7, draw)}
        for files in (1, 5):
            (tmp_path / f"{seed}-{files}").mkdir()
            rows = capped(engine, tmp_path / f"{seed}-{files}", images, 7, seed, files)
            assert rows == [row for row in images if row["uid"] in expected]
        kept[seed] = expected
    assert len(kept[0]) == len(kept[1]) == 3 * 7
    assert kept[0] != kept[1]


def test_a_limit_that_no_domain_meets_removes_nothing(engine, tmp_path):
    images = [image(number) for number in range(20)]
    assert capped(engine, tmp_path, images, 20, 0, 2) == images


def test_a_file_of_which_nothing_is_kept_counts_what_was_removed(engine, tmp_path):
    images = [image(number, f"http://{host}.example/{number}.jpg") for number, host in enumerate("aaaaabbb")]
    kept = capped(engine, tmp_path, images, 1, 0, 8)
    assert len(kept) == 2
