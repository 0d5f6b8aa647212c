"""Trial functions without training, for all kinds of workers; they import nothing."""

import time


def hill(options, report):
    """Return a score that is highest at x = 2, width = 40, kind b; durations are in random
    order.
    """
    report(0.5)
    time.sleep(0.001 * (hash(str(sorted(options.items()))) % 5))
    if options["x"] > 8:
        raise FloatingPointError(f"diverged at {options['x']}")
    height = -((options["x"] - 2) ** 2) - (options.get("width", 40) - 40) ** 2 / 1000
    return {"score": height + (options.get("kind", "b") == "b"), "x": options["x"]}


def counted(done):
    """Return `hill` that also appends the options of each call to the list `done`."""

    def trial(options, report):
        done.append(options)
        return hill(options, report)

    return trial
