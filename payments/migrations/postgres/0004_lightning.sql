-- Top-ups and payouts by Lightning. Amounts in msat; times in milliseconds since 1970; a node's cursor is its own count.
-- An invoice of ours, written before the node is asked for it.
CREATE TABLE lightning_top_ups (
    id          BYTEA PRIMARY KEY CHECK (length(id) = 16),
    account     BYTEA NOT NULL CHECK (length(account) = 16),
    amount      BIGINT NOT NULL CHECK (amount > 0),
    description TEXT NOT NULL,
    -- In seconds.
    expiry      BIGINT NOT NULL CHECK (expiry > 0),
    at          BIGINT NOT NULL,
    -- What the node made of it; null: it has not been asked, or its answer was lost. It gives the same again.
    hash        BYTEA UNIQUE CHECK (length(hash) = 32),
    invoice     TEXT
);
CREATE INDEX lightning_top_ups_of ON lightning_top_ups (account, at);

-- How far a node's settlements are read.
CREATE TABLE lightning_cursors (
    node   BYTEA PRIMARY KEY CHECK (length(node) = 33),
    cursor BIGINT NOT NULL CHECK (cursor >= 0)
);

-- What came in for an invoice of ours: written with the cursor, booked afterwards.
CREATE TABLE lightning_arrivals (
    hash   BYTEA NOT NULL REFERENCES lightning_top_ups (hash),
    -- 1: another customer of ours has paid it, without the network.
    inside BIGINT NOT NULL CHECK (inside IN (0, 1)),
    amount BIGINT NOT NULL CHECK (amount > 0),
    at     BIGINT NOT NULL,
    -- When the ledger had it. Where it went: 1 to the customer, 2 to suspense.
    booked BIGINT,
    went   BIGINT CHECK (went IN (1, 2)),
    -- When it was told.
    told   BIGINT,
    PRIMARY KEY (hash, inside)
);
CREATE INDEX lightning_arrivals_open ON lightning_arrivals (at) WHERE booked IS NULL OR told IS NULL;

CREATE TABLE lightning_payouts (
    id       BYTEA PRIMARY KEY CHECK (length(id) = 16),
    account  BYTEA NOT NULL CHECK (length(account) = 16),
    target   TEXT NOT NULL,
    -- Null: an offer.
    hash     BYTEA CHECK (length(hash) = 32),
    amount   BIGINT NOT NULL CHECK (amount > 0),
    max_fee  BIGINT NOT NULL CHECK (max_fee >= 0),
    -- 1: to an invoice of ours.
    inside   BIGINT NOT NULL CHECK (inside IN (0, 1)),
    -- 1: somebody has to approve it.
    held     BIGINT NOT NULL CHECK (held IN (0, 1)),
    at       BIGINT NOT NULL,
    -- 0 not to be paid and about to be given back, 1 asked, 2 reserved and waits for approval, 3 may be sent, 4 handed to the
    -- node, 5 paid, 6 not paid.
    state    BIGINT NOT NULL CHECK (state BETWEEN 0 AND 6),
    -- Counts the changes: who has read an older one writes nothing.
    version  BIGINT NOT NULL DEFAULT 0,
    approved TEXT,
    -- When it was last handed to the node, how often, and whether the node said then that it has it.
    sent     BIGINT,
    sends    BIGINT NOT NULL DEFAULT 0,
    heard    BIGINT NOT NULL DEFAULT 0 CHECK (heard IN (0, 1)),
    fee      BIGINT CHECK (fee >= 0),
    preimage BYTEA CHECK (length(preimage) = 32),
    why      TEXT,
    ended    BIGINT,
    -- When its end was told.
    told     BIGINT
);
CREATE INDEX lightning_payouts_open ON lightning_payouts (at, id) WHERE state < 5;
CREATE INDEX lightning_payouts_untold ON lightning_payouts (at, id) WHERE state >= 5 AND told IS NULL;
CREATE INDEX lightning_payouts_of ON lightning_payouts (account, at);
CREATE INDEX lightning_payouts_at ON lightning_payouts (at);
-- A hash that may have been handed to the node is nobody else's any more: a look at what became of it would show the older one.
CREATE UNIQUE INDEX lightning_payouts_hash ON lightning_payouts (hash) WHERE hash IS NOT NULL AND (state <> 6 OR sends > 0);

-- One row: whether payouts are stopped, for all processes.
CREATE TABLE lightning_switch (
    one     BIGINT PRIMARY KEY CHECK (one = 1),
    stopped BIGINT,
    why     TEXT
);
INSERT INTO lightning_switch (one) VALUES (1);
