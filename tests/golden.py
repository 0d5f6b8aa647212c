"""Ten losses of a small fixed network for each optimizer and each loss: PyTorch 2.13.0 in
float64.

The network is Dense(16) SELU Dense(16) SELU Dense(3) on 6 inputs and 20 rows; every step uses all
rows. Parameters and data are computed from integers by operations that IEEE 754 rounds correctly,
and are then rounded to float32: they are the same on every machine, to the bit.

To regenerate the literals: `recompute(name)` for every name of RUNS; requires torch.
"""

import numpy as np

N_ROWS = 20
SIZES = (6, 16, 16, 3)
STEPS = 10
CLASS_WEIGHT = np.float32([0.5, 1.0, 2.0])


def _run(optimizer, loss="softmax_cross_entropy", weighted=False, **arguments):
    return loss, weighted, optimizer, arguments


# name: loss, with class weights, optimizer, its arguments
RUNS = {
    "sgd": _run("SGD", learning_rate=0.1),
    "weight_decay": _run("SGD", learning_rate=0.1, weight_decay=0.05),
    "momentum": _run("SGD", learning_rate=0.03, momentum=0.9),
    "nesterov": _run("SGD", learning_rate=0.03, momentum=0.9, nesterov=True),
    "all_of_sgd": _run("SGD", learning_rate=0.05, momentum=0.8, nesterov=True, weight_decay=0.1),
    "adam": _run("Adam", learning_rate=0.01),
    "adam_betas": _run("Adam", learning_rate=0.02, beta1=0.8, beta2=0.95, eps=1e-3),
    "adam_l2": _run("Adam", learning_rate=0.01, weight_decay=0.1),
    "adamw": _run("AdamW", learning_rate=0.01, weight_decay=0.5),
    "nadam": _run("NAdam", learning_rate=0.005),
    "nadam_decay": _run("NAdam", learning_rate=0.01, weight_decay=0.1, momentum_decay=0.5),
    "rmsprop": _run("RMSprop", learning_rate=0.003),
    "rmsprop_momentum": _run("RMSprop", learning_rate=0.001, alpha=0.9, momentum=0.8),
    "class_weight": _run("SGD", weighted=True, learning_rate=0.1),
    "sigmoid": _run("SGD", "sigmoid_cross_entropy", learning_rate=0.3),
    "pos_weight": _run("SGD", "sigmoid_cross_entropy", True, learning_rate=0.3),
    "mse": _run("SGD", "mse", learning_rate=0.1),
}


def fixed_numbers(n, start):
    """Return n float32 numbers in (-1, 1) of mean about 0."""
    k = np.arange(start, start + n, dtype=np.int64)
    return ((k * 7919 + k * k * 104729) % 2003 - 1001).astype(np.float64) / 1002


def fixed_parameters():
    """Return [(w, b), ...] in float32; the variance of the weights is about 1 / K."""
    result = []
    for i, (K, N) in enumerate(zip(SIZES[:-1], SIZES[1:], strict=True)):
        w = fixed_numbers(N * K, 1000 * i + 1).reshape(N, K) * np.sqrt(3 / K)
        b = fixed_numbers(N, 1000 * i + 501) * 0.25
        result.append((w.astype(np.float32), b.astype(np.float32)))
    return result


def fixed_inputs():
    x = fixed_numbers(N_ROWS * SIZES[0], 5000) * np.sqrt(3)
    return x.reshape(N_ROWS, SIZES[0]).astype(np.float32)


