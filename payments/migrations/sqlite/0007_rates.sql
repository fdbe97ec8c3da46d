-- What a bitcoin cost in other money: what each source said, and as 'median' what was believed. A price is mantissa × 10^exponent.
CREATE TABLE fx_rates (
    seq        INTEGER PRIMARY KEY,
    source     TEXT NOT NULL,
    -- 'BTC/EUR': euros for a bitcoin.
    pair       TEXT NOT NULL,
    mantissa   INTEGER NOT NULL CHECK (mantissa > 0),
    exponent   INTEGER NOT NULL CHECK (exponent BETWEEN -12 AND 13),
    -- Since when it holds, by the source; when we asked.
    as_of      INTEGER NOT NULL,
    fetched_at INTEGER NOT NULL
) STRICT;
CREATE INDEX fx_rates_by_source ON fx_rates (pair, source, seq);
CREATE INDEX fx_rates_by_time ON fx_rates (fetched_at);

CREATE TRIGGER fx_rates_stay BEFORE UPDATE ON fx_rates BEGIN SELECT RAISE(ABORT, 'a rate is never changed'); END;
-- What was believed is what calls were rated by; what single sources said may be forgotten in time.
CREATE TRIGGER fx_rates_remain BEFORE DELETE ON fx_rates WHEN OLD.source = 'median'
    BEGIN SELECT RAISE(ABORT, 'a rate that was used is never deleted'); END;
