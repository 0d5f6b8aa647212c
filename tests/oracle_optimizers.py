"""The reference of the optimizers: float64 NumPy. Imports numpy only."""

import numpy as np

# Optimizers: PyTorch's formulas. `update` changes the arrays of `parameters` in place.


class SGD:
    def __init__(self, learning_rate, momentum=0.0, nesterov=False, weight_decay=0.0):
        self.learning_rate, self.momentum = learning_rate, momentum
        self.nesterov, self.weight_decay = nesterov, weight_decay
        self.m = None

    def update(self, parameters, gradients):
        self.m = self.m or [np.zeros_like(p) for p in parameters]
        for p, g, m in zip(parameters, gradients, self.m, strict=True):
            g = g + self.weight_decay * p
            m[...] = self.momentum * m + g
            p -= self.learning_rate * (g + self.momentum * m if self.nesterov else m)


class Adam:
    """weight_decay is added to the gradient (L2)."""

    decoupled = False

    def __init__(self, learning_rate=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
        self.learning_rate, self.beta1, self.beta2 = learning_rate, beta1, beta2
        self.eps, self.weight_decay = eps, weight_decay
        self.m = self.v = None
        self.t = 0

    def update(self, parameters, gradients):
        self.m = self.m or [np.zeros_like(p) for p in parameters]
        self.v = self.v or [np.zeros_like(p) for p in parameters]
        self.t += 1
        for p, g, m, v in zip(parameters, gradients, self.m, self.v, strict=True):
            if self.decoupled:
                p *= 1 - self.learning_rate * self.weight_decay
            else:
                g = g + self.weight_decay * p
            m[...] = self.beta1 * m + (1 - self.beta1) * g
            v[...] = self.beta2 * v + (1 - self.beta2) * g**2
            m_hat = m / (1 - self.beta1**self.t)
            v_hat = v / (1 - self.beta2**self.t)
            p -= self.learning_rate * m_hat / (np.sqrt(v_hat) + self.eps)


class AdamW(Adam):
    """weight_decay shrinks the parameter itself."""

    decoupled = True


class NAdam:
    def __init__(
        self, learning_rate=2e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0,
        momentum_decay=4e-3,
    ):  # fmt: skip
        self.learning_rate, self.beta1, self.beta2 = learning_rate, beta1, beta2
        self.eps, self.weight_decay, self.momentum_decay = eps, weight_decay, momentum_decay
        self.m = self.v = None
        self.t, self.product = 0, 1.0

    def mu(self, t):
        return self.beta1 * (1 - 0.5 * 0.96 ** (t * self.momentum_decay))

    def update(self, parameters, gradients):
        self.m = self.m or [np.zeros_like(p) for p in parameters]
        self.v = self.v or [np.zeros_like(p) for p in parameters]
        self.t += 1
        self.product *= self.mu(self.t)
        after = self.mu(self.t + 1)
        self.of_g = (1 - self.mu(self.t)) / (1 - self.product)
        self.of_m = after / (1 - self.product * after)
        for p, g, m, v in zip(parameters, gradients, self.m, self.v, strict=True):
            g = g + self.weight_decay * p
            m[...] = self.beta1 * m + (1 - self.beta1) * g
            v[...] = self.beta2 * v + (1 - self.beta2) * g**2
            root = np.sqrt(v / (1 - self.beta2**self.t)) + self.eps
            p -= self.learning_rate * (self.of_g * g + self.of_m * m) / root


class RMSprop:
    def __init__(self, learning_rate=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0):
        self.learning_rate, self.alpha, self.eps = learning_rate, alpha, eps
        self.weight_decay, self.momentum = weight_decay, momentum
        self.m = self.v = None

    def update(self, parameters, gradients):
        self.m = self.m or [np.zeros_like(p) for p in parameters]
        self.v = self.v or [np.zeros_like(p) for p in parameters]
        for p, g, m, v in zip(parameters, gradients, self.m, self.v, strict=True):
            g = g + self.weight_decay * p
            v[...] = self.alpha * v + (1 - self.alpha) * g**2
            m[...] = self.momentum * m + g / (np.sqrt(v) + self.eps)
            p -= self.learning_rate * m


class Lion:
    """Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", algorithm 2."""

    def __init__(self, learning_rate=1e-4, beta1=0.9, beta2=0.99, weight_decay=0.0):
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.beta1, self.beta2 = beta1, beta2
        self.m = None

    def update(self, parameters, gradients):
        self.m = self.m or [np.zeros_like(p) for p in parameters]
        self.c = []
        for p, g, m in zip(parameters, gradients, self.m, strict=True):
            c = self.beta1 * m + (1 - self.beta1) * g
            self.c.append(c)
            p -= self.learning_rate * (np.sign(c) + self.weight_decay * p)
            m[...] = self.beta2 * m + (1 - self.beta2) * g
