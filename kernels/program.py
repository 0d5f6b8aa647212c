"""The columns of a program: a row per fused layer (dense + bias + activation + dropout), int64; and
its constants, float32.

Offsets (_AT) and strides count floats. Backends read the table; `fastsnn/plan.py` writes it.
"""

(
    FAN_IN,
    FAN_OUT,
    W_AT,  # in the parameters: (fan_out, fan_in)
    B_AT,  # in the parameters: (fan_out,)
    X_AT,  # in the activations: input panels
    X_STRIDE,  # from one panel to the next
    H_AT,  # in the activations: output panels; after the backward pass dz
    H_STRIDE,
    T_AT,  # in the activations: the input again, [block of features][sample][feature of the block]
    T_STRIDE,  # from one block of features to the next
    ACTIVATION,
    DROPPING,  # 0: no dropout
    SITE,  # number of this dropout layer in the network
    THRESHOLD,  # a 16-bit number below it drops
    REMASK,  # the backward pass needs the mask again
    FORWARD_BLOCK,  # units whose weights are worked on together, forward
    FORWARD_DEPTH,  # terms of their sums that are added at a time
    BACKWARD_BLOCK,  # the same backward: inputs whose weights are packed together
    BACKWARD_DEPTH,
    COLUMNS,
) = range(20)

DROP_VALUE, AFFINE_A, AFFINE_B, CONSTANTS = range(4)
