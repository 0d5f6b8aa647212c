"""pytest plugin that writes the names of kernels of the CUDA backend that no test has launched, as
JSON, to the file named by the environment variable FASTSNN_NOT_LAUNCHED.
"""

import json
import os
from pathlib import Path

import cuda_kernels

_launched, _every = set(), set()


def pytest_configure(config):
    from fastsnn.kernels.cuda import code

    _every.update(cuda_kernels.every_kernel())
    bound = code.Kernel.bound

    def noted(self, *arguments):
        _launched.add(self.name)
        return bound(self, *arguments)

    code.Kernel.bound = noted


def pytest_sessionfinish(session):
    path = Path(os.environ["FASTSNN_NOT_LAUNCHED"])
    path.write_text(json.dumps(sorted(_every - _launched)))
