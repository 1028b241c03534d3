"""Names are what a practitioner would search for: no vague words, and no public class name that means two things."""

import ast
from collections import defaultdict
from pathlib import Path

from tests.support.source_tree import product_files, relative_name, syntax_tree

VAGUE = {
    *("one", "found", "told", "said", "asked", "given", "some", "there", "mine", "place", "places", "wanted", "made"),
    *("kept", "known", "seen", "most", "fewest", "held", "ours", "theirs", "whom", "gone", "whole", "rest"),
}


def _identifiers(file: Path) -> list[str]:
    names = []
    for node in ast.walk(syntax_tree(file)):
        if isinstance(node, ast.Name):
            names.append(node.id)
        elif isinstance(node, ast.arg):
            names.append(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.ExceptHandler) and node.name:
            names.append(node.name)
    return names


def test_no_identifier_is_a_vague_word():
    vague = {
        relative_name(file): {name for name in _identifiers(file) if name.strip("_").lower() in VAGUE}
        for file in product_files()
    }
    assert {file: names for file, names in vague.items() if names} == {}


def test_every_public_class_has_a_name_of_its_own():
    modules = defaultdict(list)
    for file in product_files():
        for node in syntax_tree(file).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                modules[node.name].append(relative_name(file))
    assert {name: files for name, files in modules.items() if len(files) > 1} == {}


def test_a_module_says_its_idea_in_its_first_line():
    modules = [file for file in product_files() if file.name != "__init__.py"]
    assert [relative_name(file) for file in modules if not (ast.get_docstring(syntax_tree(file)) or "").strip()] == []
