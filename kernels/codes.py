"""Numbers by which programs and jobs name losses and updates, on every target."""

SOFTMAX, SIGMOID, MSE = range(3)
LOSSES = {"softmax_cross_entropy": SOFTMAX, "sigmoid_cross_entropy": SIGMOID, "mse": MSE}

STORE, SGD, MOMENTUM, NESTEROV, ADAM = range(5)  # STORE: the gradient itself goes to the state
HYPER = 8  # scalars of an update; see `hyper` in fastsnn/optimizers.py
