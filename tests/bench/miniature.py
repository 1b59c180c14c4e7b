"""A proof in miniature: what does a tiny CLIP learn of rare concepts from balanced data, and what do others pay?

A made-up world has 1,024 concepts (shape, colour, texture, number, place), drawn in 32 x 32 pixels. Each has a name of
its own in three languages. How often concepts occur follows a Zipf law, in another order in each language. Pages with
such pictures are written as WAT; some alt texts are wrong, junk, or have a capital. `clip-curate` curates them, the
online loader hands out samples, and open_clip's model trains on as many samples in each arm.

    python tests/bench/miniature.py world FOLDER [--pairs 120000]     pages, pictures, runs of clip-curate, indices
    python tests/bench/miniature.py gate FOLDER                       scores by a first model, and a run past a gate
    python tests/bench/miniature.py train FOLDER --seeds 0 1 2        trains what is missing in results.jsonl
    python tests/bench/miniature.py draw FOLDER FIGURE.svg            the figure, and its numbers as a table

PyTorch for CPU and open_clip_torch are needed; clip-curate is called as a command.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import shutil
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import md5
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

SHAPES, COLOURS, TEXTURES = 8, 8, 4  # times 2 numbers and 2 places
CONCEPTS = SHAPES * COLOURS * TEXTURES * 4
SIDE, ZIPF = 32, 1.1
PALETTE = np.array(
    [
        (220, 40, 40),
        (40, 180, 60),
        (50, 70, 220),
        (230, 200, 40),
        (170, 60, 190),
        (50, 200, 210),
        (240, 140, 40),
        (235,) * 3,
    ]
)
SHARES = {"en": 0.7, "de": 0.24, "fi": 0.06}
SYLLABLES = {
    "en": (
        "bra",
        "sto",
        "wick",
        "ley",
        "mor",
        "tha",
        "pen",
        "gri",
        "dow",
        "fet",
        "nal",
        "chu",
        "sby",
        "ock",
        "rie",
        "lum",
    )
}
SYLLABLES["de"] = (
    "schna",
    "kro",
    "bern",
    "gel",
    "wuh",
    "zal",
    "pfe",
    "ting",
    "ro",
    "dach",
    "lin",
    "fuss",
    "mei",
    "stor",
    "qua",
    "hei",
)
SYLLABLES["fi"] = (
    "kaa",
    "lii",
    "mäk",
    "pöy",
    "suo",
    "tuu",
    "vär",
    "nii",
    "hau",
    "jok",
    "rek",
    "oppi",
    "ela",
    "yst",
    "mää",
    "kuk",
)
TEMPLATES = {
    "en": (
        "a photo of a {} on the table",
        "picture of the {} that we saw in the park",
        "this is our {} from last year",
        "the {} is for sale in our shop",
        "we like the {} and its colour very much",
    ),
    "de": (
        "ein Foto von einem {} auf dem Tisch",
        "das ist unser {} aus dem letzten Jahr",
        "hier sieht man ein {} im Garten",
        "der {} ist jetzt bei uns im Angebot",
        "wir mögen diesen {} und seine Farbe sehr",
    ),
    "fi": (
        "kuva jossa on {} pöydällä",
        "tässä on meidän {} viime vuodelta",
        "näimme eilen puistossa tämän {} ja otimme kuvan",
        "{} on nyt myynnissä meidän kaupassa",
        "pidämme siitä että {} on niin kaunis",
    ),
}
JUNK = (
    "IMG_{}.jpg",
    "DSC_{}.JPG",
    "image",
    "logo",
    "click to enlarge",
    "item {}",
    "photo",
    "in stock, order now for {} $",
)
WRONG, JUNKY, CAPITAL, AGAIN = 0.15, 0.08, 0.05, 0.25  # the last: the picture is on a second page
PAGE_IMAGES, PER_TAR = 20, 5000
FREQUENT = 4  # words of the templates that are entries of a language, beside all names
THRESHOLDS = (300, 100, 30, 10)
REMOVED = 0.2  # by the gate: those with the lowest scores
BINS = {"head": (0, 51), "middle": (51, 307), "tail": (307, CONCEPTS)}  # by rank in the language: 5, 25, 70 %
TESTED = 8  # pictures of each concept
SEEN, BATCH, GATE_SEED = 76_800, 256, 100
VISION = {"image_size": SIDE, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8}
TEXT = {"context_length": 14, "width": 64, "heads": 2, "layers": 1}


# The world


def attributes(concepts: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return shape, colour, texture, number and place of concepts."""
    return np.unravel_index(concepts, (SHAPES, COLOURS, TEXTURES, 2, 2))


