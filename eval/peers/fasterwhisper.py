"""faster-whisper: what it makes of files, and the time that it takes without loading.

usage: fasterwhisper.py FOLDER THREADS COMPUTE BEAM VAD FILE...   (COMPUTE: int8, float32; VAD: yes, no). Prints one line of JSON.
"""

import json
import os
import sys
import time
import wave

import numpy as np
from faster_whisper import WhisperModel

folder, threads, compute, beam, vad, *files = sys.argv[1:]
model = WhisperModel(folder, device="cpu", compute_type=compute, cpu_threads=int(threads), local_files_only=True)


def sound(path):
    with wave.open(path) as f:
        return np.frombuffer(f.readframes(f.getnframes()), np.int16).astype(np.float32) / 32768.0


def text(samples):
    segments, _ = model.transcribe(samples, language="en", beam_size=int(beam), vad_filter=vad == "yes")
    return " ".join(segment.text for segment in segments)


sounds = [sound(path) for path in files]
before, began = os.times(), time.monotonic()
texts = [text(s) for s in sounds]
after, wall = os.times(), time.monotonic() - began
cpu = after.user + after.system - before.user - before.system
print("RESULT " + json.dumps({"cpu": cpu, "wall": wall, "texts": texts}))
