-- Payments on Stellar, out and in, and settlement between operators. What was signed is written once and never changed. Amounts
-- in stroops unless msat is said; times in milliseconds since 1970 unless seconds are said. Unsigned 64-bit numbers (memo,
-- reference) are stored as the signed number of the same bits.
CREATE TABLE stellar_orders (
    id          BYTEA PRIMARY KEY CHECK (length(id) = 16),
    -- Only this key signs it, and only for this network.
    account     BYTEA NOT NULL CHECK (length(account) = 32),
    network     BYTEA NOT NULL CHECK (length(network) = 32),
    destination TEXT NOT NULL,
    asset       TEXT NOT NULL,
    amount      BIGINT NOT NULL CHECK (amount > 0),
    memo        BIGINT,
    -- A path payment: what is sent, at most so much, through these (divided by spaces).
    send_asset  TEXT,
    send_max    BIGINT CHECK (send_max > 0),
    path        TEXT,
    at          BIGINT NOT NULL,
    -- Counts the changes: who has read an older one writes nothing.
    version     BIGINT NOT NULL DEFAULT 0,
    -- Null: not over. 1 paid, 2 failed in a ledger, 3 nothing of it can be applied.
    outcome     BIGINT CHECK (outcome BETWEEN 1 AND 3),
    hash        BYTEA CHECK (length(hash) = 32),
    ledger      BIGINT,
    why         TEXT,
    ended       BIGINT
);
CREATE INDEX stellar_orders_open ON stellar_orders (account, at, id) WHERE outcome IS NULL;

CREATE TABLE stellar_attempts (
    order_id BYTEA NOT NULL REFERENCES stellar_orders (id),
    number   BIGINT NOT NULL CHECK (number > 0),
    account  BYTEA NOT NULL CHECK (length(account) = 32),
    sequence BIGINT NOT NULL CHECK (sequence > 0),
    -- In seconds, by the network's clock.
    max_time BIGINT NOT NULL CHECK (max_time > 0),
    since    BIGINT NOT NULL,
    rate     BIGINT NOT NULL,
    hash     BYTEA NOT NULL UNIQUE CHECK (length(hash) = 32),
    envelope BYTEA NOT NULL,
    at       BIGINT NOT NULL,
    -- Null: it may be applied. 1 it never can be, 2 its order is over.
    fate     BIGINT CHECK (fate IN (1, 2)),
    PRIMARY KEY (order_id, number)
);
-- One transaction of an account in the air, whoever signs: two would take the same sequence number.
CREATE UNIQUE INDEX stellar_one_in_the_air ON stellar_attempts (account) WHERE fate IS NULL;

CREATE TABLE stellar_bumps (
    order_id BYTEA NOT NULL,
    number   BIGINT NOT NULL,
    place    BIGINT NOT NULL CHECK (place > 0),
    rate     BIGINT NOT NULL,
    hash     BYTEA NOT NULL UNIQUE CHECK (length(hash) = 32),
    envelope BYTEA NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (order_id, number, place),
    FOREIGN KEY (order_id, number) REFERENCES stellar_attempts (order_id, number)
);

-- How far the network's ledgers are read for what comes to an account.
CREATE TABLE stellar_readers (
    account BYTEA PRIMARY KEY CHECK (length(account) = 32),
    -- Null: begin with the ledger behind `ledger`.
    cursor  TEXT,
    -- Read up to and with this one.
    ledger  BIGINT NOT NULL,
    at      BIGINT NOT NULL
);

CREATE TABLE stellar_arrivals (
    tx        BYTEA NOT NULL CHECK (length(tx) = 32),
    operation BIGINT NOT NULL CHECK (operation >= 0),
    account   BYTEA NOT NULL CHECK (length(account) = 32),
    ledger    BIGINT NOT NULL,
    sender    BYTEA NOT NULL CHECK (length(sender) = 32),
    -- Null: an asset whose code no wallet would show.
    asset     TEXT,
    amount    BIGINT NOT NULL CHECK (amount > 0),
    reference BIGINT,
    -- The account of the ledger to which it goes, and what it is worth in msat. Null: not money that we take.
    credit    BYTEA CHECK (length(credit) = 16),
    worth     BIGINT CHECK (worth > 0),
    at        BIGINT NOT NULL,
    -- When the ledger had it; null: it is still to be booked, if it is worth anything.
    booked    BIGINT,
    -- Came under a number that was not known yet, and was found later to be this account's. When the ledger had that.
    claim     BYTEA CHECK (length(claim) = 16),
    claimed   BIGINT,
    PRIMARY KEY (tx, operation)
);
CREATE INDEX stellar_arrivals_unbooked ON stellar_arrivals (account) WHERE booked IS NULL AND worth IS NOT NULL;
CREATE INDEX stellar_arrivals_by_reference ON stellar_arrivals (account, reference) WHERE worth IS NOT NULL;

-- Transactions that could not be read: people look whether they brought anything.
CREATE TABLE stellar_unread (
    tx      BYTEA PRIMARY KEY CHECK (length(tx) = 32),
    account BYTEA NOT NULL,
    at      BIGINT NOT NULL
);