def names() -> dict[str, list[str]]:
    """Return the name of each concept in each language; no name is there twice."""
    chance, found, taken = np.random.default_rng(1), {}, set()
    for language, syllables in SYLLABLES.items():
        own: list[str] = []
        while len(own) < CONCEPTS:
            word = "".join(chance.choice(syllables, 3))
            if word not in taken:
                taken.add(word)
                own.append(word)
        found[language] = own
    return found


def ranks() -> dict[str, np.ndarray]:
    """Return the rank of each concept in each language: alike, not the same."""
    chance = np.random.default_rng(2)
    common = np.log1p(chance.permutation(CONCEPTS))
    return {code: np.argsort(np.argsort(common + chance.normal(0, 0.7, CONCEPTS))) for code in SHARES}


def shares(rank: np.ndarray) -> np.ndarray:
    """Return how often each concept occurs, by Zipf's law."""
    mass = (rank + 1.0) ** -ZIPF
    return mass / mass.sum()


def pictures(concepts: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Return a picture of each concept: uint8, (concepts, 32, 32, 3)."""
    shape, colour, texture, number, place = attributes(concepts)
    rows = len(concepts)
    y, x = (axis.astype(np.float32)[None] for axis in np.mgrid[:SIDE, :SIDE])
    out = chance.integers(20, 110, (rows, 1, 1, 3)) + chance.normal(0, 14, (rows, SIDE, SIDE, 3))
    radius = chance.uniform(4.5, 6, rows)[:, None, None]
    for each in range(2):
        middle_x = np.where(number == 0, 16, 8 + 16 * each) + chance.uniform(-2, 2, rows)
        middle_y = np.where(place == 0, 10, 22) + chance.uniform(-2, 2, rows)
        u, v = (x - middle_x[:, None, None]) / radius, (y - middle_y[:, None, None]) / radius
        a, b = np.abs(u), np.abs(v)
        distance = np.hypot(u, v)
        masks = (distance < 1, np.maximum(a, b) < 0.9, a + b < 1.2, (v < 0.8) & (a < (v + 1) / 1.7))
        masks += ((np.minimum(a, b) < 0.35) & (np.maximum(a, b) < 1), (distance < 1.05) & (distance > 0.5))
        masks += ((a < 1.1) & (b < 0.45), (a < 0.45) & (b < 1.1))
        inside = np.choose(shape[:, None, None], masks) & ((number == 1) | (each == 0))[:, None, None]
        lines = ((np.ones_like(x) > 0), (y % 4 < 2), (x % 4 < 2), ((x // 2 + y // 2) % 2 < 1))
        light = np.choose(texture[:, None, None], [np.broadcast_to(line, inside.shape) for line in lines])
        shade = (
            np.where(light, 1.0, 0.45)[..., None] * (PALETTE[colour] + chance.normal(0, 12, (rows, 3)))[:, None, None]
        )
        out = np.where(inside[..., None], shade + chance.normal(0, 8, (rows, 1, 1, 3)), out)
    return np.clip(out, 0, 255).astype(np.uint8)


def text(concept: int, code: str, known: dict[str, list[str]], mass: np.ndarray, chance: np.random.Generator) -> str:
    """Return an alt text for a picture of a concept: mostly right, sometimes wrong or junk."""
    kind = chance.random()
    if kind < JUNKY:
        return JUNK[chance.integers(len(JUNK))].format(chance.integers(1000, 9999))
    shown = int(np.searchsorted(mass, chance.random())) if kind < JUNKY + WRONG else concept
    name = known[code][min(shown, CONCEPTS - 1)]
    sentence = TEMPLATES[code][chance.integers(len(TEMPLATES[code]))]
    return sentence.format(name.capitalize() if chance.random() < CAPITAL else name)


def make_world(folder: Path, pairs: int) -> None:
    """Write pages as WAT, lists of entries, and the pictures as img2dataset does."""
    chance, known = np.random.default_rng(3), names()
    masses = {code: np.cumsum(shares(rank)) for code, rank in ranks().items()}
    codes = [*SHARES]
    languages = chance.choice(len(codes), pairs, p=[*SHARES.values()])
    concepts = np.empty(pairs, np.int64)
    for number, code in enumerate(codes):
        own = languages == number
        concepts[own] = np.minimum(np.searchsorted(masses[code], chance.random(own.sum())), CONCEPTS - 1)
    again = [
        (image, language)
        for image in np.flatnonzero(chance.random(pairs) < AGAIN)
        for language in chance.choice(len(codes), 1, p=[*SHARES.values()])
    ]
    shown = [*enumerate(languages), *again]
    with gzip.open(folder / "pages.wat.gz", "wb", 4) as wat:
        for page in range(0, len(shown), PAGE_IMAGES):
            links = [
                {
                    "path": "IMG@/src",
                    "url": url(image),
                    "alt": text(concepts[image], codes[of], known, masses[codes[of]], chance),
                }
                for image, of in shown[page : page + PAGE_IMAGES]
            ]
            wat.write(record(f"https://pages.example.org/{page}.html", links))
    np.save(folder / "concepts.npy", concepts)
    for code in codes:
        words = Counter(word for sentence in TEMPLATES[code] for word in {*sentence.split()} - {"{}"})
        often = [word for word, _ in words.most_common(FREQUENT)]
        (folder / f"{code}.txt").write_text("\n".join([*often, *known[code]]), encoding="utf-8")
    write_tars(folder / "images", concepts, chance)


def url(image: int) -> str:
    return f"https://images.example.org/{image}.jpg"


def record(page: str, links: list[dict]) -> bytes:
    """Return the WAT record of a page."""
    html = {"Head": {}, "Links": links}
    payload = {"HTTP-Response-Metadata": {"Headers": {}, "HTML-Metadata": html}}
    envelope = {"Envelope": {"Payload-Metadata": payload, "WARC-Header-Metadata": {"WARC-Target-URI": page}}}
    block = json.dumps(envelope).encode()
    head = f"WARC/1.0\r\nWARC-Type: metadata\r\nWARC-Target-URI: {page}\r\nContent-Length: {len(block)}\r\n"
    return f"{head}Content-Type: application/json\r\n\r\n".encode() + block + b"\r\n\r\n"


def write_tars(folder: Path, concepts: np.ndarray, chance: np.random.Generator) -> None:
    """Write a picture of each concept."""
    from PIL import Image

    folder.mkdir()
    for begin in range(0, len(concepts), PER_TAR):
        with tarfile.open(folder / f"{begin // PER_TAR:05d}.tar", "w") as tar:
            for number, picture in enumerate(pictures(concepts[begin : begin + PER_TAR], chance), begin):
                out = io.BytesIO()
                Image.fromarray(picture).save(out, "JPEG", quality=90)
                stated = {"uid": uid(number), "url": url(number), "key": f"{number:09d}", "status": "success"}
                for name, content in (("jpg", out.getvalue()), ("json", json.dumps(stated).encode())):
                    member = tarfile.TarInfo(f"{number:09d}.{name}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))


def uid(image: int) -> str:
    return md5(url(image).encode()).hexdigest()


# The pipeline


def curate(folder: Path, output: str, t: int, *more: str) -> Path:
    """Run clip-curate; return its folder."""
    entries = [f"{code}={folder / code}.txt" for code in SHARES]
    command = [
        "clip-curate",
        "--input",
        str(folder / "pages.wat.gz"),
        "--entries",
        *entries,
        "--english-threshold",
        str(t),
    ]
    subprocess.run([*command, "--output", str(folder / output), *more], check=True, stderr=subprocess.DEVNULL)
    return folder / output


def make_runs(folder: Path) -> None:
    """Curate at each t, in languages and in one list; keep what each t decides."""
    from curation import online

    for output, more in (("run", ()), ("merged", ("--merge-languages",))):
        for t in THRESHOLDS:
            run = curate(folder, output, t, *more)
            keep(run, folder / "decided" / f"{output}-{t}")
        online.build(folder / "images", run, folder / f"{output}-index")


def keep(run: Path, to: Path) -> None:
    """Copy what says what a run decided, before another t takes its place."""
    from curation import Results

    to.mkdir(parents=True)
    np.save(to / "rates.npy", Results.open(run).rates)
    pq.write_table(pq.read_table(run / "curated", columns=["uid", "text", "language"]), to / "curated.parquet")
    for name in ("run.json", "thresholds.json"):
        shutil.copy(run / name, to / name)


# Samples


class Samples:
    """Streams of samples of the world: tokens and pictures."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        words = {name for each in names().values() for name in each}
        words |= {word for each in TEMPLATES.values() for line in each for word in line.lower().split()}
        self.numbers = {word: number for number, word in enumerate(sorted(words), 3)}
        self.vocabulary = len(self.numbers) + 4

    def tokens(self, text: str) -> np.ndarray:
        """Return start, words (2: unknown) and end, which has the largest number as open_clip's model expects."""
        words = [self.numbers.get(word, 2) for word in text.lower().split()][: TEXT["context_length"] - 2]
        out = np.zeros(TEXT["context_length"], np.int64)
        out[: len(words) + 2] = [1, *words, self.vocabulary - 1]
        return out

    def decoded(self, sample: dict) -> tuple[np.ndarray, np.ndarray]:
        from PIL import Image

        return np.asarray(Image.open(io.BytesIO(sample["jpg"]))), self.tokens(sample["txt"].decode())

    def stream(self, arm: dict, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield pictures and tokens, epoch after epoch: a manifest's in a new order, or samples drawn anew."""
        from curation import online

        index, run = (
            self.folder / f"{arm['run']}-index",
            self.folder / "decided" / f"{arm['run']}-{arm['t'] or 100}",
        )
        rates = np.load(run / "rates.npy")
        weights = self.lifted(arm["run"], arm["power"]) if arm["draw"] == "lifted" else None
        if arm["draw"] == "uniform":
            rates = np.ones_like(rates)
        config = online.OnlineConfig(seed=seed if arm["draw"] != "manifest" else 0, weights=weights)
        dataset, chance = online.BalancedDataset(index, rates, config, self.decoded), np.random.default_rng(seed)
        fixed = [*dataset] if arm["draw"] == "manifest" else None
        if fixed is not None and len(fixed) != pq.read_metadata(run / "curated.parquet").num_rows:
            raise SystemExit(f"epoch 0 has {len(fixed)} samples, the manifest another number")
        epoch = 0
        while True:
            if fixed is not None:
                yield from (fixed[row] for row in chance.permutation(len(fixed)))
            else:
                dataset.set_epoch(epoch)
                yield from dataset
            epoch += 1

    def lifted(self, run: str, power: float):
        """Return weights by entries: of n texts, in proportion to n^power."""
        from curation import Results, weights

        path = self.folder / f"{run}-lifted-{power}.arrow"
        found = Results.open(self.folder / run)
        return weights.lift(weights.Lift(found.counted[1], power, most=100), found, path).weights


# Training


ARMS = {
    "uniform": {"run": "run", "t": None, "draw": "uniform"},
    **{f"{draw} t={t}": {"run": "run", "t": t, "draw": draw} for t in THRESHOLDS for draw in ("online", "manifest")},
    "lifted": {"run": "run", "t": None, "draw": "lifted", "power": 0.2},
    "flat": {"run": "run", "t": None, "draw": "lifted", "power": 0.0},
    "one list t=100": {"run": "merged", "t": 100, "draw": "online"},
    "gated uniform": {"run": "gated", "t": None, "draw": "uniform"},
    "gated online t=100": {"run": "gated", "t": 100, "draw": "online"},
}


def train(samples: Samples, arm: dict, seed: int, seen: int):
    """Return open_clip's model after so many samples."""
    import open_clip
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    model = open_clip.CLIP(64, VISION, TEXT | {"vocab_size": samples.vocabulary}, output_dict=True)
    optimizer, loss = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.05), open_clip.ClipLoss()
    steps = seen // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps, pct_start=0.1)
    stream = samples.stream(arm, seed)
    for _ in range(steps):
        both = [next(stream) for _ in range(BATCH)]
        tokens = torch.from_numpy(np.stack([each for _, each in both]))
        optimizer.zero_grad()
        loss(**model(seen_as(np.stack([picture for picture, _ in both])), tokens)).backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, 4.6052)  # 100, as in CLIP
    return model.eval()


