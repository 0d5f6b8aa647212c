"""Error bounds of float32 against the float64 oracle: derived from sums of roundings, not
fitted.

u = 2^-24 is the unit roundoff. Letters: D consecutive blocks, K the longest sum of a product
(fan-in forward, fan-out backward), n rows.

One block. A sum of K terms of size s, added one by one, has partial sums of size s sqrt(k), each
rounded to within u (root of the mean square: u / sqrt(3)). The errors are independent: together u s
sqrt(sum_k k / 3) = u s K / sqrt(6), against a sum of size s sqrt(K). That is u sqrt(K / 6),
relative. Activation, its polynomial exponential of 2 ulp, and the affine map of the dropout add a
few u of the size of an output: 3 u, that is 9 under the root.

D blocks propagate their errors. SELU at its fixed point multiplies the square of a small difference
by about E[selu'(z)^2] = 1.07 per block, ReLU with He's weights by 1, tanh by less: errors neither
explode nor fade over 40 blocks, so the squares add: u sqrt(D (K / 6 + 9)). A gradient has passed
the blocks twice, and ends in a sum over n rows: u sqrt(2 D (K / 6 + 9) + n / 6).

These are standard deviations. SAFETY = 8 covers the largest of a million normal errors (5 of them)
and growth by 1.07^(D/2) up to D = 14; the bound of deeper networks includes that growth.
"""

import numpy as np

UNIT_ROUNDOFF = 2.0**-24
SAFETY = 8


def _growth(depth):
    return SAFETY * max(1.0, 1.07 ** ((depth - 14) / 2))


def _block(fan):
    return fan / 6 + 9


def forward(depth, fan):
    """Return the bound relative to the largest magnitude of the tensor."""
    return _growth(depth) * UNIT_ROUNDOFF * np.sqrt(depth * _block(fan))


def gradient(depth, fan, n):
    """Return the bound relative to the largest scale of the tensor: see `oracle.backward`."""
    return _growth(depth) * UNIT_ROUNDOFF * np.sqrt(2 * depth * _block(fan) + n / 6)


def loss(depth, fan, outputs, d_out, value):
    """Return the absolute bound: the first-order effect of wrong outputs, and roundings of the
    loss.
    """
    terms = max(1.0, np.abs(outputs).max(), value)
    own = (SAFETY + np.sqrt(len(outputs) / 6)) * UNIT_ROUNDOFF * terms
    return forward(depth, fan) * np.abs(outputs).max() * np.abs(d_out).sum() + own


def kink_margin(depth, fan, size):
    """Return the distance from the kink at 0 that pre-activations must have.

    Closer to it, float32 may be on the other side, where the slope differs. Twice the error of the
    forward pass, because parameters drift apart over ten steps.
    """
    return 2 * forward(depth, fan) * size


class Drift:
    """Bound on |float32 - float64| of every element of the parameters after each update.

    Every gradient has an error of at most its tolerance. Errors of the parameters cause errors of
    later gradients; learning rates at which training is stable have learning_rate * curvature < 2,
    and those of the cases are far below: FEEDBACK covers it.

    SGD: errors e of the gradients, times learning_rate / (1 - momentum), add up. Nesterov is the
    same: 1 + momentum / (1 - momentum) = 1 / (1 - momentum).

    Adam: m_hat is a mean of gradients and sqrt(v_hat) a norm of them, each with an error of at most
    e. The quotient then has an error of (1 + |quotient|) e / (sqrt(v_hat) + eps). By Cauchy-Schwarz
    it is at most 1.2 over ten steps with the betas of the cases; so an element whose whole gradient
    is rounding noise has an error of at most 2.4, when its sign differs.

    NAdam: the same, for the latest gradient and for the mean, each times its factor; the first is
    (1 - beta2) / (1 - beta2^t) of v_hat.

    RMSprop: the same quotient without a correction. The latest gradient is (1 - alpha) of v, so the
    quotient is at most (1 - alpha)^-1/2. Momentum adds such errors up.

    Lion: the sign of a mean of gradients, whose error is at most the largest e so far. A mean
    closer to 0 than twice that may have the other sign, which is an error of 2.

    Every update rounds the parameter twice at most, each time by u |p| or less.
    """

    FEEDBACK = 2
    LARGEST_QUOTIENT = 1.2

    def __init__(self, parameters):
        self.bounds = [np.zeros_like(p) for p in parameters]
        self.of_m = {}  # of the mean of quotients or gradients, by tensor

    def add(self, optimizer, parameters, gradient_errors):
        """Call after optimizer.update (of the oracle) with the new parameters."""
        error_of_step = getattr(self, f"_{type(optimizer).__name__.lower()}")
        for i, (p, e) in enumerate(zip(parameters, gradient_errors, strict=True)):
            step = error_of_step(optimizer, i, e)
            self.bounds[i] += self.FEEDBACK * optimizer.learning_rate * step
            self.bounds[i] += 2 * UNIT_ROUNDOFF * np.abs(p)

    # For tensor i: the error of the subtracted term, without the learning rate.

    def _sgd(self, optimizer, i, e):
        return e / (1 - optimizer.momentum)

    def _adam(self, optimizer, i, e):
        v_hat = optimizer.v[i] / (1 - optimizer.beta2**optimizer.t)
        step = (1 + self.LARGEST_QUOTIENT) * e / (np.sqrt(v_hat) + optimizer.eps)
        return np.minimum(step, 2 * self.LARGEST_QUOTIENT)

    _adamw = _adam

    def _nadam(self, optimizer, i, e):
        v_hat = optimizer.v[i] / (1 - optimizer.beta2**optimizer.t)
        largest = np.sqrt((1 - optimizer.beta2**optimizer.t) / (1 - optimizer.beta2))
        weight = optimizer.of_g + optimizer.of_m * (1 - optimizer.beta1**optimizer.t)
        step = weight * (1 + largest) * e / (np.sqrt(v_hat) + optimizer.eps)
        return np.minimum(step, 2 * weight * largest)

    def _rmsprop(self, optimizer, i, e):
        largest = 1 / np.sqrt(1 - optimizer.alpha)
        step = (1 + largest) * e / (np.sqrt(optimizer.v[i]) + optimizer.eps)
        step = np.minimum(step, 2 * largest)
        self.of_m[i] = optimizer.momentum * self.of_m.get(i, 0) + step
        return self.of_m[i]

    def _lion(self, optimizer, i, e):
        e = self.of_m[i] = np.maximum(self.of_m.get(i, 0), e)
        return np.where(np.abs(optimizer.c[i]) <= self.FEEDBACK * e, 2.0, 0.0)

    def of_loss(self, gradients):
        """Return the error of the loss caused by that of the parameters: |gradient . error|,
        first order.
        """
        squares = [(g**2).sum() * (b**2).sum() for g, b in zip(gradients, self.bounds, strict=True)]
        return np.sqrt(squares).sum()
