"""Plain wording for the notes of stored results, which keep the text of the run that made them."""

import re

WORDS = [
    (
        r"an epoch ends after ([\d,]+) training rows where there are more; the next one goes on "
        "behind them",
        r"an epoch has at most \1 training rows; the next epoch continues with the rows after them",
    ),
    (r"^highway in conic shape: .*", "no conic highway networks: their layers are equally wide"),
    (
        r'^residual blocks in "diavolo" form: .*',
        'no residual blocks in "diavolo" form, only rectangular ones',
    ),
    (r"which rows are in which fold: here they are dealt out by class",
     "which rows are in which fold; here the folds are stratified by class"),
    (
        r"does not say how large its batches are: (\d+) rows, fewer where an epoch would have less "
        "than 8 steps",
        r"does not give a batch size; here it is \1, and less where an epoch would have fewer than "
        "8 steps",
    ),
    (r"^units of a layer:", "units per layer:"),
    (r"\bNOT above (\w+) by -([\d.]+) \(the paper: \+([\d.]+)\)",
     r"below \1 by \2 (the paper: above by \3)"),
    (r"\babove ([\w ]+) by \+([\d.]+) \(the paper: \+([\d.]+)\)",
     r"above \1 by \2 (the paper: by \3)"),
    (r" lower with (\d+): (?:falls|flat) ", r" lower with \1 "),
    (r": not more than ([\d.]+) below$", r": at most \1 below"),
    (r"\bat once\b", "concurrently"),
]  # fmt: skip


def deviation(line: str) -> str:
    """"epochs: 30 (the paper: 2000)" -> "epochs: 30 instead of 2,000"."""
    line = re.sub(r"^(.+): (.+) \(the paper: (.+)\)$", r"\1: \2 instead of \3", line)
    return re.sub(r"\binstead of (\d{4})$", lambda found: f"instead of {int(found[1]):,}", plain(line))


def plain(line: str) -> str:
    for pattern, words in WORDS:
        line = re.sub(pattern, words, line)
    return line
