"""Makes the transactions that it reads (a JSON list on standard input) with PyPI's stellar-sdk, and writes what came out."""

import json
import sys

from stellar_sdk import Account, Asset, Keypair, TransactionBuilder


def asset(words):
    return Asset.native() if words == "native" else Asset(*words.split(":"))


def made(case):
    key = Keypair.from_raw_ed25519_seed(bytes.fromhex(case["seed"]))
    # The builder counts one up itself.
    account = Account(key.public_key, int(case["sequence"]) - 1)
    builder = TransactionBuilder(account, case["network"], base_fee=case["fee"])
    builder.add_time_bounds(case["min"], case["max"])
    for op in case["operations"]:
        to, what, amount = op["to"], asset(op["asset"]), op["amount"]
        if "send_max" in op:
            path = [asset(words) for words in op["path"]]
            builder.append_path_payment_strict_receive_op(
                to, asset(op["send_asset"]), op["send_max"], what, amount, path
            )
        else:
            builder.append_payment_op(to, what, amount)
    memo = case["memo"]
    if memo["kind"] == "id":
        builder.add_id_memo(int(memo["value"]))
    elif memo["kind"] == "text":
        builder.add_text_memo(memo["value"])
    elif memo["kind"] == "hash":
        builder.add_hash_memo(memo["value"])
    elif memo["kind"] == "return":
        builder.add_return_hash_memo(memo["value"])
    inner = builder.build()
    inner.sign(key)
    out = {"address": key.public_key, "hash": inner.hash_hex(), "envelope": inner.to_xdr()}
    if case["bump"] is not None:
        payer = Keypair.from_raw_ed25519_seed(bytes.fromhex(case["bump"]["seed"]))
        bump = TransactionBuilder.build_fee_bump_transaction(payer, case["bump"]["fee"], inner, case["network"])
        bump.sign(payer)
        out |= {"bump_hash": bump.hash_hex(), "bump_envelope": bump.to_xdr()}
    return out


json.dump([made(case) for case in json.load(sys.stdin)], sys.stdout)