def make_gate(folder: Path, seen: int) -> None:
    """Score all images by a model of the uniform draw, and curate those past a gate of scores and of rules of junk."""
    import torch

    from curation import online

    samples = Samples(folder)
    model, pool = train(samples, ARMS["uniform"], GATE_SEED, seen), online.BalancedDataset
    every = pool(folder / "run-index", np.ones(len(np.load(folder / "decided" / "run-100" / "rates.npy"))))
    uids, scores = [], []
    for part in batched(every, 1024):
        both = [samples.decoded(sample) for sample in part]
        with torch.no_grad():
            images = model.encode_image(seen_as(np.stack([picture for picture, _ in both])), normalize=True)
            texts = model.encode_text(torch.from_numpy(np.stack([tokens for _, tokens in both])), normalize=True)
        uids += [sample["__uid__"] for sample in part]
        scores += (images * texts).sum(1).tolist()
    pq.write_table(pa.table({"uid": uids, "score": scores}), folder / "scores.parquet")
    shutil.copytree(folder / "run", folder / "gated")
    gate = ("--images", str(folder / "scores.parquet"), "--keep", f"score > {np.quantile(scores, REMOVED):.6f}")
    run = curate(folder, "gated", 100, *gate, "--policy", "recommended")
    keep(run, folder / "decided" / "gated-100")
    online.build(folder / "images", run, folder / "gated-index")


