//! The key ring: keys published before they sign, kept until the last token that they signed has ended, revocable.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use cachegate_jwt::{
    AccessClaims, AccessKeys, Algorithm, AuthorizationDetail, LabelKey, LabelKeyId, SigningKey, VerifyingKey,
    sign_access_token, to_jwks,
};
use cachegate_storage::{KeyPurpose, KeyRecord, Revoked, TokenForm};
use cachegate_types::{
    Description, Principal, Revision, SecretBytes, SecretKey, SecretText, Timestamp, TokenId,
};

use crate::gate::{BuildError, Inner};
use crate::issue::{DEVICE_TOKEN_LIFE, Draft};
use crate::manage::{Authority, ManageError};
use crate::verdict::Unavailable;
use crate::{Gate, IssueError, VaultError};

/// How long a new signing key is published before it signs, so that whoever verifies by the key set has it by then.
pub const PUBLISH_BEFORE_USE: Duration = Duration::from_secs(10 * 60);

/// The private halves that this process has taken out of the vault.
#[derive(Default)]
pub(crate) struct KeyRing {
    signing: Mutex<BTreeMap<Arc<str>, Arc<SigningKey>>>,
    labels: ArcSwap<BTreeMap<[u8; 8], Arc<LabelKey>>>,
}

impl KeyRing {
    fn signing(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<SigningKey>>> {
        self.signing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_label(&self, key: &Arc<LabelKey>) {
        self.labels.rcu(|held| {
            let mut held = BTreeMap::clone(held);
            held.insert(key.id().to_bytes(), Arc::clone(key));
            held
        });
    }
}

/// The `client_id` of every token that is issued: whoever asks is no registered client, but has shown a credential.
pub(crate) const CLIENT_ID: &str = "cachegate";

/// The `sub` of a token with this owner.
pub(crate) fn subject_of(owner: &Principal) -> String {
    match owner {
        Principal::Anonymous => "anonymous".to_owned(),
        Principal::User(id) => id.to_string(),
        Principal::Ci(id) => id.to_string(),
        Principal::Device(id) => id.to_string(),
        Principal::Workload { subject, .. } => subject.to_string(),
    }
}

/// The public halves of what the store records, ready to verify with.
pub(crate) fn access_keys(records: &[KeyRecord]) -> AccessKeys {
    let of = |revoked: bool| {
        records
            .iter()
            .filter(move |record| {
                record.purpose == KeyPurpose::Signing && record.revoked.is_some() == revoked
            })
            // A record that is no key verifies nothing: its tokens are refused as those of an unknown key.
            .filter_map(|record| VerifyingKey::from_jwk(record.public.as_deref()?).ok())
    };
    AccessKeys::new(of(false)).with_revoked(of(true))
}

impl Inner {
    /// Makes the first keys where none can be used.
    pub(crate) async fn ensure_keys(&self, now: Timestamp) -> Result<(), BuildError> {
        let records = self.held.storage().keys().await.map_err(|source| BuildError::Store { source })?;
        let vault = |source| BuildError::Vault { source };
        if self.sealing_key(&records, now).await.map_err(vault)?.is_none() {
            self.new_label_key(now).await?;
        }
        if self.signing_key(&records, now).await.map_err(vault)?.is_none() {
            self.new_signing_key(now, now).await?;
        }
        self.held.catch_up().await.map_err(|source| BuildError::Store { source })?;
        Ok(())
    }

    async fn new_label_key(&self, now: Timestamp) -> Result<Arc<str>, BuildError> {
        let key = LabelKey::generate().map_err(|_| BuildError::Randomness)?;
        let id: Arc<str> = key.id().to_string().into();
        self.vault
            .put(&id, &SecretKey::new(key.expose_secret().to_vec()))
            .await
            .map_err(|source| BuildError::Vault { source })?;
        self.record(&id, KeyPurpose::Label, None, now, now)
            .await
            .map_err(|source| BuildError::Store { source })?;
        self.ring.keep_label(&Arc::new(key));
        Ok(id)
    }

    async fn new_signing_key(&self, signs_from: Timestamp, now: Timestamp) -> Result<Arc<str>, BuildError> {
        let key = SigningKey::generate(Algorithm::EdDsa).map_err(|_| BuildError::Randomness)?;
        let id: Arc<str> = String::from_utf8_lossy(key.kid().as_bytes()).into();
        self.vault
            .put(&id, &SecretKey::new(key.to_pkcs8().expose_secret().to_vec()))
            .await
            .map_err(|source| BuildError::Vault { source })?;
        self.record(&id, KeyPurpose::Signing, Some(key.public_jwk().into()), signs_from, now)
            .await
            .map_err(|source| BuildError::Store { source })?;
        self.ring.signing().insert(Arc::clone(&id), Arc::new(key));
        Ok(id)
    }

    async fn record(
        &self,
        id: &Arc<str>,
        purpose: KeyPurpose,
        public: Option<Arc<str>>,
        signs_from: Timestamp,
        now: Timestamp,
    ) -> Result<Revision, cachegate_storage::StoreError> {
        let record = KeyRecord {
            id: Arc::clone(id),
            purpose,
            public,
            created_at: now,
            signs_from,
            signs_until: None,
            verifies_until: None,
            revoked: None,
        };
        self.held.storage().put_key(&record, &Authority::Operator.act(now)).await
    }

    /// The key that signs now: the newest that may and whose private half the vault has.
    async fn signing_key(
        &self,
        records: &[KeyRecord],
        now: Timestamp,
    ) -> Result<Option<Arc<SigningKey>>, VaultError> {
        let mut usable: Vec<_> = records
            .iter()
            .filter(|record| record.purpose == KeyPurpose::Signing && record.revoked.is_none())
            .filter(|record| record.signs_from <= now && record.signs_until.is_none_or(|until| now < until))
            .collect();
        usable.sort_by_key(|record| std::cmp::Reverse(record.signs_from));
        for record in usable {
            let held = self.ring.signing().get(&record.id).cloned();
            if held.is_some() {
                return Ok(held);
            }
            let Some(document) = self.vault.key(&record.id).await? else { continue };
            // A document that is not the key of its record is as good as none.
            if let Ok(key) = SigningKey::from_pkcs8(Algorithm::EdDsa, document.expose_secret())
                && key.kid().as_bytes() == record.id.as_bytes()
            {
                let key = Arc::new(key);
                self.ring.signing().insert(Arc::clone(&record.id), Arc::clone(&key));
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// The label key of this id, from memory or the vault.
    async fn label_key(&self, id: &str) -> Result<Option<Arc<LabelKey>>, VaultError> {
        let held = |id: &str| {
            let labels = self.ring.labels.load();
            labels.values().find(|key| key.id().to_string() == id).cloned()
        };
        if let Some(key) = held(id) {
            return Ok(Some(key));
        }
        let Some(bytes) = self.vault.key(id).await? else { return Ok(None) };
        let Ok(bytes) = <[u8; 32]>::try_from(bytes.expose_secret()) else { return Ok(None) };
        let key = Arc::new(LabelKey::from_bytes(SecretBytes::new(bytes)));
        if key.id().to_string() != id {
            return Ok(None);
        }
        self.ring.keep_label(&key);
        Ok(Some(key))
    }

    /// The label key that seals now.
    pub(crate) async fn sealing_key(
        &self,
        records: &[KeyRecord],
        now: Timestamp,
    ) -> Result<Option<Arc<LabelKey>>, VaultError> {
        let mut usable: Vec<_> = records
            .iter()
            .filter(|record| record.purpose == KeyPurpose::Label && record.revoked.is_none())
            .filter(|record| record.signs_until.is_none_or(|until| now < until))
            .collect();
        usable.sort_by_key(|record| std::cmp::Reverse(record.created_at));
        for record in usable {
            if let Some(key) = self.label_key(&record.id).await? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// The label key that this label names, if it still checks labels: retired ones do, revoked ones do not.
    pub(crate) async fn checking_key(
        &self,
        label: &[u8],
        records: &[KeyRecord],
    ) -> Result<Option<Arc<LabelKey>>, VaultError> {
        // Behind the version byte; see the label's layout.
        let Some(named) = label.get(1..9).and_then(|id| <[u8; 8]>::try_from(id).ok()) else {
            return Ok(None);
        };
        let id = LabelKeyId::from_bytes(named).to_string();
        let in_force = |record: &&KeyRecord| {
            record.purpose == KeyPurpose::Label && *record.id == *id && record.revoked.is_none()
        };
        match records.iter().find(in_force) {
            Some(record) => self.label_key(&record.id).await,
            None => Ok(None),
        }
    }

    /// Signs a token of this draft.
    pub(crate) async fn sign(
        &self,
        id: TokenId,
        draft: &Draft,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(SecretText, TokenForm), IssueError> {
        let globals = self.held.globals().await?;
        let unavailable = |error: VaultError| Unavailable::Store { detail: error.to_string() };
        let key = self.signing_key(&globals.keys, now).await.map_err(unavailable)?;
        let key = key.ok_or(IssueError::Encoding { code: "no_signing_key" })?;
        let claims = AccessClaims {
            issuer: self.issuer.as_str().into(),
            audience: draft.audience.clone().unwrap_or_else(|| self.issuer.as_str().into()),
            subject: subject_of(&draft.owner),
            client_id: CLIENT_ID.to_owned(),
            token_id: id,
            issued_at: now,
            expires_at,
            kind: Some(draft.kind.as_str().to_owned()),
            ancestors: Vec::new(),
            principal: None,
            lane: None,
            authorization_details: draft
                .restrictions
                .iter()
                .map(|restriction| AuthorizationDetail { restriction: restriction.clone() })
                .collect(),
        };
        let jwt =
            sign_access_token(&key, &claims).map_err(|error| IssueError::Encoding { code: error.code() })?;
        let text = match &draft.audience {
            None => SecretText::new(format!("{}{}", self.brand.jwt_prefix(), jwt.expose_secret())),
            // A service verifies it with software that knows no prefix, and here it is nobody's.
            Some(_) => jwt,
        };
        let key = String::from_utf8_lossy(key.kid().as_bytes()).into();
        Ok((text, TokenForm::Jwt { key }))
    }
}

impl Gate {
    /// The public keys, as a key set (RFC 7517): those that sign, those published to sign soon, and those whose
    /// tokens still live.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when the store does not answer.
    pub async fn key_set(&self, now: Timestamp) -> Result<String, Unavailable> {
        self.inner.ensure_fresh(None, now).await?;
        let globals = self.inner.held.globals().await?;
        let live: Vec<_> = globals
            .keys
            .iter()
            .filter(|record| record.verifies_until.is_none_or(|until| now < until))
            .cloned()
            .collect();
        Ok(to_jwks(access_keys(&live).in_force()))
    }

    /// Makes the next signing key: published now, used for signing after [`PUBLISH_BEFORE_USE`]. The present ones
    /// sign until then, and verify until the last token that they signed has ended.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn rotate_signing_key(
        &self,
        by: &Authority<'_>,
        now: Timestamp,
    ) -> Result<Arc<str>, ManageError> {
        let inner = &*self.inner;
        inner.only_operator(by, now).await?;
        let signs_from = now.saturating_add(PUBLISH_BEFORE_USE);
        let before = inner.held.storage().keys().await?;
        let id = inner
            .new_signing_key(signs_from, now)
            .await
            .map_err(|error| Unavailable::Store { detail: error.to_string() })?;
        for record in before {
            let retires = record.purpose == KeyPurpose::Signing && record.signs_until.is_none();
            if retires && record.revoked.is_none() {
                let record = KeyRecord {
                    signs_until: Some(signs_from),
                    verifies_until: Some(signs_from.saturating_add(DEVICE_TOKEN_LIFE)),
                    ..record
                };
                inner.held.storage().put_key(&record, &by.act(now)).await?;
            }
        }
        inner.held.catch_up().await.map_err(Unavailable::from)?;
        Ok(id)
    }

    /// Makes the next label key, which seals from now on. Those before it check for ever what they sealed, until they
    /// are revoked.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn rotate_label_key(
        &self,
        by: &Authority<'_>,
        now: Timestamp,
    ) -> Result<Arc<str>, ManageError> {
        let inner = &*self.inner;
        inner.only_operator(by, now).await?;
        let before = inner.held.storage().keys().await?;
        let id = inner
            .new_label_key(now)
            .await
            .map_err(|error| Unavailable::Store { detail: error.to_string() })?;
        for record in before {
            if record.purpose == KeyPurpose::Label && record.signs_until.is_none() && record.revoked.is_none()
            {
                let record = KeyRecord { signs_until: Some(now), ..record };
                inner.held.storage().put_key(&record, &by.act(now)).await?;
            }
        }
        inner.held.catch_up().await.map_err(Unavailable::from)?;
        Ok(id)
    }

    /// Revokes a key: no token that it signed, and no label that it sealed, counts any more.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn revoke_key(
        &self,
        by: &Authority<'_>,
        id: &str,
        reason: Description,
        now: Timestamp,
    ) -> Result<Revision, ManageError> {
        let inner = &*self.inner;
        inner.only_operator(by, now).await?;
        let records = inner.held.storage().keys().await?;
        let record = records.into_iter().find(|record| &*record.id == id);
        let record = record.ok_or(ManageError::Missing { what: "key" })?;
        let revoked = Revoked { at: now, reason, by: by.principal() };
        let record = KeyRecord { revoked: Some(revoked), ..record };
        let revision = inner.held.storage().put_key(&record, &by.act(now)).await?;
        let revision = inner.take_in(revision).await;
        // What is gone is replaced at once, so that the next token and the next entry have a key.
        inner.ensure_keys(now).await.map_err(|error| Unavailable::Store { detail: error.to_string() })?;
        Ok(revision)
    }
}
