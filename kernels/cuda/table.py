"""Reads of a program's table on the host."""


def ints(row, *columns):
    """Entries of a row as Python ints, which launches take."""
    return [int(row[column]) for column in columns]
