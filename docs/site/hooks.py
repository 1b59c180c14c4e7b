"""Pages of the site that are made when it is built, and links that lead to them.

The site's first page is README.md. Other Markdown of the repository outside docs/ gets pages below `project/`, and each
command one with its flags, read from its parser. Links between files of the repository become links between pages.
"""

from __future__ import annotations

import argparse
import html
import inspect
import os
import posixpath
import re
import sys
from functools import cache
from importlib import import_module
from itertools import cycle
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("curation", "metadata", "runtime")
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "notebooks/README.md": "project/notebooks.md",
    "tests/bench/MEASURED.md": "project/measured.md",
}
COMMANDS = "reference/commands"
# People search for these words, which the pages do not contain; the search finds the pages by them.
KEYWORDS = {
    "how-to/near-copies.md": ["deduplicate", "duplicates"],
    "how-to/clusters.md": ["deduplicate", "semantic duplicates"],
    "how-to/object-storage.md": ["S3", "GCS", "Azure"],
    "how-to/jobs.md": ["resume", "restart"],
    "how-to/papers.md": ["compliance", "datasheet", "GPAI"],
    "how-to/removing.md": ["delete", "blocklist", "takedown"],
    "how-to/find.md": ["search", "subset", "concept", "sample rows"],
    "how-to/gates.md": ["filter", "NSFW"],
    "how-to/choosing-t.md": ["threshold"],
    "start/questions.md": ["FAQ"],
}
# The search multiplies the ranks of pages in these folders by these factors.
BOOSTS = {"how-to/": 2, "start/": 2, f"{COMMANDS}/": 2, "reference/api/": 0.5, "notebooks/": 0.5}
LINK = re.compile(r"(```.*?```|`[^`\n]*`)|(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^)\s]+)\)", re.DOTALL)
# The site does not show the badges of README, which are images of other hosts.
BADGE = re.compile(r"^\[!\[.*\n", re.MULTILINE)
ALONE = "---\nhide: [navigation]\n---\n\n"  # The page has no menu, because the menu would have one line.
FOUND_LAST = "---\nsearch: {boost: 0.3}\n---\n\n"  # The search shows notes for developers last.


def on_files(files, config):
    """Add the pages that are not files of docs/."""
    from mkdocs.structure.files import File

    os.environ["COLUMNS"] = "80"  # The command lines on pages have this width.
    for source, target in pages().items():
        head = FOUND_LAST if target.startswith("project/") else ALONE
        text = BADGE.sub("", (ROOT / source).read_text("utf-8"))
        files.append(File.generated(config, target, content=head + text))
    rows = ["# Commands\n", "| | |", "| --- | --- |"]
    for name, parser in parsers().items():
        rows.append(f"| [{name}]({name}.md) | {parser.description} |")
        files.append(File.generated(config, f"{COMMANDS}/{name}.md", content=command_page(name, parser)))
    files.append(File.generated(config, f"{COMMANDS}/index.md", content="\n".join(rows)))
    sys.path.insert(0, str(Path(__file__).parent))
    languages = import_module("languages")
    files.append(File.generated(config, languages.PAGE, content=languages.page()))
    return files


def on_page_markdown(markdown, page, config, files):
    """Return the page with links as the site has them; those to files without a page become their text.

    The first mention of each other command leads to its page.
    """
    here = page.file.src_uri
    if here in KEYWORDS:
        page.meta["tags"] = KEYWORDS[here]
    for folder, boost in BOOSTS.items():
        if here.startswith(folder):
            page.meta["search"] = {"boost": boost}
    of_site = {target: source for source, target in pages().items()}
    folder = posixpath.dirname(of_site.get(here, f"docs/{here}"))
    unlinked = {f"`{name}`": name for name in parsers() if here != f"{COMMANDS}/{name}.md"}

    def link(found):
        code, image, text, target = found.groups()
        if code in unlinked and markdown[markdown.rfind("\n", 0, found.start()) + 1] != "#":
            return (
                f"[{code}]({posixpath.relpath(f'{COMMANDS}/{unlinked.pop(code)}.md', posixpath.dirname(here) or '.')})"
            )
        path, _, anchor = (target or "").partition("#")
        if code or not path or ":" in path:
            return found[0]
        path = posixpath.normpath(posixpath.join(folder, path))
        known = pages().get(path, path.removeprefix("docs/"))
        if known == path and (ROOT / path).exists():
            return text
        relative = posixpath.relpath(known, posixpath.dirname(here) or ".")
        return f"{image}[{text}]({relative}{'#' if anchor else ''}{anchor})"

    return LINK.sub(link, markdown)


def on_page_content(content, page, config, files):
    """Return the page with the head of its column in each cell of a table; narrow screens show the head in the cell."""

    def labelled(table):
        heads = cycle(html.escape(re.sub("<[^>]*>", "", head)) for head in re.findall("<th.*?>(.*?)</th>", table[0]))
        return re.sub("<td", lambda _: f'<td data-head="{next(heads)}"', table[0])

    return re.sub("<table>.*?</table>", labelled, content, flags=re.DOTALL)


