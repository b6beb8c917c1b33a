//! An issuer, its documents, and an anchor that trusts it.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use cachegate_federation::{Anchor, AnchorBuilder, AnchorKeys, KeyTimes, Keys, KeysError, Platform};
use cachegate_fetch::{FetchError, Response};
use cachegate_jwt::{Algorithm, KeyId, KeySet, SigningKey, UnverifiedJws, to_jwks};
use cachegate_testkit::{FaultyFetch, FetchFault, FetchFaults, block_on};

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const DISCOVERY: &str = "https://issuer.example/.well-known/openid-configuration";
pub(crate) const KEYS: &str = "https://issuer.example/keys";

/// Points in time are far from the beginning of the clock: that it is zero there must mean nothing.
pub(crate) const START: Duration = Duration::from_secs(1_000_000);

pub(crate) struct Site {
    pub(crate) signer: SigningKey,
    pub(crate) faults: Arc<FetchFaults>,
    pub(crate) keys: AnchorKeys,
}

impl Site {
    /// A healthy issuer with one key, found by discovery.
    pub(crate) fn new() -> Self {
        Self::with(&anchor(Keys::Discovery))
    }

    pub(crate) fn with(anchor: &Anchor) -> Self {
        let (fetch, faults) = FaultyFetch::new();
        let site = Self {
            signer: SigningKey::generate(Algorithm::EdDsa).unwrap(),
            keys: AnchorKeys::new(anchor, Arc::new(fetch)).unwrap(),
            faults,
        };
        site.faults.put(DISCOVERY, document(ISSUER, KEYS));
        site.publish(&[&site.signer]);
        site
    }

    /// A healthy issuer whose keys were fetched at the start.
    pub(crate) fn held() -> Self {
        let site = Self::new();
        site.ask(site.signer.kid(), START).unwrap();
        site
    }

    pub(crate) fn with_times(mut self, times: KeyTimes) -> Self {
        self.keys = self.keys.with_times(times);
        self
    }

    pub(crate) fn publish(&self, signers: &[&SigningKey]) {
        self.faults.put(KEYS, jwks(signers));
    }

    pub(crate) fn fault(&self, url: &str, fault: FetchFault) {
        self.faults.set(url, fault);
    }

    pub(crate) fn ask(&self, kid: &KeyId, now: Duration) -> Result<Arc<KeySet>, KeysError> {
        block_on(self.keys.for_kid(Some(kid), now))
    }

    /// How often each of the two documents was asked for.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.faults.count(DISCOVERY), self.faults.count(KEYS))
    }
}

pub(crate) fn anchor(keys: Keys) -> Anchor {
    AnchorBuilder::new("ci".parse().unwrap(), Platform::GitlabCi, ISSUER, ["https://cache.example"])
        .keys(keys)
        .build()
        .unwrap()
}

pub(crate) fn document(issuer: &str, keys: &str) -> Response {
    Response::new(
        200,
        format!(r#"{{"issuer":"{issuer}","jwks_uri":"{keys}","scopes_supported":["openid"]}}"#),
    )
}

pub(crate) fn jwks(signers: &[&SigningKey]) -> Response {
    Response::new(200, to_jwks(signers.iter().map(|signer| signer.verifying_key())))
}

pub(crate) fn signer() -> SigningKey {
    SigningKey::generate(Algorithm::EdDsa).unwrap()
}

pub(crate) fn kid(text: &str) -> KeyId {
    KeyId::new(text.as_bytes()).unwrap()
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn timed_out() -> FetchFault {
    FetchFault::Fail(FetchError::TimedOut { limit: seconds(5) })
}

pub(crate) fn status(status: u16) -> FetchFault {
    FetchFault::Answer(Response::new(status, ""))
}

/// Whether a token of this signer verifies with the keys.
pub(crate) fn verifies(keys: &KeySet, signer: &SigningKey) -> bool {
    let token = signer.sign_claims("JWT", "{}").unwrap();
    UnverifiedJws::parse(token.expose_secret()).unwrap().verify(keys, &[Algorithm::EdDsa]).is_ok()
}

/// One look at a future, without waiting.
pub(crate) fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
