"""The source of a module without what no node needs: each name in it takes a node's memory."""

import ast

_PORTABLE = "lilong_protocol.portable"
_UNNEEDED = frozenset({"TYPE_CHECKING", "const"})
"""What a type checker reads, and what the compiler folds by its name."""


def lean(source: str) -> str:
    """Blank out what only the type checker and the compiler read; lines keep their numbers.

    SyntaxError or ValueError for source that is not Python.
    """
    body = ast.parse(source).body
    lines = source.split("\n")
    kept = {id(node) for node in body if not _is_for_types(node)}
    used = {name for node in body if id(node) in kept for name in _called_or_tested(node)}
    for node in body:
        if id(node) not in kept or _is_spare_import(node, used):
            count = (node.end_lineno or node.lineno) - node.lineno + 1
            lines[node.lineno - 1 : node.end_lineno] = [""] * count
    return "\n".join(lines)


def _is_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and _tests_types(node) and not node.orelse


def _tests_types(node: ast.If) -> bool:
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _is_spare_import(node: ast.stmt, used: set[str]) -> bool:
    if not isinstance(node, ast.ImportFrom) or node.module != _PORTABLE:
        return False
    names = {alias.asname or alias.name for alias in node.names}
    return names <= _UNNEEDED and not names & used


def _called_or_tested(statement: ast.stmt) -> set[str]:
    """Give the names that are read other than by a call of const in an assignment."""
    folded = set()
    if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(statement.value, ast.Call):
        folded.add(statement.value.func)
    return {
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and node not in folded
    }
