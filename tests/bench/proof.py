"""Train small CLIP models on balanced and unbalanced data of real concepts, and test them on an artist they never saw.

The concepts are 400 emoji with the names and keywords that CLDR gives them in five languages; the pictures are drawn
from seven artists' sets, of which models see five. A world is a random order of the concepts by frequency (Zipf), and
60,000 pairs: `clip-curate` curates them, the online loader hands out samples, open_clip's model trains. The plan is
in docs/explanation/proof-details.md.

    python tests/bench/proof.py worlds FOLDER          pictures and names from npm, worlds, runs of clip-curate
    python tests/bench/proof.py train FOLDER           trains what proof.csv of it lacks: first rates, then all worlds
    python tests/bench/proof.py epochs FOLDER          what an epoch has at each t, from the worlds

`proof_results` prints the tables of the pages and draws the figure. npm, PyTorch for CPU, open_clip_torch and resvg-py
are needed; clip-curate is called as a command. What exists is not made again, so each step goes on where it was
interrupted.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from hashlib import md5
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from proof_results import (
    AGAIN,
    ARMS,
    CHOOSING,
    FIRST_SEED,
    LEARNING_RATES,
    MAIN,
    MODEL,
    RANDOM,
    RATES_WORLD,
    RESULTS,
    RULES_RATE,
    SECOND_SEED,
    SHARES,
    SIDE_WORLDS,
    THRESHOLDS,
    TRAINED,
    UNSEEN,
    WORLDS,
    best_rates,
    by_model,
    results,
    table,
)

CLDR = "cldr-annotations-full@48.2.0"  # Unicode-3.0
ARTISTS = {  # npm packages of Iconify, with the artists' licences
    "noto": "@iconify-json/noto@1.2.9",  # Apache-2.0
    "noto-v1": "@iconify-json/noto-v1@1.2.5",  # Apache-2.0
    "fxemoji": "@iconify-json/fxemoji@1.2.2",  # Apache-2.0
    "twemoji": "@iconify-json/twemoji@1.2.5",  # CC-BY-4.0
    "emojione": "@iconify-json/emojione@1.2.3",  # CC-BY-4.0
    "openmoji": "@iconify-json/openmoji@1.2.29",  # CC-BY-SA-4.0
    "fluent": "@iconify-json/fluent-emoji-flat@1.2.6",  # MIT
}
SVG = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
CONCEPTS, PAIRS, ZIPF, SIDE = 400, 60_000, 1.1, 32
NAMED, WITH_KEYWORD = 0.6, 0.3  # texts with the name, with name and keyword; the others have two keywords
WRONG, JUNK = 0.05, 0.09  # texts of another picture, and texts of no picture
TEMPLATES = {  # around a name; around two words
    "en": (
        ("a photo of a {}", "picture of the {} that we saw", "this is our {} from last year", "the {} is for sale"),
        ("{} and {}", "{} with {} on the table", "{}, {}"),
    ),
    "de": (
        ("ein Foto: {}", "das ist unser Bild von {} aus dem letzten Jahr", "hier sieht man {}", "{} jetzt im Angebot"),
        ("{} und {}", "{} mit {} auf dem Tisch", "{}, {}"),
    ),
    "es": (
        ("una foto de {}", "esta es nuestra imagen de {} del año pasado", "aquí se ve {}", "{} en venta en la tienda"),
        ("{} y {}", "{} con {} en la mesa", "{}, {}"),
    ),
    "ru": (
        ("фотография: {}", "это наша картинка {} с прошлого года", "здесь мы видим {}", "{} в нашем магазине"),
        ("{} и {}", "{} и ещё {} на столе", "{}, {}"),
    ),
    "ja": (
        ("{}の写真です", "去年の{}の画像", "これは{}です", "{}を販売しています"),
        ("{}と{}", "机の上の{}と{}", "{}、{}"),
    ),
}
JUNK_TEXTS = {  # most hold an entry, else matching would leave them out
    "en": ("IMG_{}.jpg", "click on the picture to enlarge", "photo {} of 20", "logo of our shop", "photo of the week"),
    "de": ("DSC_{}.JPG", "zum Vergrößern auf das Bild klicken", "Bild {} von 20", "in den Warenkorb", "Foto folgt"),
    "es": ("IMG_{}.jpg", "haga clic en la foto para ampliar", "foto {} de 20", "añadir a la cesta", "ver la imagen"),
    "ru": ("IMG_{}.jpg", "нажмите на картинку, чтобы увеличить", "картинка {} из 20", "добавить в корзину"),
    "ja": ("IMG_{}.jpg", "クリックで画像を拡大", "画像{}枚目", "カートに入れる", "この写真を見る"),
}
BINS = {"head": (0, 20), "middle": (20, 120), "tail": (120, CONCEPTS)}  # by rank in the language: 5, 25, 70 %
SEEN, BATCH, TESTED, PER_TAR = 256_000, 256, 8, 5000
WIDTH = 96  # of embeddings
LAYERS = ((32, 5, 2), (64, 3, 2), (64, 3, 1), (128, 3, 2), (128, 3, 1), (256, 1, 1))  # channels, kernel, stride
VISION = {"image_size": SIDE, "layers": 1, "width": 32, "head_width": 32, "patch_size": 16}  # replaced by LAYERS
TEXT = {"context_length": 20, "width": WIDTH, "heads": 3, "layers": 1}


# Concepts


def packages(folder: Path) -> None:
    """Fetch the packages from npm, and draw each artist's picture of each concept: sprites.npz and names.json."""
    if (folder / "names.json").exists():
        return
    for name in (CLDR, *ARTISTS.values()):
        packed = subprocess.run(
            ["npm", "pack", "--silent", name], cwd=folder, check=True, capture_output=True, text=True
        )
        with tarfile.open(folder / packed.stdout.strip()) as tar:
            tar.extractall(folder / "npm" / squashed(name.rpartition("@")[0]), filter="data")
    names, sprites = {}, {}
    for code in SHARES:
        path = (
            folder / "npm" / squashed("cldr-annotations-full") / "package" / "annotations" / code / "annotations.json"
        )
        annotations = json.loads(path.read_text(encoding="utf-8"))["annotations"]["annotations"]
        names[code] = {emoji.replace("\ufe0f", ""): each for emoji, each in annotations.items() if "tts" in each}
    icons = {artist: Icons(folder / "npm" / squashed(name.rpartition("@")[0])) for artist, name in ARTISTS.items()}
    labels = {emoji: squashed(each["tts"][0]) for emoji, each in names["en"].items()}
    drawn = [emoji for emoji, label in labels.items() if all(label in each.bodies for each in icons.values())]
    for code in SHARES:  # a concept's name is its own, in each language
        of_name = {names[code][emoji]["tts"][0]: emoji for emoji in reversed(drawn) if emoji in names[code]}
        drawn = [emoji for emoji in drawn if emoji in of_name.values()]
    chosen = [drawn[at] for at in np.sort(np.random.default_rng(1).permutation(len(drawn))[:CONCEPTS])]
    for artist, each in icons.items():
        sprites[artist] = np.stack([each.drawn(labels[emoji]) for emoji in chosen])
    np.savez_compressed(folder / "sprites.npz", **sprites)
    texts = {
        code: [
            {"emoji": emoji, "name": each["tts"][0], "keywords": each.get("default") or each["tts"]}
            for emoji in chosen
            for each in (names[code][emoji],)
        ]
        for code in SHARES
    }
    (folder / "names.json").write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")


