"""Several ways of reading one file, for a fuzz target."""

from collections.abc import Callable, Sequence


def call_all(calls: Sequence[Callable[[], object]]) -> None:
    """Call all; a ValueError must be one short line. Raises that of the first call, if any."""
    errors = []
    for call in calls:
        try:
            call()
            errors.append(None)
        except ValueError as error:
            assert "\n" not in str(error) and len(str(error)) < 1000, str(error)
            errors.append(error)
    if errors[0] is not None:
        raise errors[0]