CREATE TABLE settlement_windows (
    partner   BYTEA NOT NULL CHECK (length(partner) = 32),
    number    BIGINT NOT NULL CHECK (number > 0),
    -- What we claim: signed once, so never another.
    ours      BYTEA NOT NULL,
    at        BIGINT NOT NULL,
    -- What both have signed; null: not yet.
    agreed    BYTEA,
    by_a      BYTEA CHECK (length(by_a) = 64),
    by_b      BYTEA CHECK (length(by_b) = 64),
    -- By which a payment for it is known: from the hash of what is agreed.
    reference BIGINT,
    -- When the ledger had it.
    booked    BIGINT,
    -- The payment that we make for it, and when it was paid, by us or by them.
    payment   BYTEA CHECK (length(payment) = 16),
    paid      BIGINT,
    PRIMARY KEY (partner, number)
);
CREATE INDEX settlement_windows_open ON settlement_windows (partner, number) WHERE paid IS NULL;
CREATE INDEX settlement_windows_by_reference ON settlement_windows (reference) WHERE reference IS NOT NULL;

-- What the partner has sent, signed, each statement once.
CREATE TABLE settlement_messages (
    partner   BYTEA NOT NULL,
    number    BIGINT NOT NULL,
    place     BIGINT NOT NULL CHECK (place > 0),
    hash      BYTEA NOT NULL CHECK (length(hash) = 32),
    statement BYTEA NOT NULL,
    signature BYTEA NOT NULL CHECK (length(signature) = 64),
    at        BIGINT NOT NULL,
    PRIMARY KEY (partner, number, place),
    UNIQUE (partner, number, hash),
    FOREIGN KEY (partner, number) REFERENCES settlement_windows (partner, number)
);

-- Payments that we make for some windows, one after the other. The id is the order's.
CREATE TABLE settlement_payments (
    id           BYTEA PRIMARY KEY CHECK (length(id) = 16),
    partner      BYTEA NOT NULL CHECK (length(partner) = 32),
    first_window BIGINT NOT NULL,
    last_window  BIGINT NOT NULL,
    -- How often these windows were tried to be paid, this one counted in.
    try          BIGINT NOT NULL CHECK (try > 0),
    amount_msat  BIGINT NOT NULL CHECK (amount_msat > 0),
    stroops      BIGINT NOT NULL CHECK (stroops > 0),
    asset        TEXT NOT NULL,
    reference    BIGINT NOT NULL,
    at           BIGINT NOT NULL,
    -- Null: under way. 1 paid, 2 not paid and people must look, 3 not paid and let go to be tried again.
    outcome      BIGINT CHECK (outcome BETWEEN 1 AND 3),
    why          TEXT
);
-- One at a time with each partner.
CREATE UNIQUE INDEX settlement_one_payment ON settlement_payments (partner) WHERE outcome IS NULL OR outcome = 2;

CREATE FUNCTION settlement_refuses() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'what was signed, agreed, paid or ended in % is never changed or deleted', TG_TABLE_NAME; END $$;
CREATE TRIGGER stellar_orders_remain BEFORE DELETE ON stellar_orders FOR EACH ROW EXECUTE FUNCTION settlement_refuses();
CREATE TRIGGER stellar_attempts_remain BEFORE DELETE ON stellar_attempts FOR EACH ROW EXECUTE FUNCTION settlement_refuses();
CREATE TRIGGER stellar_bumps_remain BEFORE DELETE ON stellar_bumps FOR EACH ROW EXECUTE FUNCTION settlement_refuses();
CREATE TRIGGER stellar_arrivals_remain BEFORE DELETE ON stellar_arrivals FOR EACH ROW EXECUTE FUNCTION settlement_refuses();
CREATE TRIGGER settlement_windows_remain BEFORE DELETE ON settlement_windows FOR EACH ROW EXECUTE FUNCTION settlement_refuses();
CREATE TRIGGER settlement_messages_remain BEFORE DELETE ON settlement_messages FOR EACH ROW EXECUTE FUNCTION settlement_refuses();
CREATE TRIGGER settlement_payments_remain BEFORE DELETE ON settlement_payments FOR EACH ROW EXECUTE FUNCTION settlement_refuses();
CREATE TRIGGER stellar_orders_end_once BEFORE UPDATE ON stellar_orders FOR EACH ROW
    WHEN (OLD.outcome IS NOT NULL)
    EXECUTE FUNCTION settlement_refuses();
CREATE TRIGGER stellar_attempts_stay BEFORE UPDATE ON stellar_attempts FOR EACH ROW
    WHEN (OLD.fate IS NOT NULL OR NEW.envelope <> OLD.envelope OR NEW.hash <> OLD.hash OR NEW.max_time <> OLD.max_time
        OR NEW.since <> OLD.since)
    EXECUTE FUNCTION settlement_refuses();
CREATE TRIGGER stellar_bumps_stay BEFORE UPDATE ON stellar_bumps FOR EACH ROW EXECUTE FUNCTION settlement_refuses();
CREATE TRIGGER settlement_windows_stay BEFORE UPDATE ON settlement_windows FOR EACH ROW
    WHEN (NEW.ours <> OLD.ours OR (OLD.agreed IS NOT NULL AND NEW.agreed IS DISTINCT FROM OLD.agreed)
        OR (OLD.paid IS NOT NULL AND NEW.paid IS DISTINCT FROM OLD.paid))
    EXECUTE FUNCTION settlement_refuses();
CREATE TRIGGER settlement_messages_stay BEFORE UPDATE ON settlement_messages FOR EACH ROW EXECUTE FUNCTION settlement_refuses();
CREATE TRIGGER settlement_payments_end BEFORE UPDATE ON settlement_payments FOR EACH ROW
    WHEN (OLD.outcome IN (1, 3))
    EXECUTE FUNCTION settlement_refuses();
