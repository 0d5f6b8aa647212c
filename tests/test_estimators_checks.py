"""scikit-learn's own checks of an estimator: all of them pass, for both estimators, with one and
with several members.
"""

import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install '.[sklearn]'")

from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from fastsnn.estimators import SNNClassifier, SNNRegressor  # noqa: E402

# Small, because a check trains up to ten networks; all other parameters are the defaults.
SMALL = {"layers": 2, "width": 16, "max_iter": 20, "n_jobs": 1}
MEMBERS = {**SMALL, "n_members": 3, "n_jobs": 2, "max_iter": 40}
CHECKS = parametrize_with_checks([
    kind(**options) for kind in (SNNClassifier, SNNRegressor)
    for options in (SMALL, MEMBERS, MEMBERS | {"members": "folds"})
])  # fmt: skip


# Before version 1.7 the checks are a generator, which pytest 9 refuses.
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), ids=CHECKS.kwargs["ids"])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)
