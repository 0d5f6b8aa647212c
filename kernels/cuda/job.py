"""The queue of steps on the device. All that changes from step to step is stored there, so the same
launches can be repeated.

    jobs    (steps, JOB) int64, written by the host
    hypers  (steps, HYPERS) float32: scalars of the optimizer and of the loss, written by the host;
            SCALE and OVERFLOW also by kernels
    slots   (SLOTS,) int64: the current step, written by the kernel `mean_loss`

In the middle of a step, `mean_loss` sets BACKWARD to this step and FORWARD to the next one. Kernels
before it read FORWARD, kernels after it BACKWARD, so no other kernel counts steps.
"""

from ..updates import HYPER

# Columns of jobs.
(
    FIRST_ROW,  # of the batch, in the index
    BLOCK,  # index of the batch's first group of eight samples in the stream of dropout masks
    STEP,
    SEED,
    JOB,
) = range(5)

# Elements of slots.
FORWARD, BACKWARD, STOPPED, SLOTS = range(4)
# Values of STOPPED. RUNNING: apply the update; STOP: skip it; LAST: apply it, then stop.
RUNNING, STOP, LAST = range(3)

# Columns of hypers after those of the update.
SCALE = HYPER  # 1 / the sum of the weights of the batch
LIMIT = HYPER + 1  # a loss above it ends the training
OVERFLOW = HYPER + 2  # output: 1 if an update was skipped because it would overflow float32
PARAMETER = HYPER + 3  # of the loss
HYPERS = HYPER + 4
