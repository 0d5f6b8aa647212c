"""The columns of a program: a table with one row for each node of the network, int64; and its
constants, float32. `fastsnn/engine/plan.py` writes both; the backends only read them.

A row is DENSE (dense, activation, dropout), a normalization (with activation and dropout), or the
end of a HIGHWAY layer. Its input is the output of the row before it; each further operand has its
own offset. Offsets (_AT) and strides count floats.

Layouts, M samples by N units:
    rows     [sample][unit], on a GPU: the stride leads to the next sample
    panels   [panel][unit][sample of the panel], on the CPU: the stride leads to the next panel
    params   all parameters in one buffer; the optimizer's state and gradients have the same offsets
    acts     one buffer of activations, for the network's input, outputs, gradients and statistics
"""

# Kinds of rows.
DENSE, BATCH_NORM, LAYER_NORM, HIGHWAY = range(4)

(
    OP,
    FAN_IN,
    FAN_OUT,
    W_AT,  # in the parameters: (fan_out, fan_in); of a normalization (fan_out,)
    B_AT,  # in the parameters: (fan_out,)
    X_AT,  # in the activations: input panels; on a GPU rows
    X_STRIDE,  # from one of them to the next
    H_AT,  # in the activations: output panels; on the CPU dz after the backward pass
    H_STRIDE,
    T_AT,  # CPU, in the activations: the input, [block of features][sample][feature of the block]
    T_STRIDE,  # from one block of features to the next
    ACTIVATION,
    DROPPING,  # 0: no dropout
    SITE,  # number of this dropout layer in the network
    THRESHOLD,  # a random 16-bit number below it drops the unit
    REMASK,  # the backward pass needs the mask again
    FORWARD_BLOCK,  # CPU, forward: units of a cache block
    FORWARD_DEPTH,  # terms of their sums in a cache block
    BACKWARD_BLOCK,  # CPU, backward: inputs whose weights are packed together
    BACKWARD_DEPTH,
    SKIP_AT,  # with the strides of H: added before the activation (HIGHWAY: carried), or NOWHERE
    GRADIENT_AT,  # with the strides of X: added to the input gradient, or NOWHERE
    G_AT,  # weight normalization, in the parameters: length of each unit's weights, or NOWHERE
    V_AT,  # in the parameters: their direction (fan_out, fan_in), or NOWHERE
    NORMAL_AT,  # normalization: its normalized input, with the strides of H
    STATISTICS_AT,  # BATCH_NORM: mean, then variance of each unit; LAYER_NORM: 1 / deviation of
    # each sample, panel after panel
    RUNNING_AT,  # BATCH_NORM, in the parameters: running means (fan_out,)
    VARIANCE_AT,  # BATCH_NORM, in the parameters: running variances (fan_out,)
    DZ_AT,  # in the activations, with the strides of H: dz after the backward pass; on the CPU H_AT
    SLOPE_AT,  # in the activations, with the strides of H: what the slope of the activation is
    # computed from. The output: H_AT. The pre-activation z: where the forward pass keeps it.
    COLUMNS,
) = range(31)

NOWHERE = -1

(
    DROP_VALUE,
    AFFINE_A,
    AFFINE_B,
    SELU_LAMBDA,  # of the fixed point of this row's SELU
    SELU_LAMBDA_ALPHA,
    EPS,  # of a normalization
    MOMENTUM,  # of running statistics
    CONSTANTS,
) = range(8)
