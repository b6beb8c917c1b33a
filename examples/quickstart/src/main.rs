//! The whole kernel in about thirty lines, without an async runtime: `cargo run -p quickstart`.
#![expect(clippy::print_stdout, reason = "an example that shows its answers")]

use std::error::Error;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use cachegate::{
    Allowed, Authority, Candour, Credential, Gate, Issued, MemoryVault, Request, TokenSpec, Verdict,
};
use cachegate_storage::MemoryStorage;
use cachegate_types::{AccessLevel, Action, EntryKey, Epoch, Lane, Resource, SecretText, Timestamp};
use ring::digest::{SHA256, digest};

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    futures_executor::block_on(run(Timestamp::from_unix_seconds(seconds.try_into()?)?))
}

async fn run(now: Timestamp) -> Result<(), Box<dyn Error>> {
    // A store and a place for keys make a gate. The first start makes an organization, a workspace and its owner.
    let storage = Arc::new(MemoryStorage::new(Epoch(1)));
    let gate = Gate::builder(storage, Arc::new(MemoryVault::default())).build(now).await?;
    let first = gate.first_start(&"acme".parse()?, &"app".parse()?, &"Ada".parse()?, now).await?;

    // Two builds: one of the trunk, one of a pull request that anybody may have opened.
    let issue = async |lane: &str| -> Result<Issued, Box<dyn Error>> {
        let lane: Lane = lane.parse()?;
        let spec = TokenSpec::Ci { workspace: first.workspace, level: AccessLevel::ReadWrite, lane };
        Ok(gate.issue(&Authority::Operator, &spec, "a build's".parse()?, None, now).await?)
    };
    let (trunk, pull) = (issue("main").await?, issue("pull/42").await?);

    // May this credential do this, to this, now, and why?
    let key = EntryKey::new(b"5f3a9c")?;
    let entry = Resource::entry(first.workspace, key.clone());
    let ask = async |who: &str, token: Option<&SecretText>, action| -> Result<_, Box<dyn Error>> {
        let credential =
            token.map(|token| Credential::parse(token.expose_secret(), gate.brand())).transpose()?;
        Ok(show(who, action, gate.check(credential.as_ref(), &Request::new(action, &entry), now).await))
    };
    let by_trunk = ask("the trunk", Some(&trunk.token), Action::Write).await?.ok_or("refused")?;
    let by_pull = ask("the pull request", Some(&pull.token), Action::Write).await?.ok_or("refused")?;
    ask("the pull request", Some(&pull.token), Action::Delete).await?;
    ask("nobody", None, Action::Read).await?;

    // Each stores the entry in its own lane. What is read is admitted by its label, or it is a miss.
    let (good, bad) = (sha256(b"an honest build"), sha256(b"a poisoned one"));
    let label = gate.seal(&by_trunk.ticket(key.clone()).ok_or("no ticket")?, &good, 15, now).await?;
    let found = gate.admit(Some(&label), &key, &good, &by_pull).await?;
    println!("the pull request takes what {} wrote in lane {}", found.writer.kind(), found.lane);
    let label = gate.seal(&by_pull.ticket(key.clone()).ok_or("no ticket")?, &bad, 14, now).await?;
    if let Err(miss) = gate.admit(Some(&label), &key, &bad, &by_trunk).await {
        println!("the trunk takes nothing of it: {miss}");
    }

    // A right that is taken back is gone with the next request.
    gate.revoke(&Authority::Operator, pull.record.id, "leaked".parse()?, now).await?;
    ask("the pull request", Some(&pull.token), Action::Read).await?;
    Ok(())
}

fn show(who: &str, action: Action, verdict: Verdict) -> Option<Allowed> {
    match verdict {
        Verdict::Allowed(allowed) => {
            let reads: Vec<_> = allowed.read_lanes().map(Lane::to_string).collect();
            let writes = allowed.write_lane().map(|lane| format!(", writes {lane}")).unwrap_or_default();
            println!("{who} may {action}: reads {}{writes}", reads.join(", "));
            return Some(allowed);
        }
        Verdict::Denied(denied) => println!("{who} is refused: {}", denied.explain(Candour::Caller)),
        Verdict::NotAuthenticated(reason) => println!("{who} is not believed: {reason}"),
        Verdict::Unavailable(reason) => println!("nothing could be decided: {reason}"),
    }
    None
}

fn sha256(body: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, body).as_ref());
    bytes
}
