//! A browser over a socket, which keeps cookies.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;

use crate::http::{Answer, head, send};
use crate::support::{fields, query};

pub(crate) const SESSION: &str = "cachegate-session";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

pub(crate) struct Browser {
    address: SocketAddr,
    pub(crate) jar: BTreeMap<String, String>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next()
            .unwrap_or("")
    }

    pub(crate) fn location(&self) -> &str {
        assert_eq!(self.status, 303, "{}", self.text());
        self.header("location")
    }

    /// `status code`, with the stable name of what is wrong.
    pub(crate) fn told(&self) -> String {
        format!("{} {}", self.status, self.header("cachegate-code")).trim().to_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn text_of(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no `{name}`: {}", self.text())).to_owned()
    }

    /// The token that the page's form carries.
    pub(crate) fn form_token(&self) -> String {
        let text = self.text();
        let (_, rest) =
            text.split_once("name=\"form_token\" value=\"").unwrap_or_else(|| panic!("no form: {text}"));
        rest.split('"').next().expect("a value").to_owned()
    }
}

impl Browser {
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { address, jar: BTreeMap::new() }
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    /// A form of the server's own pages.
    pub(crate) fn post(&mut self, path: &str, pairs: &[(&str, &str)]) -> Answer {
        let origin = format!("http://{}", self.address);
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", &origin),
            ("sec-fetch-site", "same-origin"),
        ];
        self.send("POST", path, &headers, Some(query(pairs)))
    }

    fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Answer {
        let jar: Vec<_> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (jar, mut headers) = (jar.join("; "), headers.to_vec());
        if !jar.is_empty() {
            headers.push(("cookie", &jar));
        }
        let length = body.as_ref().map(|body| body.len() as u64);
        let answer =
            send(self.address, &head(method, path, &headers, length), body.unwrap_or_default().as_bytes());
        let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
        for (_, line) in lines.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            let (pair, attributes) = line.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            assert!(attributes.contains("HttpOnly"), "{line}");
            match attributes.contains("Max-Age=0") {
                true => self.jar.remove(name),
                false => self.jar.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }

    /// Begins a login, has the provider answer, and comes back with it.
    pub(crate) fn sign_in(&mut self, provider: &str, answer: impl FnOnce(&str) -> String) -> String {
        let begun = self.get(&format!("/login/{provider}"));
        if begun.status != 303 {
            return begun.told();
        }
        let answer = answer(begun.location());
        self.get(&format!("/login/{provider}/callback?{answer}")).told()
    }

    /// What the server calls whoever is signed in.
    pub(crate) fn name(&mut self) -> Option<String> {
        let page = self.get("/login");
        assert_eq!(page.status, 200, "{}", page.told());
        let text = page.text();
        let (_, rest) = text.split_once("signed in as <b>")?;
        Some(rest.split('<').next().expect("a name").to_owned())
    }

    pub(crate) fn sign_out(&mut self) {
        let form = self.get("/login").form_token();
        assert_eq!(self.post("/logout", &[("form_token", &form)]).location(), "/login");
    }

    /// A terminal asks for a login, and whoever is signed in here approves it: the id of the person whom the terminal is
    /// then logged in as.
    pub(crate) fn approve_a_terminal(&mut self) -> String {
        let mut terminal = Self::at(self.address);
        let begun = terminal.post("/oauth/device_authorization", &[("client_id", "gatectl on a laptop")]);
        let (device, user) = (begun.text_of("device_code"), begun.text_of("user_code"));
        let ask = [("grant_type", GRANT), ("device_code", &*device), ("client_id", "gatectl")];
        assert_eq!(terminal.post("/oauth/token", &ask).text_of("error"), "authorization_pending");
        let complete = begun.text_of("verification_uri_complete");
        let page = self.get(
            complete
                .split_once("/activate")
                .map(|(_, rest)| format!("/activate{rest}"))
                .expect("a path")
                .as_str(),
        );
        let form = page.form_token();
        let seen = self.post("/activate", &[("user_code", &user), ("form_token", &form)]);
        assert!(seen.text().contains("gatectl on a laptop"), "{}", seen.text());
        let pairs = [("user_code", &*user), ("form_token", &form), ("decision", "approve")];
        assert_eq!(self.post("/activate", &pairs).status, 200);
        let session = terminal.post("/oauth/token", &ask).text_of("access_token");
        user_of(self.address, &session)
    }

    /// Where a query of an address leads: its fields.
    pub(crate) fn asked(location: &str) -> BTreeMap<String, String> {
        fields(location.split_once('?').expect("a query").1)
    }
}

/// Whose a token is, by its id.
pub(crate) fn user_of(address: SocketAddr, token: &str) -> String {
    let bearer = format!("Bearer {token}");
    let answer = crate::http::get(address, "/v2/user", &[("authorization", &bearer)]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["user"]["id"].as_str().expect("an id").to_owned()
}
