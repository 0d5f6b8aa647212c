"""One system in a separate process: `python -m fastsnn.bench.worker`.

The request {"what": "step" | "predict" | "peak" | "read", "system", "case" or "cases", "optimizer",
"threads", "seconds", "least", "nbytes"} on stdin is answered by the times of each case, or by a
rate.
"""

from __future__ import annotations

from . import child, peak, systems, timing
from .case import Case


def main():
    request = child.request()
    threads = request["threads"]
    if request["what"] == "peak":
        return child.answer({"gflops": peak.peak_gflops(threads)})
    if request["what"] == "read":
        return child.answer({"gb_s": peak.read_gb_s(request["nbytes"], threads)})
    taken = {}
    for text in request["cases"]:
        case = Case.parse(text)
        if request["what"] == "step":
            call = systems.step(request["system"], case, request["optimizer"], threads)
        else:
            call = systems.prediction(request["system"], case, threads)
        taken[text] = timing.times(call, request["seconds"], request["least"])
    child.answer({"times": taken, "peak_memory_mib": child.peak_memory_mib()})


if __name__ == "__main__":
    main()
