"""Names tell one thing each; counters that were brought down do not rise again."""

import ast
import io
import keyword
import re
import tokenize
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

PACKAGES = ("curation", "metadata", "runtime", "jobs")
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
VAGUE, MOST_VAGUE = {"found", "own", "each", "known", "given"}, 0.5  # in a thousand names
# Modules of this project, including itself, that are imported with a module.
MOST_IMPORTED = {
    "curation.plugins.export.datacomp": 66,
    "curation.plugins.find.clip_find": 73,
    "curation.plugins.gate.step": 45,
    "curation.plugins.joins.uid_join": 46,
    "runtime.folders.folder": 39,
}


@cache
def modules() -> dict[str, Path]:
    """The files of all modules, by dotted name."""
    files = (file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py")))
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text("utf-8"))


def tokens(name: str) -> list[tokenize.TokenInfo]:
    return [*tokenize.generate_tokens(io.StringIO(modules()[name].read_text("utf-8")).readline)]


def code_lines(name: str) -> int:
    """Return the number of lines that are neither blank nor a comment or a docstring."""
    lines = {line for each in tokens(name) if each.type not in LAYOUT for line in range(each.start[0], each.end[0] + 1)}
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            lines -= {*range(node.body[0].lineno, node.body[0].end_lineno + 1)}
    return len(lines)


def imported(body: list[ast.stmt]) -> set[str]:
    """Return the names that statements of a module import when it is imported, not those for annotations."""
    names = set()
    for statement in body:
        if isinstance(statement, ast.Import):
            names |= {alias.name for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            names |= {f"{statement.module}.{alias.name}" for alias in statement.names}
        elif isinstance(statement, ast.If | ast.Try | ast.With) and "TYPE_CHECKING" not in ast.dump(statement)[:99]:
            names |= {name for part in ("body", "orelse") for name in imported(getattr(statement, part, []))}
    return names


@cache
def closure(name: str) -> set[str]:
    """Return all modules of this project that are imported with one, and itself."""
    reached, waiting = set(), [name]
    while waiting:
        name = waiting.pop()
        while name and name not in modules():
            name = name.rpartition(".")[0]
        if name and name not in reached:
            reached.add(name)
            waiting += [*imported(tree(name).body), name.rpartition(".")[0]]
    return reached


def test_no_two_classes_have_one_name_and_it_is_that_of_no_other_thing():
    classes, others = defaultdict(list), defaultdict(set)
    for name in modules():
        for node in ast.walk(tree(name)):
            if isinstance(node, ast.ClassDef):
                classes[node.name].append(name)
        for node in tree(name).body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            for target in targets:
                if isinstance(target, ast.Name):
                    others[target.id].add(name)
    assert {name: places for name, places in classes.items() if len(places) > 1} == {}
    assert {name for name in classes if others[name]} <= {"Item"}


def test_prose_names_a_class_only_as_code():
    classes = {node.name for name in modules() for node in ast.walk(tree(name)) if isinstance(node, ast.ClassDef)}
    of_two_words = {name for name in classes if re.search("[a-z][A-Z]", name)} - {"DataComp"}  # a data set, too
    pages = [ROOT / "README.md", *(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "api")]
    for page in pages:
        prose = re.sub(r"```.*?```|`[^`\n]*`|<pre>.*?</pre>", "", page.read_text("utf-8"), flags=re.DOTALL)
        assert of_two_words & {*re.findall(r"\w+", prose)} == set(), page


def test_files_have_names_of_their_own():
    places = defaultdict(list)
    for file in modules().values():
        if file.name != "__init__.py":
            places[file.name].append(str(file.relative_to(ROOT)))
    several = {name for name, files in places.items() if len(files) > 1}
    assert several <= {"config.py", "links.py", "ngrams.py", "pipeline.py", "sources.py"}


def test_few_functions_are_partial():
    calls = sum(
        isinstance(node, ast.Call) and getattr(node.func, "id", None) == "partial"
        for name in modules()
        for node in ast.walk(tree(name))
    )
    assert calls <= 48
    assert 1000 * calls <= 1.5 * sum(map(code_lines, modules()))


def test_identifiers_say_what_they_hold():
    names = [
        each.string
        for name in modules()
        for each in tokens(name)
        if each.type == tokenize.NAME and not keyword.iskeyword(each.string)
    ]
    assert 1000 * sum(name in VAGUE for name in names) <= MOST_VAGUE * len(names)


@pytest.mark.parametrize("name", MOST_IMPORTED)
def test_few_modules_are_imported_with_one(name):
    assert len(closure(name)) <= MOST_IMPORTED[name]


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "naive").glob("*.py")), ids=lambda path: path.stem)
def test_a_naive_twin_takes_from_the_product_only_constants(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in PACKAGES:
            assert all(alias.name.isupper() for alias in node.names), ast.unparse(node)
        elif isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & {*PACKAGES}
