"""A class name stands once in the tree: who reads it knows which class it is."""

import ast
from collections import defaultdict

from tests.support.checkout import ROOT


def test_no_two_classes_have_one_name():
    places = defaultdict(list)
    for package in ("curation", "metadata", "runtime"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
