-- The ledger. Amounts are millisatoshi, times milliseconds since 1970. A transfer is written once and never changed.
CREATE TABLE accounts (
    id              BLOB PRIMARY KEY CHECK (length(id) = 16),
    kind            INTEGER NOT NULL,
    -- When it last changed: the times of an account's transfers never go back, even if a clock does.
    at              INTEGER NOT NULL DEFAULT 0,
    debits_pending  INTEGER NOT NULL DEFAULT 0 CHECK (debits_pending >= 0),
    debits_posted   INTEGER NOT NULL DEFAULT 0 CHECK (debits_posted >= 0),
    credits_pending INTEGER NOT NULL DEFAULT 0 CHECK (credits_pending >= 0),
    credits_posted  INTEGER NOT NULL DEFAULT 0 CHECK (credits_posted >= 0),
    frozen          INTEGER NOT NULL DEFAULT 0 CHECK (frozen IN (0, 1)),
    -- 1 is a customer: prepaid. The code checks it first; this is the second lock on the door.
    CHECK (kind <> 1 OR debits_pending + debits_posted <= credits_posted)
) STRICT, WITHOUT ROWID;

CREATE TABLE transfers (
    seq                    INTEGER PRIMARY KEY,
    id                     BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    at                     INTEGER NOT NULL,
    purpose                INTEGER NOT NULL,
    -- 1 post, 2 reserve, 3 settle, 4 void, 5 expire.
    movement               INTEGER NOT NULL CHECK (movement BETWEEN 1 AND 5),
    -- For 3 to 5 those of the reservation.
    debit                  BLOB NOT NULL,
    credit                 BLOB NOT NULL,
    amount                 INTEGER NOT NULL CHECK (amount >= 0),
    expires                INTEGER,
    reservation            BLOB,
    -- Null: done. 1 frozen, 2 not enough: refused, and the id is spent.
    refusal                INTEGER,
    refused_account        BLOB,
    refused_available      INTEGER,
    -- Both accounts as they stood just after it; null where it was refused.
    debit_debits_pending   INTEGER,
    debit_debits_posted    INTEGER,
    debit_credits_pending  INTEGER,
    debit_credits_posted   INTEGER,
    credit_debits_pending  INTEGER,
    credit_debits_posted   INTEGER,
    credit_credits_pending INTEGER,
    credit_credits_posted  INTEGER
) STRICT;
CREATE INDEX transfers_by_debit ON transfers (debit, at, seq) WHERE refusal IS NULL;
CREATE INDEX transfers_by_credit ON transfers (credit, at, seq) WHERE refusal IS NULL;

-- What is held back, by the number of the transfer that holds it.
CREATE TABLE reservations (
    seq        INTEGER PRIMARY KEY REFERENCES transfers (seq),
    amount     INTEGER NOT NULL CHECK (amount > 0),
    expires    INTEGER,
    -- Null: it stands. 1 settled, 2 voided, 3 expired.
    resolution INTEGER,
    settled    INTEGER CHECK (settled IS NULL OR settled BETWEEN 0 AND amount)
) STRICT;
CREATE INDEX reservations_due ON reservations (expires) WHERE resolution IS NULL AND expires IS NOT NULL;

CREATE TRIGGER transfers_stay BEFORE UPDATE ON transfers BEGIN SELECT RAISE(ABORT, 'a transfer is never changed'); END;
CREATE TRIGGER transfers_remain BEFORE DELETE ON transfers BEGIN SELECT RAISE(ABORT, 'a transfer is never deleted'); END;
CREATE TRIGGER reservations_end_once BEFORE UPDATE ON reservations WHEN OLD.resolution IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'a reservation ends once'); END;
CREATE TRIGGER reservations_remain BEFORE DELETE ON reservations
    BEGIN SELECT RAISE(ABORT, 'a reservation is never deleted'); END;
CREATE TRIGGER accounts_remain BEFORE DELETE ON accounts BEGIN SELECT RAISE(ABORT, 'an account is never deleted'); END;
