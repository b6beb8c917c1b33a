//! A client that believes no answer before it has held it against the description.

use axum::Router;
use axum::body::{Body, to_bytes};
use cachegate_http::api;
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::SecretText;
use http::{HeaderMap, Request, StatusCode, header};
use serde_json::Value;
use tower::ServiceExt;

use crate::schema::{document, faults, resolved};

/// An answer that is as described.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Answer {
    /// The problem's code; empty for a success.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// `status code`, as a table of answers has it.
    pub(crate) fn told(&self) -> String {
        format!("{} {}", self.status, self.code()).trim().to_owned()
    }
}

/// The API over a scene.
pub(crate) struct Client {
    pub(crate) router: Router,
    document: Value,
}

impl Client {
    pub(crate) fn of(scene: &Scene) -> Self {
        Self::at(scene, NOW)
    }

    /// The API at another moment.
    pub(crate) fn at(scene: &Scene, now: u32) -> Self {
        let router = Router::new().merge(api::router(scene.gate.clone(), move || now.into()));
        Self { router, document: document() }
    }

    pub(crate) fn get(&self, token: &SecretText, path: &str) -> Answer {
        self.call("GET", path, Some(token), None, &[])
    }

    pub(crate) fn delete(&self, token: &SecretText, path: &str) -> Answer {
        self.call("DELETE", path, Some(token), None, &[])
    }

    pub(crate) fn post(&self, token: &SecretText, path: &str, body: &Value) -> Answer {
        self.call("POST", path, Some(token), Some(body), &[])
    }

    pub(crate) fn put(&self, token: &SecretText, path: &str, body: &Value) -> Answer {
        self.call("PUT", path, Some(token), Some(body), &[])
    }

    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        token: Option<&SecretText>,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose_secret()));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).expect("a request"))
    }

    /// Sends any request, and holds the answer against the description.
    pub(crate) fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().to_string().to_lowercase(), request.uri().path().to_owned());
        let answer = block_on(async {
            let response = self.router.clone().oneshot(request).await.expect("an answer");
            let (parts, body) = response.into_parts();
            let bytes = to_bytes(body, usize::MAX).await.expect("a body");
            let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
            let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") };
            Answer { status: parts.status.as_u16(), headers: parts.headers, body, text }
        });
        self.check(&method, &path, &answer);
        answer
    }

    fn check(&self, method: &str, path: &str, answer: &Answer) {
        let told = format!("{method} {path} -> {} {}", answer.status, answer.text);
        let kept = answer.headers.get(header::CACHE_CONTROL);
        assert_eq!(kept.and_then(|value| value.to_str().ok()), Some("no-store"), "{told}");
        let media_type = answer.headers.get(header::CONTENT_TYPE).map(|value| value.to_str().expect("text"));
        let unauthorized = answer.status == StatusCode::UNAUTHORIZED.as_u16();
        assert_eq!(answer.headers.contains_key(header::WWW_AUTHENTICATE), unauthorized, "{told}");
        if answer.status >= 400 {
            assert_eq!(media_type, Some("application/problem+json"), "{told}");
            let schema = &self.document["components"]["schemas"]["Problem"];
            assert_eq!(faults(&self.document, schema, &answer.body, ""), Vec::<String>::new(), "{told}");
            assert_eq!(answer.body["status"], answer.status, "{told}");
        }
        let Some(operation) = self.operation(method, path) else {
            assert!(matches!(answer.status, 404 | 405), "undocumented: {told}");
            return;
        };
        let response = operation["responses"].get(answer.status.to_string());
        let response = resolved(&self.document, response.unwrap_or_else(|| panic!("undocumented: {told}")));
        match response["content"].as_object() {
            None => assert_eq!((media_type, answer.text.as_str()), (None, ""), "{told}"),
            Some(content) => {
                let schema = &content[media_type.expect("a media type")]["schema"];
                assert_eq!(faults(&self.document, schema, &answer.body, ""), Vec::<String>::new(), "{told}");
            }
        }
    }

    /// The operation that the description has for this.
    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let path = path.strip_prefix("/api/v1")?;
        let fits = |template: &str| {
            let (template, path): (Vec<_>, Vec<_>) =
                (template.split('/').collect(), path.split('/').collect());
            template.len() == path.len()
                && template
                    .iter()
                    .zip(path)
                    .all(|(part, given)| (part.starts_with('{') && !given.is_empty()) || *part == given)
        };
        let paths = self.document["paths"].as_object().expect("paths");
        // `HEAD` is answered as `GET` is.
        let method = if method == "head" { "get" } else { method };
        paths.iter().find(|(template, _)| fits(template)).and_then(|(_, methods)| methods.get(method))
    }
}
