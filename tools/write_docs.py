"""Write the parts of docs/ that the code knows better than a person: operations, errors, options.

python -m tools.write_docs            # writes them
python -m tools.write_docs --check    # writes nothing; exit status 1 when something is out of date
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from post3tw.api.operations import OPERATIONS
from post3tw.config import OPTIONS
from post3tw.options import backend_options
from post3tw.s3.errors import S3ErrorCode
from post3tw.service.local import NOUNS
from post3tw.service.operation import Declaration
from post3tw.storage.backends import find_backend

DOCS = Path(__file__).parents[1] / "docs"
LEVELS = ("service", "bucket", "object")
_BEGIN = "<!-- {name}: written by `python -m tools.write_docs` -->"
_END = "<!-- end of {name} -->"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    heads = tuple(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def declarations() -> dict[str, tuple[Declaration, str]]:
    """What is implemented: operation name to its declaration and the module that has it."""
    found = {}
    for noun in NOUNS:
        for _, method in inspect.getmembers(noun, inspect.isfunction):
            declaration = getattr(method, "declaration", None)
            if declaration is not None:
                found[declaration.name] = (declaration, noun.__module__)
    return found


def operations() -> str:
    """Every operation of the S3 model, and whether we have it."""
    implemented = declarations()
    rows = []
    for name, operation in sorted(OPERATIONS.items()):
        declaration, module = implemented.get(name, (None, ""))
        place = f"`{module.replace('.', '/')}.py`" if declaration is not None else "501 NotImplemented"
        action = declaration.action if declaration is not None else ""
        rows.append((name, f"{operation.method} {LEVELS[operation.level]}", place, action))
    unconfigured = sum(module == "post3tw.service.unconfigured" for _, module in implemented.values())
    text = (
        f"{len(implemented)} of {len(OPERATIONS)} operations are implemented. {unconfigured} of these, in\n"
        "`post3tw/service/unconfigured.py`, are about configurations that no bucket can have here: reading one says "
        "that\nthere is none, deleting it succeeds.\n\n"
        "A form (`POST` on a bucket with `multipart/form-data`) is a PutObject: `post3tw/s3/post_form.py`.\n\n"
    )
    return text + table(("operation", "request", "where", "action"), rows)


def errors() -> str:
    """Every error code that we answer with."""
    rows = [(f"`{code.code}`", str(code.status), meaning) for code, meaning in _meanings()]
    return table(("code", "status", "when"), rows)


def _meanings() -> Iterator[tuple[S3ErrorCode, str]]:
    """The codes with the docstrings of their enum members, which Python itself forgets."""
    (tree,) = ast.parse(inspect.getsource(S3ErrorCode)).body
    assert isinstance(tree, ast.ClassDef)
    for statement, following in zip(tree.body, tree.body[1:], strict=False):
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            continue
        assert isinstance(following, ast.Expr), f"{statement.targets[0].id} has no docstring"
        assert isinstance(following.value, ast.Constant)
        yield S3ErrorCode[statement.targets[0].id], " ".join(str(following.value.value).split())


def options() -> str:
    """Every option with its variable and default."""
    rows = []
    for option in OPTIONS:
        name = "" if option.secret else f"`--{option.name}`"
        default = f"`{option.default}`" if option.default else ""
        rows.append((name, f"`{option.variable}`", default, option.help))
    return table(("option", "variable", "default", "meaning"), rows)


def postgres_options() -> str:
    """What the backend `postgres` understands beside them."""
    rows = [
        (f"`--{option.name}`", f"`{option.variable}`", f"`{option.default}`" if option.default else "", option.help)
        for option in backend_options(find_backend("postgres"))
    ]
    return table(("option", "variable", "default", "meaning"), rows)


SECTIONS: dict[str, tuple[str, Callable[[], str]]] = {
    "operations": ("operations.md", operations),
    "errors": ("errors.md", errors),
    "options": ("configuration.md", options),
    "postgres options": ("configuration.md", postgres_options),
}
"""Name of a section to the page that has it and the function that writes it."""


def outdated(write: bool) -> list[str]:
    """The sections whose pages do not say what the code says; with `write`, they do afterwards."""
    found = []
    for name, (page, make) in SECTIONS.items():
        path = DOCS / page
        old = path.read_text()
        begin, end = _BEGIN.format(name=name), _END.format(name=name)
        before, _, rest = old.partition(begin)
        after = rest.partition(end)[2]
        new = f"{before}{begin}\n\n{make()}\n\n{end}{after}"
        if new != old:
            found.append(name)
            if write:
                path.write_text(new)
    return found


def main() -> int:
    """The exit status."""
    check = "--check" in sys.argv[1:]
    found = outdated(write=not check)
    print(f"{'out of date' if check else 'written'}: {', '.join(found)}" if found else "docs/ says what the code says.")
    return 1 if check and found else 0


if __name__ == "__main__":
    raise SystemExit(main())