def fixed_labels(loss):
    """Return classes, or targets with one of seven missing, or numbers."""
    k = np.arange(N_ROWS * SIZES[-1]).reshape(N_ROWS, -1)
    if loss == "softmax_cross_entropy":
        return (np.arange(N_ROWS) * 7 // 3) % SIZES[-1]
    if loss == "sigmoid_cross_entropy":
        return np.where(k % 7 == 3, np.nan, (k * k // 5) % 2).astype(np.float32)
    return fixed_numbers(k.size, 9000).reshape(k.shape).astype(np.float32)


def torch_loss(torch, loss, weight, reduction="mean"):
    """Return PyTorch's loss function of (outputs, labels); missing labels are masked out.

    reduction: that of losses of numbers.
    """
    name, _, parameter = loss.partition(":")
    if name == "softmax_cross_entropy":
        return torch.nn.CrossEntropyLoss(weight=weight, label_smoothing=float(parameter or 0))
    if name == "mse":
        return torch.nn.MSELoss(reduction=reduction)
    if name == "huber":
        return torch.nn.HuberLoss(delta=float(parameter or 1), reduction=reduction)
    if name == "quantile":
        q = float(parameter or 0.5)

        def pinball(z, t):
            each = torch.maximum(q * (t - z), (q - 1) * (t - z))
            return each.mean() if reduction == "mean" else each

        return pinball
    elementwise = torch.nn.BCEWithLogitsLoss(pos_weight=weight, reduction="none")

    def masked(z, t):
        labelled = ~torch.isnan(t)
        return elementwise(z, torch.nan_to_num(t))[labelled].sum() / labelled.sum()

    return masked


def torch_optimizer(torch, parameters, name, arguments):
    """Return PyTorch's optimizer for this project's argument names; a line here where names
    differ.
    """
    arguments = dict(arguments)
    if "learning_rate" in arguments:
        arguments["lr"] = arguments.pop("learning_rate")
    if "beta1" in arguments:
        arguments["betas"] = (arguments.pop("beta1"), arguments.pop("beta2"))
    return getattr(torch.optim, name)(parameters, **arguments)


def recompute(name):
    """Return the ten losses before each update, by PyTorch in float64."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # NAdam keeps its product of mu in this type
    try:
        return _recompute(torch, name)
    finally:
        torch.set_default_dtype(before)


def _recompute(torch, name):
    loss, weighted, optimizer, arguments = RUNS[name]
    layers = []
    for w, b in fixed_parameters():
        layer = torch.nn.Linear(w.shape[1], w.shape[0], dtype=torch.float64)
        layer.load_state_dict({"weight": torch.from_numpy(w), "bias": torch.from_numpy(b)})
        layers += [layer, torch.nn.SELU()]
    model = torch.nn.Sequential(*layers[:-1])
    weight = torch.from_numpy(CLASS_WEIGHT).double() if weighted else None
    loss_of = torch_loss(torch, loss, weight)
    step = torch_optimizer(torch, model.parameters(), optimizer, arguments)
    x = torch.from_numpy(fixed_inputs()).double()
    y = torch.from_numpy(fixed_labels(loss))
    y = y.double() if y.is_floating_point() else y
    losses = []
    for _ in range(STEPS):
        step.zero_grad()
        value = loss_of(model(x), y)
        value.backward()
        step.step()
        losses.append(value.item())
    return losses


# fmt: off
LOSSES = {
    "sgd": (
        1.658682895214008, 1.3130141838640979, 1.1092786691695835, 0.9887638463289949,
        0.910404404936183, 0.8539672931525747, 0.8103238759842231, 0.7749918254022015,
        0.7450052439669064, 0.7178803684498535,
    ),
    "weight_decay": (
        1.658682895214008, 1.3068121826251802, 1.105219391610563, 0.9882563867718867,
        0.9132167804983385, 0.8598709575031313, 0.8191185182392389, 0.786240626455038,
        0.7591409938676145, 0.7346268065774894,
    ),
    "momentum": (
        1.658682895214008, 1.5450928776497537, 1.3583842550761465, 1.1560650054141175,
        0.9881768335813879, 0.8731578230979984, 0.8009088092697298, 0.7546157837618072,
        0.7221855548127929, 0.6938652337300094,
    ),
    "nesterov": (
        1.658682895214008, 1.4500652427289675, 1.2226100038920618, 1.0349431214146845,
        0.9034854224075103, 0.8173718428848462, 0.7582072568433886, 0.7153611586566144,
        0.6807968613713177, 0.6494574479837933,
    ),
    "all_of_sgd": (
        1.658682895214008, 1.3312896185556329, 1.0676844521069595, 0.9095827395822752,
        0.8188622151094421, 0.7611883957138642, 0.7212599802610332, 0.6905806706805612,
        0.6650641089037588, 0.6443887564928965,
    ),
    "adam": (
        1.658682895214008, 1.390431424747531, 1.1808598328148798, 1.0269257902268465,
        0.9188493303442516, 0.8430361702478375, 0.7860216165956706, 0.7373531062342668,
        0.6955399082742938, 0.6594151806329606,
    ),
    "adam_betas": (
        1.658682895214008, 1.1876186747157607, 0.9304095211231868, 0.8013138121010387,
        0.7128413804741784, 0.6448366074510277, 0.595445957198896, 0.5556797154392205,
        0.5196309164868265, 0.4860557436137361,
    ),
    "adam_l2": (
        1.658682895214008, 1.4082089587599882, 1.2128154117454701, 1.0644457937516827,
        0.9557185888307966, 0.8785195070007745, 0.8208144224238654, 0.7771651161883907,
        0.7434946914972791, 0.71633410835041,
    ),
    "adamw": (
        1.658682895214008, 1.3832371783955946, 1.1725094746882276, 1.0205593499134977,
        0.9156756210773143, 0.8427881250086514, 0.7885973511283961, 0.7429065831760882,
        0.7041720138728207, 0.6709764518007154,
    ),
    "nadam": (
        1.658682895214009, 1.5103420421297795, 1.413213888692315, 1.3298724163382416,
        1.2553591362291736, 1.186515760057255, 1.123931506210824, 1.06716917645767,
        1.0149679450418128, 0.9671698011741053,
    ),
    "nadam_decay": (
        1.658682895214009, 1.3946976015480486, 1.2505523347631855, 1.1432147855768133,
        1.0561411170077508, 0.9850611286763511, 0.9263664388398227, 0.8763863954456568,
        0.834699334273785, 0.7975300424042229,
    ),
    "rmsprop": (
        1.658682895214009, 1.0332250691908995, 0.8526442866422144, 0.754104130399885,
        0.6852969931627297, 0.6344965138206248, 0.5948547252544013, 0.5616419548371379,
        0.534275102439198, 0.5087904988520192,
    ),
    "rmsprop_momentum": (
        1.658682895214009, 1.568090170335815, 1.4413754219307326, 1.307871697389403,
        1.1847821345668956, 1.0787855218428128, 0.9918420618799877, 0.922783836266649,
        0.8671320276960669, 0.8214463029465776,
    ),
    "class_weight": (
        1.643385240456779, 1.258218328216746, 1.052039187940595, 0.9361323368514008,
        0.8624834941342228, 0.8119729282604485, 0.7722502059720605, 0.7404871269494105,
        0.7134671445409605, 0.69040689386665,
    ),
    "sigmoid": (
        0.8560998728567079, 0.7419918850206517, 0.6718820421360822, 0.6306087172715522,
        0.6026743344411588, 0.5831868604882156, 0.5695354720093208, 0.5588484795878153,
        0.5503740293641224, 0.5434700935545373,
    ),
    "pos_weight": (
        0.9928908867191404, 0.8260962058105064, 0.7340721276979534, 0.6786299708116068,
        0.6412962723530337, 0.615964999406387, 0.5968817119591311, 0.5819114762089815,
        0.5695954334667057, 0.5592157298744919,
    ),
    "mse": (
        1.5984149754968757, 0.5824264120862421, 0.3809753815320592, 0.3048158926256121,
        0.26779650635639113, 0.24594632613429793, 0.23149554690444846, 0.22097533911685266,
        0.2126470078661109, 0.20572595057607684,
    ),
}
# fmt: on
