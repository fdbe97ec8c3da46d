-- Call detail records, as JSON, with what they are looked for by. A record is written once and never changed.
CREATE TABLE cdrs (
    seq      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    call     TEXT NOT NULL,
    leg      TEXT NOT NULL CHECK (leg IN ('customer', 'carrier')),
    -- 0 when the call ended, one more each time that it was rated anew.
    revision BIGINT NOT NULL CHECK (revision >= 0),
    account  BYTEA NOT NULL CHECK (length(account) = 16),
    setup    BIGINT NOT NULL,
    ended    BIGINT NOT NULL,
    -- SHA-256 of the body.
    digest   BYTEA NOT NULL CHECK (length(digest) = 32),
    body     TEXT NOT NULL,
    UNIQUE (call, leg, revision)
);
CREATE INDEX cdrs_by_end ON cdrs (ended, seq);
CREATE INDEX cdrs_by_account ON cdrs (account, ended, seq);

CREATE TRIGGER cdrs_stay BEFORE UPDATE OR DELETE ON cdrs FOR EACH ROW EXECUTE FUNCTION ledger_refuses();
