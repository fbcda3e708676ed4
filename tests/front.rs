//! What stands in front of the books: TLS of our own, a proxy, and clients that are in no hurry.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::shop::{self, Ended, PASSWORD, Shop, eventually, free_port, paid, signed};
use crate::support::tls::{Certificate, issue};
use selpay_kiosk::files;
use serde_json::json;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// A new certificate for 127.0.0.1 in this shop: `tls.pem`, `tls.key`, and who trusts `ca.pem` trusts it.
pub fn certify(shop: &Shop) {
    let certificate = Certificate {
        names: &["127.0.0.1"],
        years: (2020, 2090),
    };
    let (certificate, key) = issue(&certificate, &shop.path("ca.pem"));
    fs::write(shop.path("tls.pem"), certificate.pem()).expect("written");
    files::write_secret(&shop.path("tls.key"), &key.serialize_pem()).expect("written");
}

/// A client that trusts nobody but this authority.
pub fn trusting(ca_file: &Path) -> ureq::Agent {
    let pem = fs::read(ca_file).expect("read");
    let certificates = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let roots = RootCerts::Specific(Arc::new(certificates.collect()));
    ureq::Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .http_status_as_error(false)
        .timeout_global(Some(shop::PATIENCE))
        .build()
        .into()
}

/// What the merchant behind this address says to a notification; `None` if it is not reached.
fn notify(agent: &ureq::Agent, url: &str, transaction: &str) -> Option<String> {
    let body = signed(paid("nobody-knows-it", transaction, "350"));
    let mut answer = agent.post(format!("{url}/notify")).send(body).ok()?;
    answer.body_mut().read_to_string().ok()
}

#[test]
fn the_server_speaks_tls_by_itself_and_takes_a_new_certificate_without_a_restart() {
    let mut shop = Shop::open();
    certify(&shop);
    let file = shop.path("merchant.toml");
    let config = fs::read_to_string(&file).expect("read");
    let tls = "[tls]\ncertificate-file = \"tls.pem\"\nkey-file = \"tls.key\"\n";
    fs::write(&file, format!("{config}{tls}")).expect("written");
    shop.restart_merchant();
    let url = format!("https://{}", shop.merchant.address);
    let old = trusting(&shop.path("ca.pem"));
    assert_eq!(
        notify(&old, &url, "T1").as_deref(),
        Some("fail"),
        "booked, an unknown number"
    );
    // A kiosk sells through it.
    let platform = shop.platform(&[]);
    let mut kiosk = shop.kiosk_of(&platform, &url, "merchant-ca-file = \"ca.pem\"");
    kiosk.types("3.50#");
    kiosk.code(None);
    kiosk.types("C");
    kiosk.logs("screen not-paid");
    assert_eq!(kiosk.ends(), Some(0));

    fs::copy(shop.path("ca.pem"), shop.path("old-ca.pem")).expect("kept");
    certify(&shop);
    shop.merchant.signal("HUP");
    eventually("the new certificate", || {
        notify(&trusting(&shop.path("ca.pem")), &url, "T2")
    });
    // Whoever is connected already is not cut off; whoever connects anew must trust the new one.
    assert_eq!(notify(&old, &url, "T3").as_deref(), Some("fail"));
    let anew = trusting(&shop.path("old-ca.pem"));
    assert_eq!(notify(&anew, &url, "T4"), None);

    // A key that belongs to another certificate changes nothing.
    let key = fs::read_to_string(shop.path("tls.key")).expect("read");
    certify(&shop);
    let other = fs::read_to_string(shop.path("tls.key")).expect("read");
    assert_ne!(key, other);
    files::write_secret(&shop.path("tls.key"), &key).expect("written");
    let output = shop.command(&["serve"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.contains("tls.key: ") && told.contains("it must be the key of"),
        "{told}"
    );
}

/// Starts a proxy as its example in docs/proxy says, with names and ports of this test.
pub fn proxy(shop: &Shop, name: &str, port: u16) -> Ended {
    let dir = shop.path("");
    let path = |name: &str| shop.path(name).display().to_string();
    let merchant = &shop.merchant.address;
    let mut program = match name {
        "nginx" => {
            let example = include_str!("../docs/proxy/nginx.conf")
                .replace("127.0.0.1:8080", merchant)
                .replace("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl"))
                .replace("/etc/ssl/merchant.pem", &path("tls.pem"))
                .replace("/etc/ssl/merchant.key", &path("tls.key"));
            let whole = format!(
                "daemon off; pid nginx.pid; error_log nginx.log; worker_rlimit_nofile 16384;\n\
                 events {{ worker_connections 16384; }}\n\
                 http {{ access_log off; client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp;\n\
                 uwsgi_temp_path tmp; scgi_temp_path tmp;\n{example}}}\n"
            );
            fs::write(shop.path("nginx.conf"), whole).expect("written");
            let mut program = Command::new("nginx");
            program
                .arg("-p")
                .arg(&dir)
                .args(["-e", "nginx.log", "-c"])
                .arg(path("nginx.conf"));
            program
        }
        _ => {
            let (pem, key) = (path("tls.pem"), path("tls.key"));
            let example = include_str!("../docs/proxy/Caddyfile")
                .replace("127.0.0.1:8080", merchant)
                .replace(
                    "merchant.example {",
                    // Clients of other tests have this port on other addresses.
                    &format!("https://127.0.0.1:{port} {{\n\tbind 127.0.0.1\n\ttls {pem} {key}"),
                );
            let options = "{\n\tadmin off\n\tauto_https disable_redirects\n\tservers {";
            let whole = example.replace("{\n\tservers {", options);
            fs::write(shop.path("Caddyfile"), whole).expect("written");
            let mut program = Command::new("caddy");
            program
                .args(["run", "--adapter", "caddyfile", "--config"])
                .arg(path("Caddyfile"));
            program
                .env("HOME", &dir)
                .env("XDG_DATA_HOME", &dir)
                .env("XDG_CONFIG_HOME", &dir);
            program
        }
    };
    let started = program.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    Ended(started.expect("it is installed"))
}

