"""The commands `fastsnn bench ...` and `fastsnn compare`."""

import click


@click.group()
def bench():
    """Measure speed against the machine's own peak and against peers."""


@click.command()
def compare():
    """Train the same network here and in PyTorch, and compare."""