@cache
def pages() -> dict[str, str]:
    """Return the page of each Markdown file outside docs/, by its path from the root."""
    designs = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).glob("**/DESIGN.md"))
    return PAGES | {str(path): f"project/design/{'-'.join(path.parent.parts)}.md" for path in designs}


@cache
def parsers() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command of setup.cfg."""
    sys.path.insert(0, str(ROOT))
    from tests.support.checkout import commands

    return {name: parser_of(import_module(module).main) for name, module in commands().items()}


class _Found(Exception):
    """Carries the parser of a command out of it."""


def parser_of(main):
    """Return the parser that a command makes before it does anything."""
    from runtime.arguments import Parser

    def found(self, *_):
        raise _Found(self)

    parse, Parser.parse_args = Parser.parse_args, found
    try:
        main([])
    except _Found as parser:
        return parser.args[0]
    finally:
        Parser.parse_args = parse
    raise AssertionError(f"{main} parses no arguments")


def command_page(name: str, parser: argparse.ArgumentParser) -> str:
    """Return the Markdown of a command: what it does, its shortest command line, and its flags by group."""
    parser.prog = name
    usage = parser._usage().replace("%%", "%")
    parts = [f"# {name}", parser.description, f"```\n{usage}\n```"]
    for group in sorted(parser._action_groups, key=lambda group: group in parser._last):
        shown = [each for each in group._group_actions if each.help != argparse.SUPPRESS]
        if shown:
            title = {"flags": "flags that most runs need"}.get(group.title, group.title).partition(" (docs/")[0]
            parts.append(f"## {title[0].upper()}{title[1:]}")
            parts.extend(argument(parser, each) for each in shown)
        if group.title == "settings":
            parts.extend(setting(parser, name, config) for name, config in parser.settings.items())
    parts.append(parser.epilog)
    return "\n\n".join(parts) + "\n"


def argument(parser, action) -> str:
    """Return an argument as a heading, which the search finds and links to, and its help."""
    values = parser._get_formatter()._format_args(action, action.dest.upper()) if action.nargs != 0 else ""
    spelled = action.option_strings or [values]
    values = f" {values}" if values and action.option_strings else ""
    term = ", ".join(f"<code>{html.escape(each + values)}</code>" for each in spelled)
    anchor = spelled[-1].lstrip("-") if action.option_strings else action.dest
    help = (action.help or "") % {**vars(action), "prog": parser.prog}
    help = re.sub(r"docs/([\w-]+)/([\w-]+)\.md", r"[\2](../../\1/\2.md)", escaped(help))
    return f'<h3 class="flag" id="{anchor}">{term}</h3>\n\n{help[:1].upper()}{help[1:]}'


def setting(parser, name: str, config: type) -> str:
    """Return a setting as a heading, and what its config says of it, with the default and the source of the default."""
    meanings, sources = described(config)
    default = parser.get_default(name)
    if isinstance(default, bool):
        default = str(default).lower()
    stated = [] if default in (None, [], {}) else [f"default: {default}"]
    stated += [sources[name]] if name in sources else []
    about = f" ({'; '.join(stated)})" if stated else ""
    help = escaped(meanings[name].rstrip(".") + about)
    return f'<h3 class="flag" id="{name}"><code>--set {name}=VALUE</code></h3>\n\n{help[:1].upper()}{help[1:]}'


@cache
def described(config: type) -> tuple[dict[str, str], dict[str, str]]:
    """Return by field what the docstring of a config says of it, and the comment behind its default.

    Papers that they cite by number are named as the docstring of the module names them.
    """
    meanings: dict[str, str] = {}
    names: list[str] = []
    for line in inspect.getdoc(config).splitlines():
        found = re.fullmatch(r" *(\w+(?:, \w+)*): (.+)", line)
        if found:
            names = found[1].split(", ")
        elif line.endswith(":"):  # a heading
            names = []
        for name in names:
            meanings[name] = f"{meanings.get(name, '')} {(found[2] if found else line).strip()}".strip()
    sources = dict(re.findall(r"^    (\w+): .*?  # (.+)$", inspect.getsource(config), re.MULTILINE))
    papers = dict(re.findall(r'\[(\d)\] (?:is )?"([^"]+)"', sys.modules[config.__module__].__doc__))
    for texts in (meanings, sources):
        for name, text in texts.items():
            texts[name] = re.sub(r"\[(\d[^]]*)\]", lambda found: named_papers(found[1], papers), text)
    return meanings, sources


def named_papers(cited: str, papers: dict[str, str]) -> str:
    """Return what stands in brackets, such as `2, appendix`, with the names of papers in place of their numbers."""
    return re.sub(r"\b\d\b", lambda number: f"“{papers[number[0]]}”", cited)


def escaped(text: str) -> str:
    """Return text with flags as code, in which no sign means anything to Markdown."""
    text = re.sub(r"([\\*_<|\[\]])", r"\\\1", text)
    return re.sub(r"(?<![\w`-])(--[a-z][\w-]*)", r"`\1`", text)
