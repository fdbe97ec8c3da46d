-- Under which number people have let an arrival count that came without one, or under a wrong one. Null: as it came. A release
-- before this reads the table as it was, and counts such an arrival to no window.
ALTER TABLE stellar_arrivals ADD COLUMN claim_reference INTEGER;
CREATE INDEX stellar_arrivals_by_claim ON stellar_arrivals (account, claim_reference) WHERE claim_reference IS NOT NULL;
