//! The console without a browser: who may see it, and what a person may settle.

#[path = "support/shop.rs"]
mod shop;

use serde_json::json;
use shop::{PASSWORD, Shop, paid, signed};
use ureq::Agent;

/// A browser without pictures: it keeps its cookie.
struct Visitor {
    agent: Agent,
    url: String,
    cookie: String,
}

impl Visitor {
    fn of(shop: &Shop) -> Visitor {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false);
        Visitor {
            agent: config.build().into(),
            url: shop.merchant.url(""),
            cookie: String::new(),
        }
    }

    fn get(&self, path: &str) -> (u16, String) {
        let request = self.agent.get(format!("{}{path}", self.url));
        let request = request
            .header("Cookie", &self.cookie)
            .header("Accept-Language", "en");
        let mut answer = request.call().expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.body_mut().read_to_string().expect("a page"))
    }

    fn post(&mut self, path: &str, form: &[(&str, &str)]) -> u16 {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.header("Cookie", &self.cookie);
        let answer = request.send_form(form.iter().copied()).expect("an answer");
        if let Some(cookie) = answer.headers().get("set-cookie") {
            let cookie = cookie.to_str().expect("text");
            self.cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        }
        answer.status().as_u16()
    }

    /// What the page's form carries, so that no other site can send it.
    fn form_token(&self, path: &str) -> String {
        let (_, page) = self.get(path);
        let token = page
            .split(r#"name="token" value=""#)
            .nth(1)
            .expect("a form");
        token.split('"').next().expect("a token").to_owned()
    }
}

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

    let sent = [("token", token.as_str()), ("finding", "money-sent")];
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
    for path in ["/sales?q=1234", "/sales/1", "/sales.csv", "/refunds.csv"] {
        assert_eq!(visitor.get(path).0, 303, "{path}: nobody is logged in");
    }
    visitor.post("/login", &[("password", PASSWORD)]);
    let last_four = &order.as_str()[order.as_str().len() - 4..];
    assert_eq!(
        visitor.get(&format!("/sales?q={last_four}")).0,
        303,
        "the one"
    );
    assert_eq!(visitor.get("/sales?q=T8").0, 200, "too short for a name");
    let (status, page) = visitor.get(&format!("/sales/{sale}"));
    assert_eq!(status, 200);
    let told = [
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
    let (_, csv) = visitor.get("/refunds.csv");
    assert!(
        csv.starts_with("\u{feff}since,transaction,order,yuan,reason,state\n")
            && csv.contains(&format!(",T8,{order},3.50,duplicate,due\n")),
        "{csv}"
    );
    let (_, csv) = visitor.get("/sales.csv");
    assert!(
        csv.contains(&format!("{sale},{order},kiosk-1,3.50,dispensed\n")),
        "{csv}"
    );
}