def squashed(name: str) -> str:
    """Return a name's letters and digits: `red apple` of CLDR is `red-apple` or `redapple` of an artist."""
    return re.sub("[^a-z0-9]", "", name.lower())


class Icons:
    """An artist's set in Iconify's JSON."""

    def __init__(self, package: Path) -> None:
        self.found = json.loads((package / "package" / "icons.json").read_text(encoding="utf-8"))
        aliases = {name: each["parent"] for name, each in self.found.get("aliases", {}).items()}
        icons = self.found["icons"]
        every = {name: icons.get(aliases.get(name, name)) for name in (*aliases, *icons)}
        self.bodies = {squashed(name): icon for name, icon in every.items() if icon}

    def drawn(self, label: str) -> np.ndarray:
        """Return the icon in 64 x 64 pixels: uint8, (64, 64, 4)."""
        import resvg_py
        from PIL import Image

        icon = self.bodies[label]
        box = [icon.get(name, self.found.get(name, default)) for name, default in (("width", 16), ("height", 16))]
        svg = f'<svg {SVG} viewBox="0 0 {box[0]} {box[1]}">{icon["body"]}</svg>'
        png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=64, height=64))
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA").resize((64, 64)))


# Worlds


class World:
    """Ranks of the concepts in each language; the same number gives the same world."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.number = folder / f"world-{number}", number
        self.names = json.loads((folder / "names.json").read_text(encoding="utf-8"))
        self.sprites = np.load(folder / "sprites.npz")
        chance = np.random.default_rng([number, 0])
        common = np.log1p(chance.permutation(CONCEPTS))  # alike in all languages, not the same
        self.ranks = {code: np.argsort(np.argsort(common + chance.normal(0, 0.5, CONCEPTS))) for code in SHARES}
        self.shares = {code: (rank + 1.0) ** -ZIPF / ((rank + 1.0) ** -ZIPF).sum() for code, rank in self.ranks.items()}

    def text(self, concept: int, code: str, chance: np.random.Generator) -> str:
        """Return an alt text of a picture of the concept: mostly right, sometimes another's or junk."""
        kind = chance.random()
        if kind < JUNK:
            return str(chance.choice(JUNK_TEXTS[code])).format(chance.integers(1, 20))
        if kind < JUNK + WRONG:
            concept = int(chance.choice(CONCEPTS, p=self.shares[code]))
        names, pairs = TEMPLATES[code]
        known, keywords = self.names[code][concept], self.names[code][concept]["keywords"]
        kind = chance.random()
        if kind < NAMED:
            return str(chance.choice(names)).format(known["name"])
        first = known["name"] if kind < NAMED + WITH_KEYWORD else str(chance.choice(keywords))
        return str(chance.choice(pairs)).format(first, str(chance.choice(keywords)))

    def make(self) -> None:
        """Write pairs, pictures as img2dataset writes them, entries, runs and indices."""
        if self.folder.exists():
            return
        making = self.folder.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        chance = np.random.default_rng([self.number, 1])
        languages = chance.choice([*SHARES], PAIRS, p=[*SHARES.values()])
        concepts = np.empty(PAIRS, np.int64)
        for code in SHARES:
            own = languages == code
            concepts[own] = chance.choice(CONCEPTS, own.sum(), p=self.shares[code])
        texts = [self.text(*each, chance) for each in zip(concepts, languages, strict=True)]
        pq.write_table(pa.table({"url": [*map(url, range(PAIRS))], "text": texts}), making / "pairs.parquet")
        np.save(making / "concepts.npy", concepts)
        for code, each in self.names.items():
            words = {word for lines in TEMPLATES[code] for line in lines for word in re.findall(r"\w+", line)}
            words |= {"写真", "画像"} if code == "ja" else set()
            entries = {one["name"] for one in each} | {word for one in each for word in one["keywords"]}
            (making / f"{code}.txt").write_text("\n".join(sorted(entries | words)), encoding="utf-8")
        write_tars(making / "images", concepts, self.sprites, chance)
        make_runs(making)
        making.rename(self.folder)