/// Tries a password through a proxy, from this address of ours; the HTTP status, and how long that took.
fn guess(shop: &Shop, url: &str, from: &str, password: &str) -> (String, Duration) {
    let began = Instant::now();
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
            "--interface",
            from,
        ])
        // Nobody may choose who they are.
        .args(["--header", "X-Forwarded-For: 192.0.2.1", "--cacert"])
        .arg(shop.path("ca.pem"))
        .args([
            "--data-urlencode",
            &format!("password={password}"),
            &format!("{url}/login"),
        ])
        .output()
        .expect("curl is installed");
    let status = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    (status, began.elapsed())
}

#[test]
#[ignore = "needs nginx, Caddy and curl"]
fn behind_the_proxies_of_the_examples_everything_arrives_and_clients_are_told_apart() {
    for name in ["nginx", "caddy"] {
        let shop = Shop::open();
        certify(&shop);
        let port = free_port();
        let _proxy = proxy(&shop, name, port);
        let url = format!("https://127.0.0.1:{port}");
        let agent = trusting(&shop.path("ca.pem"));
        eventually(name, || {
            notify(&agent, &url, "T1").filter(|said| said == "fail")
        });

        // A long poll, answered by the payment.
        let (sale, order) = shop.sale(1);
        let polled = {
            let (agent, url) = (agent.clone(), url.clone());
            std::thread::spawn(move || {
                let poll = agent
                    .get(format!("{url}/v1/orders/{order}?wait=25"))
                    .header("Authorization", format!("Bearer {}", shop::TOKEN));
                let mut answer = poll.call().expect("an answer");
                answer
                    .body_mut()
                    .read_json::<serde_json::Value>()
                    .expect("JSON")
            })
        };
        let body = signed(paid(order.as_str(), "T2", "350"));
        let mut answer = agent
            .post(format!("{url}/notify"))
            .send(body)
            .expect("an answer");
        assert_eq!(answer.body_mut().read_to_string().expect("text"), "success");
        assert_eq!(
            polled.join().expect("polled")["status"],
            "paid",
            "{name}: {sale}"
        );

        let large = agent.post(format!("{url}/notify")).send(vec![b' '; 20_000]);
        assert_eq!(large.expect("an answer").status(), 413, "{name}");

        // Who guesses waits; whoever else has the password does not.
        for _ in 0..5 {
            assert_eq!(guess(&shop, &url, "127.0.0.2", "wrong").0, "401", "{name}");
        }
        let (status, took) = guess(&shop, &url, "127.0.0.3", PASSWORD);
        assert_eq!(status, "303", "{name}");
        assert!(took < Duration::from_secs(2), "{name}: {took:?}");
        let (_, took) = guess(&shop, &url, "127.0.0.2", "wrong");
        assert!(took >= Duration::from_secs(4), "{name}: {took:?}");
    }
}

#[test]
#[ignore = "needs slowhttptest"]
fn a_thousand_slow_clients_keep_nobody_waiting() {
    let shop = Shop::open();
    // Heads that never end, bodies that never end, answers that are never read.
    for kind in ["-H", "-B", "-X"] {
        let slow = Command::new("slowhttptest")
            .args([
                kind, "-c", "1000", "-r", "500", "-i", "2", "-l", "8", "-p", "2", "-u",
            ])
            .arg(shop.merchant.url("/notify"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut slow = Ended(slow.expect("it is installed"));
        let mut times = Vec::new();
        for serial in 0.. {
            let (_, order) = shop.sale(serial + u128::from(kind.as_bytes()[1]) * 1_000_000);
            let body = signed(paid(
                order.as_str(),
                &format!("{}{serial}", &kind[1..]),
                "350",
            ));
            let began = Instant::now();
            assert_eq!(shop.notify(body), (200, "success".to_owned()));
            times.push(began.elapsed());
            if slow.0.try_wait().expect("asked").is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        times.sort();
        let p99 = times[(times.len() - 1) * 99 / 100];
        println!(
            "{kind}: {} notifications, p99 {p99:?}, worst {:?}",
            times.len(),
            times[times.len() - 1]
        );
        assert!(
            times.len() > 100 && p99 < Duration::from_secs(1),
            "{kind}: {p99:?}"
        );
    }
    assert_eq!(shop.call("GET", "/healthz", &json!(null)).1, "ok");
}
