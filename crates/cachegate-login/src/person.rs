//! Who an account is here: the first login makes a person and their personal organization, every later one finds them.

use cachegate::{Authority, Gate};
use cachegate_storage::{AccountRecord, Accounts, Act, OrganizationRecord, Storage, StoreError, UserRecord};
use cachegate_types::{Name, OrganizationId, Principal, Role, Timestamp, UserId};
use ring::rand::{SecureRandom, SystemRandom};

use crate::{Identity, LoginError};

/// The person of this account, and whether the account was unknown before.
///
/// The link comes first: of many first logins at once, one decides who it is, and whatever is cut off after it is
/// finished by the next login.
pub(crate) async fn of(
    identity: &Identity,
    accounts: &dyn Accounts,
    storage: &dyn Storage,
    gate: &Gate,
    now: Timestamp,
) -> Result<(UserId, bool), LoginError> {
    let find = || accounts.account(&identity.issuer, &identity.subject);
    if let Some(account) = find().await? {
        ensure(account.user, identity, storage, gate, now).await?;
        return Ok((account.user, false));
    }
    let user = UserId::new(now, random()?);
    let record = AccountRecord {
        issuer: identity.issuer.clone(),
        subject: identity.subject.clone(),
        user,
        linked_at: now,
    };
    let (user, is_new) = match accounts.link_account(&record, &act(user, now)).await {
        Ok(()) => (user, true),
        // Another login of theirs was first.
        Err(StoreError::Exists { what }) => {
            let account = find().await?.ok_or(StoreError::Missing { what })?;
            (account.user, false)
        }
        Err(error) => return Err(error.into()),
    };
    ensure(user, identity, storage, gate, now).await?;
    Ok((user, is_new))
}

/// Makes what a person needs, where it is not there.
async fn ensure(
    user: UserId,
    identity: &Identity,
    storage: &dyn Storage,
    gate: &Gate,
    now: Timestamp,
) -> Result<(), LoginError> {
    if storage.user(user).await?.is_none() {
        let record = UserRecord { id: user, display: identity.display.clone(), created_at: now };
        there_already(storage.create_user(&record, &act(user, now)).await)?;
    }
    // By the person's own id: a name that people choose could be one that others know somebody by.
    let name: Name = format!("u-{user}")
        .parse()
        .map_err(|_| StoreError::Corrupt { what: "user", detail: "its id makes no name".to_owned() })?;
    if storage.organization_by_name(&name).await?.is_none() {
        let id = OrganizationId::new(now, random()?);
        let record = OrganizationRecord { id, name: name.clone(), personal_of: Some(user), created_at: now };
        there_already(storage.create_organization(&record, &act(user, now)).await)?;
    }
    let personal = storage.organization_by_name(&name).await?;
    let personal = personal.filter(|organization| organization.personal_of == Some(user));
    let personal = personal.ok_or(StoreError::Missing { what: "personal organization" })?;
    let places = storage.memberships(user).await?;
    if !places.iter().any(|place| place.member.organization == personal.id) {
        let made = gate.set_member(&Authority::Operator, personal.id, user, Role::Owner, now).await;
        made.map_err(cachegate::IssueError::from)?;
    }
    Ok(())
}

fn there_already(made: Result<(), StoreError>) -> Result<(), StoreError> {
    match made {
        Err(StoreError::Exists { .. }) => Ok(()),
        made => made,
    }
}

/// Whoever signs in makes their own account.
const fn act(user: UserId, at: Timestamp) -> Act {
    Act { by: Principal::User(user), token: None, at }
}

fn random() -> Result<[u8; 10], LoginError> {
    let mut bytes = [0; 10];
    SystemRandom::new().fill(&mut bytes).map_err(|_| LoginError::Randomness)?;
    Ok(bytes)
}
