"""A line on a terminal that says how far something is, and sizes as people read them."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from attrs import define, field

_WIDTH = 30
_EVERY = 0.1


@define
class Progress:
    """One line on standard error, where that is a terminal; nothing at all where it is not.

    Attributes:
        name: what is done.
        stream: where the line is.
    """

    name: str
    stream: TextIO = field(factory=lambda: sys.stderr)
    _shown: float = field(default=0.0, init=False)
    _visible: bool = field(default=False, init=False)

    def __call__(self, step: str, share: float) -> None:
        """Say how far a step is: a share between 0 and 1."""
        now = time.monotonic()
        if not self.stream.isatty() or now - self._shown < _EVERY:
            return
        self._shown, self._visible = now, True
        done = int(_WIDTH * min(share, 1.0))
        self.stream.write(f"\r\x1b[K{self.name} {step} [{'=' * done}{' ' * (_WIDTH - done)}] {share:4.0%}")
        self.stream.flush()

    def clear(self) -> None:
        """Make room for a line of text."""
        if self._visible:
            self._visible = False
            self.stream.write("\r\x1b[K")
            self.stream.flush()

    end = clear


def shown_size(size: int) -> str:
    """A number of bytes as `512 bytes` or `1.5 GiB`."""
    value, unit = float(size), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