def batched(samples: Iterable[dict], size: int) -> Iterator[list[dict]]:
    """Yield samples in lists."""
    several = iter(samples)
    while part := [*islice(several, size)]:
        yield part


def seen_as(pictures: np.ndarray):
    import torch

    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def accuracies(model, samples: Samples) -> dict:
    """Return the share of test pictures whose concept is found among all names, by language and rank."""
    import torch

    concepts = np.repeat(np.arange(CONCEPTS), TESTED)
    shown = pictures(concepts, np.random.default_rng(4))
    found, known = {}, names()
    with torch.no_grad():
        parts = range(0, len(shown), 1024)
        images = torch.cat([model.encode_image(seen_as(shown[i : i + 1024]), normalize=True) for i in parts])
        for code, rank in ranks().items():
            texts = 0
            for sentence in TEMPLATES[code]:
                tokens = torch.from_numpy(np.stack([samples.tokens(sentence.format(name)) for name in known[code]]))
                texts = texts + model.encode_text(tokens, normalize=True)
            right = ((images @ texts.T).argmax(1).numpy() == concepts).reshape(CONCEPTS, TESTED).mean(1)
            own = {name: right[(rank >= low) & (rank < high)].mean() for name, (low, high) in BINS.items()}
            found[code] = own | {"all": right.mean(), "as drawn": (right * shares(rank)).sum()}
    return {code: {name: round(float(value), 4) for name, value in each.items()} for code, each in found.items()}