def url(image: int) -> str:
    return f"https://images.example.org/{image}.jpg"


def uid(image: int) -> str:
    return md5(url(image).encode()).hexdigest()


def picture(sprite: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Return the sprite on a coloured ground, turned, moved and scaled: uint8, (32, 32, 3)."""
    from PIL import Image

    size = int(chance.integers(26, 32))
    icon = Image.fromarray(sprite).rotate(chance.uniform(-8, 8), Image.Resampling.BILINEAR)
    icon = icon.resize((size, size), Image.Resampling.BOX)
    ground = Image.new("RGB", (SIDE, SIDE), tuple(chance.integers(160, 256, 3).tolist()))
    ground.paste(icon, tuple(chance.integers(0, SIDE - size + 1, 2)), icon)
    return np.asarray(ground)


def write_tars(folder: Path, concepts: np.ndarray, sprites, chance: np.random.Generator) -> None:
    """Write a picture of each concept, by an artist drawn at random."""
    from PIL import Image

    folder.mkdir()
    artists, by_artist = chance.choice(TRAINED, len(concepts)), {artist: sprites[artist] for artist in TRAINED}
    for begin in range(0, len(concepts), PER_TAR):
        with tarfile.open(folder / f"{begin // PER_TAR:05d}.tar", "w") as tar:
            for number in range(begin, min(begin + PER_TAR, len(concepts))):
                out = io.BytesIO()
                drawn = picture(by_artist[artists[number]][concepts[number]], chance)
                Image.fromarray(drawn).save(out, "JPEG", quality=92)
                stated = {"uid": uid(number), "url": url(number), "key": f"{number:09d}", "status": "success"}
                for name, content in (("jpg", out.getvalue()), ("json", json.dumps(stated).encode())):
                    member = tarfile.TarInfo(f"{number:09d}.{name}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))


# The pipeline


def make_runs(folder: Path) -> None:
    """Curate each arm's pool at its thresholds, and build an index for the online loader."""
    from curation import Results, online

    def curate(pool: str, t: int, *more: str) -> Path:
        entries = [f"{code}={folder / code}.txt" for code in SHARES]
        command = ["clip-curate", "--input", str(folder / "pairs.parquet"), "--entries", *entries]
        command += ["--english-threshold", str(t), "--output", str(folder / pool), *more]
        subprocess.run(command, check=True, capture_output=True)
        (folder / "decided").mkdir(exist_ok=True)
        np.save(folder / "decided" / f"{pool}-{t}.npy", Results.open(folder / pool).rates)
        shutil.copy(folder / pool / "thresholds.json", folder / "decided" / f"{pool}-{t}.json")
        return folder / pool

    for t in THRESHOLDS:
        run = curate("run", t)
    every = images(run)
    passed = images(curate("gated", 10, "--policy", "recommended"))
    removed = np.random.default_rng(len(passed)).choice(every, len(every) - len(passed), replace=False)
    pq.write_table(pa.table({"uid": removed}), folder / "removed.parquet")
    curate("thinned", 10, "--exclude", str(folder / "removed.parquet"))
    curate("merged", 10, "--set", "merge_languages=true")
    for pool in ("run", "gated", "thinned", "merged"):
        online.build(folder / "images", folder / pool, folder / f"{pool}-index")


def images(run: Path) -> list[str]:
    """Return the uids of the images that balancing draws from."""
    part = "gated" if (run / "gated").exists() else "matched"
    return sorted({*pq.read_table(run / part, columns=["uid"])["uid"].to_pylist()})


def epochs(folder: Path) -> Iterator[str]:
    """Yield the lines of a table: the images of an epoch at each t, and the parts of a language's ranks among them."""
    from curation import keep_probability

    rates_of = {"uniform": None, **{f"t={t}": t for t in THRESHOLDS}}
    found: dict[str, list] = {name: [] for name in rates_of}
    for number in WORLDS:
        world = World(folder, number)
        concepts = dict(zip(map(uid, range(PAIRS)), np.load(world.folder / "concepts.npy"), strict=True))
        matched = pq.read_table(world.folder / "run" / "matched", columns=["uid", "candidates"]).combine_chunks()
        texts = matched["candidates"].combine_chunks().flatten()  # one for each image
        named = zip(matched["uid"].to_pylist(), texts.field("language").to_pylist(), strict=True)
        ranks = np.array([world.ranks[code][concepts[image]] if code in SHARES else -1 for image, code in named])
        for name, t in rates_of.items():
            rates = np.load(world.folder / "decided" / f"run-{t or 1}.npy")
            kept = keep_probability(texts.field("entries"), np.ones_like(rates) if t is None else rates)
            parts = [kept[(low <= ranks) & (ranks < high)].sum() / kept.sum() for low, high in BINS.values()]
            found[name].append([kept.sum(), *(100 * part for part in parts)])
    lines = {name: np.mean(of_worlds, axis=0) for name, of_worlds in found.items()}
    shown = {name: [f"{images:,.0f}", *(f"{part:.0f} %" for part in parts)] for name, (images, *parts) in lines.items()}
    yield from table("drawn", ("images an epoch", *BINS), shown)


# Training


class Samples:
    """Streams of samples of a world: pictures and tokens."""

    def __init__(self, world: World) -> None:
        self.world = world
        texts = [*(line for both in TEMPLATES.values() for lines in both for line in lines)]
        texts += [word for each in world.names.values() for one in each for word in (one["name"], *one["keywords"])]
        known = sorted({token for text in texts for token in tokens(text)})
        self.numbers = {token: number for number, token in enumerate(known, 3)}  # 1 begins a text, 2 is unknown
        self.vocabulary = len(known) + 4  # the last ends a text: open_clip reads the text at its largest number

    def encoded(self, text: str) -> np.ndarray:
        numbers = [self.numbers.get(token, 2) for token in tokens(text)][: TEXT["context_length"] - 2]
        out = np.zeros(TEXT["context_length"], np.int64)
        out[: len(numbers) + 2] = [1, *numbers, self.vocabulary - 1]
        return out

    def decoded(self, sample: dict) -> tuple[np.ndarray, np.ndarray]:
        from PIL import Image

        return np.asarray(Image.open(io.BytesIO(sample["jpg"]))), self.encoded(sample["txt"].decode())

    def stream(self, pool: str, t: int | None, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield samples, epoch after epoch, each drawn anew."""
        from curation import online

        rates = np.load(self.world.folder / "decided" / f"{pool}-{t or 10}.npy")
        rates = np.ones_like(rates) if t is None else rates
        index = online.Index.open(self.world.folder / f"{pool}-index", tars=self.world.folder / "images")
        dataset = online.BalancedDataset(index, rates, online.OnlineConfig(seed=seed), self.decoded)
        epoch = 0
        while True:
            dataset.set_epoch(epoch)
            yield from dataset
            epoch += 1


def tokens(text: str) -> list[str]:
    """Return words, and the single signs of a script without spaces.

    >>> tokens("A red-hot テスト")
    ['a', 'red', 'hot', 'テ', 'ス', 'ト']
    """
    return re.findall(r"[\u3040-\u30ff\u3400-\u9fff々]|[^\W\u3040-\u30ff\u3400-\u9fff々]+", text.lower())


def train(samples: Samples, arm: str, rate: float, seed: int, seen: int):
    """Return open_clip's model after so many samples."""
    import open_clip
    import torch

    seed = samples.world.number + 1000 * (seed - FIRST_SEED)
    torch.manual_seed(seed)
    model = open_clip.CLIP(WIDTH, VISION, TEXT | {"vocab_size": samples.vocabulary}, output_dict=True)
    model.visual = convolutions()
    model = model.to(memory_format=torch.channels_last)
    optimizer, loss = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.05), open_clip.ClipLoss()
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, seen // BATCH, pct_start=0.1)
    stream, chance = samples.stream(*ARMS[arm], seed), np.random.default_rng([seed, 2])
    for _ in range(seen // BATCH):
        both = [next(stream) for _ in range(BATCH)]
        optimizer.zero_grad()
        shown = moved(np.stack([each for each, _ in both]), chance)
        loss(**model(as_input(shown), torch.from_numpy(np.stack([each for _, each in both])))).backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, 4.6052)  # 100, as in CLIP
    return model.eval()


def convolutions():
    """Return an image tower that learns from few pictures: convolutions, and a mean over places."""
    from torch import nn

    tower, before = nn.Sequential(), 3
    for channels, kernel, stride in LAYERS:
        tower.append(nn.Conv2d(before, channels, kernel, stride, kernel // 2, bias=False))
        tower.extend((nn.BatchNorm2d(channels), nn.ReLU()))
        before = channels
    return tower.extend((nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, WIDTH)))


def moved(pictures: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Move each picture by up to 3 pixels, and make it lighter or darker by up to a fifth."""
    wide = np.pad(pictures, ((0, 0), (3, 3), (3, 3), (0, 0)), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(wide, (SIDE, SIDE), (1, 2))
    y, x = chance.integers(0, 7, (2, len(pictures)))
    cut = windows[np.arange(len(pictures)), y, x].transpose(0, 2, 3, 1)
    light = chance.uniform(0.8, 1.2, (len(pictures), 1, 1, 1)).astype(np.float32)
    return np.clip(cut * light, 0, 255)


def as_input(pictures: np.ndarray):
    import torch

    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last) / 64 - 2


def accuracies(model, samples: Samples) -> dict:
    """Return the share of pictures whose concept is found among all names, by artist, language and rank."""
    import torch

    world, found = samples.world, {}
    concepts = np.repeat(np.arange(CONCEPTS), TESTED)
    with torch.no_grad():
        texts = {
            code: sum(
                model.encode_text(
                    torch.from_numpy(np.stack([samples.encoded(line.format(one["name"])) for one in each])),
                    normalize=True,
                )
                for line in TEMPLATES[code][0]
            )
            for code, each in world.names.items()
        }
        for artist in (UNSEEN, CHOOSING, TRAINED[0]):
            chance, sprites = np.random.default_rng(3), world.sprites[artist]
            shown = np.stack([picture(sprites[concept], chance) for concept in concepts])
            parts = [model.encode_image(as_input(part), normalize=True) for part in np.array_split(shown, 8)]
            found[artist] = {}
            for code, rank in world.ranks.items():
                right = (
                    ((torch.cat(parts) @ texts[code].T).argmax(1).numpy() == concepts).reshape(CONCEPTS, TESTED).mean(1)
                )
                own = {name: right[(rank >= low) & (rank < high)].mean() for name, (low, high) in BINS.items()}
                own |= {"all": right.mean(), "as drawn": (right * world.shares[code]).sum()}
                found[artist][code] = {name: round(float(value), 5) for name, value in own.items()}
    return found


def model_of(folder: Path, world: int, arm: str, rate: float, seen: int, seed: int) -> list[dict]:
    """Train and test a model; return its rows of proof.csv."""
    import torch

    torch.set_num_threads(1)
    samples = Samples(World(folder, world))
    found = accuracies(train(samples, arm, rate, seed, seen), samples)
    model = {"world": world, "arm": arm, "rate": rate, "seen": seen, "seed": seed}
    return [
        model | {"artist": artist, "language": code} | groups
        for artist, by_language in found.items()
        for code, groups in by_language.items()
    ]


def train_all(folder: Path, seen: int, workers: int) -> None:
    """Train what proof.csv lacks: learning rates of each arm, the arms world by world, and what came after the plan."""

    def train_missing(wanted: list[tuple[int, str, float, int]]) -> bool:
        done = {*results(folder)[MODEL].itertuples(index=False, name=None)}
        models = [(world, arm, rate, seen, seed) for world, arm, rate, seed in wanted]
        missing = [model for model in models if model not in done]
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            for future in as_completed([pool.submit(model_of, folder, *model) for model in missing]):
                rows, path = pd.DataFrame(future.result()), folder / RESULTS
                rows.to_csv(path, mode="a", header=not path.exists(), index=False)
                print(by_model(rows, UNSEEN).to_string(index=False, header=False), flush=True)
        return bool(missing)

    for arms, worlds in ((MAIN, WORLDS), ([arm for arm in ARMS if arm not in MAIN], SIDE_WORLDS)):
        wanted = [(RATES_WORLD, arm, rate, FIRST_SEED) for arm in arms for rate in LEARNING_RATES]
        while train_missing(wanted):  # until the best rate is between two others
            rates = best_rates(results(folder).query(f"seen == {seen}"))
            wanted = [(RATES_WORLD, arm, rates[arm] * by, FIRST_SEED) for arm in arms for by in (0.5, 1, 2)]
        rates = best_rates(results(folder).query(f"seen == {seen}"))
        train_missing([(world, arm, rates[arm], FIRST_SEED) for world in worlds for arm in arms])
    train_missing([(world, RANDOM, RULES_RATE, FIRST_SEED) for world in SIDE_WORLDS])
    rates = best_rates(results(folder).query(f"seen == {seen}"))
    train_missing([(world, arm, rates[arm], SECOND_SEED) for world in WORLDS for arm in AGAIN])


def main() -> None:
    """Do one of the steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["worlds", "train", "epochs"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--worlds", type=int, nargs="+", default=[RATES_WORLD, *WORLDS])
    parser.add_argument("--seen", type=int, default=SEEN)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    if args.step != "worlds" and not (args.folder / f"world-{RATES_WORLD}").exists():
        parser.error(f"{args.folder} holds no worlds; make them first")
    if args.step == "worlds":
        args.folder.mkdir(parents=True, exist_ok=True)
        packages(args.folder)
        for number in args.worlds:
            World(args.folder, number).make()
    elif args.step == "train":
        train_all(args.folder, args.seen, args.workers)
    else:
        print(*epochs(args.folder), sep="\n")


if __name__ == "__main__":
    main()
