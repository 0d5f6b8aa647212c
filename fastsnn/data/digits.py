"""UCI optical digits: 1,797 images of 8 x 8 pixels with values 0 to 16, inside the package.

The test part is fixed: every fifth row (index % 5 == 4), 359 rows. digits.LICENSE states the source
and the licence.
"""

from __future__ import annotations

from importlib import resources

import numpy as np

from fastsnn.data.dataset import Split
from fastsnn.data.table import Table, read_table


def load_digits(progress: object = None) -> Table:
    """Return the training part (1,438 rows) and the test part (359 rows).

    x is uint8 (n, 64), y int64 (n,) in [0, 9]. `progress` is never called: nothing is downloaded.
    """
    with resources.as_file(resources.files("fastsnn.data") / "digits.csv.gz") as path:
        whole = read_table(path, "class", "classification")
    pixels = whole.train.features.astype(np.uint8)  # the dtype of the other image data sets
    test = np.arange(len(whole.train)) % 5 == 4
    return Table(
        task="classification",
        train=Split(pixels[~test], whole.train.y[~test]),
        validation=None,
        test=Split(pixels[test], whole.train.y[test]),
        class_names=whole.class_names,
        feature_names=whole.feature_names,
        target_names=whole.target_names,
    )
