//! Somebody at the console.
#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]
#![allow(dead_code, reason = "each test file uses its part of it")]

use ureq::Agent;

use super::shop::Shop;

/// A browser without pictures: it keeps its cookie.
pub struct Visitor {
    pub agent: Agent,
    pub url: String,
    pub cookie: String,
}

impl Visitor {
    pub fn of(shop: &Shop) -> Visitor {
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

    pub fn get(&self, path: &str) -> (u16, String) {
        let request = self.agent.get(format!("{}{path}", self.url));
        let request = request
            .header("Cookie", &self.cookie)
            .header("Accept-Language", "en");
        let mut answer = request.call().expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.body_mut().read_to_string().expect("a page"))
    }

    pub fn post(&mut self, path: &str, form: &[(&str, &str)]) -> u16 {
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
    pub fn form_token(&self, path: &str) -> String {
        let (_, page) = self.get(path);
        let token = page
            .split(r#"name="token" value=""#)
            .nth(1)
            .expect("a form");
        token.split('"').next().expect("a token").to_owned()
    }
}
