//! The command lines: exit status, one line on stderr, what `merchant verify` tells.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use std::fs;
use std::process::{Command, Output, Stdio};

use crate::support::postgres::Cluster;
use crate::support::shop::{self, Program, Shop, paid, signed};
use selpay_kiosk::files;
use selpay_kiosk::ids::ClaimId;
use selpay_kiosk::merchant::config::token_digest;
use selpay_kiosk::merchant::ledger::Time;
use selpay_kiosk::selpay::sign::{self, SignKey};
use serde_json::{Value, json};

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().expect("run")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const PROGRAMS: [&str; 4] = [
    env!("CARGO_BIN_EXE_kiosk"),
    env!("CARGO_BIN_EXE_merchant"),
    env!("CARGO_BIN_EXE_paysim"),
    env!("CARGO_BIN_EXE_demo"),
];

#[test]
fn every_program_explains_itself() {
    for program in PROGRAMS {
        let help = run(program, &["--help"]);
        assert_eq!(help.status.code(), Some(0));
        assert!(stdout(&help).contains("Usage:"), "{program}");
        let version = run(program, &["--version"]);
        assert_eq!(version.status.code(), Some(0));
        assert!(
            stdout(&version).contains(env!("CARGO_PKG_VERSION")),
            "{program}"
        );
    }
}

#[test]
fn unusable_arguments_are_one_line_and_status_two() {
    for program in PROGRAMS {
        let output = run(program, &["--no-such-thing"]);
        assert_eq!(output.status.code(), Some(2), "{program}");
        assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
        assert!(stderr(&output).contains("--no-such-thing"));
    }
    let output = run(PROGRAMS[3], &["--sale", "3.505"]);
    assert_eq!(
        (output.status.code(), stderr(&output).trim()),
        (
            Some(2),
            "--sale 3.505: more than two decimals: the smallest amount is 0.01"
        )
    );
}

#[test]
fn an_unusable_configuration_is_one_line_with_file_field_and_fix() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("x.toml");
    let path = file.to_str().expect("plain");
    for (program, command) in [
        (PROGRAMS[0], "run"),
        (PROGRAMS[1], "serve"),
        (PROGRAMS[1], "balance"),
    ] {
        let output = run(program, &[command, "--config", path]);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(
            stderr(&output).trim(),
            format!("{path}: No such file or directory (os error 2)")
        );
    }
    fs::write(&file, "listen = \"127.0.0.1:0\"\nlisten-to = 1\n").expect("written");
    let output = run(PROGRAMS[1], &["serve", "--config", path]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).starts_with(&format!("{path}: line 2: unknown field `listen-to`")),
        "{}",
        stderr(&output)
    );
    assert_eq!(stderr(&output).lines().count(), 1);
}

