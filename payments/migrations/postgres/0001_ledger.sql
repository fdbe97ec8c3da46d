-- The ledger. Amounts are millisatoshi, times milliseconds since 1970. A transfer is written once and never changed.
CREATE TABLE accounts (
    id              BYTEA PRIMARY KEY CHECK (length(id) = 16),
    kind            BIGINT NOT NULL,
    -- When it last changed: the times of an account's transfers never go back, even if a clock does.
    at              BIGINT NOT NULL DEFAULT 0,
    debits_pending  BIGINT NOT NULL DEFAULT 0 CHECK (debits_pending >= 0),
    debits_posted   BIGINT NOT NULL DEFAULT 0 CHECK (debits_posted >= 0),
    credits_pending BIGINT NOT NULL DEFAULT 0 CHECK (credits_pending >= 0),
    credits_posted  BIGINT NOT NULL DEFAULT 0 CHECK (credits_posted >= 0),
    frozen          BIGINT NOT NULL DEFAULT 0 CHECK (frozen IN (0, 1)),
    -- 1 is a customer: prepaid. The code checks it first; this is the second lock on the door.
    CHECK (kind <> 1 OR debits_pending + debits_posted <= credits_posted)
);

CREATE TABLE transfers (
    seq                    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id                     BYTEA NOT NULL UNIQUE CHECK (length(id) = 16),
    at                     BIGINT NOT NULL,
    purpose                BIGINT NOT NULL,
    -- 1 post, 2 reserve, 3 settle, 4 void, 5 expire.
    movement               BIGINT NOT NULL CHECK (movement BETWEEN 1 AND 5),
    -- For 3 to 5 those of the reservation.
    debit                  BYTEA NOT NULL,
    credit                 BYTEA NOT NULL,
    amount                 BIGINT NOT NULL CHECK (amount >= 0),
    expires                BIGINT,
    reservation            BYTEA,
    -- Null: done. 1 frozen, 2 not enough: refused, and the id is spent.
    refusal                BIGINT,
    refused_account        BYTEA,
    refused_available      BIGINT,
    -- Both accounts as they stood just after it; null where it was refused.
    debit_debits_pending   BIGINT,
    debit_debits_posted    BIGINT,
    debit_credits_pending  BIGINT,
    debit_credits_posted   BIGINT,
    credit_debits_pending  BIGINT,
    credit_debits_posted   BIGINT,
    credit_credits_pending BIGINT,
    credit_credits_posted  BIGINT
);
CREATE INDEX transfers_by_debit ON transfers (debit, at, seq) WHERE refusal IS NULL;
CREATE INDEX transfers_by_credit ON transfers (credit, at, seq) WHERE refusal IS NULL;

-- What is held back, by the number of the transfer that holds it.
CREATE TABLE reservations (
    seq        BIGINT PRIMARY KEY REFERENCES transfers (seq),
    amount     BIGINT NOT NULL CHECK (amount > 0),
    expires    BIGINT,
    -- Null: it stands. 1 settled, 2 voided, 3 expired.
    resolution BIGINT,
    settled    BIGINT CHECK (settled IS NULL OR settled BETWEEN 0 AND amount)
);
CREATE INDEX reservations_due ON reservations (expires) WHERE resolution IS NULL AND expires IS NOT NULL;

CREATE FUNCTION ledger_refuses() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% of the ledger are never changed or deleted, and a reservation ends once', TG_TABLE_NAME; END $$;
CREATE TRIGGER transfers_stay BEFORE UPDATE OR DELETE ON transfers FOR EACH ROW EXECUTE FUNCTION ledger_refuses();
CREATE TRIGGER reservations_end_once BEFORE UPDATE ON reservations FOR EACH ROW WHEN (OLD.resolution IS NOT NULL)
    EXECUTE FUNCTION ledger_refuses();
CREATE TRIGGER reservations_remain BEFORE DELETE ON reservations FOR EACH ROW EXECUTE FUNCTION ledger_refuses();
CREATE TRIGGER accounts_remain BEFORE DELETE ON accounts FOR EACH ROW EXECUTE FUNCTION ledger_refuses();
