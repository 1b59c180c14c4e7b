"""Wikipedia dumps of a few pages, and the articles read from them."""

import bz2
from pathlib import Path

from metadata.wikipedia import articles
from metadata.wikipedia.dump_files import find
from runtime.tallies import TaskResult, written_name

SITEINFO = (
    "<siteinfo><sitename>Wikipedia</sitename><dbname>{code}wiki</dbname><namespaces>"
    '<namespace key="0" case="first-letter" /><namespace key="1" case="first-letter">Diskussion</namespace>'
    '<namespace key="14" case="first-letter">Schublade</namespace></namespaces></siteinfo>'
)


def page(title="Hund", text="Ein '''Hund''' bellt.", ns="0", extra="", model="<model>wikitext</model>"):
    named = "" if title is None else f"<title>{title}</title>"
    space = "" if ns is None else f"<ns>{ns}</ns>"
    body = "" if text is None else f'<text xml:space="preserve">{text}</text>'
    return f"<page>{named}{space}<id>1</id>{extra}<revision>{model}{body}</revision></page>"


def dump(*pages, code="de", siteinfo=SITEINFO, before=""):
    head = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" version="0.10" xml:lang="en">'
    return before + head + siteinfo.format(code=code) + "\n".join(pages) + "</mediawiki>"


def write(path, content, pack=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(pack(content) if pack else content)
    return path


def read(files):
    result = TaskResult()
    rows = [row for file in files for batch in articles.articles(file, result) for row in batch.to_pylist()]
    return [(row["wikipedia"], row["title"], row["text"]) for row in rows], articles.summed(
        {written_name((row["name"], row["item"])): row["value"] for row in result.rows()},
        result.noted(articles.DUMPS_FACT),
    )


def articles_of(paths, language=None):
    return read(find(paths, language))[0]


def titles_and_tally(path, language=None):
    rows, tally = read(find([path], language))
    return [title for _, title, _ in rows], tally


STREAMS = "dewiki-20240101-pages-articles-multistream{}.xml{}.bz2"
INDEX = "dewiki-20240101-pages-articles-multistream-index{}.txt{}.bz2"


def multistream(folder: Path, streams: list[list[str]], number="", pages="", siteinfo=SITEINFO) -> Path:
    """Write a dump with these pages in each stream, and its index; return the path of the dump."""
    head = dump(code="de", siteinfo=siteinfo).removesuffix("</mediawiki>") + "\n"
    texts = [head, *("".join(f"{each}\n" for each in stream) for stream in streams), "</mediawiki>\n"]
    packed = [bz2.compress(text.encode()) for text in texts]
    lines, offset = [], len(packed[0])
    for stream, each in zip(streams, packed[1:], strict=False):
        lines += [f"{offset}:{i}:A title: with a colon {i}\n" for i in range(len(stream))]
        offset += len(each)
    write(folder / INDEX.format(number, pages), "".join(lines), bz2.compress)
    return write(folder / STREAMS.format(number, pages), b"".join(packed))
