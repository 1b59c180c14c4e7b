"""Run the commands of README.md and docs/start as a stranger does: `python tests/docs/first_pages.py SAMPLE`.

The commands come from the installation of this Python, which needs no extra but `starter`. Folders are made in the
working directory.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```sh\n(.*?)^```$|((?:^    [^\n]*\n)+)", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^ *(clip-[a-z]+ (?:.*\\\n)*.*)$", re.MULTILINE)
TEXTS = {
    "swahili.txt": "mbwa\n",
    "english.txt": "dog\n",
    "japanese.txt": "犬\n",
    "pairs.csv": "url,text\nhttp://a.example/1.jpg,the dog\n",
}
LINKS = {"wordnets": "wordnet", "dumps": "wikipedia", "pageviews": "pageviews", "crawl": "crawl"}


def write_inputs(sample: Path) -> None:
    """Write what the pages take as inputs."""
    for name in ("pairs.parquet", "animals.parquet"):
        pq.write_table(pa.table({"url": ["http://a.example/1.jpg"], "text": ["the dog"]}), name)
    for name, text in TEXTS.items():
        Path(name).write_text(text, "utf-8")
    for name, source in LINKS.items():
        Path(name).symlink_to(sample / source)
    dump = next((sample / "wikipedia").rglob("*.xml.bz2"))
    Path("swwiki-latest-pages-articles.xml.bz2").symlink_to(dump)


def commands(page: Path) -> list[str]:
    """Return the commands of a page, as a shell takes them, but for downloads and the pages' own metadata."""
    blocks = "".join(map("".join, BLOCK.findall(page.read_text("utf-8"))))
    found = [line for line in COMMAND.findall(blocks) if "--download" not in line]
    # Pages allow starter metadata, and the runs of a page write into one folder.
    found = [line.replace("--metadata metadata ", "") for line in found]
    return [line.replace("--output curated", "--output curated --overwrite") for line in found]


def run(line: str) -> None:
    """Run a command, which must succeed, or be refused where it needs the pictures."""
    done = subprocess.run(["sh", "-c", line], stderr=subprocess.PIPE, text=True, check=False)
    expected = 2 if "--status images" in line or "--tars images" in line else 0
    if done.returncode != expected or "Traceback" in done.stderr:
        sys.exit(f"{line} ended with status {done.returncode}:\n{done.stderr}")


def main(sample: str) -> None:
    """Run the commands of all first pages, those of each in a folder of its own."""
    top = Path.cwd()
    sample_folder = Path(sample).resolve()
    for page in (ROOT / "README.md", *sorted((ROOT / "docs" / "start").glob("*.md"))):
        (top / page.stem).mkdir()
        os.chdir(top / page.stem)
        write_inputs(sample_folder)
        for line in commands(page):
            run(line)


if __name__ == "__main__":
    main(sys.argv[1])
