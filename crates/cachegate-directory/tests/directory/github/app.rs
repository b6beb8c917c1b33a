//! A GitHub App asks: for each pull it gets a token of its own, by a JWT that its key signs.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cachegate_directory::{GithubApp, GithubConfigError, GithubOrganization, GithubToken};
use cachegate_fetch::{Fetch, FetchError, Method, Request, Response};
use cachegate_testkit::{GithubStandIn, NOW, block_on};
use cachegate_types::SecretText;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::Value;

use super::{THERE, World, builder, now, organization};

/// The RSA key that RFC 7515 prints in appendix A.2, as GitHub hands keys out.
const KEY: &str = "-----BEGIN RSA PRIVATE KEY-----
MIIEowIBAAKCAQEAofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd/wWJcyQoTbji9k0
l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL+yRT+SFd2lZS+pC
gNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb/7OMg0LOL+bSf63kpaSHSX
ndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uD
Zlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxXFvUK+DWNmoudF8NAco9/h9iaGNj8
q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQIDAQABAoIBABKucaRpzQorw35S
bEUAVx8dYXUdZOlJcHtiWQ+dC6V8ljxAHj/PLyzTveyI5QO/xkObCyjIL303l2cf
UhPu2MFaJdjVzqACXuOrLot/eSFvxjvqVidTtAZExqFRJ9mylUVAoLvhowVWmC1O
n95fZCXxTUtxNEG1Xcc7m0rtzJKs45J+N/V9DP1edYH6USyPSWGp6wuA+KgHRnKK
Vf9GRx80JQY7nVNkL17eHoTWEwga+lwi0FEoW9Y7lDtWXYmKBWhUE+U8PGxlJf8f
40493HDw1WRQ/aSLoS4QTp3rn7gYgeHEvfJdkkf0UMhlknlo53M09EFPdadQ4TlU
bjqKc50CgYEA4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH/5IB3jw3bcxGn6QLvnE
tfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw/Py5PJdTJNPY8cQn7ouZ2KKDcmnPG
BY5t7yLc1QlQ5xHdwW1VhvKn+nXqhJTBgIPgtldC+KDV5z+y2XDwGUcCgYEAuQPE
fgmVtjL0Uyyx88GZFF1fOunH3+7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYs
p1ZSe7zFYHj7C6ul7TjeLQeZD/YwD66t62wDmpe/HlB+TnBA+njbglfIsRLtXlnD
zQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdcCgYAHAp9XcCSrn8wVkMVkKdb7
DOX4IKjzdahm+ctDAJN4O/y7OW5FKebvUjdAIt2GuoTZ71iTG+7F0F+lP88jtjP4
U4qe7VHoewl4MKOfXZKTe+YCS1XbNvfgwJ3Ltyl1OH9hWvu2yza7q+d5PCsDzqtm
27kxuvULVeya+TEdAB1ijQKBgQCH/3r6YrVH/uCWGy6bzV1nGNOdjKc9tmkfOJmN
54dxdixdpozCQ6U4OxZrsj3FcOhHBsqAHvX2uuYjagqvo3cOj1TRqNocX40omfCC
Mx3bD1yPPf/6TI2XECva/ggqEY2mYzmIiA5LVVmc5nrybr+lssFKneeyxN2Wq93S
0iJMdQKBgCGHewxzoa1r8ZMD0LETNrToK423K377UCYqXfg5XMclbrjPbEC3YI1Z
NqMtuhdBJqUnBi6tjKMF+34Xf0CUN8ncuXGO2CAYvO8PdyCixHX52ybaDjy1FtCE
6yUXjoKNXKvUm7MWGsAYH6f4IegOetN5NvmUMFStCSkh7ixZLkN1
-----END RSA PRIVATE KEY-----";

/// Its modulus.
const MODULUS: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

/// GitHub, where an App gets its tokens; keeps the JWTs that it was shown.
#[derive(Clone, Debug)]
struct Door {
    there: GithubStandIn,
    shown: Arc<Mutex<Vec<String>>>,
    status: u16,
}

