"""A worker for test_bench_gpu.py: its tasks succeed, fail, die, hang, or print something else."""

import os
import sys
import time

from fastsnn.bench.gpu.runner import serve


def perform(task, request):
    word = task[0]
    if word == "fails":
        raise ValueError("a line\nand another")
    if word == "dies":
        sys.stderr.write("Segmentation\nfault")
        sys.stderr.flush()
        os._exit(11)
    if word == "hangs":
        time.sleep(60)
    if word == "talks":
        print("a library says something")
        print("{'no': json}")
    return {"task": word, "pid": os.getpid(), "seen": request["given"]}


if __name__ == "__main__":
    serve(perform)
