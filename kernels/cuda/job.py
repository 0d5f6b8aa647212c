"""What changes from step to step lies on the device, so that a step can be launched again as it is:
a row of `jobs` (int64) and of `hypers` (float32) for each of the steps to come, and where the
device is in them.

The loss, in the middle of a step, moves FORWARD on to the next row and BACKWARD to this one; what
follows it reads BACKWARD's. So no kernel is needed to count.
"""

from ..updates import HYPER

# Columns of jobs.
(
    FIRST_ROW,  # of the batch, in the index
    BLOCK,  # the eight samples of the masks that the batch begins with
    STEP,
    SEED,
    JOB,
) = range(5)

# Elements of slots, int64.
FORWARD, BACKWARD, STOPPED, SLOTS = range(4)
RUNNING, STOP, LAST = range(3)  # STOPPED: updates are made; none is; this step's is the last one

# Columns of hypers behind those of the update.
SCALE = HYPER  # 1 / the sum of the weights of the batch
LIMIT = HYPER + 1  # a loss above it ends the training
OVERFLOW = HYPER + 2  # written: 1 if an update was skipped because it would have overflowed float32
PARAMETER = HYPER + 3  # of the loss
HYPERS = HYPER + 4