def train_all(folder: Path, seeds: list[int], seen: int, only: list[str] | None) -> None:
    """Train and test what results.jsonl lacks, a line each."""
    samples, path = Samples(folder), folder / "results.jsonl"
    done = {(row["arm"], row["seed"], row["seen"]) for row in results(folder)}
    for seed in seeds:
        for name in only or ARMS:
            if (name, seed, seen) in done or not (folder / f"{ARMS[name]['run']}-index").exists():
                continue
            begin = time.process_time()
            found = accuracies(train(samples, ARMS[name], seed, seen), samples)
            row = {
                "arm": name,
                "seed": seed,
                "seen": seen,
                "seconds": round(time.process_time() - begin),
                "found": found,
            }
            with path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)


def results(folder: Path) -> list[dict]:
    path = folder / "results.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


# The figure

T_OF = {3: 4.30, 4: 3.18, 5: 2.78}  # Student's t, 95 %, by the number of seeds; of fewer no interval is given
GROUPS = {"head": "#d55e00", "middle": "#777777", "tail": "#0072b2", "all": "#000000"}
HUMP = ("uniform", *(f"online t={t}" for t in THRESHOLDS), "lifted", "flat")
PAIRED = ("manifest t=100", "online t=100", "one list t=100", "gated uniform", "gated online t=100")


