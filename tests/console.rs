//! The console without a browser: who may see it, and what a person may settle.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::support::shop::{self, PASSWORD, Shop, paid, signed};
use crate::support::visitor::Visitor;
use selpay_kiosk::ids::SaleCode;
use serde_json::json;

#[test]
fn a_refund_is_noted_with_two_clicks_and_only_by_a_form_of_ours() {
    let shop = Shop::open();
    shop.notify(signed(paid("nobody-knows-it", "T1", "350")));
    let mut visitor = Visitor::of(&shop);
    assert!(!visitor.get("/").1.contains("T1"), "nobody is logged in");
    assert_eq!(visitor.get("/payments/T1").0, 303, "to the login");
    assert_eq!(visitor.post("/login", &[("password", "wrong")]), 401);
    assert_eq!(visitor.post("/login", &[("password", PASSWORD)]), 303);
    assert!(
        visitor
            .get("/")
            .1
            .contains(r#"<a href="/payments/T1">Settle</a>"#)
    );

    let token = visitor.form_token("/payments/T1");
    let forged = [("token", "0123"), ("finding", "money-sent")];
    assert_eq!(visitor.post("/payments/T1", &forged), 403);
    assert_eq!(shop.the_books_balance()["refundDue"], 350);
    let nonsense = [("token", token.as_str()), ("finding", "came-out")];
    assert_eq!(visitor.post("/payments/T1", &nonsense), 303);
    assert_eq!(
        shop.the_books_balance()["refundDue"],
        350,
        "a refund is no review"
    );

    let sent = [
        ("token", token.as_str()),
        ("finding", "money-sent"),
        ("note", " by hand, <b>receipt 7</b> "),
    ];
    assert_eq!(visitor.post("/payments/T1", &sent), 303);
    assert_eq!(visitor.post("/payments/T1", &sent), 303, "clicked twice");
    assert_eq!(shop.the_books_balance()["refunded"], 350);
    assert!(
        visitor
            .get("/payments/T1")
            .1
            .contains("Nothing is left to do")
    );

    visitor.post("/logout", &[]);
    assert_eq!(
        visitor.post("/payments/T1", &sent),
        403,
        "the token ends with the session"
    );
}

#[test]
fn a_review_is_settled_either_way() {
    for (finding, part) in [("came-out", "dispensed"), ("nothing-came-out", "refundDue")] {
        let shop = Shop::open();
        let (sale, order) = shop.sale(1);
        shop.notify(signed(paid(order.as_str(), "T1", "350")));
        let (_, granted) = shop.claim(sale, 1);
        let report = json!({ "claim": granted["claim"], "outcome": "unknown" });
        shop.call("POST", &format!("/v1/sales/{sale}/outcome"), &report);
        let mut visitor = Visitor::of(&shop);
        visitor.post("/login", &[("password", PASSWORD)]);
        let token = visitor.form_token("/payments/T1");
        let form = [("token", token.as_str()), ("finding", finding)];
        assert_eq!(visitor.post("/payments/T1", &form), 303);
        assert_eq!(shop.the_books_balance()[part], 350, "{finding}");
    }
}

#[test]
fn a_sale_is_told_from_its_last_four_and_nothing_from_outside_is_markup() {
    let shop = Shop::open();
    let (sale, order) = shop.sale(7);
    let mut fields = paid(order.as_str(), "T7", "350");
    fields.insert("attach".to_owned(), "<script>alert(1)</script>".to_owned());
    assert_eq!(shop.notify(signed(fields)).1, "success");
    shop.notify(signed(paid(order.as_str(), "T8", "350")));
    assert_eq!(shop.claim(sale, 1).0, 200);
    let outcome =
        json!({ "claim": selpay_kiosk::ids::ClaimId::from_random(1), "outcome": "dispensed" });
    shop.call("POST", &format!("/v1/sales/{sale}/outcome"), &outcome);

    let mut visitor = Visitor::of(&shop);
    for path in [
        "/sales?q=1234",
        "/sales/1",
        "/sales/list.csv",
        "/refunds/list.csv",
    ] {
        assert_eq!(visitor.get(path).0, 303, "{path}: nobody is logged in");
    }
    visitor.post("/login", &[("password", PASSWORD)]);
    let last_four = &order.as_str()[order.as_str().len() - 4..];
    assert_eq!(
        visitor.get(&format!("/sales?q={last_four}")).0,
        303,
        "the one"
    );
    let code = SaleCode::of(sale).to_string();
    for said in [&code, &code.replace('-', "%20"), &code.to_lowercase()] {
        assert_eq!(visitor.get(&format!("/sales?q={said}")).0, 303, "{said}");
    }
    assert_eq!(visitor.get("/sales?q=T8").0, 200, "too short for a name");
    let (status, page) = visitor.get(&format!("/sales/{sale}"));
    assert_eq!(status, 200);
    let told = [
        &*code,
        "The customer confirmed the amount",
        "Order number registered:",
        "Paid ¥3.50",
        "The payment counts; goods may come out",
        "The money must go back（paid twice）",
        "The kiosk claimed it",
        "It ended: dispensed",
    ];
    let places: Vec<_> = told.map(|what| page.find(what)).into_iter().collect();
    assert!(places.iter().all(Option::is_some), "{places:?}\n{page}");
    assert!(
        page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !page.contains("<script>"),
        "what a stranger wrote is text"
    );
    let (_, csv) = visitor.get("/refunds/list.csv");
    assert!(
        csv.starts_with("\u{feff}since,transaction,order,yuan,reason,state\n")
            && csv.contains(&format!(",T8,{order},3.50,duplicate,due\n")),
        "{csv}"
    );
    let (_, csv) = visitor.get("/sales/list.csv?status=dispensed&day=");
    assert!(
        csv.contains(&format!("{sale},{order},kiosk-1,3.50,dispensed\n")),
        "{csv}"
    );
}

#[test]
fn a_login_counts_on_every_server_and_outlives_a_restart_but_not_a_logout() {
    let mut shop = Shop::open();
    let mut visitor = Visitor::of(&shop);
    visitor.post("/login", &[("password", PASSWORD)]);
    assert_eq!(visitor.get("/sales").0, 200);
    shop.restart_merchant();
    let mut elsewhere = Visitor {
        url: shop.merchant.url(""),
        ..visitor
    };
    assert_eq!(elsewhere.get("/sales").0, 200, "another server");
    let kept = elsewhere.cookie.clone();
    elsewhere.post("/logout", &[]);
    elsewhere.cookie = kept;
    assert_eq!(elsewhere.get("/sales").0, 303, "logged out");
    assert_eq!(elsewhere.get("/live").0, 401);
}

#[test]
fn the_password_may_be_kept_as_a_hash() {
    let mut shop = Shop::open();
    let hash = selpay_kiosk::merchant::password::hash("another one").expect("a hash");
    selpay_kiosk::files::write_secret(&shop.path("console.password"), &hash).expect("written");
    shop.restart_merchant();
    let mut visitor = Visitor::of(&shop);
    assert_eq!(visitor.post("/login", &[("password", &hash)]), 401);
    assert_eq!(visitor.post("/login", &[("password", "another one")]), 303);
    assert_eq!(visitor.get("/sales").0, 200);
}

#[test]
fn lists_are_filtered_and_leafed_through() {
    let shop = Shop::open();
    for random in 0..60 {
        let (sale, order) = shop.sale(random);
        if random < 55 {
            let transaction = format!("T{random}");
            // Of a wrong amount: to be refunded, and a problem.
            shop.notify(signed(paid(order.as_str(), &transaction, "1")));
        }
        if random < 5 {
            shop.call("POST", &format!("/v1/sales/{sale}/close"), &json!({}));
        }
    }
    let mut visitor = Visitor::of(&shop);
    visitor.post("/login", &[("password", PASSWORD)]);
    let rows = |path: &str| visitor.get(path).1.matches("<tr><td>").count();
    assert_eq!(rows("/sales"), 50);
    let way_on = |path: &str| {
        let page = visitor.get(path).1;
        let (before, _) = page.split_once(r#"">Next"#)?;
        let (_, path) = before.rsplit_once(r#"href=""#)?;
        Some(path.replace("&amp;", "&"))
    };
    let next = way_on("/sales").expect("another page");
    assert!(next.starts_with("/sales?after="), "by key: {next}");
    assert_eq!(rows(&next), 10);
    assert_eq!(way_on(&next), None);
    assert!(
        visitor
            .get(&next)
            .1
            .contains(r#"href="/sales">← First page"#)
    );
    // What comes in the meantime moves nothing.
    shop.sale(60);
    assert_eq!(rows(&next), 10);
    let open = way_on("/sales?status=open&kiosk=kiosk-1").expect("another page");
    assert_eq!(rows(&open), 6);
    for (list, row) in [
        ("/refunds", "<tr><td class=\"money\">"),
        ("/refunds?reason=amount", "<tr><td class=\"money\">"),
        ("/problems", "<tr><td>"),
        ("/problems?kind=amount", "<tr><td>"),
    ] {
        let mut found = BTreeSet::new();
        let mut path = Some(list.to_owned());
        while let Some(here) = path {
            let page = visitor.get(&here).1;
            found.extend(page.split(row).skip(1).map(str::to_owned));
            path = way_on(&here);
        }
        assert_eq!(found.len(), 55, "{list}: each once");
    }
    assert_eq!(rows("/sales?status=closed"), 5);
    assert_eq!(rows("/sales?kiosk=kiosk-2"), 0);
    assert_eq!(rows("/sales?day=2020-01-01"), 0);
    assert_eq!(visitor.get("/sales?page=-1").0, 400);
    let (_, csv) = visitor.get("/sales/list.csv?kiosk=kiosk-1");
    assert_eq!(csv.lines().count(), 62);
}

#[test]
fn a_bill_is_told_in_the_visitors_language_and_found_by_what_it_came_to() {
    let shop = Shop::open();
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reconcile");
    let (bill, map) = (format!("{docs}/bill.csv"), format!("{docs}/map.toml"));
    let reconcile = || shop.command(&["reconcile", "--bill", &bill, "--map", &map]);
    assert_eq!(reconcile().status.code(), Some(0));
    let mut visitor = Visitor::of(&shop);
    visitor.post("/login", &[("password", PASSWORD)]);
    let page = visitor.get("/bills").1;
    assert!(page.contains("2 became refunds due"), "{page}");
    assert!(visitor.get("/bills?kind=open").1.contains("No bills"));
    // The same bill again: all that is on it is in the books now.
    reconcile();
    let (_, csv) = visitor.get("/bills/list.csv?kind=done");
    let verdicts = csv.lines().filter_map(|line| line.split(',').nth(2));
    let verdicts: Vec<&str> = verdicts.collect();
    assert_eq!(
        verdicts,
        ["verdict", "agree"],
        "the newest of the same bill"
    );
    let (_, csv) = visitor.get("/bills/list.csv");
    let last = csv.lines().filter_map(|line| line.rsplit(',').next());
    let refunds: Vec<&str> = last.collect();
    assert_eq!(refunds, ["refunds due", "0", "2"]);
    visitor.cookie.push_str("; language=zh");
    let page = visitor.get("/bills").1;
    assert!(page.contains("笔已记为待退款"), "{page}");
    assert!(visitor.get("/bills/1").1.contains("only on the bill"));
}

#[test]
fn whoever_plays_with_notifications_is_seen_in_the_problems() {
    let shop = Shop::open();
    let (_, order) = shop.sale(1);
    shop.notify(signed(paid(order.as_str(), "T1", "1")));
    shop.notify(signed(paid("<i>nobody</i>", "T2", "350")));
    shop.notify("<xml><a>forged</a></xml>");
    let mut foreign = paid(order.as_str(), "T3", "350");
    foreign.insert("mch_id".to_owned(), "another".to_owned());
    shop.notify(signed(foreign));
    let mut visitor = Visitor::of(&shop);
    visitor.post("/login", &[("password", PASSWORD)]);
    // The forged one is kept when nobody waits for anything better.
    let page = shop::eventually("all of them", || {
        let (_, page) = visitor.get("/problems");
        page.contains("not signed by the platform").then_some(page)
    });
    for told in ["wrong amount", "mch_id is another, not ours", ">T1<"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(!page.contains("<i>"), "{page}");
    let only = visitor.get("/problems?kind=amount").1;
    assert!(only.contains(">T1<") && !only.contains("mch_id"), "{only}");
    let (_, csv) = visitor.get("/problems/list.csv");
    assert!(csv.contains(&format!(",amount,{order},T1\n")), "{csv}");
}

#[test]
fn a_kiosk_is_seen_with_what_it_says_of_itself() {
    let shop = Shop::open();
    let told = |body| shop.call("POST", "/v1/heartbeat", &body).0;
    assert_eq!(told(json!({ "state": "ready" })), 204);
    assert_eq!(told(json!({ "state": 1 })), 400);
    let mut visitor = Visitor::of(&shop);
    visitor.post("/login", &[("password", PASSWORD)]);
    let sees = |what: &str| {
        let found = || visitor.get("/kiosks").1.contains(what).then_some(());
        shop::eventually(what, found);
    };
    sees(r#"kiosk-1</a></td><td><span class="status dispensed">ready"#);
    assert!(
        visitor
            .get("/kiosks")
            .1
            .contains(r#"kiosk-2</a></td><td><span class="status ">not heard of yet"#)
    );
    told(json!({ "state": "out-of-service", "fault": "dispenser" }));
    sees("out of service: dispenser");
    assert!(visitor.get("/").1.contains("1 out of service"));
    // Three minutes later.
    let books = rusqlite::Connection::open(shop.path("merchant.db")).expect("the books");
    books.busy_timeout(shop::PATIENCE).expect("set");
    books
        .execute("UPDATE kiosks SET seen_at = seen_at - 180000", [])
        .expect("older");
    sees(r#"<span class="status expired">silent"#);
    assert!(visitor.get("/").1.contains("1 silent"));
    assert!(visitor.get("/kiosks?kind=silent").1.contains("kiosk-1<"));
    assert!(!visitor.get("/kiosks?kind=silent").1.contains("kiosk-2<"));
    assert!(
        !visitor
            .get("/kiosks?kind=out-of-service")
            .1
            .contains("kiosk-1<")
    );
    let (_, csv) = visitor.get("/kiosks/list.csv?kind=silent");
    assert!(
        csv.contains("kiosk-1,") && !csv.contains("kiosk-2,"),
        "{csv}"
    );
}

#[test]
fn a_language_is_chosen_and_the_way_back_is_ours() {
    let shop = Shop::open();
    let visitor = Visitor::of(&shop);
    let chosen = |path: &str| {
        let url = format!("{}{path}", visitor.url);
        let answer = visitor.agent.get(url).call().expect("an answer");
        let header = |name: &str| {
            let value = answer
                .headers()
                .get(name)
                .map(|value| value.to_str().expect("text"));
            value.unwrap_or_default().to_owned()
        };
        (header("location"), header("set-cookie"))
    };
    let (back, cookie) = chosen("/language/en?back=/kiosks");
    assert_eq!(back, "/kiosks");
    assert!(cookie.starts_with("language=en; "), "{cookie}");
    for evil in [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/%09/evil.example",
        "",
    ] {
        assert_eq!(
            chosen(&format!("/language/en?back={evil}")).0,
            "/",
            "{evil}"
        );
    }
    assert_eq!(
        chosen("/language/klingon?back=/"),
        ("/".to_owned(), String::new())
    );
}

/// Tries a password from this address, behind the proxy of this machine; the HTTP status, and how long that took.
fn guess(agent: &ureq::Agent, shop: &Shop, from: &str, password: &str) -> (u16, Duration) {
    let began = Instant::now();
    let request = agent.post(shop.merchant.url("/login"));
    let request = request.header("X-Forwarded-For", from);
    let answer = request.send_form([("password", password)]);
    (
        answer.expect("an answer").status().as_u16(),
        began.elapsed(),
    )
}

/// How much memory the process holds, in bytes.
fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.expect("a size").trim().trim_end_matches(" kB");
    kib.trim().parse::<u64>().expect("a number") * 1024
}

/// A shop whose password is kept as a hash, as it should be.
fn hashed_shop() -> Shop {
    let mut shop = Shop::open();
    let hash = selpay_kiosk::merchant::password::hash(PASSWORD).expect("a hash");
    selpay_kiosk::files::write_secret(&shop.path("console.password"), &hash).expect("written");
    shop.restart_merchant();
    shop
}

/// So many guess at once, from so many addresses, while the owner signs in again and again from new ones.
fn the_owner_gets_in_while(addresses: u32, at_once: u32, sign_ins: u32) {
    let shop = hashed_shop();
    let before = resident(shop.merchant.id());
    let agent = Visitor::of(&shop).agent;
    let (next, done) = (AtomicU32::new(0), AtomicBool::new(false));
    let guesses = AtomicU32::new(0);
    let mut waits = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let n = next.fetch_add(1, Ordering::Relaxed) % addresses;
                    // Half of them are houses of IPv6.
                    let from = match n % 2 {
                        0 => format!("198.{}.{}.{}", 18 + (n >> 16), n >> 8 & 255, n & 255),
                        _ => format!("2001:db8:{:x}:{:x}::1", n >> 8, n & 255),
                    };
                    let (status, _) = guess(&agent, &shop, &from, "wrong");
                    assert!([401, 429].contains(&status), "{status}");
                    guesses.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        shop::eventually("guessing", || {
            (guesses.load(Ordering::Relaxed) > at_once * 2).then_some(())
        });
        for owner in 0..sign_ins {
            let from = format!("203.0.113.{owner}");
            let (status, took) = guess(&agent, &shop, &from, PASSWORD);
            waits.push((status, took));
        }
        done.store(true, Ordering::Relaxed);
    });
    let grown = resident(shop.merchant.id()).saturating_sub(before);
    let slowest = waits.iter().map(|(_, took)| took).max();
    println!(
        "{} guesses; {sign_ins} sign-ins, the slowest {slowest:?}; {} MiB more",
        guesses.load(Ordering::Relaxed),
        grown >> 20
    );
    for (status, took) in waits {
        assert_eq!(status, 303);
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
    assert!(grown < 64 << 20, "{grown}");
}

#[test]
fn who_knows_the_password_gets_in_while_others_guess() {
    the_owner_gets_in_while(500, 16, 5);
}

#[test]
#[ignore = "needs minutes"]
fn who_knows_the_password_gets_in_while_ten_thousand_addresses_guess() {
    for _ in 0..3 {
        the_owner_gets_in_while(10_000, 200, 20);
    }
}

#[test]
fn a_link_of_the_command_line_opens_the_console_once() {
    let shop = Shop::open_with("public-url = \"https://shop.example/\"");
    let link = || {
        let output = shop.command(&["console", "link"]);
        assert_eq!(output.status.code(), Some(0));
        let told = String::from_utf8(output.stdout).expect("text");
        let path = told.trim().strip_prefix("https://shop.example");
        path.expect("where people reach us").to_owned()
    };
    let visitor = Visitor::of(&shop);
    let opens = |path: &str| {
        let url = format!("{}{path}", visitor.url);
        let answer = visitor.agent.get(url).call().expect("an answer");
        let cookie = answer.headers().get("set-cookie");
        let cookie = cookie.map(|cookie| cookie.to_str().expect("text").to_owned());
        (answer.status().as_u16(), cookie)
    };
    let path = link();
    let (status, cookie) = opens(&path);
    let cookie = cookie.expect("a session");
    assert_eq!(status, 303);
    assert!(
        cookie.ends_with("; Secure"),
        "people come over TLS: {cookie}"
    );
    let mut opened = Visitor::of(&shop);
    opened.cookie = cookie.split(';').next().expect("the value").to_owned();
    assert_eq!(opened.get("/sales").0, 200);
    assert_eq!(opens(&path), (404, None), "once");
    assert_eq!(opens("/link/0123"), (404, None));

    let books = rusqlite::Connection::open(shop.path("merchant.db")).expect("the books");
    books.busy_timeout(shop::PATIENCE).expect("set");
    let path = link();
    let code = path.rsplit('/').next().expect("the code");
    let kept: String = books
        .query_row("SELECT digest FROM console_links", [], |row| row.get(0))
        .expect("a link");
    assert!(!kept.contains(code), "only its digest is kept");
    // Ten minutes later.
    let older = "UPDATE console_links SET until = until - 600000";
    assert_eq!(books.execute(older, []).expect("older"), 1);
    assert_eq!(opens(&path), (404, None));
}

#[test]
fn a_new_password_ends_every_session_and_the_old_one_brings_none_back() {
    let mut shop = Shop::open();
    let mut visitor = Visitor::of(&shop);
    visitor.post("/login", &[("password", PASSWORD)]);
    assert_eq!(visitor.get("/sales").0, 200);
    let file = shop.path("console.password");
    selpay_kiosk::files::write_secret(&file, "another one").expect("written");
    shop.restart_merchant();
    visitor.url = shop.merchant.url("");
    assert_eq!(visitor.get("/sales").0, 303, "to the login");
    let mut other = Visitor::of(&shop);
    assert_eq!(other.post("/login", &[("password", PASSWORD)]), 401);
    assert_eq!(other.post("/login", &[("password", "another one")]), 303);
    assert_eq!(other.get("/sales").0, 200);
}

#[test]
fn guessers_behind_the_proxy_of_this_machine_do_not_lock_the_owner_out() {
    let shop = Shop::open();
    let agent = Visitor::of(&shop).agent;
    let body = "password=wrong";
    let request = format!(
        "POST /login HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 198.51.100.7\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    // All that one may have waiting, and more.
    let guesses: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(&shop.merchant.address).expect("connected");
            stream.write_all(request.as_bytes()).expect("sent");
            stream
        })
        .collect();
    let (status, took) = guess(&agent, &shop, "203.0.113.9", PASSWORD);
    assert_eq!(status, 303);
    assert!(took < Duration::from_secs(2), "{took:?}");
    drop(guesses);
}
