-- What a bitcoin cost in other money: what each source said, and as 'median' what was believed. A price is mantissa × 10^exponent.
CREATE TABLE fx_rates (
    seq        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source     TEXT NOT NULL,
    -- 'BTC/EUR': euros for a bitcoin.
    pair       TEXT NOT NULL,
    mantissa   BIGINT NOT NULL CHECK (mantissa > 0),
    exponent   BIGINT NOT NULL CHECK (exponent BETWEEN -12 AND 13),
    -- Since when it holds, by the source; when we asked.
    as_of      BIGINT NOT NULL,
    fetched_at BIGINT NOT NULL
);
CREATE INDEX fx_rates_by_source ON fx_rates (pair, source, seq);
CREATE INDEX fx_rates_by_time ON fx_rates (fetched_at);

CREATE TRIGGER fx_rates_stay BEFORE UPDATE ON fx_rates FOR EACH ROW EXECUTE FUNCTION ledger_refuses();
-- What was believed is what calls were rated by; what single sources said may be forgotten in time.
CREATE TRIGGER fx_rates_remain BEFORE DELETE ON fx_rates FOR EACH ROW WHEN (OLD.source = 'median')
    EXECUTE FUNCTION ledger_refuses();