#[async_trait::async_trait]
impl Fetch for Door {
    async fn fetch(&self, request: &Request) -> Result<Response, FetchError> {
        if request.url().path() != "/app/installations/5/access_tokens" {
            return self.there.fetch(request).await;
        }
        assert_eq!(request.method(), Method::Post);
        let body = request.body().expect("a body").expose_secret();
        assert_eq!(body, r#"{"permissions":{"members":"read"}}"#);
        let header =
            request.headers().iter().find(|(name, _)| *name == "authorization").expect("a credential");
        let jwt = header.1.expose_secret().strip_prefix("Bearer ").expect("a bearer").to_owned();
        self.shown.lock().expect("the list").push(jwt);
        let token = GithubStandIn::TOKEN;
        Ok(Response::new(
            self.status,
            format!(r#"{{"token":"{token}","expires_at":"2023-11-14T23:13:20Z"}}"#),
        ))
    }
}

fn app(key: &str) -> Result<GithubApp, GithubConfigError> {
    GithubApp::new("Iv1.8a61f9b3a7aba766", 5, &SecretText::new(key.to_owned()))
}

/// What the pull of an organization without anybody here comes to, and the JWTs that were shown.
fn pulled(status: u16) -> (Result<usize, &'static str>, Vec<String>) {
    block_on(async {
        let world = World::new().await;
        world.there.join(7, "p7");
        let door = Door { there: world.there.clone(), shown: Arc::default(), status };
        let token = GithubToken::App(app(KEY).expect("an App"));
        let own = GithubOrganization { token, ..organization(world.scene.organization, THERE) };
        let github = builder(&world.scene, &world.store, Arc::new(door.clone())).organization(own).build();
        let done = github.expect("GitHub").pull(world.scene.organization, now()).await;
        let shown = door.shown.lock().expect("the list").clone();
        (done.map(|pulled| pulled.added).map_err(|error| error.code()), shown)
    })
}

#[test]
fn an_app_asks_with_a_token_that_its_key_obtained() {
    let (done, shown) = pulled(201);
    assert_eq!(done, Ok(1));
    let [jwt] = &shown[..] else { panic!("one for a pull: {shown:?}") };
    let (input, signature) = jwt.rsplit_once('.').expect("a signature");
    let bytes = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64url");
    let key = RsaPublicKeyComponents { n: bytes(MODULUS), e: vec![1, 0, 1] };
    key.verify(&RSA_PKCS1_2048_8192_SHA256, input.as_bytes(), &bytes(signature)).expect("signed");
    let (header, claims) = input.split_once('.').expect("two parts");
    let read = |text: &str| serde_json::from_slice::<Value>(&bytes(text)).expect("JSON");
    assert_eq!(read(header), serde_json::json!({ "alg": "RS256", "typ": "JWT" }));
    let at = i64::from(NOW);
    let expected = serde_json::json!({ "iat": at - 60, "exp": at + 480, "iss": "Iv1.8a61f9b3a7aba766" });
    assert_eq!(read(claims), expected);
}

#[test]
fn an_app_that_gets_no_token_changes_nothing() {
    for status in [200, 401, 403, 404, 422] {
        assert_eq!(pulled(status).0, Err("pull_status"), "{status}");
    }
}

#[test]
fn an_app_without_a_key_or_an_installation_is_refused_and_its_key_is_not_shown() {
    let cut = KEY.replace("MII", "");
    for wrong in ["", "-----BEGIN RSA PRIVATE KEY-----\n-----END RSA PRIVATE KEY-----", &cut] {
        assert!(matches!(app(wrong), Err(GithubConfigError::AppKey)), "{wrong}");
    }
    let key = SecretText::new(KEY.to_owned());
    assert!(matches!(GithubApp::new("Iv1.8a61f9b3a7aba766", 0, &key), Err(GithubConfigError::AppKey)));
    assert!(matches!(GithubApp::new("", 5, &key), Err(GithubConfigError::AppKey)));
    let shown = format!("{:?}", app(KEY).expect("an App"));
    assert_eq!(shown, r#"GithubApp { client_id: "Iv1.8a61f9b3a7aba766", installation: 5, .. }"#);
}
