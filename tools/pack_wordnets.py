"""Pack published wordnets into the project of a data package, clip-curation-wordnets, which builds take if installed.

    python tools/pack_wordnets.py wordnets/ --output packed && pip wheel --no-deps ./packed

(`./`, since pip takes a bare name for that of a package of PyPI.)

A wordnet becomes a compressed tab file of its distinct words, or of an English wordnet the names of synsets. Line 1 of
the wordnet's file and the LICENSE and README beside it are copied, as they state licence and citation. A wordnet is
left out if its licence is not known to permit redistribution.
"""

import lzma
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from metadata import wordnet
from metadata.wordnet import MODULE, PACKAGE, WordnetFile
from runtime.arguments import Parser, absolute_path
from runtime.console import command
from runtime.errors import InputError
from runtime.terminal import print_result

TEMPLATES = Path(__file__).parent / "wordnets"

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
_OWN_TEXT = ("wordnet", "NICT wordnet licence", "CeCILL-C", "MIT", "Apache 2.0")  # licences whose text every copy needs
_ENGLISH = "eng"
_PRINCETON = {"name": "Princeton WordNet", "code": _ENGLISH, "url": "https://wordnet.princeton.edu/"}
_BESIDE = re.compile(r"(LICEN[CS]E|README|CITATION)\b.*", re.IGNORECASE)


@dataclass(frozen=True)
class Wordnet:
    """A wordnet: its name, code, url and, if stated, licence in `head`, and its files, which are in one folder."""

    head: dict[str, str]
    files: list[WordnetFile]

    @property
    def folder(self) -> Path:
        """The folder of the wordnet's files."""
        return Path(self.files[0].path).parent

    @property
    def name(self) -> str:
        """The name of the wordnet's file in the package, without ending."""
        file = self.files[0]
        return Path(file.path).name.partition(".")[0] if file.format == "tab" else "wn-princeton-eng"

    @property
    def texts(self) -> list[Path]:
        """The files in the wordnet's folder whose names begin with LICENSE, README or CITATION, sorted."""
        return sorted(path for path in self.folder.iterdir() if _BESIDE.fullmatch(path.name))

    def words(self) -> list[str]:
        """Return the wordnet's distinct words, cleaned and sorted by code points; of English, names of synsets only."""
        names = self.head["code"] == _ENGLISH
        return sorted({word for file in self.files for word in wordnet.lemmas(file, Counter(), names_only=names)})

    def refusal(self) -> str | None:
        """Return the reason to leave out the wordnet, or None if it may be packed."""
        licence = self.head.get("licence", "")
        if licence not in PERMITTED:
            return f"its licence, {licence or 'which it does not state'}, is not known to permit redistribution"
        if licence in _OWN_TEXT and not any(path.name.upper().startswith("LICEN") for path in self.texts):
            return f"its licence, {licence}, must come with it, and is not beside it"
        return None


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line `argv` (None: the process's own); bad input prints one sentence and exits with status 2."""
    parser = Parser("packing", str(__doc__).split("\n", 1)[0])
    parser.add_argument("input", nargs="+", metavar="PATH", help="wordnets, as clip-metadata --wordnet takes them")
    folder = "folder of the project, made anew"
    parser.add_argument("--output", required=True, type=absolute_path, metavar="DIR", help=folder)
    parser.add_argument("--package-version", default="1.0", metavar="V", help="version of the package (default: 1.0)")
    args = parser.parse_args(argv)
    with command("packing"):
        for line in pack(find(args.input), Path(args.output), args.package_version):
            print_result(line)


def find(paths: Iterable[str]) -> list[Wordnet]:
    """Return the wordnets in local files and folders, sorted by language, name and folder.

    Files without a name and a language are left out.
    """
    found: dict[tuple, Wordnet] = {}
    for file in wordnet.find(paths):
        head = wordnet.tab_head(file.path) if file.format == "tab" else _head_of_dict(file)
        if "name" in head and "code" in head:
            key = (head["code"], head["name"], str(Path(file.path).parent))
            found.setdefault(key, Wordnet(head, [])).files.append(file)
    return [found[key] for key in sorted(found)]


def pack(wordnets: Iterable[Wordnet], project: Path, version: str) -> list[str]:
    """Write the project of the package into a new folder; return a line for each wordnet that says what became of it.

    InputError if the folder exists, or if no wordnet may be redistributed.
    """
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
        (project / file).write_text(_filled((TEMPLATES / f"{file}.txt").read_text("utf-8"), known), "utf-8")
    return lines


def _write(packed: Wordnet, module: Path) -> int:
    """Write the words of a wordnet and a copy of its `texts` to the folder `module`; return the number of words."""
    head, words = packed.head, packed.words()
    lines = ["\t".join((f"# {head['name']}", head["code"], head["url"], head["licence"]))]
    lines += (f"-\tlemma\t{word}" for word in words)
    texts = module / "licences" / packed.name
    texts.mkdir(parents=True)
    (module / f"{packed.name}.tab.xz").write_bytes(lzma.compress(("\n".join(lines) + "\n").encode(), preset=9))
    for path in packed.texts:
        shutil.copyfile(path, texts / path.name)
    return len(words)


def _filled(template: str, known: dict[str, str]) -> str:
    return re.sub(r"@(\w+)@", lambda found: known[found[1]], template)


def _head_of_dict(file: WordnetFile) -> dict[str, str]:
    """Return name, code, url and, if the file begins with it, licence of one of Princeton's dict files.

    The result is empty for any other file.
    """
    if file.format != "dict":
        return {}
    with wordnet.unpacked_bytes(file.path) as opened:
        states = b"Permission to use, copy, modify and distribute" in opened.read(4096)
    return _PRINCETON | ({"licence": "wordnet"} if states else {})


if __name__ == "__main__":
    main()
