"""Change a node of a module at a time, and see whether a test that ran its line fails; print the mutants that survive.

`python -m tests.mutation.mutants MODULE [MOST]`, after coverage.py with `tests.mutation.recording`. Each mutant has a
forked process, which imports it in place of the module and runs the tests recorded for its lines, the quickest first.
"""

import ast
import gc
import importlib
import json
import os
import random
import resource
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from itertools import accumulate, permutations
from pathlib import Path
from types import CodeType

import coverage
import pytest
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.mutation.recording import SECONDS

PAIRS = "Lt LtE, Lt GtE, Gt GtE, LtE Gt, Eq NotEq, Is IsNot, In NotIn, And Or, Add Sub, LShift RShift, BitAnd BitOr"
SWAPS: dict[type, list[type]] = {ast.Div: [ast.Mult], ast.Mod: [ast.Mult], ast.Pow: [ast.Mult], ast.BitXor: [ast.BitOr]}
for pair in f"{PAIRS}, Mult FloorDiv, Break Continue".split(", "):
    for one, other in permutations(getattr(ast, name) for name in pair.split()):
        SWAPS.setdefault(one, []).append(other)
OPERATORS = (ast.operator, ast.cmpop, ast.boolop)
PASSED_OVER = ("annotation", "returns", "decorator_list", "bases")
LIBRARIES = ("numba", "numpy", "pandas", "pyarrow.dataset", "pyarrow.parquet", "pyspark.sql", "s3fs")  # imported once
# With its own assertions, pytest would load the modules whose doctests it runs.
PYTEST = ["-x", "-p", "no:cacheprovider", "-p", "tests.mutation.recording", "--assert=plain"]
MOST_SECONDS = 15  # that the tests of one mutant took when they were recorded
PROCESSOR, WALL = 10, 60  # seconds until a mutant is ended


def places(node: ast.AST, lines: range = range(0)) -> Iterator[tuple[ast.AST, str, int | None, ast.AST, range]]:
    """Yield what may be changed below a node: its owner, field and index there, the node, and its statement's lines."""
    for field, value in ast.iter_fields(node):
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr) and field not in PASSED_OVER:
                own = lines
                if isinstance(child, ast.stmt | ast.ExceptHandler):  # of one with a body, its head
                    body = getattr(child, "body", None)
                    own = range(child.lineno, max(child.lineno, body[0].lineno - 1 if body else child.end_lineno) + 1)
                yield node, field, index if isinstance(value, list) else None, child, own
                if not isinstance(child, ast.Raise):
                    yield from places(child, own)


def changes(node: ast.AST, field: str) -> Iterator[ast.AST]:
    """Yield what a node is replaced by, one at a time."""
    match node:
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.Call(func=func, args=args, keywords=keywords):
            if len(args) > 1 and not any(isinstance(each, ast.Starred) for each in args[:2]):
                yield ast.Call(func, [args[1], args[0], *args[2:]], keywords)
            yield from (ast.Call(func, args, [each for each in keywords if each is not left]) for left in keywords)
        case ast.Return(value=ast.expr() as returned) if not isinstance(returned, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call() | ast.Yield() | ast.YieldFrom()) | ast.AugAssign() | ast.Raise():
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
    yield from (other() for other in SWAPS.get(type(node), []))
    if field in ("test", "ifs") and not isinstance(node, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant):
        yield ast.UnaryOp(ast.Not(), node)


def mutants(path: Path) -> Iterator[tuple[str, range, CodeType]]:
    """Yield a description, the changed lines and the code of each mutant of a module."""
    tree = ast.parse(path.read_text())
    for owner, field, index, node, lines in list(places(tree)):
        before, shown = getattr(owner, field), owner if isinstance(node, OPERATORS) else node
        old = ast.unparse(shown)
        for new in changes(node, field):
            setattr(owner, field, new if index is None else [*before[:index], new, *before[index + 1 :]])
            text = f"{path}:{lines.start}: {old}  →  {ast.unparse(new if shown is node else owner)}"
            yield text, lines, compile(ast.fix_missing_locations(tree), str(path.resolve()), "exec", dont_inherit=True)
            setattr(owner, field, before)


def tests_of(path: Path, lines: range, ran: dict[int, list[str]], seconds: dict[str, float]) -> list[str]:
    """Return the tests that ran any of the lines, or of the module if these run at import, the quickest first."""
    found = {name for line in lines for name in ran.get(line, ())}
    if "" in found:
        found = {name for names in ran.values() for name in names}
    # The server of S3 takes longer to start than most tests.
    ordered = sorted(found & seconds.keys(), key=lambda name: ("s3" in name, seconds[name]))
    sums = accumulate(seconds[name] for name in ordered)
    return [name for name, spent in zip(ordered, sums, strict=True) if spent < MOST_SECONDS]


def outcome(path: Path, code: CodeType, tests: list[str]) -> str:
    """Return what became of a mutant."""
    if not tests:
        return "not run"
    with tempfile.TemporaryDirectory(prefix="mutant-", ignore_cleanup_errors=True) as folder:
        if not (child := os.fork()):
            _run(path, code, [*tests, f"--basetemp={folder}/tests"])
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {0: "survived", 4: "not found", -signal.SIGXCPU: "hung", -signal.SIGALRM: "hung"}.get(status, "killed")


def _run(path: Path, code: CodeType, arguments: list[str]) -> None:
    """Run tests with the code in place of the module's, and end the process."""
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR, PROCESSOR + 1))
    signal.alarm(WALL)
    for output in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    DirectoryBasedExampleDatabase.save = lambda *_: None  # type: ignore[method-assign]
    own, read = str(path.resolve()), SourceFileLoader.get_code
    SourceFileLoader.get_code = lambda self, name: code if self.path == own else read(self, name)  # type: ignore
    try:
        os._exit(pytest.main([*PYTEST, *arguments]))
    finally:
        os._exit(1)


def main(path: Path, most: int = 10**9) -> None:
    """Print the mutants of a module, or so many of them, that no test noticed, and how many met which end."""
    below = [node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    for name in (*LIBRARIES, *(name for name in below if name and name.startswith(("metadata.", "runtime.")))):
        importlib.import_module(name)  # but not `curation`, which imports the module
    gc.freeze()  # else the children's collector would copy all that they share
    data, seconds = coverage.CoverageData(), json.loads(SECONDS.read_text())
    data.read()
    every, counts, ran = list(mutants(path)), Counter[str](), data.contexts_by_lineno(str(path))
    for number in sorted(random.Random(0).sample(range(len(every)), min(most, len(every)))):
        text, lines, code = every[number]
        counts[found := outcome(path, code, tests_of(path, lines, ran, seconds))] += 1
        if found not in ("killed", "hung"):
            print(found, text, flush=True)
    print(f"{path}: {counts.total()} of {len(every)} mutants: {dict(counts)}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
