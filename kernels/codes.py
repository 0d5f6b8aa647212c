"""Numbers by which programs and jobs name activations and losses, on every target."""

NONE, SELU, RELU, TANH = range(4)
ACTIVATIONS = {"none": NONE, "selu": SELU, "relu": RELU, "tanh": TANH}

SOFTMAX, SIGMOID, MSE = range(3)
LOSSES = {"softmax_cross_entropy": SOFTMAX, "sigmoid_cross_entropy": SIGMOID, "mse": MSE}


def needs_mask(activation, dropout):
    """Whether the backward pass must make the mask again, because the output does not tell what was
    dropped.

    SELU with alpha-dropout: the slope is 0 at the dropped value by itself. ReLU: the dropped value,
    negative or 0, lies where the slope is 0. Every other pair needs the mask.
    """
    return not ((activation == "selu" and dropout == "alpha") or activation == "relu")
