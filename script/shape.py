"""Prints the tail of the code: longest files, functions, parameter lists and classes, deepest inheritance.

A look, not a gate: what stands above its mark is a question (are two rooms in one?), never an error.
"""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

# Above these a second look is due.
MARKS = {"file_lines": 500, "function_lines": 60, "parameters": 6, "methods": 20, "inheritance": 3}

TITLES = {
    "file_lines": "files, by lines",
    "function_lines": "functions, by lines",
    "parameters": "parameter lists, by length (without self)",
    "methods": "classes, by methods",
    "inheritance": "classes, by levels of our own ancestors",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Finding:
    size: int
    place: str
    name: str


def functions(tree: ast.Module) -> Iterator[tuple[str, Function, bool]]:
    """Every function with its qualified name, and whether it is a method."""
    pending: list[tuple[str, ast.AST, bool]] = [("", tree, False)]
    while pending:
        prefix, node, in_class = pending.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                yield prefix + child.name, child, in_class
                pending.append((f"{prefix}{child.name}.", child, False))
            elif isinstance(child, ast.ClassDef):
                pending.append((f"{prefix}{child.name}.", child, True))
            else:
                pending.append((prefix, child, in_class))


def parameter_count(function: Function, is_method: bool) -> int:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    static = any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in function.decorator_list)
    starred = sum(each is not None for each in (arguments.vararg, arguments.kwarg))
    return len(named) + starred - (1 if is_method and not static else 0)


def base_names(node: ast.ClassDef) -> list[str]:
    bases = [each.value if isinstance(each, ast.Subscript) else each for each in node.bases]
    return [
        each.attr if isinstance(each, ast.Attribute) else each.id
        for each in bases
        if isinstance(each, ast.Name | ast.Attribute)
    ]


def depth(name: str, bases: dict[str, list[str]], seen: frozenset[str] = frozenset()) -> int:
    """Levels of classes of ours above this one; Exception, Protocol and other people's classes count nothing."""
    if name in seen:
        return 0
    ours = [base for base in bases[name] if base in bases and base != name]
    return max((1 + depth(base, bases, seen | {name}) for base in ours), default=0)


def survey(root: Path) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {name: [] for name in MARKS}
    bases: dict[str, list[str]] = {}
    class_places: dict[str, str] = {}
    for path in sorted(root.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        where = path.relative_to(root.parent).as_posix()
        tree = ast.parse(source, filename=where)
        found["file_lines"].append(Finding(len(source.splitlines()), where, ""))
        for name, function, is_method in functions(tree):
            place = f"{where}:{function.lineno}"
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            found["function_lines"].append(Finding(length, place, name))
            found["parameters"].append(Finding(parameter_count(function, is_method), place, name))
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                place = f"{where}:{node.lineno}"
                methods = sum(isinstance(each, Function) for each in node.body)
                found["methods"].append(Finding(methods, place, node.name))
                bases.setdefault(node.name, []).extend(base_names(node))
                class_places.setdefault(node.name, place)
    found["inheritance"] = [Finding(depth(name, bases), class_places[name], name) for name in bases]
    return {name: sorted(each, key=lambda one: (-one.size, one.place)) for name, each in found.items()}


def table(found: dict[str, list[Finding]], rows: int) -> str:
    lines: list[str] = []
    for name, findings in found.items():
        mark = MARKS[name]
        above = sum(
            each.size >= mark if name in {"parameters", "inheritance"} else each.size > mark
            for each in findings
        )
        median = sorted(each.size for each in findings)[len(findings) // 2] if findings else 0
        lines.append(
            f"{TITLES[name]}: {len(findings)} in all, median {median}, {above} past the mark of {mark}"
        )
        lines += [f"  {each.size:5d}  {each.place}  {each.name}".rstrip() for each in findings[:rows]]
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="script/shape", description=__doc__)
    parser.add_argument("root", nargs="?", type=Path, default=Path("src"), help="the folder to look at (src)")
    parser.add_argument("--rows", type=int, default=8, help="how many of each to print (8)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    found = survey(options.root.resolve())
    if options.json:
        print(
            json.dumps(
                {
                    name: [asdict(each) for each in findings[: options.rows]]
                    for name, findings in found.items()
                },
                indent=1,
            )
        )
    else:
        print(table(found, options.rows))


if __name__ == "__main__":
    main()
