// Makes the transactions that it reads (a JSON list on standard input) with npm's @stellar/stellar-sdk, and writes what
// came out. Run in the folder that has its node_modules.
const { createRequire } = require("node:module");
const { readFileSync } = require("node:fs");
const S = createRequire(process.cwd() + "/")("@stellar/stellar-sdk");

const asset = (words) => (words === "native" ? S.Asset.native() : new S.Asset(...words.split(":")));
const key = (hex) => S.Keypair.fromRawEd25519Seed(Buffer.from(hex, "hex"));

function memo({ kind, value }) {
  switch (kind) {
    case "id": return S.Memo.id(value);
    case "text": return S.Memo.text(value);
    case "hash": return S.Memo.hash(value);
    case "return": return S.Memo.return(value);
    default: return S.Memo.none();
  }
}

function operation(op) {
  if (op.send_max === undefined) {
    return S.Operation.payment({ destination: op.to, asset: asset(op.asset), amount: op.amount });
  }
  return S.Operation.pathPaymentStrictReceive({
    sendAsset: asset(op.send_asset),
    sendMax: op.send_max,
    destination: op.to,
    destAsset: asset(op.asset),
    destAmount: op.amount,
    path: op.path.map(asset),
  });
}

function made(c) {
  const signer = key(c.seed);
  // The builder counts one up itself.
  const account = new S.Account(signer.publicKey(), (BigInt(c.sequence) - 1n).toString());
  const builder = new S.TransactionBuilder(account, {
    fee: String(c.fee),
    networkPassphrase: c.network,
    timebounds: { minTime: c.min, maxTime: c.max },
  });
  c.operations.forEach((op) => builder.addOperation(operation(op)));
  const inner = builder.addMemo(memo(c.memo)).build();
  inner.sign(signer);
  const out = { address: signer.publicKey(), hash: inner.hash().toString("hex"), envelope: inner.toXDR() };
  if (c.bump === null) return out;
  const payer = key(c.bump.seed);
  const bump = S.TransactionBuilder.buildFeeBumpTransaction(payer, String(c.bump.fee), inner, c.network);
  bump.sign(payer);
  return { ...out, bump_hash: bump.hash().toString("hex"), bump_envelope: bump.toXDR() };
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(made)));
