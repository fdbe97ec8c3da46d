"""whisper.cpp by its Python wheel: what it makes of files, and the time that it takes without loading.

usage: whispercpp.py WEIGHTS THREADS STRATEGY FILE...   (STRATEGY: greedy, beam). Prints one line of JSON.
"""

import json
import os
import sys
import time
import wave

import numpy as np
from pywhispercpp.model import Model

weights, threads, strategy, *files = sys.argv[1:]
beam = strategy == "beam"
more = {"beam_search": {"beam_size": 5, "patience": -1.0}} if beam else {}
model = Model(
    weights,
    params_sampling_strategy=1 if beam else 0,
    redirect_whispercpp_logs_to=None,
    n_threads=int(threads),
    language="en",
    print_progress=False,
    print_realtime=False,
    **more,
)


def sound(path):
    with wave.open(path) as f:
        return np.frombuffer(f.readframes(f.getnframes()), np.int16).astype(np.float32) / 32768.0


sounds = [sound(path) for path in files]
before, began = os.times(), time.monotonic()
texts = [" ".join(segment.text for segment in model.transcribe(s)) for s in sounds]
after, wall = os.times(), time.monotonic() - began
cpu = after.user + after.system - before.user - before.system
print("RESULT " + json.dumps({"cpu": cpu, "wall": wall, "texts": texts}))
