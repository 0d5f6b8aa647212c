"""Numbers by which programs name activations, on every target."""

NONE, SELU, RELU, TANH = range(4)
ACTIVATIONS = {"none": NONE, "selu": SELU, "relu": RELU, "tanh": TANH}


def needs_mask(activation, dropout):
    """Whether the backward pass must make the mask again, because the output does not tell what was
    dropped.

    SELU with alpha-dropout: the slope is 0 at the dropped value by itself. ReLU: the dropped value,
    negative or 0, lies where the slope is 0. Every other pair needs the mask.
    """
    return not ((activation == "selu" and dropout == "alpha") or activation == "relu")
