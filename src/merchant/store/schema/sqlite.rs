//! The schema in SQLite.

use rusqlite::Connection;

use crate::merchant::store::NotUsable;

/// Each entry is applied once, in order, and never edited after a release.
const MIGRATIONS: [&str; 9] = [
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
CREATE INDEX unverified_by_time ON unverified (at);

-- What was signed can be written in as many ways as one likes: few of the same signature are kept.
ALTER TABLE refused ADD COLUMN kind TEXT;
ALTER TABLE refused ADD COLUMN signature TEXT;
CREATE INDEX refused_by_signature ON refused (signature);
"#,
    // What the books come to is kept with each change, so that no page counts everything that ever was; and what a list
    // may be asked for is found without looking for it.
    r#"
-- Sums. `day`: the day at +08:00 on which a sale began, in days since 1970, with `began` or the status in which sales ended.
-- The keys of money, `money/verified` and `money/` with a payment's state, are of all days and stand under 0.
CREATE TABLE tallies (
    day    INTEGER NOT NULL,
    key    TEXT NOT NULL,
    count  INTEGER NOT NULL,
    fen    INTEGER NOT NULL,
    PRIMARY KEY (day, key)
) STRICT, WITHOUT ROWID;
-- What each kiosk dispensed of the sales that began on a day.
CREATE TABLE takings (
    day    INTEGER NOT NULL,
    kiosk  TEXT NOT NULL,
    count  INTEGER NOT NULL,
    fen    INTEGER NOT NULL,
    PRIMARY KEY (day, kiosk)
) STRICT, WITHOUT ROWID;
CREATE VIEW sums AS SELECT day, key, count, fen FROM tallies;
CREATE VIEW sums_of_kiosks AS SELECT day, kiosk, count, fen FROM takings;

-- How far older books have been counted: what is named up to here is in the sums, and the triggers keep it there.
CREATE TABLE counted (
    what  TEXT PRIMARY KEY,
    upto  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counted VALUES
    ('sales', CASE WHEN EXISTS (SELECT 1 FROM sales) THEN '' ELSE '~' END),
    ('payments', CASE WHEN EXISTS (SELECT 1 FROM payments) THEN '' ELSE '~' END);

-- Which books these are: the lock file beside them says the same.
CREATE TABLE identity (
    books  TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
CREATE TRIGGER identity_stays BEFORE DELETE ON identity BEGIN SELECT RAISE(ABORT, 'books are the same for ever'); END;
CREATE TRIGGER identity_fixed BEFORE UPDATE ON identity BEGIN SELECT RAISE(ABORT, 'books are the same for ever'); END;

-- Each kiosk's sales by time.
CREATE TABLE sales_of_kiosk (
    kiosk       TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    sale        TEXT NOT NULL,
    PRIMARY KEY (kiosk, created_at, sale)
) STRICT, WITHOUT ROWID;
-- Sales that were paid and did not end well, by time.
CREATE TABLE sales_gone_wrong (
    status      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    sale        TEXT NOT NULL,
    PRIMARY KEY (status, created_at, sale)
) STRICT, WITHOUT ROWID;

-- Payments that must go back, or need a person, and only these.
CREATE TABLE owed (
    transaction_id  TEXT PRIMARY KEY,
    state           TEXT NOT NULL,
    reason          TEXT NOT NULL,
    since           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO owed SELECT d.transaction_id, d.state, d.reason, d.at FROM dispositions d
    WHERE (d.state = 'refund-due' OR d.state = 'review') AND NOT EXISTS
        (SELECT 1 FROM dispositions n WHERE n.transaction_id = d.transaction_id AND n.line > d.line);
CREATE INDEX owed_by_time ON owed (state, since);
CREATE INDEX owed_by_reason ON owed (state, reason, since);
-- Payments of a wrong amount, or on a number that nobody knew, whatever became of them.
CREATE TABLE mispaid (
    at              INTEGER NOT NULL,
    transaction_id  TEXT NOT NULL,
    reason          TEXT NOT NULL,
    PRIMARY KEY (at, transaction_id)
) STRICT, WITHOUT ROWID;
INSERT INTO mispaid SELECT at, transaction_id, reason FROM dispositions
    WHERE state = 'refund-due' AND reason IN ('amount', 'unknown-order', 'currency');
DROP INDEX dispositions_open;
CREATE INDEX refused_by_time ON refused (at);
CREATE INDEX attempts_by_time ON attempts (at);
CREATE INDEX attempts_by_order ON attempts (order_no);
CREATE INDEX bills_by_digest ON bills (digest, line);

CREATE TRIGGER sales_listed AFTER INSERT ON sales
BEGIN INSERT INTO sales_of_kiosk VALUES (NEW.kiosk, NEW.created_at, NEW.sale); END;
CREATE TRIGGER sales_begun_counted AFTER INSERT ON sales
WHEN NEW.sale <= (SELECT upto FROM counted WHERE what = 'sales')
BEGIN
    INSERT INTO tallies VALUES ((NEW.created_at + 28800000) / 86400000, 'began', 1, NEW.total)
    ON CONFLICT (day, key) DO UPDATE SET count = tallies.count + 1, fen = tallies.fen + excluded.fen;
END;
CREATE TRIGGER sales_ended_counted AFTER UPDATE OF ended_at ON sales
WHEN OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL
    AND NEW.sale <= (SELECT upto FROM counted WHERE what = 'sales')
BEGIN
    INSERT INTO tallies VALUES ((NEW.created_at + 28800000) / 86400000, NEW.status, 1, NEW.total)
    ON CONFLICT (day, key) DO UPDATE SET count = tallies.count + 1, fen = tallies.fen + excluded.fen;
    INSERT INTO takings SELECT (NEW.created_at + 28800000) / 86400000, NEW.kiosk, 1, NEW.total
        WHERE NEW.status = 'dispensed'
    ON CONFLICT (day, kiosk) DO UPDATE SET count = takings.count + 1, fen = takings.fen + excluded.fen;
END;
CREATE TRIGGER sales_gone_wrong_listed AFTER UPDATE OF ended_at ON sales
WHEN OLD.ended_at IS NULL AND NEW.status IN ('not-dispensed', 'unknown', 'expired')
BEGIN INSERT INTO sales_gone_wrong VALUES (NEW.status, NEW.created_at, NEW.sale); END;
CREATE TRIGGER payments_counted AFTER INSERT ON payments
WHEN NEW.transaction_id <= (SELECT upto FROM counted WHERE what = 'payments')
BEGIN
    INSERT INTO tallies VALUES (0, 'money/verified', 1, NEW.total)
    ON CONFLICT (day, key) DO UPDATE SET count = tallies.count + 1, fen = tallies.fen + excluded.fen;
END;
CREATE TRIGGER dispositions_counted AFTER INSERT ON dispositions
WHEN NEW.transaction_id <= (SELECT upto FROM counted WHERE what = 'payments')
BEGIN
    UPDATE tallies SET count = count - 1,
        fen = fen - (SELECT total FROM payments WHERE transaction_id = NEW.transaction_id)
    WHERE day = 0 AND key = 'money/' || (
        SELECT state FROM dispositions
        WHERE transaction_id = NEW.transaction_id AND line < NEW.line ORDER BY line DESC LIMIT 1);
    INSERT INTO tallies SELECT 0, 'money/' || NEW.state, 1, total FROM payments
        WHERE transaction_id = NEW.transaction_id
    ON CONFLICT (day, key) DO UPDATE SET count = tallies.count + 1, fen = tallies.fen + excluded.fen;
END;
CREATE TRIGGER dispositions_settled AFTER INSERT ON dispositions WHEN NEW.state NOT IN ('refund-due', 'review')
BEGIN DELETE FROM owed WHERE transaction_id = NEW.transaction_id; END;
CREATE TRIGGER dispositions_owed AFTER INSERT ON dispositions WHEN NEW.state IN ('refund-due', 'review')
BEGIN
    INSERT INTO owed VALUES (NEW.transaction_id, NEW.state, NEW.reason, NEW.at)
    ON CONFLICT (transaction_id) DO UPDATE
        SET state = excluded.state, reason = excluded.reason, since = excluded.since;
END;
CREATE TRIGGER dispositions_mispaid AFTER INSERT ON dispositions
WHEN NEW.state = 'refund-due' AND NEW.reason IN ('amount', 'unknown-order', 'currency')
BEGIN INSERT INTO mispaid VALUES (NEW.at, NEW.transaction_id, NEW.reason) ON CONFLICT DO NOTHING; END;
"#,
    // A payment that buys costs one row and few pages, the steps of a life are compared and not looked up in lists, and
    // what is looked for by a number's end, or of one kiosk's, is found without looking through years.
    r#"
-- Sales anew: conditions without lists, for which SQLite makes a table each time, and no index by payment. A payment can pay
-- one sale only, the one that has its number: `sales_edges` sees to that. Foreign keys are off meanwhile (`migrate`).
CREATE TABLE new_sales (
    sale        TEXT PRIMARY KEY,
    kiosk       TEXT NOT NULL,
    total       INTEGER NOT NULL CHECK (total BETWEEN 1 AND 100000000),
    status      TEXT NOT NULL DEFAULT 'open',
    created_at  INTEGER NOT NULL,
    paid_by     TEXT,
    paid_at     INTEGER,
    claim       TEXT,
    claimed_at  INTEGER,
    ended_at    INTEGER,
    CHECK (status = 'open' OR status = 'paid' OR status = 'claimed' OR status = 'dispensed' OR status = 'closed'
        OR status = 'expired' OR status = 'not-dispensed' OR status = 'unknown'),
    CHECK ((status = 'open' OR status = 'closed') = (paid_by IS NULL)),
    CHECK ((status = 'open' OR status = 'paid' OR status = 'closed' OR status = 'expired') = (claim IS NULL)),
    CHECK ((status = 'open' OR status = 'paid' OR status = 'claimed') = (ended_at IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO new_sales SELECT sale, kiosk, total, status, created_at, paid_by, paid_at, claim, claimed_at, ended_at
    FROM sales ORDER BY sale;
DROP TABLE sales;
ALTER TABLE new_sales RENAME TO sales;
CREATE INDEX sales_live ON sales (kiosk) WHERE ended_at IS NULL;
CREATE INDEX sales_by_time ON sales (created_at);

-- What a payment is at first stands in its own row; `dispositions` has what came after, and all of what older versions wrote.
ALTER TABLE payments ADD COLUMN first_state TEXT
    CHECK (first_state = 'waiting' OR first_state = 'refund-due' OR first_state = 'review');
ALTER TABLE payments ADD COLUMN first_reason TEXT CHECK ((first_reason IS NULL) = (first_state IS NULL));
DROP VIEW books;
CREATE VIEW books AS
    SELECT p.transaction_id, p.order_no, p.total, p.trade_type, p.time_end, p.received_at, p.body,
        coalesce(d.state, p.first_state) AS state, coalesce(d.reason, p.first_reason) AS reason,
        coalesce(d.at, p.received_at) AS since
    FROM payments p LEFT JOIN dispositions d ON d.line =
        (SELECT max(line) FROM dispositions WHERE transaction_id = p.transaction_id);
-- A payment that waited at first is found by its sale (`paid_by`).
DROP INDEX payments_by_order;
CREATE INDEX payments_by_order ON payments (order_no) WHERE first_state IS DISTINCT FROM 'waiting';

CREATE INDEX orders_by_ending ON orders (substr(order_no, length(order_no) - 3), registered_at);
ALTER TABLE sales_gone_wrong ADD COLUMN kiosk TEXT;
UPDATE sales_gone_wrong SET kiosk = (SELECT kiosk FROM sales WHERE sales.sale = sales_gone_wrong.sale);
CREATE INDEX sales_gone_wrong_of_kiosk ON sales_gone_wrong (kiosk, status, created_at);

CREATE TRIGGER sales_begin_open BEFORE INSERT ON sales WHEN NEW.status <> 'open' OR NEW.ended_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a sale begins open'); END;
CREATE TRIGGER sales_stay BEFORE DELETE ON sales BEGIN SELECT RAISE(ABORT, 'sales are kept'); END;
CREATE TRIGGER sales_fixed BEFORE UPDATE OF sale, kiosk, total, created_at ON sales
BEGIN SELECT RAISE(ABORT, 'what a sale is stays as it is'); END;
-- By the table's conditions the status says which of payment, claim and end there are. So a step of its life is one of them
-- that comes, and none that goes or changes. FAIL, not ABORT: before the row is changed there is nothing to take back, and
-- SQLite keeps no journal for it.
CREATE TRIGGER sales_edges BEFORE UPDATE OF status, paid_by, claim, ended_at ON sales
WHEN OLD.ended_at IS NOT NULL
    OR (OLD.paid_by IS NOT NEW.paid_by) + (OLD.claim IS NOT NEW.claim) + (NEW.ended_at IS NOT NULL) <> 1
    OR OLD.claim IS NOT NULL AND NEW.claim IS NOT OLD.claim
    OR NEW.paid_by IS NOT OLD.paid_by AND (OLD.paid_by IS NOT NULL OR NOT EXISTS (
        SELECT 1 FROM payments p JOIN orders o ON o.order_no = p.order_no
        WHERE p.transaction_id = NEW.paid_by AND o.sale = NEW.sale))
BEGIN SELECT RAISE(FAIL, 'a sale takes only the steps of its life'); END;
CREATE TRIGGER sales_listed AFTER INSERT ON sales
BEGIN INSERT INTO sales_of_kiosk VALUES (NEW.kiosk, NEW.created_at, NEW.sale); END;
CREATE TRIGGER sales_begun_counted AFTER INSERT ON sales
WHEN NEW.sale <= (SELECT upto FROM counted WHERE what = 'sales')
BEGIN
    INSERT INTO tallies VALUES ((NEW.created_at + 28800000) / 86400000, 'began', 1, NEW.total)
    ON CONFLICT (day, key) DO UPDATE SET count = tallies.count + 1, fen = tallies.fen + excluded.fen;
END;
CREATE TRIGGER sales_ended_counted AFTER UPDATE OF ended_at ON sales
WHEN OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL
    AND NEW.sale <= (SELECT upto FROM counted WHERE what = 'sales')
BEGIN
    INSERT INTO tallies VALUES ((NEW.created_at + 28800000) / 86400000, NEW.status, 1, NEW.total)
    ON CONFLICT (day, key) DO UPDATE SET count = tallies.count + 1, fen = tallies.fen + excluded.fen;
    INSERT INTO takings SELECT (NEW.created_at + 28800000) / 86400000, NEW.kiosk, 1, NEW.total
        WHERE NEW.status = 'dispensed'
    ON CONFLICT (day, kiosk) DO UPDATE SET count = takings.count + 1, fen = takings.fen + excluded.fen;
END;
CREATE TRIGGER sales_gone_wrong_listed AFTER UPDATE OF ended_at ON sales
WHEN OLD.ended_at IS NULL AND (NEW.status = 'not-dispensed' OR NEW.status = 'unknown' OR NEW.status = 'expired')
BEGIN
    INSERT INTO sales_gone_wrong (status, created_at, sale, kiosk)
    VALUES (NEW.status, NEW.created_at, NEW.sale, NEW.kiosk);
END;

-- Payments by what they were at first. The sums of money in `tallies` are, from here on, what dispositions have moved from
-- one state to another, and what was counted before: the equation holds if nothing got lost on the way.
CREATE TABLE booked (
    line   INTEGER PRIMARY KEY,
    state  TEXT NOT NULL,
    count  INTEGER NOT NULL,
    fen    INTEGER NOT NULL,
    -- How far older payments have been counted, as in `counted`.
    upto   TEXT NOT NULL
) STRICT;
INSERT INTO booked SELECT 1, 'waiting', 0, 0, upto FROM counted WHERE what = 'payments';
INSERT INTO booked SELECT 2, 'refund-due', 0, 0, upto FROM counted WHERE what = 'payments';
INSERT INTO booked SELECT 3, 'review', 0, 0, upto FROM counted WHERE what = 'payments';
CREATE TRIGGER counted_payments AFTER UPDATE ON counted WHEN NEW.what = 'payments'
BEGIN UPDATE booked SET upto = NEW.upto; END;
DROP VIEW sums;
CREATE VIEW sums AS SELECT day, key, count, fen FROM tallies
    UNION ALL SELECT 0, 'money/' || state, count, fen FROM booked
    UNION ALL SELECT 0, 'money/verified', count, fen FROM booked;
-- The states that payments are moved to have their rows: the triggers need not ask whether they are there.
INSERT INTO tallies VALUES (0, 'money/waiting', 0, 0), (0, 'money/dispensed', 0, 0), (0, 'money/refund-due', 0, 0),
    (0, 'money/refunded', 0, 0), (0, 'money/review', 0, 0) ON CONFLICT DO NOTHING;
DROP TRIGGER payments_counted;
CREATE TRIGGER payments_counted AFTER INSERT ON payments
BEGIN
    UPDATE booked SET count = count + 1, fen = fen + NEW.total
    WHERE line = CASE NEW.first_state WHEN 'waiting' THEN 1 WHEN 'refund-due' THEN 2 WHEN 'review' THEN 3 END
        AND NEW.transaction_id <= upto;
END;
CREATE TRIGGER payments_owed AFTER INSERT ON payments WHEN NEW.first_state <> 'waiting'
BEGIN
    INSERT INTO owed VALUES (NEW.transaction_id, NEW.first_state, NEW.first_reason, NEW.received_at);
    INSERT INTO mispaid SELECT NEW.received_at, NEW.transaction_id, NEW.first_reason
        WHERE NEW.first_state = 'refund-due'
            AND (NEW.first_reason = 'amount' OR NEW.first_reason = 'unknown-order' OR NEW.first_reason = 'currency');
END;

DROP TRIGGER dispositions_edges;
CREATE TRIGGER dispositions_edges BEFORE INSERT ON dispositions
WHEN NOT CASE coalesce(
        (SELECT state || '/' || reason FROM dispositions
            WHERE transaction_id = NEW.transaction_id ORDER BY line DESC LIMIT 1),
        (SELECT first_state || '/' || first_reason FROM payments WHERE transaction_id = NEW.transaction_id), 'new')
    WHEN 'waiting/' THEN NEW.state = 'dispensed' OR NEW.state = 'refund-due' OR NEW.state = 'review'
    WHEN 'review/silent' THEN NEW.state = 'dispensed' OR NEW.state = 'refund-due' OR NEW.state = 'review'
    WHEN 'review/unknown' THEN NEW.state = 'dispensed' OR NEW.state = 'refund-due'
    WHEN 'review/gap' THEN NEW.state = 'dispensed' OR NEW.state = 'refund-due'
    WHEN 'refund-due/unknown-order' THEN NEW.state = 'waiting' OR NEW.state = 'refunded'
    WHEN 'refund-due/late' THEN NEW.state = 'refunded'
    WHEN 'refund-due/duplicate' THEN NEW.state = 'refunded'
    WHEN 'refund-due/amount' THEN NEW.state = 'refunded'
    WHEN 'refund-due/expired' THEN NEW.state = 'refunded'
    WHEN 'refund-due/not-dispensed' THEN NEW.state = 'refunded'
    WHEN 'refund-due/decided' THEN NEW.state = 'refunded'
    WHEN 'refund-due/bill-only' THEN NEW.state = 'refunded'
    WHEN 'refund-due/currency' THEN NEW.state = 'refunded'
    WHEN 'new' THEN NEW.state = 'waiting' OR NEW.state = 'refund-due' OR NEW.state = 'review'
    ELSE 0 END
BEGIN SELECT RAISE(ABORT, 'a payment takes only the steps of its life'); END;

DROP TRIGGER dispositions_counted;
CREATE TRIGGER dispositions_counted AFTER INSERT ON dispositions
WHEN NEW.transaction_id <= (SELECT upto FROM counted WHERE what = 'payments')
BEGIN
    UPDATE tallies SET count = count - 1,
        fen = fen - (SELECT total FROM payments WHERE transaction_id = NEW.transaction_id)
    WHERE day = 0 AND key = 'money/' || coalesce(
        (SELECT state FROM dispositions
            WHERE transaction_id = NEW.transaction_id AND line < NEW.line ORDER BY line DESC LIMIT 1),
        (SELECT first_state FROM payments WHERE transaction_id = NEW.transaction_id));
    UPDATE tallies SET count = count + 1,
        fen = fen + (SELECT total FROM payments WHERE transaction_id = NEW.transaction_id)
    WHERE day = 0 AND key = 'money/' || NEW.state;
END;
"#,
];

/// Brings the database to the newest schema. One that is newer than this program knows is refused.
pub fn migrate(connection: &Connection) -> Result<(), NotUsable> {
    // A table that others refer to is made anew by one of them; nothing else could be switched within a transaction.
    let foreign_keys: bool =
        connection.pragma_query_value(None, "foreign_keys", |row| row.get(0))?;
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let applied = version(connection)?;
    super::refuse_newer(applied, MIGRATIONS.len())?;
    for (number, migration) in MIGRATIONS.iter().enumerate().skip(applied as usize) {
        connection.execute_batch(migration)?;
        connection.pragma_update(None, "user_version", (number + 1) as i64)?;
    }
    connection.execute_batch("COMMIT")?;
    connection.pragma_update(None, "foreign_keys", foreign_keys)?;
    Ok(())
}

/// Whether the schema is the newest. One that is newer than this program knows is refused.
pub fn is_newest(connection: &Connection) -> Result<bool, NotUsable> {
    let applied = version(connection)?;
    super::refuse_newer(applied, MIGRATIONS.len())?;
    Ok(applied == MIGRATIONS.len() as i64)
}

/// How many of the migrations were applied.
fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}
