-- How much of a call was transcribed in a month of UTC (year and month as one number), for the quota of a plan.
CREATE TABLE transcribed (
    account BLOB NOT NULL CHECK (length(account) = 16),
    month   INTEGER NOT NULL,
    what    TEXT NOT NULL,
    ms      INTEGER NOT NULL CHECK (ms >= 0),
    PRIMARY KEY (account, month, what)
) STRICT, WITHOUT ROWID;
