//! The schema in PostgreSQL: the same tables, views and steps as in SQLite.

/// Each entry is applied once, in order, and never edited after a release.
pub const MIGRATIONS: [&str; 10] = [
    r#"
CREATE TABLE payments (
    transaction_id  TEXT COLLATE "C" PRIMARY KEY,
    order_no        TEXT COLLATE "C" NOT NULL,
    total           BIGINT NOT NULL CHECK (total >= 0),
    trade_type      TEXT,
    time_end        TEXT,
    received_at     BIGINT NOT NULL,
    body            BYTEA NOT NULL
);
CREATE INDEX payments_by_order ON payments (order_no);

CREATE TABLE sales (
    sale        TEXT COLLATE "C" PRIMARY KEY,
    kiosk       TEXT COLLATE "C" NOT NULL,
    total       BIGINT NOT NULL CHECK (total BETWEEN 1 AND 100000000),
    status      TEXT NOT NULL DEFAULT 'open',
    created_at  BIGINT NOT NULL,
    paid_by     TEXT COLLATE "C" UNIQUE REFERENCES payments,
    paid_at     BIGINT,
    claim       TEXT COLLATE "C",
    claimed_at  BIGINT,
    ended_at    BIGINT,
    CHECK ((status IN ('open', 'closed')) = (paid_by IS NULL)),
    CHECK ((status IN ('open', 'closed', 'paid', 'expired')) = (claim IS NULL))
);
CREATE INDEX sales_live ON sales (status, kiosk) WHERE status IN ('open', 'paid', 'claimed');
CREATE INDEX sales_by_time ON sales (created_at);

CREATE TABLE orders (
    order_no       TEXT COLLATE "C" PRIMARY KEY,
    sale           TEXT COLLATE "C" NOT NULL REFERENCES sales,
    place          BIGINT NOT NULL,
    registered_at  BIGINT NOT NULL,
    UNIQUE (sale, place)
);

-- What has become of each payment: only ever added to. The newest line counts; a correction is a new line.
CREATE TABLE dispositions (
    line            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id  TEXT COLLATE "C" NOT NULL REFERENCES payments,
    state           TEXT NOT NULL CHECK (state IN ('waiting', 'dispensed', 'refund-due', 'refunded', 'review')),
    reason          TEXT NOT NULL,
    at              BIGINT NOT NULL
);
CREATE INDEX dispositions_by_payment ON dispositions (transaction_id, line);

CREATE VIEW books AS
    SELECT p.*, d.state, d.reason, d.at AS since
    FROM payments p LEFT JOIN dispositions d ON d.line =
        (SELECT max(line) FROM dispositions WHERE transaction_id = p.transaction_id);

CREATE TABLE attempts (
    line      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_no  TEXT,
    what      TEXT NOT NULL,
    at        BIGINT NOT NULL
);

CREATE TABLE refused (
    body    BYTEA NOT NULL,
    reason  TEXT NOT NULL,
    at      BIGINT NOT NULL
);
-- A body may be larger than what an index takes.
CREATE UNIQUE INDEX refused_once ON refused (sha256(body));

CREATE TABLE quarantine (
    slot    BIGINT PRIMARY KEY,
    reason  TEXT NOT NULL,
    body    BYTEA NOT NULL,
    at      BIGINT NOT NULL
);

CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION '%', TG_ARGV[0]; END $$;
CREATE FUNCTION check_sale() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NOT (
        (OLD.sale, OLD.kiosk, OLD.total, OLD.created_at) = (NEW.sale, NEW.kiosk, NEW.total, NEW.created_at)
        AND (OLD.paid_by IS NULL OR OLD.paid_by IS NOT DISTINCT FROM NEW.paid_by)
        AND (OLD.claim IS NULL OR OLD.claim IS NOT DISTINCT FROM NEW.claim)
        AND OLD.status || '>' || NEW.status IN (
            'open>paid', 'open>closed', 'paid>claimed', 'paid>expired',
            'claimed>dispensed', 'claimed>not-dispensed', 'claimed>unknown'))
    THEN RAISE EXCEPTION 'a sale takes only the steps of its life'; END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION check_disposition() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF coalesce((
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
    THEN RAISE EXCEPTION 'a payment takes only the steps of its life'; END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER sales_begin_open BEFORE INSERT ON sales FOR EACH ROW WHEN (NEW.status <> 'open')
    EXECUTE FUNCTION refuse('a sale begins open');
CREATE TRIGGER sales_edges BEFORE UPDATE ON sales FOR EACH ROW EXECUTE FUNCTION check_sale();
CREATE TRIGGER sales_stay BEFORE DELETE ON sales FOR EACH ROW EXECUTE FUNCTION refuse('sales are kept');
CREATE TRIGGER orders_stay BEFORE DELETE OR UPDATE ON orders
    FOR EACH ROW EXECUTE FUNCTION refuse('order numbers are kept as they are');
CREATE TRIGGER payments_stay BEFORE DELETE OR UPDATE ON payments
    FOR EACH ROW EXECUTE FUNCTION refuse('payments are kept as they are');
CREATE TRIGGER dispositions_edges BEFORE INSERT ON dispositions FOR EACH ROW EXECUTE FUNCTION check_disposition();
CREATE TRIGGER dispositions_stay BEFORE DELETE OR UPDATE ON dispositions
    FOR EACH ROW EXECUTE FUNCTION refuse('dispositions are kept as they are');
CREATE TRIGGER refused_stay BEFORE DELETE ON refused FOR EACH ROW EXECUTE FUNCTION refuse('what was signed is kept');
"#,
    r#"
CREATE TABLE tokens (
    digest      TEXT COLLATE "C" PRIMARY KEY,
    kiosk       TEXT COLLATE "C" NOT NULL,
    made_at     BIGINT NOT NULL,
    revoked_at  BIGINT
);
CREATE TRIGGER tokens_stay BEFORE DELETE ON tokens
    FOR EACH ROW EXECUTE FUNCTION refuse('tokens are revoked, and kept');
"#,
    // What only the platform's bill tells of goes back.
    r#"
CREATE OR REPLACE FUNCTION check_disposition() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF coalesce((
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
    THEN RAISE EXCEPTION 'a payment takes only the steps of its life'; END IF;
    RETURN NEW;
END $$;
"#,
    // What a fleet needs: times that the books do not know, what people note, who is logged in, which kiosks were heard of.
    r#"
CREATE OR REPLACE FUNCTION check_disposition() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF coalesce((
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
    THEN RAISE EXCEPTION 'a payment takes only the steps of its life'; END IF;
    RETURN NEW;
END $$;

CREATE TABLE gaps (
    began  BIGINT NOT NULL,
    ended  BIGINT NOT NULL
);
CREATE TRIGGER gaps_stay BEFORE DELETE ON gaps FOR EACH ROW EXECUTE FUNCTION refuse('gaps are kept');

CREATE TABLE notes (
    line            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id  TEXT COLLATE "C" NOT NULL REFERENCES payments,
    note            TEXT NOT NULL,
    at              BIGINT NOT NULL
);
CREATE INDEX notes_by_payment ON notes (transaction_id);
CREATE TRIGGER notes_stay BEFORE DELETE ON notes FOR EACH ROW EXECUTE FUNCTION refuse('notes are kept');

CREATE TABLE logins (
    digest  TEXT COLLATE "C" PRIMARY KEY,
    until   BIGINT NOT NULL
);

CREATE TABLE kiosks (
    kiosk    TEXT COLLATE "C" PRIMARY KEY,
    seen_at  BIGINT NOT NULL,
    version  TEXT NOT NULL,
    state    TEXT NOT NULL,
    fault    TEXT NOT NULL,
    since    BIGINT NOT NULL,
    told_at  BIGINT NOT NULL
);

CREATE TABLE bills (
    line     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       BIGINT NOT NULL,
    name     TEXT NOT NULL,
    digest   BYTEA NOT NULL,
    summary  TEXT NOT NULL,
    alarm    BIGINT NOT NULL,
    report   BYTEA NOT NULL
);

-- Which of several servers does what only one need do.
CREATE TABLE leases (
    name    TEXT COLLATE "C" PRIMARY KEY,
    holder  TEXT NOT NULL,
    until   BIGINT NOT NULL
);

-- What is owed or open is found without looking through everything that ever was.
CREATE INDEX dispositions_open ON dispositions (state) WHERE state = 'refund-due' OR state = 'review';
"#,
    // What has not ended is found without looking through everything that ever was: a sale that has ended has a time for it.
    r#"
ALTER TABLE sales ADD CHECK ((ended_at IS NULL) = (status IN ('open', 'paid', 'claimed')));
DROP INDEX sales_live;
CREATE INDEX sales_live ON sales (kiosk) WHERE ended_at IS NULL;
"#,
    // What strangers and stolen tokens must not do: open sales that are asked for over a long time, and one-time ways into the
    // console.
    r#"
CREATE TABLE asked (
    sale  TEXT COLLATE "C" PRIMARY KEY,
    at    BIGINT NOT NULL
);

CREATE TABLE console_links (
    digest  TEXT COLLATE "C" PRIMARY KEY,
    until   BIGINT NOT NULL
);
"#,
    // What was paid in another currency, and what was refused: junk no longer pushes out what may be a payment.
    r#"
-- What was paid in another currency counts 0 fen in `payments`. This is what it was, in its smallest unit.
CREATE TABLE foreign_payments (
    transaction_id  TEXT COLLATE "C" PRIMARY KEY,
    fee_type        TEXT NOT NULL,
    total           BIGINT NOT NULL CHECK (total >= 0)
);
CREATE TRIGGER foreign_payments_stay BEFORE DELETE OR UPDATE ON foreign_payments
    FOR EACH ROW EXECUTE FUNCTION refuse('payments are kept as they are');

CREATE OR REPLACE FUNCTION check_disposition() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF coalesce((
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
    THEN RAISE EXCEPTION 'a payment takes only the steps of its life'; END IF;
    RETURN NEW;
END $$;

-- Reads like a notification of a payment, and no key of ours gives its signature: that may be the key's fault. A ring of its
-- own; what names a number of ours is pushed out last.
CREATE TABLE unverified (
    id        TEXT COLLATE "C" PRIMARY KEY,
    order_no  TEXT COLLATE "C" NOT NULL,
    is_known  BIGINT NOT NULL,
    reason    TEXT NOT NULL,
    body      BYTEA NOT NULL,
    times     BIGINT NOT NULL,
    at        BIGINT NOT NULL
);
CREATE INDEX unverified_by_age ON unverified (is_known, at);
CREATE INDEX unverified_by_order ON unverified (order_no, at);
CREATE INDEX unverified_by_time ON unverified (at);

-- What was signed can be written in as many ways as one likes: few of the same signature are kept.
ALTER TABLE refused ADD COLUMN kind TEXT;
ALTER TABLE refused ADD COLUMN signature TEXT;
CREATE INDEX refused_by_signature ON refused (signature);
"#,
    // What the books come to is kept with each change, so that no page counts everything that ever was; and what a list
    // may be asked for is found without looking for it. Here each change is a row of its own, added up later: requests
    // that run beside each other must not wait for one row that all of them change.
    r#"
CREATE TABLE tallies (
    day    BIGINT NOT NULL,
    key    TEXT COLLATE "C" NOT NULL,
    count  BIGINT NOT NULL,
    fen    BIGINT NOT NULL,
    PRIMARY KEY (day, key)
);
CREATE TABLE takings (
    day    BIGINT NOT NULL,
    kiosk  TEXT COLLATE "C" NOT NULL,
    count  BIGINT NOT NULL,
    fen    BIGINT NOT NULL,
    PRIMARY KEY (day, kiosk)
);
-- Without a kiosk it is for `tallies`, else for `takings`.
CREATE TABLE tally_changes (
    line   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day    BIGINT NOT NULL,
    kiosk  TEXT COLLATE "C" NOT NULL,
    key    TEXT COLLATE "C" NOT NULL,
    count  BIGINT NOT NULL,
    fen    BIGINT NOT NULL
);
CREATE VIEW sums AS SELECT day, key, count, fen FROM tallies
    UNION ALL SELECT day, key, count, fen FROM tally_changes WHERE kiosk = '';
CREATE VIEW sums_of_kiosks AS SELECT day, kiosk, count, fen FROM takings
    UNION ALL SELECT day, kiosk, count, fen FROM tally_changes WHERE kiosk <> '';

CREATE TABLE counted (
    what  TEXT COLLATE "C" PRIMARY KEY,
    upto  TEXT COLLATE "C" NOT NULL
);
INSERT INTO counted VALUES
    ('sales', CASE WHEN EXISTS (SELECT 1 FROM sales) THEN '' ELSE '~' END),
    ('payments', CASE WHEN EXISTS (SELECT 1 FROM payments) THEN '' ELSE '~' END);

CREATE TABLE identity (
    books  TEXT COLLATE "C" PRIMARY KEY
);
CREATE TRIGGER identity_stays BEFORE DELETE OR UPDATE ON identity
    FOR EACH ROW EXECUTE FUNCTION refuse('books are the same for ever');

CREATE TABLE sales_of_kiosk (
    kiosk       TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    sale        TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (kiosk, created_at, sale)
);
CREATE TABLE sales_gone_wrong (
    status      TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    sale        TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (status, created_at, sale)
);

CREATE TABLE owed (
    transaction_id  TEXT COLLATE "C" PRIMARY KEY,
    state           TEXT COLLATE "C" NOT NULL,
    reason          TEXT COLLATE "C" NOT NULL,
    since           BIGINT NOT NULL
);
INSERT INTO owed SELECT d.transaction_id, d.state, d.reason, d.at FROM dispositions d
    WHERE (d.state = 'refund-due' OR d.state = 'review') AND NOT EXISTS
        (SELECT 1 FROM dispositions n WHERE n.transaction_id = d.transaction_id AND n.line > d.line);
CREATE INDEX owed_by_time ON owed (state, since, transaction_id);
CREATE INDEX owed_by_reason ON owed (state, reason, since, transaction_id);
CREATE TABLE mispaid (
    at              BIGINT NOT NULL,
    transaction_id  TEXT COLLATE "C" NOT NULL,
    reason          TEXT NOT NULL,
    PRIMARY KEY (at, transaction_id)
);
INSERT INTO mispaid SELECT at, transaction_id, reason FROM dispositions
    WHERE state = 'refund-due' AND reason IN ('amount', 'unknown-order', 'currency');
DROP INDEX dispositions_open;
CREATE INDEX refused_by_time ON refused (at);
CREATE INDEX attempts_by_time ON attempts (at);
CREATE INDEX attempts_by_order ON attempts (order_no);
CREATE INDEX bills_by_digest ON bills (digest, line);

CREATE FUNCTION tally(day BIGINT, kiosk TEXT, key TEXT, count BIGINT, fen BIGINT) RETURNS void LANGUAGE sql AS
    $$ INSERT INTO tally_changes (day, kiosk, key, count, fen) VALUES ($1, $2, $3, $4, $5) $$;
CREATE FUNCTION is_counted(what TEXT, name TEXT) RETURNS boolean LANGUAGE sql AS
    $$ SELECT $2 COLLATE "C" <= upto FROM counted WHERE counted.what = $1 $$;
CREATE FUNCTION list_sale() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO sales_of_kiosk VALUES (NEW.kiosk, NEW.created_at, NEW.sale);
    IF is_counted('sales', NEW.sale) THEN
        PERFORM tally((NEW.created_at + 28800000) / 86400000, '', 'began', 1, NEW.total);
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION count_end() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.status IN ('not-dispensed', 'unknown', 'expired') THEN
        INSERT INTO sales_gone_wrong VALUES (NEW.status, NEW.created_at, NEW.sale);
    END IF;
    IF is_counted('sales', NEW.sale) THEN
        PERFORM tally((NEW.created_at + 28800000) / 86400000, '', NEW.status, 1, NEW.total);
        IF NEW.status = 'dispensed' THEN
            PERFORM tally((NEW.created_at + 28800000) / 86400000, NEW.kiosk, NEW.status, 1, NEW.total);
        END IF;
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION count_payment() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF is_counted('payments', NEW.transaction_id) THEN
        PERFORM tally(0, '', 'money/verified', 1, NEW.total);
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION count_disposition() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    paid BIGINT;
    was TEXT;
BEGIN
    SELECT state INTO was FROM dispositions
        WHERE transaction_id = NEW.transaction_id AND line < NEW.line ORDER BY line DESC LIMIT 1;
    IF is_counted('payments', NEW.transaction_id) THEN
        SELECT total INTO paid FROM payments WHERE transaction_id = NEW.transaction_id;
        IF was IS NOT NULL THEN
            PERFORM tally(0, '', 'money/' || was, -1, -paid);
        END IF;
        PERFORM tally(0, '', 'money/' || NEW.state, 1, paid);
    END IF;
    IF NEW.state IN ('refund-due', 'review') THEN
        INSERT INTO owed VALUES (NEW.transaction_id, NEW.state, NEW.reason, NEW.at)
        ON CONFLICT (transaction_id) DO UPDATE
            SET state = excluded.state, reason = excluded.reason, since = excluded.since;
        IF NEW.reason IN ('amount', 'unknown-order', 'currency') THEN
            INSERT INTO mispaid VALUES (NEW.at, NEW.transaction_id, NEW.reason) ON CONFLICT DO NOTHING;
        END IF;
    ELSIF was IN ('refund-due', 'review') THEN
        -- Not looked for otherwise: what requests beside each other look for makes them conflict.
        DELETE FROM owed WHERE transaction_id = NEW.transaction_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER sales_listed AFTER INSERT ON sales FOR EACH ROW EXECUTE FUNCTION list_sale();
CREATE TRIGGER sales_ended_counted AFTER UPDATE ON sales FOR EACH ROW
    WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION count_end();
CREATE TRIGGER payments_counted AFTER INSERT ON payments FOR EACH ROW EXECUTE FUNCTION count_payment();
CREATE TRIGGER dispositions_counted AFTER INSERT ON dispositions
    FOR EACH ROW EXECUTE FUNCTION count_disposition();
"#,
    // A payment that buys costs one row, and what is looked for by a number's end, or of one kiosk's, is found without
    // looking through years.
    r#"
-- What a payment is at first stands in its own row; `dispositions` has what came after, and all of what older versions wrote.
ALTER TABLE payments
    ADD COLUMN first_state TEXT CHECK (first_state IN ('waiting', 'refund-due', 'review')),
    ADD COLUMN first_reason TEXT CHECK ((first_reason IS NULL) = (first_state IS NULL));
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

CREATE INDEX orders_by_ending ON orders (substr(order_no, length(order_no) - 3), registered_at, order_no);
ALTER TABLE sales_gone_wrong ADD COLUMN kiosk TEXT COLLATE "C";
UPDATE sales_gone_wrong SET kiosk = (SELECT kiosk FROM sales WHERE sales.sale = sales_gone_wrong.sale);
CREATE INDEX sales_gone_wrong_of_kiosk ON sales_gone_wrong (kiosk, status, created_at, sale);

CREATE OR REPLACE FUNCTION check_disposition() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF coalesce(
            (SELECT state || '/' || reason FROM dispositions
                WHERE transaction_id = NEW.transaction_id ORDER BY line DESC LIMIT 1),
            (SELECT first_state || '/' || first_reason FROM payments WHERE transaction_id = NEW.transaction_id), 'new')
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
    THEN RAISE EXCEPTION 'a payment takes only the steps of its life'; END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION count_end() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.status IN ('not-dispensed', 'unknown', 'expired') THEN
        INSERT INTO sales_gone_wrong (status, created_at, sale, kiosk)
        VALUES (NEW.status, NEW.created_at, NEW.sale, NEW.kiosk);
    END IF;
    IF is_counted('sales', NEW.sale) THEN
        PERFORM tally((NEW.created_at + 28800000) / 86400000, '', NEW.status, 1, NEW.total);
        IF NEW.status = 'dispensed' THEN
            PERFORM tally((NEW.created_at + 28800000) / 86400000, NEW.kiosk, NEW.status, 1, NEW.total);
        END IF;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION count_payment() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF is_counted('payments', NEW.transaction_id) THEN
        PERFORM tally(0, '', 'money/verified', 1, NEW.total);
        IF NEW.first_state IS NOT NULL THEN
            PERFORM tally(0, '', 'money/' || NEW.first_state, 1, NEW.total);
        END IF;
    END IF;
    IF NEW.first_state <> 'waiting' THEN
        INSERT INTO owed VALUES (NEW.transaction_id, NEW.first_state, NEW.first_reason, NEW.received_at);
        IF NEW.first_state = 'refund-due' AND NEW.first_reason IN ('amount', 'unknown-order', 'currency') THEN
            INSERT INTO mispaid VALUES (NEW.received_at, NEW.transaction_id, NEW.first_reason);
        END IF;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION count_disposition() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    paid BIGINT;
    was TEXT;
BEGIN
    SELECT total, first_state INTO paid, was FROM payments WHERE transaction_id = NEW.transaction_id;
    was := coalesce((SELECT state FROM dispositions
        WHERE transaction_id = NEW.transaction_id AND line < NEW.line ORDER BY line DESC LIMIT 1), was);
    IF is_counted('payments', NEW.transaction_id) THEN
        IF was IS NOT NULL THEN
            PERFORM tally(0, '', 'money/' || was, -1, -paid);
        END IF;
        PERFORM tally(0, '', 'money/' || NEW.state, 1, paid);
    END IF;
    IF NEW.state IN ('refund-due', 'review') THEN
        INSERT INTO owed VALUES (NEW.transaction_id, NEW.state, NEW.reason, NEW.at)
        ON CONFLICT (transaction_id) DO UPDATE
            SET state = excluded.state, reason = excluded.reason, since = excluded.since;
        IF NEW.reason IN ('amount', 'unknown-order', 'currency') THEN
            INSERT INTO mispaid VALUES (NEW.at, NEW.transaction_id, NEW.reason) ON CONFLICT DO NOTHING;
        END IF;
    ELSIF was IN ('refund-due', 'review') THEN
        -- Not looked for otherwise: what requests beside each other look for makes them conflict.
        DELETE FROM owed WHERE transaction_id = NEW.transaction_id;
    END IF;
    RETURN NULL;
END $$;
"#,
    // Payments come in groups: what the books come to is added up once for each statement, not for each row. That a line has its
    // payment, and that the payment takes only the steps of its life, is checked for all new lines together; a foreign key
    // would look, and lock, for each of them.
    r#"
DROP TRIGGER payments_counted ON payments;
DROP FUNCTION count_payment;
CREATE FUNCTION count_payments() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO tally_changes (day, kiosk, key, count, fen)
    SELECT 0, '', 'money/' || key, count(*), CAST(sum(total) AS BIGINT) FROM (
        SELECT 'verified' AS key, transaction_id, total FROM added
        UNION ALL SELECT first_state, transaction_id, total FROM added WHERE first_state IS NOT NULL) AS counted_now
    WHERE transaction_id <= (SELECT upto FROM counted WHERE what = 'payments') GROUP BY key;
    INSERT INTO owed SELECT transaction_id, first_state, first_reason, received_at FROM added
    WHERE first_state IN ('refund-due', 'review');
    INSERT INTO mispaid SELECT received_at, transaction_id, first_reason FROM added
    WHERE first_state = 'refund-due' AND first_reason IN ('amount', 'unknown-order', 'currency') ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER payments_counted AFTER INSERT ON payments REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION count_payments();

DROP TRIGGER sales_listed ON sales;
DROP FUNCTION list_sale;
CREATE FUNCTION list_sales() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO sales_of_kiosk SELECT kiosk, created_at, sale FROM added;
    INSERT INTO tally_changes (day, kiosk, key, count, fen)
    SELECT (created_at + 28800000) / 86400000, '', 'began', count(*), CAST(sum(total) AS BIGINT) FROM added
    WHERE sale <= (SELECT upto FROM counted WHERE what = 'sales') GROUP BY 1;
    RETURN NULL;
END $$;
CREATE TRIGGER sales_listed AFTER INSERT ON sales REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION list_sales();

DROP TRIGGER sales_edges ON sales;
DROP FUNCTION check_sale;
CREATE TRIGGER sales_edges BEFORE UPDATE ON sales FOR EACH ROW WHEN (NOT (
        OLD.sale = NEW.sale AND OLD.kiosk = NEW.kiosk AND OLD.total = NEW.total AND OLD.created_at = NEW.created_at
        AND (OLD.paid_by IS NULL OR OLD.paid_by IS NOT DISTINCT FROM NEW.paid_by)
        AND (OLD.claim IS NULL OR OLD.claim IS NOT DISTINCT FROM NEW.claim)
        AND OLD.status || '>' || NEW.status IN (
            'open>paid', 'open>closed', 'paid>claimed', 'paid>expired',
            'claimed>dispensed', 'claimed>not-dispensed', 'claimed>unknown')))
    EXECUTE FUNCTION refuse('a sale takes only the steps of its life');

ALTER TABLE dispositions DROP CONSTRAINT dispositions_transaction_id_fkey;
DROP TRIGGER dispositions_edges ON dispositions;
DROP FUNCTION check_disposition;
DROP TRIGGER dispositions_counted ON dispositions;
DROP FUNCTION count_disposition;
CREATE FUNCTION follow_payments() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    refused BIGINT;
BEGIN
    -- Each step with the line before it. Looked up line by line: of a join PostgreSQL may think that reading everything is best.
    WITH steps AS MATERIALIZED (
        SELECT line, transaction_id, state, reason, at,
            (SELECT total FROM payments p WHERE p.transaction_id = added.transaction_id) AS total,
            coalesce((SELECT d.state || '/' || d.reason FROM dispositions d
                    WHERE d.transaction_id = added.transaction_id AND d.line < added.line
                    ORDER BY d.transaction_id DESC, d.line DESC LIMIT 1),
                (SELECT p.first_state || '/' || p.first_reason FROM payments p
                    WHERE p.transaction_id = added.transaction_id)) AS was
        FROM added),
    moved AS (
        SELECT state AS state, 1 AS sign, transaction_id, total FROM steps
        UNION ALL SELECT split_part(was, '/', 1), -1, transaction_id, total FROM steps WHERE was IS NOT NULL),
    tallied AS (
        INSERT INTO tally_changes (day, kiosk, key, count, fen)
        SELECT 0, '', 'money/' || state, sum(sign), CAST(sum(sign * total) AS BIGINT) FROM moved
        WHERE transaction_id <= (SELECT upto FROM counted WHERE what = 'payments') GROUP BY state),
    newest AS (
        SELECT DISTINCT ON (transaction_id) * FROM steps ORDER BY transaction_id, line DESC),
    owed_now AS (
        INSERT INTO owed SELECT transaction_id, state, reason, at FROM newest WHERE state IN ('refund-due', 'review')
        ON CONFLICT (transaction_id) DO UPDATE
            SET state = excluded.state, reason = excluded.reason, since = excluded.since),
    owed_before AS (
        DELETE FROM owed WHERE transaction_id = ANY(ARRAY(
            SELECT transaction_id FROM newest WHERE state NOT IN ('refund-due', 'review') AND was IS NOT NULL))),
    mispaid_now AS (
        INSERT INTO mispaid SELECT at, transaction_id, reason FROM steps
        WHERE state = 'refund-due' AND reason IN ('amount', 'unknown-order', 'currency') ON CONFLICT DO NOTHING)
    SELECT count(*) INTO refused FROM steps WHERE total IS NULL OR coalesce(was, 'new') || '>' || state NOT IN (
            'new>waiting', 'new>refund-due', 'new>review',
            'waiting/>dispensed', 'waiting/>refund-due', 'waiting/>review',
            'refund-due/unknown-order>waiting',
            'refund-due/late>refunded', 'refund-due/duplicate>refunded', 'refund-due/amount>refunded',
            'refund-due/unknown-order>refunded', 'refund-due/expired>refunded', 'refund-due/not-dispensed>refunded',
            'refund-due/decided>refunded', 'refund-due/bill-only>refunded', 'refund-due/currency>refunded',
            'review/silent>dispensed', 'review/silent>refund-due', 'review/silent>review',
            'review/unknown>dispensed', 'review/unknown>refund-due',
            'review/gap>dispensed', 'review/gap>refund-due');
    IF refused > 0 THEN
        RAISE EXCEPTION 'a payment takes only the steps of its life';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER dispositions_followed AFTER INSERT ON dispositions REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION follow_payments();
"#,
];
