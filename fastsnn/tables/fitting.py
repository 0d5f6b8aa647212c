"""Check that a recipe fits a network."""

from __future__ import annotations

from collections.abc import Sequence

from fastsnn.checks.scalars import listed
from fastsnn.tables.recipe import Recipe


def feature_names(recipe: object, inputs: int, names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of a recipe's features, for a `fastsnn.Model`.

    Raises TypeError for anything but a recipe, ValueError if it has not `inputs` features, or if
    other `names` are given.
    """
    if not isinstance(recipe, Recipe):
        raise TypeError(f"Model: recipe must be a Recipe, got {type(recipe).__name__}")
    found = recipe.feature_names
    if len(found) != inputs:
        raise ValueError(
            f"Model: the recipe must have {inputs:,} features like the network's inputs, has "
            f"{len(found):,}"
        )
    if names is not None and tuple(names) != found:
        raise ValueError(
            f"Model: feature_names must be those of the recipe ({listed(found)}), got "
            f"{listed(names)}; leave them out"
        )
    return found
