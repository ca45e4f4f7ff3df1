"""Rows made of records."""

from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from shared.db import row, rows


class House(SQLModel, registry=registry()):
    """What the table belongs to."""

    __abstract__ = True


class Cup(House, table=True):
    """A cup; no test makes one by its constructor, which would prepare the class."""

    id: int = Field(primary_key=True)
    colour: str
    handle: str | None = None


def test_a_row_can_be_read_before_any_was_made_by_hand() -> None:
    cup = row(Cup, {"id": 1, "colour": "red", "handle": None})
    assert (cup.id, cup.colour, cup.handle) == (1, "red", None)
    assert cup.model_dump() == {"id": 1, "colour": "red", "handle": None}


def test_rows_of_equal_values_are_equal_and_can_be_changed() -> None:
    cup, twin = rows(Cup, [{"id": 1, "colour": "red", "handle": "left"}] * 2)
    assert cup == twin
    twin.colour = "blue"
    assert cup != twin
    assert cup.model_copy(update={"colour": "blue"}) == twin
    assert cup.colour == "red"
