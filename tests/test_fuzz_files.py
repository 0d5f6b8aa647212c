"""The fuzz targets of model files, options and journals, a few cases each: what is refused is
refused in one line, and what is taken can be used.
"""

import random

import pytest
from fuzz import target_config, target_journal, target_last, target_model

TARGETS = {
    "model": target_model, "last": target_last, "config": target_config, "journal": target_journal,
}  # fmt: skip
CASES = 150


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_valid_is_read(name, tmp_path):
    target = TARGETS[name]
    for i, seed in enumerate(target.SEEDS):
        path = tmp_path / f"{i}{target.SUFFIX}"
        path.write_bytes(seed)
        target.read(path)


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_changed_is_read_or_refused(name, tmp_path):
    target, path, refused = TARGETS[name], tmp_path / f"f{TARGETS[name].SUFFIX}", 0
    for case in range(CASES):
        rng = random.Random(case)
        path.write_bytes(target.mutate(rng.choice(target.SEEDS), rng))
        try:
            target.read(path)
        except (ValueError, TypeError, OSError) as error:
            assert "\n" not in str(error) and len(str(error)) < 1000, case
            refused += 1
    assert 0 < refused < CASES
