"""The columns of a program: an int64 table with one row per node of the network, and a float32
table of constants. `fastsnn/engine/plan.py` writes both; the backends only read them.

A row is DENSE (dense, activation, dropout), a normalization (with activation and dropout), or the
gate of a HIGHWAY layer. Its input is the output of the row before it; each further operand has its
own offset. Offsets (_AT) and strides count floats.

Layouts, M samples by N units:
    rows     [sample][unit], on a GPU; stride: floats from one sample to the next
    panels   [panel][unit][sample of the panel], on the CPU; stride: floats from one panel to the
             next
    params   all parameters in one buffer; the optimizer's state and gradients have the same offsets
    acts     one buffer of activations, for the network's input, outputs, gradients and statistics
"""

# Kinds of rows.
DENSE, BATCH_NORM, LAYER_NORM, HIGHWAY = range(4)

(
    OP,
    FAN_IN,
    FAN_OUT,
    W_AT,  # in params: weight (fan_out, fan_in); normalization: scale (fan_out,)
    B_AT,  # in params: bias (fan_out,)
    X_AT,  # in acts: input, in panels (CPU) or rows (GPU)
    X_STRIDE,  # floats from one panel or row of the input to the next
    H_AT,  # in acts: output, in panels or rows; on the CPU dz after the backward pass
    H_STRIDE,  # floats from one panel or row of the output to the next
    T_AT,  # CPU, in acts: the input as [block of features][sample][feature of the block]
    T_STRIDE,  # floats from one block of features to the next
    ACTIVATION,  # code, see activations.CODES
    DROPPING,  # 1: the node has dropout, 0: none
    SITE,  # index of this dropout layer in the network
    THRESHOLD,  # a random 16-bit number below it drops the unit
    REMASK,  # 1: the backward pass recomputes the mask
    FORWARD_BLOCK,  # CPU, forward: units of a cache block
    FORWARD_DEPTH,  # CPU, forward: terms of a sum in a cache block
    BACKWARD_BLOCK,  # CPU, backward: inputs whose weights are packed together
    BACKWARD_DEPTH,  # CPU, backward: terms of a sum in a cache block
    SKIP_AT,  # in acts, strides of H: added before the activation (HIGHWAY: carried), or NOWHERE
    GRADIENT_AT,  # in acts, strides of X: added to the input gradient, or NOWHERE
    G_AT,  # weight normalization, in params: length of each unit's weights (fan_out,), or NOWHERE
    V_AT,  # weight normalization, in params: their direction (fan_out, fan_in), or NOWHERE
    NORMAL_AT,  # normalization, in acts, strides of H: the normalized input
    STATISTICS_AT,  # in acts. BATCH_NORM: mean (fan_out,), then variance (fan_out,); LAYER_NORM:
    # 1 / deviation of each sample, panel after panel
    RUNNING_AT,  # BATCH_NORM, in params: running means (fan_out,)
    VARIANCE_AT,  # BATCH_NORM, in params: running variances (fan_out,)
    DZ_AT,  # in acts, strides of H: dz after the backward pass; on the CPU equal to H_AT
    SLOPE_AT,  # in acts, strides of H: the values that the slope of the activation is computed
    # from: the output (equal to H_AT), or the pre-activation z that the forward pass stores
    COLUMNS,
) = range(31)

NOWHERE = -1

(
    DROP_VALUE,  # value of a dropped unit, before the affine map
    AFFINE_A,  # affine map of dropout: AFFINE_A * y + AFFINE_B
    AFFINE_B,
    SELU_LAMBDA,  # for the fixed point of this row's SELU
    SELU_LAMBDA_ALPHA,  # lambda times alpha, likewise
    EPS,  # normalization: added to the variance
    MOMENTUM,  # BATCH_NORM: weight of the batch in the running statistics
    CONSTANTS,
) = range(8)
