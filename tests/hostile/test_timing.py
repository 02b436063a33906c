"""Method 14: nothing secret is compared so that the time it takes tells how much of it was right."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import post3tw

_SECRET = ("secret", "hmac", "signature", "mac", "token", "password", "digest", "hexdigest")
"""Words in names of what may be secret."""

_INNOCENT = {
    "model/version.py: raw.hex() != token": "a version's id, which is no secret",
    "s3/authentication.py: 'Signature' in arguments": "whether there is one",
    "s3/facts.py: 'Signature' in query": "whether there is one",
    "s3/body.py: hashlib.sha256(data).hexdigest() != body.sha256": "a sum of what the client sent, which it knows",
    "service/identities.py: self._signature() != self._seen": "what shows that a file was written: its size and time",
    "service/paging.py: token_of_name(name) != token": "where a listing goes on: whoever may list may begin anywhere",
}
"""Comparisons that look like it, and what they are."""

_COMPARING = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)


def comparisons(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Comparisons by an operator in which a name, an attribute or a call says that something is secret."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(isinstance(operator, _COMPARING) for operator in node.ops):
            for side in (node.left, *node.comparators):
                name = _name(side).lower()
                if any(word in name.split("_") for word in _SECRET):
                    yield node.lineno, ast.unparse(node)
                    break


def _name(node: ast.AST) -> str:
    """What an operand is called; "" for what has no name, such as a constant."""
    match node:
        case ast.Name():
            return node.id
        case ast.Attribute():
            return node.attr
        case ast.Call():
            return _name(node.func)
        case ast.Subscript():
            return _name(node.slice) if isinstance(node.slice, ast.Constant) else _name(node.value)
        case ast.Constant() if isinstance(node.value, str) and node.value.isidentifier():
            return node.value
    return ""


class TimingTests(SynchronousTestCase):
    """The source of post3tw."""

    def test_SIG_11_everywhere(self) -> None:
        """SIG-11: secrets and what is made with them are compared by hmac.compare_digest alone."""
        assert post3tw.__file__ is not None
        root = Path(post3tw.__file__).parent
        found = {
            f"{path.relative_to(root)}: {text}"
            for path in root.rglob("*.py")
            for _, text in comparisons(ast.parse(path.read_text()))
        }
        self.assertEqual(found, set(_INNOCENT))

    def test_seeded(self) -> None:
        """What one would write by mistake is found."""
        for text in (
            "signature == provided",
            "self.secret != text",
            "sign(key) == request.signature",
            "credential.secret_key in known",
            "mac.hexdigest() == given",
            "fields['signature'] == expected",
        ):
            self.assertTrue(list(comparisons(ast.parse(text))), text)
        for text in ("hmac.compare_digest(signature, provided)", "name == 'a b'", "signed == 1"):
            self.assertEqual(list(comparisons(ast.parse(text))), [], text)
