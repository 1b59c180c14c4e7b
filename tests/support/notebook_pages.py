"""Execute the notebooks on the embedded sample, and write what they show as the pages of docs/notebooks.

    python -m tests.support.notebook_pages

A page has the words, tables and plots of a notebook, and its code where a reader unfolds it.
"""

import asyncio
import html
import os
import re
import shutil
from base64 import b64decode
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from nbclient import NotebookClient
from PIL import Image

from curation.commands import clip_curate
from curation.plugins.clustering import clip_cluster
from curation.report.page import escaped
from metadata import commands
from tests.sample.make_sample import make_sample
from tests.support.checkout import ROOT

NOTEBOOKS = ROOT / "notebooks"
PAGES = ROOT / "docs" / "notebooks"
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
COLOURS = 64  # of a picture
DIMENSION = 32  # of the embeddings of the sample's texts
CELL = re.compile(r"<t[hd][^>]*>(.*?)</t[hd]>", re.DOTALL)
NUMBER = re.compile(r"-?[\d.,]+(?: %)?|–")
OF_OTHERS = {  # what a page says of files that neither the demo nor a command on the page makes
    "look_at_clusters": " The clusters are of vectors made from the entries in texts, which stand in for an encoder.",
}
ISOLATES = {"\u2068": "<bdi>", "\u2069": "</bdi>"}

Page = tuple[str, list[bytes]]  # Markdown, and the pictures in it


def make_folders(folder: Path) -> dict[str, str]:
    """Write metadata, a run, another with other seed and threshold, and clusters, all of the embedded sample.

    Return their paths under the names that notebooks look for.
    """
    sample, metadata, run, other, clusters = (
        folder / name for name in ("sample", "metadata", "run", "other", "clusters")
    )
    make_sample(sample)
    sources = [f"--{name}={sample / name}" for name in ("wordnet", "wikipedia", "pageviews")]
    commands.main([*sources, "--output", str(metadata)])
    inputs = ["--input", str(sample / "crawl"), str(sample / "pairs"), "--metadata", str(metadata)]
    clip_curate.main([*inputs, "--english-threshold", "20", "--output", str(run)])
    shutil.copytree(run, other)
    clip_curate.main([*inputs, "--english-threshold", "10", "--seed", "1", "--output", str(other)])
    write_embeddings(run, folder / "embeddings.parquet")
    embeddings = ["--embeddings", str(folder / "embeddings.parquet"), "--texts", "pool"]
    clip_cluster.main([str(run), *embeddings, "--fine", "32", "--coarse", "4", "--output", str(clusters)])
    return {"METADATA": str(metadata), "CURATED": str(run), "CURATED_OTHER": str(other), "CLUSTERS": str(clusters)}


def write_embeddings(run: Path, path: Path) -> None:
    """Write an embedding of each matched image: the mean of vectors of its entries, the rare ones weighing most."""
    counts = pq.read_table(run / "counts.parquet").to_pylist()
    weight = {row["id"]: row["count"] ** -0.5 for row in counts}
    vectors = np.random.default_rng(0).standard_normal((max(weight) + 1, DIMENSION))
    rows = []
    for image in pq.read_table(run / "matched", columns=["uid", "candidates"]).to_pylist():
        ids = [id for text in image["candidates"] for id in text["entries"]]
        sums = sum(weight[id] * vectors[id] for id in ids)
        rows.append({"uid": image["uid"], "embedding": (sums / np.linalg.norm(sums)).tolist()})
    pq.write_table(pa.Table.from_pylist(rows), path)


def execute(names: Iterable[str], folders: dict[str, str]) -> dict:
    """Return notebooks with their outputs, executed side by side, by name."""
    environment = os.environ | folders | {"PYTHONPATH": str(ROOT)}

    async def executed(name: str):
        book = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
        client = NotebookClient(book, timeout=120, resources={"metadata": {"path": str(NOTEBOOKS)}})
        await client.async_execute(env=environment)
        return book

    async def all_executed() -> list:
        return await asyncio.gather(*map(executed, names))

    return dict(zip(names, asyncio.run(all_executed()), strict=True))


def page_of(name: str, book) -> Page:
    """Return the page of an executed notebook."""
    parts: list[str] = []
    pictures: list[bytes] = []
    code: list[str] = []
    heading = ""
    for cell in book.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            heading = [heading, *re.findall(r"^#+ (.*)$", cell.source, re.MULTILINE)][-1]
            continue
        code.append(cell.source)
        if not cell.outputs:
            continue
        parts.append(folded("\n\n".join(code)))
        code = []
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" in data:
                pictures.append(of_few_colours(b64decode(data["image/png"])))
                file = f"{name}-{len(pictures)}.png"
                parts.append(f"[![Plot: {heading}]({file})]({file})")
            elif "text/html" in data:
                parts.append(markdown_table(data["text/html"]))
            else:
                parts.append(preformatted(output.get("text") or data["text/plain"].strip("'")))
    title, _, rest = "\n\n".join(parts).partition("\n")
    source = f"[notebooks/{name}.ipynb](../../notebooks/{name}.ipynb)"
    origin = f"*What {source} shows of the run of `make demo`, over a small made-up crawl.{OF_OTHERS.get(name, '')}*"
    return f"{title}\n\n{origin}\n{rest}\n", pictures


def folded(code: str) -> str:
    """Return code as HTML that a reader unfolds."""
    return f"<details><summary>Code</summary>\n\n<pre><code>{html.escape(code, quote=False)}</code></pre>\n\n</details>"


def preformatted(text: str) -> str:
    """Return what a cell printed, without the names of folders, which are those of one machine."""
    lines = re.sub(r"\S*/(\w+)$", r"\1", text.strip(), flags=re.MULTILINE)
    return f"<pre><code>{html.escape(lines, quote=False)}</code></pre>"


def markdown_table(table: str) -> str:
    """Return a table of pandas as Markdown, with columns of numbers at the right."""
    rows = []
    for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL):
        rows.append([cell_text(cell) for cell in CELL.findall(row)])
    heads, body = rows[0], rows[1:]
    ruler = []
    for column in zip(*body, strict=True):
        ruler.append("---:" if all(map(NUMBER.fullmatch, column)) else "---")
    lines = [" | ".join(row) for row in (heads, ruler, *body)]
    return "\n".join(f"| {line} |" for line in lines)


def cell_text(cell: str) -> str:
    """Return the text of a cell for Markdown; what is isolated in it has its own direction."""
    text = html.unescape(cell).strip()
    pieces: list[str] = []
    for piece in re.split("([\u2068\u2069])", text):
        is_between = not piece.strip(" ·")
        pieces.append(ISOLATES.get(piece) or (piece if is_between else escaped(piece)))
    return "".join(pieces)


def of_few_colours(png: bytes) -> bytes:
    """Return a picture as a PNG of few colours, which is a third as large."""
    out = BytesIO()
    with Image.open(BytesIO(png)) as image:
        few = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        few.save(out, "PNG", optimize=True)
    return out.getvalue()


def main() -> None:
    """Write all pages anew."""
    with TemporaryDirectory() as folder:
        books = execute(NAMES, make_folders(Path(folder)))
    shutil.rmtree(PAGES, ignore_errors=True)
    PAGES.mkdir()
    for name, book in books.items():
        text, pictures = page_of(name, book)
        (PAGES / f"{name}.md").write_text(text, "utf-8")
        for number, picture in enumerate(pictures, 1):
            (PAGES / f"{name}-{number}.png").write_bytes(picture)


if __name__ == "__main__":
    main()
