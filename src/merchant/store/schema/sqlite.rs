//! The schema in SQLite.

use rusqlite::Connection;

/// Each entry is applied once, in order, and never edited after a release.
const MIGRATIONS: [&str; 7] = [
    r#"
CREATE TABLE sales (
    sale        TEXT PRIMARY KEY,
    kiosk       TEXT NOT NULL,
    total       INTEGER NOT NULL CHECK (total BETWEEN 1 AND 100000000),
    status      TEXT NOT NULL DEFAULT 'open',
    created_at  INTEGER NOT NULL,
    paid_by     TEXT UNIQUE REFERENCES payments,
    paid_at     INTEGER,
    claim       TEXT,
    claimed_at  INTEGER,
    ended_at    INTEGER,
    CHECK ((status IN ('open', 'closed')) = (paid_by IS NULL)),
    CHECK ((status IN ('open', 'closed', 'paid', 'expired')) = (claim IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX sales_live ON sales (status, kiosk) WHERE status IN ('open', 'paid', 'claimed');
CREATE INDEX sales_by_time ON sales (created_at);

CREATE TRIGGER sales_begin_open BEFORE INSERT ON sales WHEN NEW.status <> 'open'
BEGIN SELECT RAISE(ABORT, 'a sale begins open'); END;
CREATE TRIGGER sales_edges BEFORE UPDATE ON sales
WHEN NOT (
    (OLD.sale, OLD.kiosk, OLD.total, OLD.created_at) = (NEW.sale, NEW.kiosk, NEW.total, NEW.created_at)
    AND (OLD.paid_by IS NULL OR OLD.paid_by IS NEW.paid_by)
    AND (OLD.claim IS NULL OR OLD.claim IS NEW.claim)
    AND OLD.status || '>' || NEW.status IN (
        'open>paid', 'open>closed', 'paid>claimed', 'paid>expired',
        'claimed>dispensed', 'claimed>not-dispensed', 'claimed>unknown'))
BEGIN SELECT RAISE(ABORT, 'a sale takes only the steps of its life'); END;
CREATE TRIGGER sales_stay BEFORE DELETE ON sales BEGIN SELECT RAISE(ABORT, 'sales are kept'); END;

CREATE TABLE orders (
    order_no       TEXT PRIMARY KEY,
    sale           TEXT NOT NULL REFERENCES sales,
    place          INTEGER NOT NULL,
    registered_at  INTEGER NOT NULL,
    UNIQUE (sale, place)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER orders_stay BEFORE DELETE ON orders BEGIN SELECT RAISE(ABORT, 'order numbers are kept'); END;
CREATE TRIGGER orders_fixed BEFORE UPDATE ON orders BEGIN SELECT RAISE(ABORT, 'order numbers are fixed'); END;

-- Keyed by the platform's transaction: two payments on one number are two payments.
CREATE TABLE payments (
    transaction_id  TEXT PRIMARY KEY,
    order_no        TEXT NOT NULL,
    total           INTEGER NOT NULL CHECK (total >= 0),
    trade_type      TEXT,
    time_end        TEXT,
    received_at     INTEGER NOT NULL,
    body            BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX payments_by_order ON payments (order_no);
CREATE TRIGGER payments_stay BEFORE DELETE ON payments BEGIN SELECT RAISE(ABORT, 'payments are kept'); END;
CREATE TRIGGER payments_fixed BEFORE UPDATE ON payments BEGIN SELECT RAISE(ABORT, 'payments are fixed'); END;

-- What has become of each payment: only ever added to. The newest line counts; a correction is a new line.
CREATE TABLE dispositions (
    line            INTEGER PRIMARY KEY,
    transaction_id  TEXT NOT NULL REFERENCES payments,
    state           TEXT NOT NULL CHECK (state IN ('waiting', 'dispensed', 'refund-due', 'refunded', 'review')),
    reason          TEXT NOT NULL,
    at              INTEGER NOT NULL
) STRICT;
CREATE INDEX dispositions_by_payment ON dispositions (transaction_id, line);
CREATE TRIGGER dispositions_edges BEFORE INSERT ON dispositions
WHEN coalesce((
        SELECT state || '/' || reason FROM dispositions
        WHERE transaction_id = NEW.transaction_id ORDER BY line DESC LIMIT 1), 'new')
    || '>' || NEW.state NOT IN (
        'new>waiting', 'new>refund-due',
        'waiting/>dispensed', 'waiting/>refund-due', 'waiting/>review',
        'refund-due/unknown-order>waiting',
        'refund-due/late>refunded', 'refund-due/duplicate>refunded', 'refund-due/amount>refunded',
        'refund-due/unknown-order>refunded', 'refund-due/expired>refunded', 'refund-due/not-dispensed>refunded',
        'refund-due/decided>refunded',
        'review/silent>dispensed', 'review/silent>refund-due', 'review/silent>review',
        'review/unknown>dispensed', 'review/unknown>refund-due')
BEGIN SELECT RAISE(ABORT, 'a payment takes only the steps of its life'); END;
CREATE TRIGGER dispositions_stay BEFORE DELETE ON dispositions BEGIN SELECT RAISE(ABORT, 'dispositions are kept'); END;
CREATE TRIGGER dispositions_fixed BEFORE UPDATE ON dispositions BEGIN SELECT RAISE(ABORT, 'dispositions are fixed'); END;

CREATE VIEW books AS
    SELECT p.*, d.state, d.reason, d.at AS since
    FROM payments p LEFT JOIN dispositions d ON d.line =
        (SELECT max(line) FROM dispositions WHERE transaction_id = p.transaction_id);

-- Verified, but not paid: for people. The newest ten thousand are kept.
CREATE TABLE attempts (
    line      INTEGER PRIMARY KEY,
    order_no  TEXT,
    what      TEXT NOT NULL,
    at        INTEGER NOT NULL
) STRICT;

-- Signed, and yet refused: another merchant's, or not saying what it must. Somebody may have paid, so they are kept.
CREATE TABLE refused (
    body    BLOB PRIMARY KEY,
    reason  TEXT NOT NULL,
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER refused_stay BEFORE DELETE ON refused BEGIN SELECT RAISE(ABORT, 'what was signed is kept'); END;

-- Bodies that are not believed: a ring of fixed size, whatever strangers send.
CREATE TABLE quarantine (
    slot    INTEGER PRIMARY KEY,
    reason  TEXT NOT NULL,
    body    BLOB NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
"#,
    r#"
-- What kiosks show who they are with, made by `merchant kiosk add`.
CREATE TABLE tokens (
    digest      TEXT PRIMARY KEY,
    kiosk       TEXT NOT NULL,
    made_at     INTEGER NOT NULL,
    revoked_at  INTEGER
) STRICT, WITHOUT ROWID;
CREATE TRIGGER tokens_stay BEFORE DELETE ON tokens BEGIN SELECT RAISE(ABORT, 'tokens are revoked, and kept'); END;
"#,
    // What only the platform's bill tells of goes back.
    r#"
DROP TRIGGER dispositions_edges;
CREATE TRIGGER dispositions_edges BEFORE INSERT ON dispositions
WHEN coalesce((
        SELECT state || '/' || reason FROM dispositions
        WHERE transaction_id = NEW.transaction_id ORDER BY line DESC LIMIT 1), 'new')
    || '>' || NEW.state NOT IN (
        'new>waiting', 'new>refund-due',
        'waiting/>dispensed', 'waiting/>refund-due', 'waiting/>review',
        'refund-due/unknown-order>waiting',
        'refund-due/late>refunded', 'refund-due/duplicate>refunded', 'refund-due/amount>refunded',
        'refund-due/unknown-order>refunded', 'refund-due/expired>refunded', 'refund-due/not-dispensed>refunded',
        'refund-due/decided>refunded', 'refund-due/bill-only>refunded',
        'review/silent>dispensed', 'review/silent>refund-due', 'review/silent>review',
        'review/unknown>dispensed', 'review/unknown>refund-due')
BEGIN SELECT RAISE(ABORT, 'a payment takes only the steps of its life'); END;
"#,
    // What a fleet needs: times that the books do not know, what people note, who is logged in, which kiosks were heard of.
    r#"
DROP TRIGGER dispositions_edges;
CREATE TRIGGER dispositions_edges BEFORE INSERT ON dispositions
WHEN coalesce((
        SELECT state || '/' || reason FROM dispositions
        WHERE transaction_id = NEW.transaction_id ORDER BY line DESC LIMIT 1), 'new')
    || '>' || NEW.state NOT IN (
        'new>waiting', 'new>refund-due', 'new>review',
        'waiting/>dispensed', 'waiting/>refund-due', 'waiting/>review',
        'refund-due/unknown-order>waiting',
        'refund-due/late>refunded', 'refund-due/duplicate>refunded', 'refund-due/amount>refunded',
        'refund-due/unknown-order>refunded', 'refund-due/expired>refunded', 'refund-due/not-dispensed>refunded',
        'refund-due/decided>refunded', 'refund-due/bill-only>refunded',
        'review/silent>dispensed', 'review/silent>refund-due', 'review/silent>review',
        'review/unknown>dispensed', 'review/unknown>refund-due',
        'review/gap>dispensed', 'review/gap>refund-due')
BEGIN SELECT RAISE(ABORT, 'a payment takes only the steps of its life'); END;

CREATE TABLE gaps (
    began  INTEGER NOT NULL,
    ended  INTEGER NOT NULL
) STRICT;
CREATE TRIGGER gaps_stay BEFORE DELETE ON gaps BEGIN SELECT RAISE(ABORT, 'gaps are kept'); END;

-- What a person noted when settling a payment.
CREATE TABLE notes (
    line            INTEGER PRIMARY KEY,
    transaction_id  TEXT NOT NULL REFERENCES payments,
    note            TEXT NOT NULL,
    at              INTEGER NOT NULL
) STRICT;
CREATE INDEX notes_by_payment ON notes (transaction_id);
CREATE TRIGGER notes_stay BEFORE DELETE ON notes BEGIN SELECT RAISE(ABORT, 'notes are kept'); END;

CREATE TABLE logins (
    digest  TEXT PRIMARY KEY,
    until   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE kiosks (
    kiosk    TEXT PRIMARY KEY,
    seen_at  INTEGER NOT NULL,
    version  TEXT NOT NULL,
    state    TEXT NOT NULL,
    fault    TEXT NOT NULL,
    since    INTEGER NOT NULL,
    told_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Bills that were held against these books.
CREATE TABLE bills (
    line     INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    name     TEXT NOT NULL,
    digest   BLOB NOT NULL,
    summary  TEXT NOT NULL,
    alarm    INTEGER NOT NULL,
    report   BLOB NOT NULL
) STRICT;

-- Which of several servers does what only one need do.
CREATE TABLE leases (
    name    TEXT PRIMARY KEY,
    holder  TEXT NOT NULL,
    until   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What is owed or open is found without looking through everything that ever was.
CREATE INDEX dispositions_open ON dispositions (state) WHERE state = 'refund-due' OR state = 'review';
"#,
    // What has not ended is found without looking through everything that ever was: a sale that has ended has a time for it.
    r#"
DROP TRIGGER sales_begin_open;
CREATE TRIGGER sales_begin_open BEFORE INSERT ON sales WHEN NEW.status <> 'open' OR NEW.ended_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a sale begins open'); END;
CREATE TRIGGER sales_end BEFORE UPDATE ON sales
WHEN (NEW.ended_at IS NULL) <> (NEW.status IN ('open', 'paid', 'claimed'))
BEGIN SELECT RAISE(ABORT, 'a sale that ends has a time for it'); END;
DROP INDEX sales_live;
CREATE INDEX sales_live ON sales (kiosk) WHERE ended_at IS NULL;
"#,
    // What strangers and stolen tokens must not do: open sales that are asked for over a long time, and one-time ways into the
    // console.
    r#"
CREATE TABLE asked (
    sale  TEXT PRIMARY KEY,
    at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE console_links (
    digest  TEXT PRIMARY KEY,
    until   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"#,
    // What was paid in another currency, and what was refused: junk no longer pushes out what may be a payment.
    r#"
-- What was paid in another currency counts 0 fen in `payments`. This is what it was, in its smallest unit.
CREATE TABLE foreign_payments (
    transaction_id  TEXT PRIMARY KEY,
    fee_type        TEXT NOT NULL,
    total           INTEGER NOT NULL CHECK (total >= 0)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER foreign_payments_stay BEFORE DELETE ON foreign_payments BEGIN SELECT RAISE(ABORT, 'payments are kept'); END;
CREATE TRIGGER foreign_payments_fixed BEFORE UPDATE ON foreign_payments BEGIN SELECT RAISE(ABORT, 'payments are fixed'); END;

DROP TRIGGER dispositions_edges;
CREATE TRIGGER dispositions_edges BEFORE INSERT ON dispositions
WHEN coalesce((
        SELECT state || '/' || reason FROM dispositions
        WHERE transaction_id = NEW.transaction_id ORDER BY line DESC LIMIT 1), 'new')
    || '>' || NEW.state NOT IN (
        'new>waiting', 'new>refund-due', 'new>review',
        'waiting/>dispensed', 'waiting/>refund-due', 'waiting/>review',
        'refund-due/unknown-order>waiting',
        'refund-due/late>refunded', 'refund-due/duplicate>refunded', 'refund-due/amount>refunded',
        'refund-due/unknown-order>refunded', 'refund-due/expired>refunded', 'refund-due/not-dispensed>refunded',
        'refund-due/decided>refunded', 'refund-due/bill-only>refunded', 'refund-due/currency>refunded',
        'review/silent>dispensed', 'review/silent>refund-due', 'review/silent>review',
        'review/unknown>dispensed', 'review/unknown>refund-due',
        'review/gap>dispensed', 'review/gap>refund-due')
BEGIN SELECT RAISE(ABORT, 'a payment takes only the steps of its life'); END;

-- Reads like a notification of a payment, and no key of ours gives its signature: that may be the key's fault. A ring of its
-- own; what names a number of ours is pushed out last.
CREATE TABLE unverified (
    id        TEXT PRIMARY KEY,
    order_no  TEXT NOT NULL,
    is_known  INTEGER NOT NULL,
    reason    TEXT NOT NULL,
    body      BLOB NOT NULL,
    times     INTEGER NOT NULL,
    at        INTEGER NOT NULL
) STRICT;
CREATE INDEX unverified_by_age ON unverified (is_known, at);
CREATE INDEX unverified_by_order ON unverified (order_no, at);

-- What was signed can be written in as many ways as one likes: few of the same signature are kept.
ALTER TABLE refused ADD COLUMN kind TEXT;
ALTER TABLE refused ADD COLUMN signature TEXT;
CREATE INDEX refused_by_signature ON refused (signature);
"#,
];

/// Brings the database to the newest schema.
pub fn migrate(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let applied: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for (number, migration) in MIGRATIONS.iter().enumerate().skip(applied as usize) {
        connection.execute_batch(migration)?;
        connection.pragma_update(None, "user_version", (number + 1) as i64)?;
    }
    connection.execute_batch("COMMIT")
}
