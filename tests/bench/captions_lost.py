"""Measure which clean captions two runs of clip-curate keep, by set and language.

    python tests/bench/captions_lost.py table captions.parquet
    clip-curate --input captions.parquet ... --output loose
    clip-curate --input captions.parquet ... --policy recommended --output strict
    python tests/bench/captions_lost.py compare captions.parquet loose strict --least 50

table:   captions of Conceptual Captions, of WIT and of the articles in wikipedia/mini, from the folder SHARED_DATA
compare: per set and language of at least so many captions, the share that each run has before balancing, the points
         that the second has less, and the share that got the caption's own language in each
"""

import argparse
import bz2
import html
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
from language_texts import DATA

SCHEMA = pa.schema([(name, pa.string()) for name in ("uid", "url", "text", "page_url", "set", "gold")])
IMAGE = r"([^\[\]|:\n]+\.(?:jpe?g|png|svg|gif|tiff?))"
PICTURE = re.compile(rf"\[\[[^\[\]|:\n]+:{IMAGE}\|((?:[^\[\]]|\[\[[^\[\]]*\]\]|\[[^\[\]]*\])*)\]\]", re.IGNORECASE)
IN_GALLERY = re.compile(rf"^[^\[\]|:\n]+:{IMAGE}\|([^\n]+)$", re.IGNORECASE | re.MULTILINE)
GALLERY = re.compile(r"<gallery[^>]*>(.*?)</gallery>", re.DOTALL | re.IGNORECASE)
LINKS = re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]|\[\S+ ([^\]]*)\]|\[\S+\]")
MARKUP = re.compile(r"<ref[^>/]*>.*?</ref>|<[^>]*>|\{\{[^{}]*\}\}|'{2,}|https?://\S+", re.DOTALL)
SETTING = re.compile(r"\s*(?:[\w-]+\s*=.*|\d*\s*x?\s*\d*\s*px|upright.*|[^\s=]+|)\s*")  # thumb, 200px, alt=…, one word


def cc3m() -> Iterator[tuple[str, str, str | None, str]]:
    """Yield URL, caption, no page and language."""
    for line in (DATA / "pairs" / "cc3m_validation.tsv").read_text("utf-8").splitlines():
        text, url = line.split("\t")
        yield url, text, None, "en"


def wit() -> Iterator[tuple[str, str, str | None, str]]:
    """Yield URL, caption, page and language of images in Wikipedias."""
    for file in sorted((DATA / "pairs" / "wit").iterdir()):
        for line in map(json.loads, file.read_text("utf-8").splitlines()):
            yield line["image_url"], line["caption_reference_description"], line["page_url"], line["language"]


def articles() -> Iterator[tuple[str, str, str | None, str]]:
    """Yield the same of pictures with a caption of several words in wikitext."""
    for file in sorted((DATA / "wikipedia" / "mini").glob("*/wiki.xml.bz2")):
        language = file.parent.name
        wikitext = html.unescape(bz2.open(file, "rt", encoding="utf-8").read())
        found = [(match[1], LINKS.sub(r"\1\2", match[2])) for match in PICTURE.finditer(wikitext)]
        for gallery in GALLERY.findall(wikitext):
            found += [(match[1], LINKS.sub(r"\1\2", match[2])) for match in IN_GALLERY.finditer(gallery)]
        for name, options in dict.fromkeys(found):
            caption = " ".join(MARKUP.sub(" ", options.rsplit("|", 1)[-1]).split())
            if not SETTING.fullmatch(caption) and not re.search(r"[{}|\[\]]", caption):
                name = name.strip().replace(" ", "_")
                digits = md5(name.encode()).hexdigest()
                url = f"https://upload.wikimedia.org/wikipedia/commons/{digits[0]}/{digits[:2]}/{quote(name)}"
                yield url, caption, f"https://{language}.wikipedia.org/wiki/", language


SETS = {"cc3m": cc3m, "wit": wit, "articles": articles}


def table(path: Path) -> None:
    """Write the captions of all sets, each with a uid of its own."""
    rows = [
        {"uid": f"{name}-{row}", "url": url, "text": text, "page_url": page, "set": name, "gold": language}
        for name, captions in SETS.items()
        for row, (url, text, page, language) in enumerate(captions())
    ]
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path)
    print(f"{path}: {len(rows):,} captions")


def passed(run: Path) -> dict[str, str]:
    """Return the languages of the images that the run would balance: that match and pass its gate, by uid."""
    rows = pq.read_table(run / ("gated" if (run / "gated").exists() else "matched"), columns=["uid", "candidates"])
    return {row["uid"]: row["candidates"][0]["language"] for row in rows.to_pylist()}


def compare(path: Path, loose: Path, strict: Path, least: int) -> None:
    """Print a row for each set and language, and for each set."""
    captions = pq.read_table(path, columns=["uid", "set", "gold"]).to_pylist()
    groups: defaultdict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for caption in captions:
        groups[caption["set"], caption["gold"]].append(caption)
        groups[caption["set"], "all"].append(caption)
    runs = passed(loose), passed(strict)
    print(f"| set | language | captions | {loose.name} | {strict.name} | lost, points | own language | and then |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for (name, language), rows in sorted(groups.items()):
        if len(rows) >= least:
            have = [[row for row in rows if row["uid"] in run] for run in runs]
            shares = [100 * len(each) / len(rows) for each in have]
            own = [sum(run[row["uid"]] == row["gold"] for row in rows if row["uid"] in run) for run in runs]
            cells = [f"{share:.1f}" for share in [*shares, shares[0] - shares[1], *(100 * n / len(rows) for n in own)]]
            print(f"| {name} | {language} | {len(rows):,} | {' | '.join(cells)} |")


def main() -> None:
    """Run the part that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("table").add_argument("path", type=Path)
    comparing = parts.add_parser("compare")
    for name in ("path", "loose", "strict"):
        comparing.add_argument(name, type=Path)
    comparing.add_argument("--least", type=int, default=50, help="captions that a language has (default: 50)")
    args = vars(parser.parse_args())
    globals()[args.pop("part")](**args)


if __name__ == "__main__":
    main()
