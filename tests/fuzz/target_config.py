"""Fuzz target: the options of a run in config.toml and last.safetensors, by
`RunConfig.from_dict`.
"""

import pathlib
import random
import sys
import tomllib

import tomli_w

sys.path.insert(0, str(pathlib.Path(__file__).parent))  # for every way to import this file
from target_model import changed

from fastsnn.runs.config import RunConfig

SUFFIX = ".toml"
SEEDS = [
    RunConfig().to_toml(),
    RunConfig(layers=8, threads=2, target="kind", patience=3).settled(500, "regression").to_toml(),
    RunConfig(optimizer="adamw", schedule="plateau", backend="cuda", precision="tf32").to_toml(),
]


def read(path: pathlib.Path) -> None:
    """Accept a ValueError or TypeError of one line, or options that settle and survive a round
    trip.
    """
    try:
        options = tomllib.loads(path.read_bytes().decode())
    except (RecursionError, ValueError) as error:  # from tomllib, or from text that is not UTF-8
        raise ValueError("must be TOML") from error
    config = RunConfig.from_dict(options)
    settled = config.settled(1000, "classification")
    settled.require_settled()
    assert RunConfig.from_dict(tomllib.loads(settled.to_toml().decode())) == settled


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Apply one to three changes to the options, in valid TOML."""
    options = tomllib.loads(data.decode())
    for _ in range(rng.randint(1, 3)):
        options = changed(options, rng)
        if not isinstance(options, dict):
            options = {"options": options}
    try:
        return tomli_w.dumps(_without_null(options)).encode()
    except (TypeError, ValueError):  # a number of more than 4,300 digits
        return data


def _without_null(value):
    """Remove null, which TOML does not have."""
    if isinstance(value, dict):
        return {str(k): _without_null(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_null(v) for v in value if v is not None]
    return value
