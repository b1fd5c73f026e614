CREATE TABLE IF NOT EXISTS stock (
    sku TEXT PRIMARY KEY,
    on_hand BIGINT NOT NULL CHECK (on_hand >= 0),
    price_minor BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    status TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    total_minor BIGINT NOT NULL,
    body JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS payments (
    order_id TEXT PRIMARY KEY REFERENCES orders (id),
    amount_minor BIGINT NOT NULL,
    reference TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS gateway_ledger (
    key TEXT PRIMARY KEY,
    amount_minor BIGINT NOT NULL,
    at TIMESTAMPTZ NOT NULL DEFAULT now()
);
