//! Who looks at the console: logged in or not, and in which language.
//!
//! A login is a random cookie. The books hold its digest, so that it counts on every server and outlives a restart.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use crate::merchant::config::token_digest;
use crate::merchant::ledger::Time;
use crate::merchant::password::Password;
use crate::merchant::store::logins;
use crate::merchant::{Merchant, now};
use crate::random;

/// How long a login lasts.
const LOGIN_TIME: Duration = Duration::from_secs(12 * 3600);
/// How long a language is remembered.
const LANGUAGE_TIME: Duration = Duration::from_secs(365 * 24 * 3600);
const COOKIE: &str = "session";
const LANGUAGE: &str = "language";

/// The language of the pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Language {
    /// Chinese.
    Zh,
    /// English.
    En,
}

impl Language {
    /// What was chosen here, or what the browser asks for; Chinese if neither says.
    pub fn preferred(headers: &HeaderMap) -> Language {
        if let Some(language) = cookie(headers, LANGUAGE).and_then(Language::read) {
            return language;
        }
        let wanted = headers.get(header::ACCEPT_LANGUAGE);
        let wanted = wanted.and_then(|value| value.to_str().ok()).unwrap_or("zh");
        let mut tags = wanted.split(',').map(str::trim);
        tags.find_map(|tag| Language::read(tag.get(..2)?))
            .unwrap_or(Language::Zh)
    }

    /// The language of this tag.
    pub fn read(tag: &str) -> Option<Language> {
        match tag {
            "zh" => Some(Language::Zh),
            "en" => Some(Language::En),
            _ => None,
        }
    }

    /// The cookie that chooses it.
    pub fn cookie(self) -> String {
        let (tag, seconds) = (self.say("zh", "en"), LANGUAGE_TIME.as_secs());
        format!("{LANGUAGE}={tag}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}")
    }

    pub fn say(self, zh: &'static str, en: &'static str) -> &'static str {
        match self {
            Language::Zh => zh,
            Language::En => en,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Language {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Language, Infallible> {
        Ok(Language::preferred(&parts.headers))
    }
}

/// Somebody who is logged in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Visitor {
    /// The language to speak with them.
    pub language: Language,
    /// In every form of their pages: no other site knows it.
    pub form_token: String,
}

/// Whoever is not logged in is shown to the login.
impl FromRequestParts<Arc<Merchant>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        merchant: &Arc<Merchant>,
    ) -> Result<Visitor, Response> {
        let found = <Visitor as OptionalFromRequestParts<_>>::from_request_parts(parts, merchant);
        found
            .await?
            .ok_or_else(|| Redirect::to("/").into_response())
    }
}

impl OptionalFromRequestParts<Arc<Merchant>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        merchant: &Arc<Merchant>,
    ) -> Result<Option<Visitor>, Response> {
        let Some(password) = &merchant.config.console_password else {
            return Err(off());
        };
        let Some(login) = cookie(&parts.headers, COOKIE).map(str::to_owned) else {
            return Ok(None);
        };
        let asked = token_digest(&password.binds(&login));
        let counts = merchant
            .store
            .read(move |sql| logins::counts(sql, &asked, now()));
        let unavailable =
            |error| (StatusCode::SERVICE_UNAVAILABLE, format!("{error}")).into_response();
        Ok(counts.await.map_err(unavailable)?.then(|| Visitor {
            language: Language::preferred(&parts.headers),
            form_token: token_digest(&format!("form {login}")),
        }))
    }
}

/// There is no console without a password.
pub fn off() -> Response {
    let told = "the console is off: merchant.toml has no console-password-file";
    (StatusCode::NOT_FOUND, told).into_response()
}

/// A new login, good until the password changes: the cookie to set, what the books keep of it, and until when. Where people
/// reach us over TLS it is sent over nothing else.
pub fn new_login(now: Time, password: &Password, over_tls: bool) -> (String, String, Time) {
    let login = format!("{:032x}", random::bits());
    let until = now.after(LOGIN_TIME);
    let seconds = LOGIN_TIME.as_secs();
    let secure = if over_tls { "; Secure" } else { "" };
    let cookie =
        format!("{COOKIE}={login}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    (cookie, token_digest(&password.binds(&login)), until)
}

/// The login that a request carries, as the books keep it.
pub fn login_of(headers: &HeaderMap, password: &Password) -> Option<String> {
    cookie(headers, COOKIE).map(|login| token_digest(&password.binds(login)))
}

/// The cookie that takes a login away.
pub fn no_login() -> String {
    format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies
        .split(';')
        .find_map(|cookie| cookie.trim().strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browser_chooses_the_language_until_a_person_does() {
        let wants = |tags: &str, cookies: &str| {
            let headers = [(header::ACCEPT_LANGUAGE, tags), (header::COOKIE, cookies)];
            let headers = headers.map(|(name, value)| (name, value.parse().expect("a header")));
            Language::preferred(&HeaderMap::from_iter(headers))
        };
        assert_eq!(wants("en-GB,en;q=0.9,zh;q=0.5", ""), Language::En);
        assert_eq!(wants("zh-CN", "session=1"), Language::Zh);
        assert_eq!(wants("de-DE,en;q=0.5", ""), Language::En);
        assert_eq!(wants("de", ""), Language::Zh);
        assert_eq!(Language::preferred(&HeaderMap::new()), Language::Zh);
        assert_eq!(wants("zh-CN", "session=1; language=en"), Language::En);
        assert_eq!(wants("en", "language=klingon"), Language::En);
    }

    #[test]
    fn only_the_browser_knows_a_login_and_a_new_password_ends_it() {
        let password = Password::Plain("open sesame".to_owned());
        let (cookie, kept, until) = new_login(Time(0), &password, false);
        assert!(cookie.contains("HttpOnly; SameSite=Strict") && !cookie.contains("Secure"));
        assert!(new_login(Time(0), &password, true).0.ends_with("; Secure"));
        let sent = cookie.split(';').next().expect("the value");
        assert!(!sent.contains(&kept));
        let headers = HeaderMap::from_iter([(header::COOKIE, sent.parse().expect("a header"))]);
        let another = Password::Plain("another one".to_owned());
        assert_ne!(login_of(&headers, &another).as_ref(), Some(&kept));
        assert_eq!(login_of(&headers, &password), Some(kept));
        assert_eq!(until, Time(12 * 3600 * 1000));
    }
}
