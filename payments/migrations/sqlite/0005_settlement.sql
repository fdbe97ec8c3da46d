-- Payments on Stellar, out and in, and settlement between operators. What was signed is written once and never changed. Amounts
-- in stroops unless msat is said; times in milliseconds since 1970 unless seconds are said. Unsigned 64-bit numbers (memo,
-- reference) are stored as the signed number of the same bits.
CREATE TABLE stellar_orders (
    id          BLOB PRIMARY KEY CHECK (length(id) = 16),
    -- Only this key signs it, and only for this network.
    account     BLOB NOT NULL CHECK (length(account) = 32),
    network     BLOB NOT NULL CHECK (length(network) = 32),
    destination TEXT NOT NULL,
    asset       TEXT NOT NULL,
    amount      INTEGER NOT NULL CHECK (amount > 0),
    memo        INTEGER,
    -- A path payment: what is sent, at most so much, through these (divided by spaces).
    send_asset  TEXT,
    send_max    INTEGER CHECK (send_max > 0),
    path        TEXT,
    at          INTEGER NOT NULL,
    -- Counts the changes: who has read an older one writes nothing.
    version     INTEGER NOT NULL DEFAULT 0,
    -- Null: not over. 1 paid, 2 failed in a ledger, 3 nothing of it can be applied.
    outcome     INTEGER CHECK (outcome BETWEEN 1 AND 3),
    hash        BLOB CHECK (length(hash) = 32),
    ledger      INTEGER,
    why         TEXT,
    ended       INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX stellar_orders_open ON stellar_orders (account, at, id) WHERE outcome IS NULL;

CREATE TABLE stellar_attempts (
    order_id BLOB NOT NULL REFERENCES stellar_orders (id),
    number   INTEGER NOT NULL CHECK (number > 0),
    account  BLOB NOT NULL CHECK (length(account) = 32),
    sequence INTEGER NOT NULL CHECK (sequence > 0),
    -- In seconds, by the network's clock.
    max_time INTEGER NOT NULL CHECK (max_time > 0),
    since    INTEGER NOT NULL,
    rate     INTEGER NOT NULL,
    hash     BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    envelope BLOB NOT NULL,
    at       INTEGER NOT NULL,
    -- Null: it may be applied. 1 it never can be, 2 its order is over.
    fate     INTEGER CHECK (fate IN (1, 2)),
    PRIMARY KEY (order_id, number)
) STRICT, WITHOUT ROWID;
-- One transaction of an account in the air, whoever signs: two would take the same sequence number.
CREATE UNIQUE INDEX stellar_one_in_the_air ON stellar_attempts (account) WHERE fate IS NULL;

CREATE TABLE stellar_bumps (
    order_id BLOB NOT NULL,
    number   INTEGER NOT NULL,
    place    INTEGER NOT NULL CHECK (place > 0),
    rate     INTEGER NOT NULL,
    hash     BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    envelope BLOB NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (order_id, number, place),
    FOREIGN KEY (order_id, number) REFERENCES stellar_attempts (order_id, number)
) STRICT, WITHOUT ROWID;

-- How far the network's ledgers are read for what comes to an account.
CREATE TABLE stellar_readers (
    account BLOB PRIMARY KEY CHECK (length(account) = 32),
    -- Null: begin with the ledger behind `ledger`.
    cursor  TEXT,
    -- Read up to and with this one.
    ledger  INTEGER NOT NULL,
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE stellar_arrivals (
    tx        BLOB NOT NULL CHECK (length(tx) = 32),
    operation INTEGER NOT NULL CHECK (operation >= 0),
    account   BLOB NOT NULL CHECK (length(account) = 32),
    ledger    INTEGER NOT NULL,
    sender    BLOB NOT NULL CHECK (length(sender) = 32),
    -- Null: an asset whose code no wallet would show.
    asset     TEXT,
    amount    INTEGER NOT NULL CHECK (amount > 0),
    reference INTEGER,
    -- The account of the ledger to which it goes, and what it is worth in msat. Null: not money that we take.
    credit    BLOB CHECK (length(credit) = 16),
    worth     INTEGER CHECK (worth > 0),
    at        INTEGER NOT NULL,
    -- When the ledger had it; null: it is still to be booked, if it is worth anything.
    booked    INTEGER,
    -- Came under a number that was not known yet, and was found later to be this account's. When the ledger had that.
    claim     BLOB CHECK (length(claim) = 16),
    claimed   INTEGER,
    PRIMARY KEY (tx, operation)
) STRICT, WITHOUT ROWID;
CREATE INDEX stellar_arrivals_unbooked ON stellar_arrivals (account) WHERE booked IS NULL AND worth IS NOT NULL;
CREATE INDEX stellar_arrivals_by_reference ON stellar_arrivals (account, reference) WHERE worth IS NOT NULL;

-- Transactions that could not be read: people look whether they brought anything.
CREATE TABLE stellar_unread (
    tx      BLOB PRIMARY KEY CHECK (length(tx) = 32),
    account BLOB NOT NULL,
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE settlement_windows (
    partner   BLOB NOT NULL CHECK (length(partner) = 32),
    number    INTEGER NOT NULL CHECK (number > 0),
    -- What we claim: signed once, so never another.
    ours      BLOB NOT NULL,
    at        INTEGER NOT NULL,
    -- What both have signed; null: not yet.
    agreed    BLOB,
    by_a      BLOB CHECK (length(by_a) = 64),
    by_b      BLOB CHECK (length(by_b) = 64),
    -- By which a payment for it is known: from the hash of what is agreed.
    reference INTEGER,
    -- When the ledger had it.
    booked    INTEGER,
    -- The payment that we make for it, and when it was paid, by us or by them.
    payment   BLOB CHECK (length(payment) = 16),
    paid      INTEGER,
    PRIMARY KEY (partner, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX settlement_windows_open ON settlement_windows (partner, number) WHERE paid IS NULL;
CREATE INDEX settlement_windows_by_reference ON settlement_windows (reference) WHERE reference IS NOT NULL;

-- What the partner has sent, signed, each statement once.
CREATE TABLE settlement_messages (
    partner   BLOB NOT NULL,
    number    INTEGER NOT NULL,
    place     INTEGER NOT NULL CHECK (place > 0),
    hash      BLOB NOT NULL CHECK (length(hash) = 32),
    statement BLOB NOT NULL,
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    at        INTEGER NOT NULL,
    PRIMARY KEY (partner, number, place),
    UNIQUE (partner, number, hash),
    FOREIGN KEY (partner, number) REFERENCES settlement_windows (partner, number)
) STRICT, WITHOUT ROWID;

-- Payments that we make for some windows, one after the other. The id is the order's.
CREATE TABLE settlement_payments (
    id           BLOB PRIMARY KEY CHECK (length(id) = 16),
    partner      BLOB NOT NULL CHECK (length(partner) = 32),
    first_window INTEGER NOT NULL,
    last_window  INTEGER NOT NULL,
    -- How often these windows were tried to be paid, this one counted in.
    try          INTEGER NOT NULL CHECK (try > 0),
    amount_msat  INTEGER NOT NULL CHECK (amount_msat > 0),
    stroops      INTEGER NOT NULL CHECK (stroops > 0),
    asset        TEXT NOT NULL,
    reference    INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    -- Null: under way. 1 paid, 2 not paid and people must look, 3 not paid and let go to be tried again.
    outcome      INTEGER CHECK (outcome BETWEEN 1 AND 3),
    why          TEXT
) STRICT, WITHOUT ROWID;
-- One at a time with each partner.
CREATE UNIQUE INDEX settlement_one_payment ON settlement_payments (partner) WHERE outcome IS NULL OR outcome = 2;

CREATE TRIGGER stellar_orders_remain BEFORE DELETE ON stellar_orders
    BEGIN SELECT RAISE(ABORT, 'an order is never deleted'); END;
CREATE TRIGGER stellar_orders_end_once BEFORE UPDATE ON stellar_orders WHEN OLD.outcome IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'an order ends once'); END;
CREATE TRIGGER stellar_attempts_remain BEFORE DELETE ON stellar_attempts
    BEGIN SELECT RAISE(ABORT, 'what was signed is never deleted'); END;
CREATE TRIGGER stellar_attempts_stay BEFORE UPDATE ON stellar_attempts
    WHEN OLD.fate IS NOT NULL OR NEW.envelope <> OLD.envelope OR NEW.hash <> OLD.hash OR NEW.max_time <> OLD.max_time
        OR NEW.since <> OLD.since
    BEGIN SELECT RAISE(ABORT, 'what was signed is never changed'); END;
CREATE TRIGGER stellar_bumps_remain BEFORE DELETE ON stellar_bumps
    BEGIN SELECT RAISE(ABORT, 'what was signed is never deleted'); END;
CREATE TRIGGER stellar_bumps_stay BEFORE UPDATE ON stellar_bumps
    BEGIN SELECT RAISE(ABORT, 'what was signed is never changed'); END;
CREATE TRIGGER stellar_arrivals_remain BEFORE DELETE ON stellar_arrivals
    BEGIN SELECT RAISE(ABORT, 'an arrival is never deleted'); END;
CREATE TRIGGER settlement_windows_remain BEFORE DELETE ON settlement_windows
    BEGIN SELECT RAISE(ABORT, 'a window is never deleted'); END;
CREATE TRIGGER settlement_windows_stay BEFORE UPDATE ON settlement_windows
    WHEN NEW.ours <> OLD.ours OR (OLD.agreed IS NOT NULL AND (NEW.agreed IS NULL OR NEW.agreed <> OLD.agreed))
        OR (OLD.paid IS NOT NULL AND NEW.paid IS NOT OLD.paid)
    BEGIN SELECT RAISE(ABORT, 'what was signed, agreed or paid is never changed'); END;
CREATE TRIGGER settlement_messages_stay BEFORE UPDATE ON settlement_messages
    BEGIN SELECT RAISE(ABORT, 'what was signed is never changed'); END;
CREATE TRIGGER settlement_messages_remain BEFORE DELETE ON settlement_messages
    BEGIN SELECT RAISE(ABORT, 'what was signed is never deleted'); END;
CREATE TRIGGER settlement_payments_remain BEFORE DELETE ON settlement_payments
    BEGIN SELECT RAISE(ABORT, 'a payment is never deleted'); END;
CREATE TRIGGER settlement_payments_end BEFORE UPDATE ON settlement_payments WHEN OLD.outcome IN (1, 3)
    BEGIN SELECT RAISE(ABORT, 'a payment ends once'); END;
