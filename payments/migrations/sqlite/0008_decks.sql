-- Rate decks: the files as they were imported, and never changed since. What begins later is another version.
CREATE TABLE decks (
    seq         INTEGER PRIMARY KEY,
    -- 1 what a trunk takes from us, 2 what customers pay.
    kind        INTEGER NOT NULL CHECK (kind IN (1, 2)),
    name        TEXT NOT NULL,
    version     INTEGER NOT NULL CHECK (version > 0),
    valid_from  INTEGER NOT NULL,
    imported_at INTEGER NOT NULL,
    imported_by TEXT NOT NULL,
    prefixes    INTEGER NOT NULL CHECK (prefixes > 0),
    -- SHA-256 of the file.
    digest      BLOB NOT NULL CHECK (length(digest) = 32),
    file        BLOB NOT NULL,
    UNIQUE (kind, name, version)
) STRICT;

CREATE TRIGGER decks_stay BEFORE UPDATE ON decks BEGIN SELECT RAISE(ABORT, 'a rate deck is never changed'); END;
CREATE TRIGGER decks_remain BEFORE DELETE ON decks BEGIN SELECT RAISE(ABORT, 'a rate deck is never deleted'); END;
