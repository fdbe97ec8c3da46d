-- Rate decks: the files as they were imported, and never changed since. What begins later is another version.
CREATE TABLE decks (
    seq         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- 1 what a trunk takes from us, 2 what customers pay.
    kind        BIGINT NOT NULL CHECK (kind IN (1, 2)),
    name        TEXT NOT NULL,
    version     BIGINT NOT NULL CHECK (version > 0),
    valid_from  BIGINT NOT NULL,
    imported_at BIGINT NOT NULL,
    imported_by TEXT NOT NULL,
    prefixes    BIGINT NOT NULL CHECK (prefixes > 0),
    -- SHA-256 of the file.
    digest      BYTEA NOT NULL CHECK (length(digest) = 32),
    file        BYTEA NOT NULL,
    UNIQUE (kind, name, version)
);

CREATE TRIGGER decks_stay BEFORE UPDATE OR DELETE ON decks FOR EACH ROW EXECUTE FUNCTION ledger_refuses();