#[test]
fn a_kiosk_says_which_file_it_cannot_use() {
    let shop = Shop::open();
    let write = |name: &str, text: &str| fs::write(shop.path(name), text).expect("written");
    write("bench.toml", include_str!("../boards/bench.toml"));
    let config = "kiosk = \"kiosk-1\"\nboard = \"bench.toml\"\napp-key = \"k\"\nplatform-url = \"https://up.example\"\n\
        scan-hosts = [\"up.example\"]\nmerchant-url = \"https://m.example\"\ntoken-file = \"token\"\njournal = \"journal\"\n";
    let run_with = |change: &str| {
        write("kiosk.toml", &format!("{config}{change}\n"));
        run(
            PROGRAMS[0],
            &[
                "run",
                "--config",
                shop.path("kiosk.toml").to_str().expect("plain"),
            ],
        )
    };
    write("ca.pem", "no certificate");
    let output = run_with("merchant-ca-file = \"ca.pem\"");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output)
            .trim()
            .ends_with("ca.pem: holds no certificate in PEM form"),
        "{}",
        stderr(&output)
    );

    write(
        "bench.toml",
        &include_str!("../boards/bench.toml").replace("[240, 320]", "[1, 1]"),
    );
    let output = run_with("");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("bench.toml: panel.size: 1 × 1 is not"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_secret_that_others_can_read_is_refused_with_its_fix() {
    use std::os::unix::fs::PermissionsExt;
    let shop = Shop::open();
    fs::set_permissions(shop.path("sign.key"), fs::Permissions::from_mode(0o644)).expect("changed");
    let output = shop.command(&["serve"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("sign.key: others can read this secret; run chmod o-rwx on it"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn verify_tells_fields_string_and_verdict_but_never_the_key() {
    let shop = Shop::open();
    let key = shop.path("sign.key");
    let verify = |body: &str| {
        let file = shop.path("body.xml");
        fs::write(&file, body).expect("written");
        run(
            PROGRAMS[1],
            &[
                "verify",
                file.to_str().expect("plain"),
                "--sign-key-file",
                key.to_str().expect("plain"),
            ],
        )
    };
    let message = signed(paid("N1", "T1", "350"));
    let good = verify(&message);
    assert_eq!(good.status.code(), Some(0));
    let text = stdout(&good);
    for told in [
        "total_fee = 350",
        "&total_fee=350&",
        "&key=***",
        "verified with",
    ] {
        assert!(text.contains(told), "{told} is not in\n{text}");
    }
    assert!(!text.contains(shop::SIGN_KEY));

    let forged = verify(&message.replace("[350]", "[351]"));
    assert_eq!(forged.status.code(), Some(1));
    assert!(stdout(&forged).contains("NOT verified: the signature does not match any key"));
    let mut fields = paid("N1", "T1", "350");
    fields.insert("attach".to_owned(), "x&total_fee=99900&zz=".to_owned());
    let ambiguous = verify(&signed(fields));
    assert_eq!(ambiguous.status.code(), Some(1));
    let told = "NOT verified: the field attach contains &total_fee=: the signed text can be read in two ways";
    assert!(stdout(&ambiguous).contains(told), "{}", stdout(&ambiguous));
    let malformed = verify("<xml><a>1</a><a>1</a></xml>");
    assert_eq!(malformed.status.code(), Some(1));
    assert!(stdout(&malformed).contains("the field a occurs twice"));
}

#[test]
fn a_key_with_what_cannot_be_seen_is_refused_by_name_wherever_it_is_read() {
    let shop = Shop::open();
    let body = shop.path("body.xml");
    fs::write(&body, signed(paid("N1", "T1", "350"))).expect("written");
    let key = shop.path("sign.key");
    let path = |file: &std::path::Path| file.display().to_string();
    for (text, told) in [
        (
            format!("\u{feff}{}", shop::SIGN_KEY),
            "character 1 of the key is U+FEFF (a byte order mark)",
        ),
        (
            format!("{}\u{a0}", shop::SIGN_KEY),
            "character 33 of the key is U+00A0 (a no-break space)",
        ),
        (
            format!("\"{}\"\n", shop::SIGN_KEY),
            "character 1 of the key is U+0022 (a quotation mark)",
        ),
        (
            format!("{}\n\n", shop::SIGN_KEY),
            "character 33 of the key is U+000A (a line break)",
        ),
    ] {
        fs::write(&key, &text).expect("written");
        let (body, key) = (path(&body), path(&key));
        let verified = run(PROGRAMS[1], &["verify", &body, "--sign-key-file", &key]);
        for output in [shop.command(&["serve"]), verified] {
            assert_eq!(output.status.code(), Some(2), "{text:?}");
            let line = stderr(&output);
            assert!(line.contains("sign.key: ") && line.contains(told), "{line}");
            assert_eq!(line.lines().count(), 1);
            assert!(!line.contains(shop::SIGN_KEY));
        }
    }
    // A running server keeps the key that it has.
    shop.merchant.signal("HUP");
    let (_, order) = shop.sale(1);
    for transaction in ["T1", "T2", "T3"] {
        let answer = shop.notify(signed(paid(order.as_str(), transaction, "350")));
        assert_eq!(answer.1, "success");
    }
    // What judges no notification needs none.
    fs::remove_file(&key).expect("removed");
    assert_eq!(shop.books("balance")["verified"], 3 * 350);
    assert_eq!(shop.command(&["quarantine", "list"]).status.code(), Some(0));
    assert_eq!(
        shop.command(&["quarantine", "retry"]).status.code(),
        Some(2)
    );
}

#[test]
fn what_was_refused_is_listed_shown_as_it_came_and_booked_once_the_key_is_mended() {
    a_key_is_mended(&Shop::open());
}

#[test]
#[ignore = "needs PostgreSQL"]
fn what_was_refused_is_booked_on_postgres_as_well() {
    let cluster = Cluster::start(&[]);
    a_key_is_mended(&Shop::open_on(&cluster.url(), ""));
}

fn a_key_is_mended(shop: &Shop) {
    let none = shop.command(&["quarantine", "list"]);
    assert_eq!(stdout(&none).trim(), "no notification was refused");
    let (sale, order) = shop.sale(1);
    let (_, other) = shop.sale(2);
    // What the platform signs with a key that we do not have yet, in its own order and with a line break at its end.
    let signed_with_next = |order: &str, transaction: &str, total: &str| {
        let mut fields = paid(order, transaction, total);
        let next = SignKey::new("the-next-key").expect("a key");
        let signature = sign::signature(&(&fields).into(), &next);
        fields.insert("sign".to_owned(), signature);
        format!("{}\r\n", shop::unsigned(&fields))
    };
    let pays = signed_with_next(order.as_str(), "T1", "350");
    let wrong_amount = signed_with_next(other.as_str(), "T2", "1");
    let forged = signed(paid(other.as_str(), "T3", "350")).replace("[350]", "[351]");
    for message in [&pays, &pays, &wrong_amount, &forged] {
        assert_eq!(shop.notify(message).1, "fail");
    }
    shop.notify(b"\xff\x00 junk");
    let listed = shop::eventually("the junk as well", || {
        let listed = shop.books("quarantine list");
        (listed.as_array()?.len() == 4).then_some(listed)
    });
    let of = |what: &str, value: &str| {
        let mut listed = listed.as_array().expect("a list").iter();
        let found = listed.find(|kept| kept[what] == value);
        found.unwrap_or_else(|| panic!("{value} is listed")).clone()
    };
    let kept = of("transactionId", "T1");
    assert_eq!(kept["kind"], "unverified");
    assert_eq!(kept["times"], 2);
    assert_eq!(kept["orderNo"], order.as_str());
    assert_eq!(kept["mchId"], shop::MCH_ID);
    assert_eq!(kept["reason"], "the signature does not match any key");
    assert_eq!(of("kind", "junk")["orderNo"], Value::Null);
    let lines = stdout(&shop.command(&["quarantine", "list"]));
    let id = kept["id"].as_str().expect("a name");
    let line = lines.lines().find(|line| line.starts_with(id));
    assert!(
        line.is_some_and(|line| line.contains(order.as_str())),
        "{lines}"
    );

    let shown = shop.command(&["quarantine", "show", id]);
    assert_eq!(shown.stdout, pays.as_bytes(), "exactly as it came");
    let junk = of("kind", "junk");
    let shown = shop.command(&["quarantine", "show", junk["id"].as_str().expect("a name")]);
    assert_eq!(shown.stdout, b"\xff\x00 junk");
    let unknown = shop.command(&["quarantine", "show", "0123456789abcdef"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(stderr(&unknown).lines().count(), 1);

    let retried = stdout(&shop.command(&["quarantine", "retry"]));
    assert_eq!(
        retried.trim(),
        "payments that are booked now: 0; that were in the books: 0; still refused: 4"
    );
    files::write_secret(&shop.path("next.key"), "the-next-key\n").expect("written");
    let config = fs::read_to_string(shop.path("merchant.toml")).expect("read");
    let both = config.replace("[\"sign.key\"]", "[\"sign.key\", \"next.key\"]");
    fs::write(shop.path("merchant.toml"), both).expect("written");
    let retried = stdout(&shop.command(&["quarantine", "retry"]));
    for told in [
        format!("{id}  payment T1 of 3.50 on order {order} pays sale {sale}").as_str(),
        format!("payment T2 of 0.01 on order {other} goes back: amount").as_str(),
        "payments that are booked now: 2; that were in the books: 0; still refused: 2",
    ] {
        assert!(retried.contains(told), "{told}: {retried}");
    }
    assert_eq!(shop.status(order), "paid");
    assert_eq!(shop.refund_reasons(), ["amount"]);
    assert_eq!(shop.the_books_balance()["verified"], 351);
    let left = shop.books("quarantine list");
    assert_eq!(left.as_array().map(Vec::len), Some(2), "{left}");
    let again = stdout(&shop.command(&["quarantine", "retry"]));
    assert!(again.contains("booked now: 0"), "{again}");
}

#[test]
fn the_log_names_order_and_sender_of_what_is_refused_on_one_line() {
    let mut shop = Shop::open();
    shop.merchant.kill();
    let log = fs::File::create(shop.path("merchant.log")).expect("a log");
    let mut program = Command::new(PROGRAMS[1]);
    program
        .args(["serve", "--config"])
        .arg(shop.path("merchant.toml"));
    shop.merchant = Program::serve_with_log(&mut program, log);
    let mut fields = paid("N1", "T1", "350");
    fields.insert("sign".to_owned(), "0".repeat(32));
    shop.notify(shop::unsigned(&fields));
    fields.insert(
        "out_trade_no".to_owned(),
        format!("N2\nALARM {}", "x".repeat(5000)),
    );
    shop.notify(shop::unsigned(&fields));
    let log = shop::eventually("both lines", || {
        let log = fs::read_to_string(shop.path("merchant.log")).ok()?;
        log.contains("N2").then_some(log)
    });
    let told = "a notification was refused: the signature does not match any key; it says order \"N1\" of merchant \"7551000001\"";
    assert!(log.contains(told), "{log}");
    assert!(!log.contains("\nALARM") && log.len() < 2000, "{log}");
}

#[test]
fn whoever_reads_a_list_may_have_seen_enough() {
    let shop = Shop::open();
    let mut list = Command::new(PROGRAMS[1])
        .args(["balance", "--config"])
        .arg(shop.path("merchant.toml"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    drop(list.stdout.take());
    let ended = list.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(0), "{}", stderr(&ended));
    assert_eq!(stderr(&ended), "");
}

#[test]
fn the_lists_are_for_people_as_well() {
    let shop = Shop::open();
    assert_eq!(
        stdout(&shop.command(&["refunds"])).trim(),
        "no refund is due"
    );
    assert_eq!(
        stdout(&shop.command(&["reviews"])).trim(),
        "no review is open"
    );
    shop.notify(signed(paid("nobody-knows-it", "T1", "350")));
    let refunds = stdout(&shop.command(&["refunds"]));
    assert!(
        refunds.contains("nobody-knows-it")
            && refunds.contains("3.50")
            && refunds.contains("unknown-order"),
        "{refunds}"
    );
    let balance = shop.command(&["balance"]);
    assert_eq!(balance.status.code(), Some(0));
    assert!(
        stdout(&balance).contains("it holds"),
        "{}",
        stdout(&balance)
    );
}

#[test]
fn people_settle_reviews_and_refunds_beside_a_running_server() {
    let shop = Shop::open();
    let (sale, order) = shop.sale(1);
    shop.notify(signed(paid(order.as_str(), "T1", "350")));
    shop.claim(sale, 1);
    let report = json!({ "claim": ClaimId::from_random(1), "outcome": "unknown" });
    shop.call("POST", &format!("/v1/sales/{sale}/outcome"), &report);
    assert_eq!(shop.the_books_balance()["review"], 350);

    let too_early = shop.command(&["refunds", "--done", "T1"]);
    assert_eq!(too_early.status.code(), Some(1));
    let told = String::from_utf8_lossy(&too_early.stderr).into_owned();
    assert!(told.contains("payment T1 is review unknown"), "{told}");
    let foreign = shop.command(&["reviews", "--dispensed", "T2"]);
    let told = String::from_utf8_lossy(&foreign.stderr).into_owned();
    assert!(told.contains("there is no payment T2"), "{told}");

    let settled = shop.command(&["reviews", "--refund", "T1"]);
    assert_eq!(stdout(&settled).trim(), "no review is open");
    assert_eq!(shop.refund_reasons(), ["decided"]);
    let sent = shop.command(&["refunds", "--done", "T1", "--json"]);
    assert_eq!(stdout(&sent).trim(), "[]");
    let balance = shop.the_books_balance();
    assert_eq!(
        (&balance["refunded"], &balance["review"]),
        (&json!(350), &json!(0))
    );
    assert_eq!(
        shop.status(order),
        "unknown",
        "what the kiosk said stays said"
    );
}

#[test]
fn a_wrong_path_begins_no_new_books() {
    let shop = Shop::open();
    let config = std::fs::read_to_string(shop.path("merchant.toml")).expect("read");
    let elsewhere = config.replace("sqlite:merchant.db", "sqlite:elsewhere.db");
    std::fs::write(shop.path("merchant.toml"), elsewhere).expect("written");
    let settled = shop.command(&["refunds", "--done", "T1"]);
    assert_eq!(settled.status.code(), Some(2));
    assert!(!shop.path("elsewhere.db").exists());
}

#[test]
fn a_kiosks_token_is_made_shown_once_and_revoked_beside_a_running_server() {
    let shop = Shop::open();
    let run = |arguments: &[&str]| {
        let output = shop.command(arguments);
        let told = String::from_utf8(output.stdout).expect("text");
        (output.status.code(), told.trim().to_owned())
    };
    let asks = |token: &str| {
        shop.call_as(token, "GET", "/v1/sales/unsettled", &Value::Null)
            .0
    };
    let (status, token) = run(&["kiosk", "add", "kiosk-9"]);
    assert_eq!((status, token.len()), (Some(0), 64), "{token}");
    shop::eventually("the server knows it", || {
        (asks(&token) == 200).then_some(())
    });
    let (_, second) = run(&["kiosk", "add", "kiosk-9"]);
    assert_ne!(token, second);

    let (_, told) = run(&["kiosk", "list", "--json"]);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let kiosks = told.as_array().expect("a list").iter();
    let kiosks: Vec<_> = kiosks
        .map(|kiosk| (&kiosk["kiosk"], &kiosk["token"]))
        .collect();
    let ours = (&json!("kiosk-9"), &json!("valid"));
    assert_eq!(kiosks.len(), 4, "two of the file, two that were made");
    assert_eq!(kiosks[2..], [ours, ours]);
    assert!(!told.to_string().contains(&token), "it was shown once");

    assert_eq!(run(&["kiosk", "revoke", "kiosk-9"]).0, Some(0));
    shop::eventually("nobody knows it", || (asks(&token) == 401).then_some(()));
    assert_eq!(
        run(&["kiosk", "revoke", "kiosk-9"]).0,
        Some(1),
        "none is left"
    );
    assert_eq!(asks(shop::TOKEN), 200, "another kiosk's");
}

#[test]
fn a_token_of_the_file_is_revoked_for_good() {
    let mut shop = Shop::open();
    let asks = |shop: &Shop, token: &str| {
        let path = "/v1/sales/unsettled";
        shop.call_as(token, "GET", path, &Value::Null).0
    };
    let revoke = |shop: &Shop| shop.command(&["kiosk", "revoke", "kiosk-1"]);
    let revoked = revoke(&shop);
    assert_eq!(revoked.status.code(), Some(0), "{}", stderr(&revoked));
    assert_eq!(stdout(&revoked).trim(), "1 of kiosk-1's tokens are revoked");
    shop::eventually("nobody knows it", || {
        (asks(&shop, shop::TOKEN) == 401).then_some(())
    });
    assert_eq!(asks(&shop, shop::OTHER_TOKEN), 200);
    assert_eq!(revoke(&shop).status.code(), Some(1), "none is left");
    // Its line still stands in the file.
    shop.restart_merchant();
    assert_eq!(asks(&shop, shop::TOKEN), 401);
    let told = stdout(&shop.command(&["kiosk", "list"]));
    let lines: Vec<Vec<&str>> = told
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines,
        [
            vec!["kiosk-1", "revoked", "(merchant.toml)"],
            vec!["kiosk-2", "merchant.toml"]
        ]
    );
}

#[test]
fn a_reload_takes_tokens_away_as_well_as_it_gives_them() {
    let shop = Shop::open();
    let asks = |token: &str| {
        let path = "/v1/sales/unsettled";
        shop.call_as(token, "GET", path, &Value::Null).0
    };
    let file = shop.path("merchant.toml");
    let config = std::fs::read_to_string(&file).expect("read");
    let line = format!("kiosk-1 = \"{}\"", token_digest(shop::TOKEN));
    let other = format!("kiosk-3 = \"{}\"", token_digest("the token of kiosk-3"));
    let reload = |config: &str| {
        std::fs::write(&file, config).expect("written");
        shop.merchant.signal("HUP");
    };
    assert_eq!(
        (asks(shop::TOKEN), asks("the token of kiosk-3")),
        (200, 401)
    );
    // A broken file changes nothing; the next that is whole does.
    reload(&config.replace(&line, "kiosk-1 = \"nonsense\""));
    reload(&config.replace(&line, &other));
    shop::eventually("the new one counts", || {
        (asks("the token of kiosk-3") == 200).then_some(())
    });
    assert_eq!(asks(shop::TOKEN), 401);
    assert_eq!(asks(shop::OTHER_TOKEN), 200);
    reload("nonsense");
    reload(&config);
    shop::eventually("the old one counts again", || {
        (asks(shop::TOKEN) == 200).then_some(())
    });
}

#[test]
fn a_backup_is_made_while_the_server_runs_and_never_over_another() {
    let shop = Shop::open();
    let (_, order) = shop.sale(1);
    shop.notify(signed(paid(order.as_str(), "T1", "350")));
    let copy = shop.path("copy.db");
    let copy = copy.to_str().expect("a path");
    let made = shop.command(&["backup", copy]);
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let again = shop.command(&["backup", copy]);
    assert_eq!(again.status.code(), Some(1), "there is one already");
    let told = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(told.contains("copy.db: File exists"), "{told}");

    let restored = rusqlite::Connection::open(copy).expect("opened");
    let count = |what: &str| {
        restored
            .query_row(what, [], |row| row.get::<_, i64>(0))
            .expect("SQL")
    };
    assert_eq!(count("SELECT count(*) FROM payments"), 1);
    assert_eq!(count("SELECT count(*) FROM sales WHERE status = 'paid'"), 1);
    let mode = std::fs::metadata(copy).expect("a file").permissions();
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(mode.mode() & 0o077, 0, "nobody else may read it");
}

#[test]
fn what_happened_since_a_copy_was_made_is_looked_at_when_that_copy_is_put_back() {
    let mut shop = Shop::open();
    let path = |shop: &Shop, name: &str| shop.path(name).display().to_string();
    // One that the copy has, and two that it does not.
    let (sale, order) = shop.sale(1);
    shop.notify(signed(paid(order.as_str(), "T1", "350")));
    let copied_at = now_in_china();
    let copied = shop.command(&["backup", &path(&shop, "copy.db")]);
    assert_eq!(copied.status.code(), Some(0), "{copied:?}");
    shop.claim(sale, 1);
    let lost: Vec<_> = [2, 3].map(|random| shop.sale(random).1).to_vec();
    let made = now_in_china();
    let notification = |order: &str, transaction: &str| {
        let mut fields = paid(order, transaction, "350");
        fields.insert("time_end".to_owned(), made.clone());
        signed(fields)
    };
    assert_eq!(
        shop.notify(notification(lost[0].as_str(), "T2")).1,
        "success"
    );

    shop.merchant.kill();
    for rest in ["merchant.db-wal", "merchant.db-shm"] {
        let _ = fs::remove_file(shop.path(rest));
    }
    fs::copy(shop.path("copy.db"), shop.path("merchant.db")).expect("put back");
    let refused = shop.command(&["restored"]);
    assert_eq!(
        refused.status.code(),
        Some(2),
        "the copy is too young for that"
    );
    assert!(stderr(&refused).contains("--since"), "{}", stderr(&refused));
    let told = shop.command(&["restored", "--since", &copied_at]);
    let told = stdout(&told);
    assert!(told.contains("to be reviewed now: 1\n"), "{told}");
    shop.restart_merchant();

    // The platform tells of one more, and the other is on the bill alone.
    assert_eq!(
        shop.notify(notification(lost[1].as_str(), "T3")).1,
        "success"
    );
    let day = format!("{}-{}-{}", &made[..4], &made[4..6], &made[6..8]);
    let time = format!("{}:{}:{}", &made[8..10], &made[10..12], &made[12..]);
    let bill = format!(
        "交易时间,平台订单号,商户订单号,订单金额,交易状态\n{day} {time},T2,{},3.50,支付成功\n",
        lost[0]
    );
    fs::write(shop.path("bill.csv"), bill).expect("written");
    let map = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reconcile/map.toml");
    shop.command(&[
        "reconcile",
        "--bill",
        &path(&shop, "bill.csv"),
        "--map",
        map,
    ]);

    let reviews = shop.books("reviews");
    let told: Vec<_> = reviews.as_array().expect("a list").iter().collect();
    let mut told: Vec<_> = told
        .iter()
        .map(|review| (review["transactionId"].as_str(), review["reason"].as_str()))
        .collect();
    told.sort();
    let gap = Some("gap");
    assert_eq!(
        told,
        [(Some("T1"), gap), (Some("T2"), gap), (Some("T3"), gap)]
    );
    assert_eq!(shop.the_books_balance()["review"], 3 * 350);
    let settled = shop.command(&["reviews", "--dispensed", "T2", "--refund", "T3"]);
    assert_eq!(settled.status.code(), Some(0), "{settled:?}");
    let balance = shop.the_books_balance();
    assert_eq!(
        (&balance["dispensed"], &balance["refundDue"]),
        (&json!(350), &json!(350))
    );
}

/// As the platform writes it.
fn now_in_china() -> String {
    let now = std::time::SystemTime::now();
    let since_1970 = now.duration_since(std::time::UNIX_EPOCH).expect("later");
    Time(since_1970.as_millis() as i64).stamp()
}

#[test]
fn a_bill_is_held_against_the_books_and_what_only_it_knows_goes_back() {
    let shop = Shop::open();
    let bill = include_str!("../docs/reconcile/bill.csv");
    fs::write(shop.path("bill.csv"), bill).expect("written");
    fs::write(
        shop.path("map.toml"),
        include_str!("../docs/reconcile/map.toml"),
    )
    .expect("written");
    let path = |name: &str| shop.path(name).display().to_string();
    let reconcile = || {
        let (bill, map, report) = (path("bill.csv"), path("map.toml"), path("report.csv"));
        let flags = [
            "reconcile",
            "--bill",
            &bill,
            "--map",
            &map,
            "--report",
            &report,
        ];
        let output = shop.command(&flags);
        (output.status.code(), stdout(&output))
    };
    // One of the two payments was notified.
    let order = "3fa91c027be44d109a55c0ffee123456";
    let sale = json!({ "sale": "0".repeat(32), "total": 350 });
    assert_eq!(
        shop.call("PUT", &format!("/v1/orders/{order}"), &sale).0,
        201
    );
    let known = |transaction: &str| {
        let mut fields = paid(order, transaction, "350");
        fields.insert("time_end".to_owned(), "20261123130600".to_owned());
        shop.notify(signed(fields));
    };
    known("7551000001202611230000000001");
    let (status, told) = reconcile();
    assert_eq!(status, Some(0), "{told}");
    assert!(
        told.contains("only on the bill           1           12.00"),
        "{told}"
    );
    assert_eq!(shop.refund_reasons(), ["bill-only"]);
    shop.the_books_balance();
    let report = fs::read_to_string(shop.path("report.csv")).expect("a report");
    assert!(
        report.contains("only on the bill,7551000001202611230000000002,0d1e2f3a4b5c46d7889900aabbccddee,12.00,\n"),
        "{report}"
    );
    let (status, told) = reconcile();
    assert_eq!(status, Some(0));
    assert!(
        told.contains("matched                    2           15.50")
            && told.ends_with("they agree\n"),
        "{told}"
    );
    assert_eq!(shop.refund_reasons(), ["bill-only"], "once");
    let done = shop.command(&["refunds", "--done", "7551000001202611230000000002"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));

    // What we believe was paid, and the platform does not know.
    known("7551000001202611230000000009");
    let (status, told) = reconcile();
    assert_eq!(status, Some(1), "{told}");
    assert!(
        told.contains("only in the books          1            3.50"),
        "{told}"
    );
}
