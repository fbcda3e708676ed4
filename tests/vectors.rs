//! The published samples of the platform's signed messages: all must verify, the negative must not.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use selpay_kiosk::selpay::notification::{self, Notification};
use selpay_kiosk::selpay::sign::{self, SignKey, Unverified};
use selpay_kiosk::selpay::xml;
use serde::Deserialize;

type Fields = BTreeMap<String, String>;

#[derive(Deserialize)]
struct Vector {
    name: String,
    kind: String,
    key: String,
    sign: String,
    valid: bool,
    body: Option<String>,
    params: Option<Fields>,
}

impl Vector {
    fn fields(&self) -> Fields {
        match (&self.body, &self.params) {
            (Some(body), _) => {
                let body = fs::read(dir().join(body)).expect("a file");
                let fields = xml::read(&body).expect("a message");
                let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
                fields.iter().map(owned).collect()
            }
            (None, Some(params)) => {
                let mut fields = params.clone();
                fields.insert("sign".to_owned(), self.sign.clone());
                fields
            }
            (None, None) => panic!("{} has neither body nor params", self.name),
        }
    }

    fn key(&self) -> SignKey {
        SignKey::new(&self.key).expect("a key")
    }
}

fn dir() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors"))
}

fn vectors() -> Vec<Vector> {
    let vectors: Vec<Vector> =
        serde_json::from_slice(&fs::read(dir().join("vectors.json")).expect("a file"))
            .expect("vectors");
    assert_eq!(vectors.len(), 9, "a vector that is not read proves nothing");
    vectors
}

/// Every published sample that is signed well: its name, its fields without `sign`, its key.
pub fn published() -> Vec<(String, Fields, SignKey)> {
    let valid = vectors().into_iter().filter(|vector| vector.valid);
    let without_sign = |vector: Vector| {
        let mut fields = vector.fields();
        fields.remove("sign");
        let key = vector.key();
        (vector.name, fields, key)
    };
    valid.map(without_sign).collect()
}

#[test]
fn every_published_sample_verifies_and_the_negative_does_not() {
    for vector in vectors() {
        let expected = if vector.valid {
            Ok(0)
        } else {
            Err(Unverified::Mismatch)
        };
        assert_eq!(
            sign::verify(&(&vector.fields()).into(), &[vector.key()]),
            expected,
            "{}",
            vector.name
        );
        if vector.valid {
            assert_eq!(
                sign::signature(&(&vector.fields()).into(), &vector.key()),
                vector.sign.to_ascii_uppercase(),
                "{}",
                vector.name
            );
        }
    }
}

#[test]
fn a_sample_verifies_as_it_is_read_whatever_the_order_of_its_fields() {
    let vectors = vectors();
    let bodies = vectors
        .iter()
        .filter_map(|vector| Some((vector, vector.body.as_ref()?)));
    for (vector, body) in bodies {
        let body = fs::read(dir().join(body)).expect("a file");
        let fields = xml::read(&body).expect("a message");
        let verified = sign::verify(&fields, &[vector.key()]);
        assert_eq!(verified.is_ok(), vector.valid, "{}", vector.name);
    }
}

#[test]
fn no_sample_verifies_after_any_change() {
    for vector in vectors().iter().filter(|vector| vector.valid) {
        let fields = vector.fields();
        let keys = [vector.key()];
        for name in fields.keys().filter(|name| *name != "sign") {
            let mut changed = fields.clone();
            changed
                .entry(name.clone())
                .and_modify(|value| value.push('0'));
            assert!(
                sign::verify(&(&changed).into(), &keys).is_err(),
                "{}: {name} changed",
                vector.name
            );
            if !fields[name].is_empty() && name != "sign_type" {
                let mut removed = fields.clone();
                removed.remove(name);
                assert!(
                    sign::verify(&(&removed).into(), &keys).is_err(),
                    "{}: {name} removed",
                    vector.name
                );
            }
        }
    }
}

#[test]
fn every_published_notification_is_read_as_a_payment() {
    for vector in vectors()
        .iter()
        .filter(|vector| vector.valid && vector.kind == "notify")
    {
        let fields = vector.fields();
        let verified = notification::verify((&fields).into(), &[vector.key()]).expect("valid");
        let Ok(Notification::Paid(payment)) = verified.read() else {
            panic!("{} is paid", vector.name)
        };
        assert_eq!(
            payment.order.as_str(),
            fields["out_trade_no"],
            "{}",
            vector.name
        );
        assert_eq!(
            payment.total.to_string(),
            fields["total_fee"],
            "{}",
            vector.name
        );
    }
}
