-- Call detail records, as JSON, with what they are looked for by. A record is written once and never changed.
CREATE TABLE cdrs (
    seq      INTEGER PRIMARY KEY,
    call     TEXT NOT NULL,
    leg      TEXT NOT NULL CHECK (leg IN ('customer', 'carrier')),
    -- 0 when the call ended, one more each time that it was rated anew.
    revision INTEGER NOT NULL CHECK (revision >= 0),
    account  BLOB NOT NULL CHECK (length(account) = 16),
    setup    INTEGER NOT NULL,
    ended    INTEGER NOT NULL,
    -- SHA-256 of the body.
    digest   BLOB NOT NULL CHECK (length(digest) = 32),
    body     TEXT NOT NULL,
    UNIQUE (call, leg, revision)
) STRICT;
CREATE INDEX cdrs_by_end ON cdrs (ended, seq);
CREATE INDEX cdrs_by_account ON cdrs (account, ended, seq);

CREATE TRIGGER cdrs_stay BEFORE UPDATE ON cdrs BEGIN SELECT RAISE(ABORT, 'a record is never changed'); END;
CREATE TRIGGER cdrs_remain BEFORE DELETE ON cdrs BEGIN SELECT RAISE(ABORT, 'a record is never deleted'); END;
