"""Lists of structures kept by their members, and how such a list becomes XML without an object for each entry.

Theory of operation
===================
A page of a listing has a thousand entries. As objects they cost more than finding them: each is made with ten members,
asked ten times what it has, and put piece by piece. Here a list is a `Table` instead: of each member that its entries
have, the column of its values, as the rows of a database give them. Whoever wants an entry gets the object, made then;
the serialiser wants none. It turns each column into text in a few calls for the whole of it, lays the columns and the
tags before them out like cards, and joins all once.

What an element looks like has one definition, the generated `write_…` functions; a `Shape` made from the same model
says only which members are plain text, number or date and may be written by the column. Columns of anything else hold
`Few` different values, and each of those is written by the generated function.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar, overload

from attrs import define, frozen

from post3tw.wire.dates import from_millis, iso8601

T = TypeVar("T")
Put = Callable[[str], None]


class _Column(Sequence[T]):
    """A sequence of values that are made when they are asked for."""

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return [self._at(number) for number in range(*index.indices(len(self)))]
        return self._at(index)

    def _at(self, index: int) -> T:
        raise NotImplementedError


@define(eq=False)
class Dates(_Column[datetime]):
    """Dates, kept in milliseconds since the epoch, which may be numbers or their digits."""

    millis: Sequence[int] | Sequence[str]

    def __len__(self) -> int:
        return len(self.millis)

    def _at(self, index: int) -> datetime:
        return from_millis(int(self.millis[index]))


@define(eq=False)
class Digits(_Column[int]):
    """Whole numbers, kept as they are written."""

    texts: Sequence[str]

    def __len__(self) -> int:
        return len(self.texts)

    def _at(self, index: int) -> int:
        return int(self.texts[index])


@define(eq=False)
class Quoted(_Column[str]):
    """Strings in quotes, kept without them."""

    texts: Sequence[str]

    def __len__(self) -> int:
        return len(self.texts)

    def _at(self, index: int) -> str:
        return f'"{self.texts[index]}"'


@define(eq=False)
class Few(_Column[Any]):
    """Few different values, any of which may be None: the name of the value of each entry, and what each name means."""

    names: Sequence[Hashable]
    meaning: Mapping[Any, Any]

    def __len__(self) -> int:
        return len(self.names)

    def _at(self, index: int) -> Any:
        return self.meaning[self.names[index]]


@define(eq=False)
class Table(_Column[T]):
    """A list of structures.

    Attributes:
        structure: their class.
        columns: by attribute, the values of that member; at least one. Those that are none of the above are strings
            and numbers, none of them None.
    """

    structure: Callable[..., T]
    columns: Mapping[str, Sequence[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def _at(self, index: int) -> T:
        return self.structure(**{name: column[index] for name, column in self.columns.items()})


# -- XML --------------------------------------------------------------------------------------------------------------


def numbers(values: Sequence[int]) -> Sequence[str]:
    """A column of numbers as text."""
    return values.texts if isinstance(values, Digits) else list(map(str, values))


def booleans(values: Sequence[bool]) -> Sequence[str]:
    """A column of truths as text."""
    return ["true" if value else "false" for value in values]


def dates(values: Sequence[datetime]) -> Sequence[str]:
    """A column of dates as text."""
    assert isinstance(values, Dates)
    return list(map(iso8601, values.millis))


@frozen
class Shape(Generic[T]):
    """How a structure is written.

    Attributes:
        structure: its class.
        write: writes the inside of one.
        members: in order: attribute, tag, and what makes text of a column of it; None where there is no such thing.
    """

    structure: Callable[..., T]
    write: Callable[[T, Put], None]
    members: Sequence[tuple[str, str, Callable[[Sequence[Any]], Sequence[str]] | None]]

    def written(self, attribute: str, value: Any) -> str:
        """The element, or elements, of one member."""
        parts: list[str] = []
        self.write(self.structure(**{attribute: value}), parts.append)
        return "".join(parts)


def put_list(tag: str, entries: Sequence[T], shape: Shape[T], put: Put) -> None:
    """Put an element for each entry of a list."""
    if isinstance(entries, Table):
        if entries:
            put(_laid_out(tag, entries, shape))
        return
    for entry in entries:
        put(f"<{tag}>")
        shape.write(entry, put)
        put(f"</{tag}>")


def _laid_out(tag: str, table: Table[T], shape: Shape[T]) -> str:
    """The elements of a table. `before` has what stands before each of the `cards`, `literal` what stands behind all."""
    literal = f"<{tag}>"
    cards: list[Sequence[str]] = []
    before: list[str] = []
    for attribute, member_tag, texts in shape.members:
        column = table.columns.get(attribute)
        if column is None:
            continue
        if isinstance(column, Few):
            elements = {name: shape.written(attribute, value) for name, value in column.meaning.items()}
            if len(elements) == 1:
                literal += next(iter(elements.values()))
                continue
            cards.append(list(map(elements.__getitem__, column.names)))
            before.append(literal)
            literal = ""
        else:
            if texts is None:
                raise TypeError(f"{attribute} of {tag} needs a column of few values")
            quote = "&quot;" if isinstance(column, Quoted) else ""
            cards.append(texts(column.texts if isinstance(column, Quoted) else column))
            before.append(f"{literal}<{member_tag}>{quote}")
            literal = f"{quote}</{member_tag}>"
    literal += f"</{tag}>"
    width, count = 2 * len(cards), len(table)
    if not cards:
        return literal * count
    first, before[0] = before[0], literal + before[0]
    laid = [""] * (width * count)
    for number, card in enumerate(cards):
        laid[2 * number :: width] = [before[number]] * count
        laid[2 * number + 1 :: width] = card
    laid[0] = first
    return "".join(laid) + literal
