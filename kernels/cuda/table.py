"""Reads of a program's table on the host."""


def ints(row, *columns):
    """Return entries of a row as Python ints, the type that launches take."""
    return [int(row[column]) for column in columns]