def interval(values: list[float]) -> tuple[float, float]:
    """Return the mean over seeds, and half of its 95 % interval; 0 of fewer than three."""
    spread = T_OF[len(values)] * np.std(values, ddof=1) / len(values) ** 0.5 if len(values) in T_OF else 0
    return float(np.mean(values)), float(spread)


def print_differences(rows: list[dict]) -> None:
    """Print what each arm gains over the uniform draw, by pairs of models of one seed."""
    of = {(row["arm"], row["seed"]): row["found"] for row in rows}
    for name in ARMS:
        seeds = [seed for arm, seed in of if arm == name and ("uniform", seed) in of]
        for code, group in ((code, group) for code in SHARES for group in (*BINS, "all", "as drawn") if seeds):
            gains = [of[name, seed][code][group] - of["uniform", seed][code][group] for seed in seeds]
            mean, half = interval(gains)
            print(
                f"gain: {name}, {code} {group}: {mean:+.3f}" + (f" ± {half:.3f}" if half else f" ({len(seeds)} seeds)")
            )


def print_gate(folder: Path) -> None:
    """Print which share of right and of wrong texts the gate leaves, by language and rank of what the picture shows."""
    concepts, places = np.load(folder / "concepts.npy"), ranks()
    named = {name: (code, concept) for code, each in names().items() for concept, name in enumerate(each)}
    images = {uid(image): int(concept) for image, concept in enumerate(concepts)}
    counts: dict[str, Counter] = {}
    for part in ("run/matched", "gated/gated"):
        counts[part] = Counter()
        for row in pq.read_table(folder / part, columns=["uid", "candidates"]).to_pylist():
            shown = images[row["uid"]]
            for each in row["candidates"]:
                for code, concept in (named[word] for word in each["text"].lower().split() if word in named):
                    bins = [name for name, (low, high) in BINS.items() if low <= places[code][shown] < high]
                    counts[part].update((("right" if concept == shown else "wrong", *bins, code),))
    for key, before in sorted(counts["run/matched"].items()):
        print("gate:", *key, f"{counts['gated/gated'][key]:,} of {before:,}, {counts['gated/gated'][key] / before:.2f}")


