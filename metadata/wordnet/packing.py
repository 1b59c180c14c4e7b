"""Pack published wordnets into the project of a data package, clip-curation-wordnets, and find it where installed.

    python -m metadata.wordnet.packing wordnets/ --output packed && pip wheel --no-deps ./packed

(`./`, since pip takes a bare name for that of a package of PyPI.)

A wordnet becomes a packed tab file of its distinct words, of English the names of synsets. What its files say about
licence and citation goes with it: line 1, and the LICENSE and README beside the file. One whose stated licence is not
known to permit redistribution is left out.
"""

from __future__ import annotations

import lzma
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from metadata.wordnet import readers
from metadata.wordnet.readers import WordnetFile
from runtime.arguments import Parser
from runtime.console import command
from runtime.errors import InputError
from runtime.terminal import say

PACKAGE = "clip-curation-wordnets"
MODULE = "clip_curation_wordnets"

# Licences that permit redistribution, as line 1 of tab files spells them, by SPDX.
PERMITTED = {
    "Apache 2.0": "Apache-2.0",
    "CC BY 3.0": "CC-BY-3.0",
    "CC-BY 3.0": "CC-BY-3.0",
    "CC BY SA 3.0": "CC-BY-SA-3.0",
    "CC BY SA 4.0": "CC-BY-SA-4.0",
    "CC BY-SA": "LicenseRef-CC-BY-SA",
    "CeCILL-C": "CECILL-C",
    "MIT": "MIT",
    "NICT wordnet licence": "LicenseRef-NICT",
    "wordnet": "LicenseRef-WordNet",
}
_OWN_TEXT = ("wordnet", "NICT wordnet licence", "CeCILL-C", "MIT", "Apache 2.0")  # must come with every copy
_ENGLISH = "eng"
_PRINCETON = {"name": "Princeton WordNet", "code": _ENGLISH, "url": "https://wordnet.princeton.edu/"}
_BESIDE = re.compile(r"(LICEN[CS]E|README|CITATION)\b.*", re.IGNORECASE)


def folder() -> str | None:
    """Return the folder of the package, with wordnets as tab files; None where it is not installed."""
    found = find_spec(MODULE)
    return str(Path(found.origin).parent) if found and found.origin else None


def versions(paths: list[str]) -> dict[str, str]:
    """Return the version of the package by its name, if one of the wordnets at these paths is in it."""
    own = folder()
    return {PACKAGE: version(PACKAGE)} if own and any(path.startswith(own) for path in paths) else {}


@dataclass(frozen=True)
class Wordnet:
    """A wordnet: what it says of itself, its files in one folder, and the texts beside them."""

    head: dict[str, str]
    files: list[WordnetFile]

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        return Path(self.files[0].path).parent

    @property
    def name(self) -> str:
        """The name of its file in the package."""
        file = self.files[0]
        return Path(file.path).name.partition(".")[0] if file.form == "tab" else "wn-princeton-eng"

    @property
    def texts(self) -> list[Path]:
        """The files beside it that say its licence and how to cite it."""
        return sorted(path for path in self.folder.iterdir() if _BESIDE.fullmatch(path.name))

    def words(self) -> list[str]:
        """Return its distinct words, cleaned, in the order of code points."""
        names = self.head["code"] == _ENGLISH
        return sorted({word for file in self.files for word in readers.lemmas(file, Counter(), names_only=names)})

    def refusal(self) -> str | None:
        """Return why it is left out; None where it is packed."""
        licence = self.head.get("licence", "")
        if licence not in PERMITTED:
            return f"its licence, {licence or 'which it does not state'}, is not known to permit redistribution"
        if licence in _OWN_TEXT and not any(path.name.upper().startswith("LICEN") for path in self.texts):
            return f"its licence, {licence}, must come with it, and is not beside it"
        return None


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; bad input ends in one sentence and status 2."""
    parser = Parser("packing", str(__doc__).split("\n", 1)[0])
    parser.add_argument("input", nargs="+", metavar="PATH", help="wordnets, as clip-metadata --wordnet takes them")
    parser.add_output("folder of the project, made anew")
    parser.add_argument("--package-version", default="1.0", metavar="V", help="version of the package (default: 1.0)")
    args = parser.parse_args(argv)
    with command("packing"):
        for line in pack(find(args.input), Path(args.output), args.package_version):
            say(line)


def find(paths: Iterable[str]) -> list[Wordnet]:
    """Return the wordnets among local files, by language and name."""
    found: dict[tuple, Wordnet] = {}
    for file in readers.find(paths):
        head = readers.tab_head(file.path) if file.form == "tab" else _head_of_dict(file)
        if "name" in head and "code" in head:
            key = (head["code"], head["name"], str(Path(file.path).parent))
            found.setdefault(key, Wordnet(head, [])).files.append(file)
    return [found[key] for key in sorted(found)]


def pack(wordnets: Iterable[Wordnet], project: Path, version: str) -> list[str]:
    """Write the project into a new folder; return a line for each wordnet."""
    if project.exists():
        raise InputError(f"output {project} exists; give a new folder")
    module, rows, lines, licences = project / MODULE, [], [], set()
    for each in wordnets:
        code, name, licence = each.files[0].language.code, each.head["name"], each.head.get("licence", "")
        if reason := each.refusal():
            lines.append(f"{code}  {name}: left out, as {reason}")
            continue
        words = _write(each, module)
        licences.add(PERMITTED[licence])
        rows.append(f"| {code} | [{name}]({each.head['url']}) | {words:,} | {licence} |")
        lines.append(f"{code}  {name}: {words:,} words, {licence}")
    if not rows:
        raise InputError("no wordnet may be redistributed; give some whose line 1 states a licence that permits it")
    (module / "__init__.py").write_text('"""Words of wordnets, as tab files for clip-curation; see README.md."""\n')
    known = {"PACKAGE": PACKAGE, "MODULE": MODULE, "VERSION": version, "ROWS": "\n".join(rows)}
    known["LICENCES"] = " AND ".join(sorted(licences))
    for file in ("README.md", "pyproject.toml"):
        template = files("metadata.wordnet").joinpath("package", f"{file}.txt").read_text("utf-8")
        (project / file).write_text(_filled(template, known), "utf-8")
    return lines


def _write(wordnet: Wordnet, module: Path) -> int:
    """Write the words of a wordnet, and the texts beside it; return the number of words."""
    head, words = wordnet.head, wordnet.words()
    lines = ["\t".join((f"# {head['name']}", head["code"], head["url"], head["licence"]))]
    lines += (f"-\tlemma\t{word}" for word in words)
    texts = module / "licences" / wordnet.name
    texts.mkdir(parents=True)
    (module / f"{wordnet.name}.tab.xz").write_bytes(lzma.compress(("\n".join(lines) + "\n").encode(), preset=9))
    for path in wordnet.texts:
        shutil.copyfile(path, texts / path.name)
    return len(words)


def _filled(template: str, known: dict[str, str]) -> str:
    return re.sub(r"@(\w+)@", lambda found: known[found[1]], template)


def _head_of_dict(file: WordnetFile) -> dict[str, str]:
    """Return what Princeton's files are, with the licence that each begins with; nothing of other files."""
    if file.form != "dict":
        return {}
    with readers.opened(file.path) as opened:
        states = b"Permission to use, copy, modify and distribute" in opened.read(4096)
    return _PRINCETON | ({"licence": "wordnet"} if states else {})


if __name__ == "__main__":
    main()
