"""Tables as people have them: text, gaps, booleans and dates, encoded as features.

A `Recipe` is learned from the training rows and applied by NumPy alone. It is stored in the model
file.
"""

from fastsnn.tables.columns import Columns
from fastsnn.tables.recipe import Recipe

__all__ = ["Columns", "Recipe"]