def draw(folder: Path, figure: Path, seen: int) -> None:
    """Draw accuracies over t, and beside each other; print them as a table."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    rows = [row for row in results(folder) if row["seen"] == seen]
    arms = [name for name in ARMS if any(row["arm"] == name for row in rows)]
    found = {
        (name, code, group): interval([row["found"][code][group] for row in rows if row["arm"] == name])
        for name in arms
        for code in SHARES
        for group in (*BINS, "all", "as drawn")
    }
    print(
        "| arm | seeds | "
        + " | ".join(f"{code} {group}" for code in SHARES for group in (*BINS, "all"))
        + " | en as drawn |"
    )
    print("| --- |" + " ---: |" * (2 + 4 * len(SHARES)))
    for name in arms:
        cells = [(code, group) for code in SHARES for group in (*BINS, "all")] + [("en", "as drawn")]
        numbers = [found[(name, *cell)] for cell in cells]
        texts = [f"{mean:.3f}" + (f" ± {half:.3f}" if half else "") for mean, half in numbers]
        print(f"| {name} | {sum(row['arm'] == name for row in rows)} | " + " | ".join(texts) + " |")
    print_differences(rows)
    if (folder / "gated").exists():
        print_gate(folder)
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "miniature", "font.size": 9, "axes.spines.top": False}
    mpl.rcParams |= {"axes.spines.right": False, "axes.titlesize": 10, "axes.titlelocation": "left"}
    _, panels = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained", sharey=True)
    titles = ("English: 70 % of alt texts", "Finnish: 6 %", "English, other arms")
    hump, paired = ([name for name in names if name in arms] for names in (HUMP, PAIRED))
    for axes, title, code, names in zip(panels, titles, ("en", "fi", "en"), (hump, hump, paired), strict=True):
        for group, colour in GROUPS.items():
            values = np.array([found[name, code, group] for name in names])
            form = {"fmt": "o" if names is paired else "o-", "color": colour, "ms": 4, "capsize": 3, "label": group}
            axes.errorbar(range(len(names)), values[:, 0], values[:, 1] * (values[:, 1] > 0), **form)
            own = [
                (at, row["found"][code][group]) for row in rows for at, name in enumerate(names) if row["arm"] == name
            ]
            axes.plot(*zip(*own, strict=True), ".", color=colour, ms=3, alpha=0.4)
        axes.set_xticks(
            range(len(names)), [name.replace("online ", "").replace(" t=", "\nt=", 1) for name in names], fontsize=8
        )
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set_title(title)
    panels[0].set_ylim(bottom=0)
    panels[0].set_ylabel("zero-shot accuracy")
    panels[0].legend(frameon=False, ncols=4, columnspacing=1, handletextpad=0.3, loc="upper right")
    plt.savefig(figure, metadata={"Date": None})


def main() -> None:
    """Do one of the steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["world", "gate", "train", "draw"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("figure", type=Path, nargs="?")
    parser.add_argument("--pairs", type=int, default=120_000)
    parser.add_argument("--seen", type=int, default=SEEN)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+")
    args = parser.parse_args()
    if args.folder.exists() == (args.step == "world"):  # one step makes it, the others need it
        parser.error(
            f"{args.folder} {'exists; give a new folder' if args.step == 'world' else 'holds no world; make one'}"
        )
    if args.step == "world":
        args.folder.mkdir(parents=True)
        make_world(args.folder, args.pairs)
        make_runs(args.folder)
    elif args.step == "gate":
        make_gate(args.folder, args.seen)
    elif args.step == "train":
        train_all(args.folder, args.seeds, args.seen, args.arms)
    else:
        draw(args.folder, args.figure, args.seen)


if __name__ == "__main__":
    main()
