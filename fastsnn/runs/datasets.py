"""The command group `fastsnn data`: list and download the named data sets."""

from __future__ import annotations

import click

from fastsnn.runs.options import examples, json_option, show


@click.group("data", epilog=examples("fastsnn data list", "fastsnn data fetch mnist"))
def data_group() -> None:
    """List and download the named data sets."""


@data_group.command("list", epilog=examples("fastsnn data list"))
@json_option
def data_list(as_json: bool) -> None:
    """List the named data sets.

    Prints name, task, number of rows, features and classes, location on this machine, and terms of
    use.
    """
    from fastsnn.data.show import about, listing

    show({"data_sets": about()}, as_json) if as_json else listing(about())


@data_group.command("fetch", epilog=examples("fastsnn data fetch mnist"))
@click.argument("name")
@json_option
def data_fetch(name: str, as_json: bool) -> None:
    """Download the data set NAME and verify its checksum.

    NAME is one of the names that `fastsnn data list` prints. Its files are searched in its folder
    below $FASTSNN_DATA, if that is set, and then in the user's cache folder, where downloads go;
    the environment variable FASTSNN_CACHE selects another one. Nothing is downloaded if they are
    already on this machine. An interrupted download resumes where it stopped; if a server fails,
    the next one is tried. An archive whose checksum is unknown is verified by the checksums inside
    it. Prints the files, how they were verified, their source and terms of use.
    """
    from fastsnn.data.show import fetch

    show(fetch(name), as_json)
