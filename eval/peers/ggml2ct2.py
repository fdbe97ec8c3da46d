"""Writes English-only Whisper weights in ggml format as CTranslate2 reads them: the same numbers, for a fair comparison.

usage: ggml2ct2.py ggml-base.en.bin FOLDER
"""

import json
import os
import struct
import sys

import numpy as np
from ctranslate2.specs import common_spec, whisper_spec

# By layer and head: which cross-attention follows the words in base.en (used for word time stamps only).
ALIGNMENT = [(3, 3), (4, 7), (5, 1), (5, 5), (5, 7)]


def read(path):
    """Numbers of the header, tokens, tensors by name."""
    with open(path, "rb") as f:
        header = struct.unpack("<12i", f.read(48))
        mels, bins = struct.unpack("<2i", f.read(8))
        f.seek(mels * bins * 4, 1)
        (count,) = struct.unpack("<i", f.read(4))
        tokens = [f.read(struct.unpack("<i", f.read(4))[0]) for _ in range(count)]
        tensors = {}
        while len(head := f.read(12)) == 12:
            dims, length, kind = struct.unpack("<3i", head)
            shape = struct.unpack(f"<{dims}i", f.read(4 * dims))[::-1]
            name = f.read(length).decode()
            if kind not in (0, 1):
                sys.exit(f"{name} is quantised; take weights in f16")
            dtype = np.float32 if kind == 0 else np.float16
            data = np.frombuffer(f.read(int(np.prod(shape)) * dtype().itemsize), dtype).reshape(shape)
            tensors[name] = data.astype(np.float32)
    return header, tokens, tensors


def byte_letters():
    """How byte-level BPE writes each byte as a letter (GPT-2)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters, extra = {b: chr(b) for b in plain}, 0
    for b in range(256):
        if b not in letters:
            letters[b] = chr(256 + extra)
            extra += 1
    return letters


def merges(tokens):
    """The pairs that were joined, in their order: the last join of each token, from the ranks of its parts."""
    rank = {token: i for i, token in enumerate(tokens)}
    found = []
    for token in tokens:
        if len(token) < 2:
            continue
        parts = [token[i : i + 1] for i in range(len(token))]
        while len(parts) > 2:
            pairs = [(rank.get(parts[i] + parts[i + 1], 1 << 30), i) for i in range(len(parts) - 1)]
            best, at = min(p for p in pairs if p[0] < rank[token]) if any(p[0] < rank[token] for p in pairs) else (None, 0)
            if best is None:
                break
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        if len(parts) == 2:
            found.append((parts[0], parts[1]))
    return found


def tokenizer(tokens, size, folder):
    letters = byte_letters()
    spell = lambda token: "".join(letters[b] for b in token)
    names = ["<|endoftext|>", "<|startoftranscript|>"]
    # English-only weights keep the places of the 99 languages, though they know one.
    names += ["<|en|>"] + [f"<|language{i}|>" for i in range(1, 99)]
    names += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    words = [spell(t) for t in tokens[:50256]]
    all_words = words + names
    all_words += ["<|%.2f|>" % (i * 0.02) for i in range(size - len(all_words))]
    special = [
        {"id": len(words) + i, "content": n, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        for i, n in enumerate(names)
    ]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {
        "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "",
        "fuse_unk": False, "byte_fallback": False,
        "vocab": {w: i for i, w in enumerate(words)}, "merges": [f"{spell(a)} {spell(b)}" for a, b in merges(tokens[:50256])],
    }
    whole = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
        "pre_tokenizer": level, "post_processor": None, "decoder": level, "model": model,
    }
    with open(os.path.join(folder, "tokenizer.json"), "w") as f:
        json.dump(whole, f, ensure_ascii=False)
    return all_words


def main(source, folder):
    header, tokens, t = read(source)
    _, size, _, _, encoder_heads, encoder_layers, _, _, decoder_heads, decoder_layers, mels, _ = header
    if size != 51864:
        sys.exit(f"{source} has {size} tokens: not English-only Whisper")
    spec = whisper_spec.WhisperSpec(encoder_layers, encoder_heads, decoder_layers, decoder_heads)

    def linear(to, name, bias=True):
        to.weight = t[f"{name}.weight"]
        if bias:
            to.bias = t[f"{name}.bias"]

    def norm(to, name):
        to.gamma, to.beta = t[f"{name}.weight"], t[f"{name}.bias"]

    def joined(to, name, parts):
        to.weight = np.concatenate([t[f"{name}.{p}.weight"] for p in parts])
        width = t[f"{name}.{parts[0]}.weight"].shape[0]
        zero = np.zeros(width, np.float32)
        to.bias = np.concatenate([t.get(f"{name}.{p}.bias", zero) for p in parts])

    for side, place in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        place.position_encodings.encodings = t[f"{side}.positional_embedding"]
        norm(place.layer_norm, "encoder.ln_post" if side == "encoder" else "decoder.ln")
        for i, layer in enumerate(place.layer):
            name = f"{side}.blocks.{i}"
            norm(layer.self_attention.layer_norm, f"{name}.attn_ln")
            joined(layer.self_attention.linear[0], f"{name}.attn", ["query", "key", "value"])
            linear(layer.self_attention.linear[1], f"{name}.attn.out")
            if side == "decoder":
                norm(layer.attention.layer_norm, f"{name}.cross_attn_ln")
                linear(layer.attention.linear[0], f"{name}.cross_attn.query")
                joined(layer.attention.linear[1], f"{name}.cross_attn", ["key", "value"])
                linear(layer.attention.linear[2], f"{name}.cross_attn.out")
            norm(layer.ffn.layer_norm, f"{name}.mlp_ln")
            linear(layer.ffn.linear_0, f"{name}.mlp.0")
            linear(layer.ffn.linear_1, f"{name}.mlp.2")
    for conv in ("conv1", "conv2"):
        to = getattr(spec.encoder, conv)
        to.weight, to.bias = t[f"encoder.{conv}.weight"], t[f"encoder.{conv}.bias"].reshape(-1)
    spec.decoder.embeddings.weight = t["decoder.token_embedding.weight"]
    spec.decoder.projection.weight = t["decoder.token_embedding.weight"]

    os.makedirs(folder, exist_ok=True)
    spec.register_vocabulary(tokenizer(tokens, size, folder))
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [220, 50256]
    spec.config.lang_ids = [50258]
    spec.config.alignment_heads = ALIGNMENT
    spec.validate()
    spec.optimize(quantization="float32")
    spec.save(folder)
    assert mels == 80, mels


if __name__ == "__main__":
    main(*sys.argv[1:])
