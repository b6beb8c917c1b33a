//! Tokens.

use cachegate_token::{DigestScheme, TokenDigest};
use cachegate_types::{Principal, TokenId};

use super::fixtures::{
    act, at, full_token_record, furnish, holds_token, ids_of, issue, line, mass, name, organization, race,
    revoked, same_token, token, token_record, trace, untouched, user, wait, whole_audit, workspace,
};
use super::outcome::{Outcome, Refusal, equal, refused};
use crate::{
    MassScope, Preconditions, Revoked, Storage, StoreError, Superseded, TokenFilter, TokenForm, TokenKind,
    TokenRecord, acts,
};

cases! {
    /// A token is found by its id, whole, in every kind and form.
    async fn a_token_reads_back(storage) {
        check!(storage.token(token(1)).await?.is_none(), "an unknown token is there");
        let digest = TokenDigest::from_parts(DigestScheme::HmacSha256 { key_id: 7 }, [0xA5; 32]);
        let opaque = full_token_record(1, TokenForm::Opaque(digest))?;
        let signed = full_token_record(2, TokenForm::Jwt { key: "thumbprint-1".into() })?;
        let mut records = vec![opaque, signed, token_record(3)?];
        for (kind, number) in TokenKind::ALL.into_iter().zip(10..) {
            records.push(TokenRecord { kind, ..token_record(number)? });
        }
        records.push(TokenRecord {
            ancestors: vec![token(1), token(2), token(3), token(10)],
            organization: None,
            workspace: None,
            owner: Principal::User(user(1)),
            ..token_record(30)?
        });
        for record in &records {
            issue(&*storage, record).await?;
        }
        for record in &records {
            holds_token(&*storage, record).await?;
        }
    }

    /// No two tokens share an id.
    async fn token_ids_are_unique(storage) {
        furnish(&*storage).await?;
        let record = token_record(1)?;
        issue(&*storage, &record).await?;
        let before = trace(&*storage).await?;
        let other = TokenRecord { description: line("another")?, ..token_record(1)? };
        let answer = storage.insert_token(&other, &Preconditions::default(), &act(1)).await;
        refused("a taken id", answer, Refusal::Exists)?;
        holds_token(&*storage, &record).await?;
        untouched(&*storage, before).await?;
    }

    /// A child of a revoked token is not born, at whatever place in the lineage the token is.
    async fn revoked_ancestor_blocks_insertion(storage) {
        furnish(&*storage).await?;
        for number in 1..=4 {
            issue(&*storage, &token_record(number)?).await?;
        }
        storage.revoke_token(token(3), &revoked(1)?, &act(1)).await?;
        for lineage in [&[3][..], &[3, 1], &[1, 3], &[1, 2, 4, 3]] {
            stillborn(&*storage, lineage, 2).await?;
        }
        let child = child(&[1, 2, 4])?;
        storage.insert_token(&child, &Preconditions::default(), &act(2)).await?;
    }

    /// A child of a token that a mass revocation takes is not born, whatever the revocation's scope.
    async fn mass_revoked_ancestor_blocks_insertion(storage) {
        let parents = scoped_parents()?;
        for (_, parent) in &parents {
            issue(&*storage, parent).await?;
        }
        for (index, (scope, parent)) in parents.iter().enumerate() {
            let number = 100 + u8::try_from(index).unwrap_or(0);
            let kin = TokenRecord { ancestors: vec![parent.id], ..token_record(number)? };
            storage.insert_token(&kin, &Preconditions::default(), &act(1)).await?;
            storage.revoke_many(&mass(scope.clone(), None)?, &act(1)).await?;
            let late = TokenRecord { ancestors: vec![parent.id], ..token_record(200)? };
            let answer = storage.insert_token(&late, &Preconditions::default(), &act(1)).await;
            refused(&format!("a child under {scope:?}"), answer, Refusal::Precondition)?;
        }
    }

    /// A mass revocation up to a moment takes the tokens of that very second, and spares later ones.
    async fn a_mass_revocation_spares_later_tokens(storage) {
        furnish(&*storage).await?;
        for (number, issued) in [(1, 49), (2, 50), (3, 51)] {
            issue(&*storage, &TokenRecord { issued_at: at(issued), ..token_record(number)? }).await?;
        }
        storage.revoke_many(&mass(MassScope::Everything, Some(50))?, &act(60)).await?;
        stillborn(&*storage, &[1], 61).await?;
        stillborn(&*storage, &[2], 61).await?;
        storage.insert_token(&child(&[3])?, &Preconditions::default(), &act(61)).await?;
    }

    /// A child of an expired token is not born; the second of its end is too late.
    async fn expired_ancestor_blocks_insertion(storage) {
        furnish(&*storage).await?;
        issue(&*storage, &TokenRecord { expires_at: Some(at(100)), ..token_record(1)? }).await?;
        stillborn(&*storage, &[1], 100).await?;
        stillborn(&*storage, &[1], 101).await?;
        storage.insert_token(&child(&[1])?, &Preconditions::default(), &act(99)).await?;
    }

    /// A child of nobody is not born, and nobody is their own ancestor.
    async fn unknown_ancestor_blocks_insertion(storage) {
        furnish(&*storage).await?;
        issue(&*storage, &token_record(1)?).await?;
        stillborn(&*storage, &[77], 2).await?;
        stillborn(&*storage, &[1, 77], 2).await?;
        let own = child(&[])?.id;
        let looped = TokenRecord { ancestors: vec![own], ..child(&[])? };
        let answer = storage.insert_token(&looped, &Preconditions::default(), &act(2)).await;
        refused("its own ancestor", answer, Refusal::Precondition)?;
    }

    /// An ancestor's own ancestors count, though the child does not name them.
    async fn an_ancestor_of_an_ancestor_blocks_insertion(storage) {
        furnish(&*storage).await?;
        issue(&*storage, &token_record(1)?).await?;
        issue(&*storage, &TokenRecord { ancestors: vec![token(1)], ..token_record(2)? }).await?;
        storage.revoke_token(token(1), &revoked(1)?, &act(1)).await?;
        stillborn(&*storage, &[2], 2).await?;
    }

    /// Nobody has more than four ancestors.
    async fn too_long_a_lineage_blocks_insertion(storage) {
        furnish(&*storage).await?;
        for number in 1..=5 {
            issue(&*storage, &token_record(number)?).await?;
        }
        stillborn(&*storage, &[1, 2, 3, 4, 5], 2).await?;
        storage.insert_token(&child(&[1, 2, 3, 4])?, &Preconditions::default(), &act(2)).await?;
    }

    /// A token that the act rests on must live: known, not revoked alone or in mass, not expired.
    async fn a_precondition_token_must_live(storage) {
        furnish(&*storage).await?;
        issue(&*storage, &token_record(1)?).await?;
        issue(&*storage, &TokenRecord { expires_at: Some(at(100)), ..token_record(2)? }).await?;
        issue(&*storage, &token_record(3)?).await?;
        issue(&*storage, &TokenRecord { family: token(44), ..token_record(4)? }).await?;
        storage.revoke_token(token(3), &revoked(1)?, &act(1)).await?;
        storage.revoke_many(&mass(MassScope::Family(token(44)), None)?, &act(1)).await?;
        for (needed, second) in [(&[77][..], 2), (&[3], 2), (&[2], 100), (&[4], 2), (&[1, 3], 2)] {
            let before = trace(&*storage).await?;
            let live = needed.iter().map(|number| token(*number)).collect();
            let preconditions = Preconditions { live, ..Preconditions::default() };
            let answer = storage.insert_token(&child(&[])?, &preconditions, &act(second)).await;
            refused(&format!("resting on {needed:?}"), answer, Refusal::Precondition)?;
            untouched(&*storage, before).await?;
        }
        let preconditions = Preconditions { live: vec![token(1), token(2)], ..Preconditions::default() };
        storage.insert_token(&child(&[])?, &preconditions, &act(99)).await?;
    }

    /// A person whom the act rests on must be a member there, now.
    async fn a_precondition_member_must_be_one(storage) {
        furnish(&*storage).await?;
        storage.remove_member(organization(1), user(2), &act(1)).await?;
        for (place, person) in [(1, 3), (2, 1), (1, 2), (9, 1), (1, 9)] {
            let before = trace(&*storage).await?;
            let members = vec![(organization(1), user(1)), (organization(place), user(person))];
            let preconditions = Preconditions { members, ..Preconditions::default() };
            let answer = storage.insert_token(&child(&[])?, &preconditions, &act(2)).await;
            refused(&format!("resting on {person} in {place}"), answer, Refusal::Precondition)?;
            untouched(&*storage, before).await?;
        }
        let preconditions = Preconditions { members: vec![(organization(1), user(1))], ..Preconditions::default() };
        storage.insert_token(&child(&[])?, &preconditions, &act(2)).await?;
    }

    /// However insertion and revocation race, no child is born after its parent's end.
    async fn no_child_is_born_after_its_parents_revocation(storage) {
        furnish(&*storage).await?;
        for round in 0..16_u8 {
            let parent = token(round);
            issue(&*storage, &token_record(round)?).await?;
            let children = (0..4_u8)
                .map(|thread| {
                    let record = token_record(100 + round * 4 + thread)?;
                    Ok(TokenRecord { ancestors: vec![parent], ..record })
                })
                .collect::<Result<Vec<_>, super::Violation>>()?;
            // Another thread each time: the first to start is not the same on every machine.
            let (leak, kin, revoking) = (revoked(2)?, children.clone(), round % 4);
            let born = race(&storage, 4, move |storage, thread| {
                if thread == revoking {
                    return wait(storage.revoke_token(parent, &leak, &act(2))).map(|_| false);
                }
                let Some(child) = kin.get(usize::from(thread)) else { return Ok(false) };
                match wait(storage.insert_token(child, &Preconditions::default(), &act(2))) {
                    Ok(()) => Ok(true),
                    Err(StoreError::Precondition { .. }) => Ok(false),
                    Err(other) => Err(other),
                }
            })?;
            let records = whole_audit(&*storage).await?;
            let place = |code: &str, id: TokenId| {
                let id = id.to_string();
                records.iter().position(|found| *found.entry.code == *code && found.entry.is_about(&id))
            };
            let ended = place(acts::TOKEN_REVOKED, parent);
            for (child, born) in children.iter().zip(born) {
                let born = born?;
                equal("a child that was told born", &storage.token(child.id).await?.is_some(), &born)?;
                let late = place(acts::TOKEN_ISSUED, child.id) > ended;
                check!(!late, "{:?} was born after the revocation of its parent", child.id);
            }
            check!(ended.is_some(), "the revocation of {parent:?} is not in the audit");
        }
    }

    /// Rotation leaves a marked predecessor, otherwise as it was, and its successor.
    async fn rotation_links_predecessor_and_successor(storage) {
        furnish(&*storage).await?;
        let old = token_record(1)?;
        issue(&*storage, &old).await?;
        let new = TokenRecord { family: token(1), ..token_record(2)? };
        storage.rotate_token(token(1), &new, at(60), &act(10)).await?;
        let superseded = Some(Superseded { by: token(2), overlap_until: at(60) });
        holds_token(&*storage, &TokenRecord { superseded, ..old }).await?;
        holds_token(&*storage, &new).await?;
        let last = TokenRecord { family: token(1), ..token_record(3)? };
        storage.rotate_token(token(2), &last, at(70), &act(20)).await?;
        holds_token(&*storage, &last).await?;
    }

    /// What has ended or has a successor gets none.
    async fn rotation_of_an_ended_token_is_refused(storage) {
        furnish(&*storage).await?;
        for number in [1, 4] {
            issue(&*storage, &token_record(number)?).await?;
        }
        issue(&*storage, &TokenRecord { expires_at: Some(at(100)), ..token_record(2)? }).await?;
        issue(&*storage, &TokenRecord { family: token(44), ..token_record(3)? }).await?;
        issue(&*storage, &token_record(5)?).await?;
        issue(&*storage, &TokenRecord { ancestors: vec![token(5)], ..token_record(6)? }).await?;
        storage.revoke_token(token(1), &revoked(1)?, &act(1)).await?;
        storage.revoke_token(token(5), &revoked(1)?, &act(1)).await?;
        storage.revoke_many(&mass(MassScope::Family(token(44)), None)?, &act(1)).await?;
        storage.rotate_token(token(4), &token_record(40)?, at(500), &act(1)).await?;
        let before = trace(&*storage).await?;
        for (number, second) in [(1, 2), (2, 100), (3, 2), (4, 2), (6, 2)] {
            let answer = storage.rotate_token(token(number), &token_record(50)?, at(500), &act(second)).await;
            refused(&format!("rotation of {number}"), answer, Refusal::Precondition)?;
        }
        check!(storage.token(token(50)).await?.is_none(), "the successor of nothing is there");
        untouched(&*storage, before).await?;
        storage.rotate_token(token(2), &token_record(50)?, at(500), &act(99)).await?;
    }

    /// A successor that cannot be added leaves the predecessor as it was.
    async fn rotation_is_done_whole_or_not_at_all(storage) {
        furnish(&*storage).await?;
        for number in [1, 2, 3] {
            issue(&*storage, &token_record(number)?).await?;
        }
        storage.revoke_token(token(3), &revoked(1)?, &act(1)).await?;
        let before = trace(&*storage).await?;
        let answer = storage.rotate_token(token(1), &token_record(2)?, at(60), &act(2)).await;
        refused("a taken id", answer, Refusal::Exists)?;
        let orphan = TokenRecord { ancestors: vec![token(3)], ..token_record(9)? };
        let answer = storage.rotate_token(token(1), &orphan, at(60), &act(2)).await;
        refused("a successor with a dead ancestor", answer, Refusal::Precondition)?;
        holds_token(&*storage, &token_record(1)?).await?;
        holds_token(&*storage, &token_record(2)?).await?;
        untouched(&*storage, before).await?;
    }

    /// Nothing has no successor.
    async fn rotation_needs_the_predecessor(storage) {
        furnish(&*storage).await?;
        let answer = storage.rotate_token(token(1), &token_record(2)?, at(60), &act(2)).await;
        refused("rotation of nothing", answer, Refusal::Missing)?;
        check!(storage.token(token(2)).await?.is_none(), "the successor of nothing is there");
    }

    /// Of many rotations of one token, one is done.
    async fn one_of_many_racing_rotations_wins(storage) {
        furnish(&*storage).await?;
        for round in 0..8_u8 {
            issue(&*storage, &token_record(round)?).await?;
            let successors = (0..6_u8)
                .map(|thread| token_record(100 + round * 6 + thread))
                .collect::<Result<Vec<_>, super::Violation>>()?;
            let ids = ids_of(&successors);
            let answers = race(&storage, 6, move |storage, thread| {
                let Some(successor) = successors.get(usize::from(thread)) else { return Ok(false) };
                match wait(storage.rotate_token(token(round), successor, at(60), &act(2))) {
                    Ok(_) => Ok(true),
                    Err(StoreError::Precondition { .. }) => Ok(false),
                    Err(other) => Err(other),
                }
            })?;
            let mut winners = Vec::new();
            for (id, answer) in ids.into_iter().zip(answers) {
                let won = answer?;
                equal("whether the successor is there", &storage.token(id).await?.is_some(), &won)?;
                winners.extend(won.then_some(id));
            }
            equal("the number of winners", &winners.len(), &1)?;
            let superseded = storage.token(token(round)).await?.and_then(|found| found.superseded);
            equal("the successor", &superseded.map(|superseded| superseded.by).as_ref(), &winners.first())?;
        }
    }

    /// Pages of tokens follow one another by ascending id, each token once, ended ones included.
    async fn tokens_page_by_ascending_id(storage) {
        furnish(&*storage).await?;
        for number in [5, 3, 9, 1, 7] {
            issue(&*storage, &token_record(number)?).await?;
        }
        storage.revoke_token(token(3), &revoked(1)?, &act(1)).await?;
        let expected: Vec<TokenId> = [1, 3, 5, 7, 9].map(token).into();
        for limit in [1, 2, 5, usize::MAX] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = storage.tokens(&TokenFilter::default(), after, limit).await?;
                check!(page.len() <= limit, "{} tokens where {limit} were asked for", page.len());
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                found.extend(ids_of(&page));
                check!(found.len() <= expected.len(), "a page repeats tokens: {found:?}");
            }
            equal("the pages", &found, &expected)?;
        }
        check!(storage.tokens(&TokenFilter::default(), None, 0).await?.is_empty(), "a page of none has some");
        for page in [storage.tokens(&TokenFilter::default(), Some(token(4)), 1).await?] {
            equal("behind an id that is not there", &ids_of(&page), &vec![token(5)])?;
            for found in &page {
                same_token(found, &token_record(5)?)?;
            }
        }
    }

    /// Every condition of a filter must hold, and a page is filled with what fits.
    async fn tokens_are_filtered_by_every_condition(storage) {
        furnish(&*storage).await?;
        let personal = TokenRecord {
            kind: TokenKind::Personal,
            owner: Principal::User(user(1)),
            organization: None,
            workspace: None,
            ..token_record(2)?
        };
        let device = TokenRecord {
            kind: TokenKind::Device,
            owner: Principal::Device(organization(1)),
            workspace: None,
            ..token_record(3)?
        };
        let elsewhere = TokenRecord {
            owner: Principal::Ci(workspace(2)),
            organization: Some(organization(2)),
            workspace: Some(workspace(2)),
            ..token_record(4)?
        };
        for record in [token_record(1)?, personal, device, elsewhere, token_record(5)?] {
            issue(&*storage, &record).await?;
        }
        let any = TokenFilter::default;
        let cases: [(TokenFilter, &[u8]); 9] = [
            (any(), &[1, 2, 3, 4, 5]),
            (TokenFilter { organization: Some(organization(1)), ..any() }, &[1, 3, 5]),
            (TokenFilter { organization: Some(organization(9)), ..any() }, &[]),
            (TokenFilter { workspace: Some(workspace(1)), ..any() }, &[1, 5]),
            (TokenFilter { workspace: Some(workspace(2)), ..any() }, &[4]),
            (TokenFilter { owner: Some(Principal::User(user(1))), ..any() }, &[2]),
            (TokenFilter { kind: Some(TokenKind::Ci), ..any() }, &[1, 4, 5]),
            (
                TokenFilter { kind: Some(TokenKind::Ci), organization: Some(organization(2)), ..any() },
                &[4],
            ),
            (
                TokenFilter { kind: Some(TokenKind::Device), workspace: Some(workspace(1)), ..any() },
                &[],
            ),
        ];
        for (filter, expected) in cases {
            let expected: Vec<TokenId> = expected.iter().map(|number| token(*number)).collect();
            equal(&format!("{filter:?}"), &ids_of(&storage.tokens(&filter, None, 99).await?), &expected)?;
            let page = storage.tokens(&filter, Some(token(1)), 1).await?;
            let next: Vec<TokenId> = expected.into_iter().filter(|id| *id > token(1)).take(1).collect();
            equal(&format!("one of {filter:?}"), &ids_of(&page), &next)?;
        }
    }

    /// A list of the living has no revoked token, alone or in mass, and no expired one.
    async fn living_tokens_are_listed_without_the_ended(storage) {
        furnish(&*storage).await?;
        for number in [1, 2] {
            issue(&*storage, &token_record(number)?).await?;
        }
        issue(&*storage, &TokenRecord { expires_at: Some(at(100)), ..token_record(3)? }).await?;
        issue(&*storage, &TokenRecord { family: token(44), ..token_record(4)? }).await?;
        issue(&*storage, &token_record(5)?).await?;
        storage.revoke_token(token(2), &revoked(1)?, &act(1)).await?;
        storage.revoke_many(&mass(MassScope::Family(token(44)), None)?, &act(1)).await?;
        for (second, expected) in [(99, &[1, 3, 5][..]), (100, &[1, 5]), (101, &[1, 5])] {
            let filter = TokenFilter { live_at: Some(at(second)), ..TokenFilter::default() };
            let expected: Vec<TokenId> = expected.iter().map(|number| token(*number)).collect();
            equal("the living", &ids_of(&storage.tokens(&filter, None, 99).await?), &expected)?;
            let page = storage.tokens(&filter, Some(token(1)), 1).await?;
            equal("one of them", &ids_of(&page).first(), &expected.get(1))?;
        }
    }

    /// A revocation stays with its token, and everything else of the token stays.
    async fn a_revocation_is_kept(storage) {
        furnish(&*storage).await?;
        let record = token_record(1)?;
        issue(&*storage, &record).await?;
        storage.revoke_token(token(1), &revoked(9)?, &act(9)).await?;
        holds_token(&*storage, &TokenRecord { revoked: Some(revoked(9)?), ..record }).await?;
    }

    /// Of two revocations of one token the first stays, and the second answers a revision that has it.
    async fn the_first_revocation_stays(storage) {
        furnish(&*storage).await?;
        let record = token_record(1)?;
        issue(&*storage, &record).await?;
        let first = storage.revoke_token(token(1), &revoked(9)?, &act(9)).await?;
        let before = trace(&*storage).await?;
        let second = Revoked { reason: line("another reason")?, ..revoked(10)? };
        let again = storage.revoke_token(token(1), &second, &act(10)).await?;
        check!(again.includes(first), "{again} does not include {first}");
        check!(storage.heartbeat().await?.revision.includes(again), "{again} is not reached");
        holds_token(&*storage, &TokenRecord { revoked: Some(revoked(9)?), ..record }).await?;
        untouched(&*storage, before).await?;
    }

    /// What is not there is not revoked.
    async fn revoking_needs_the_token(storage) {
        furnish(&*storage).await?;
        let answer = storage.revoke_token(token(1), &revoked(1)?, &act(1)).await;
        refused("a revocation of nothing", answer, Refusal::Missing)?;
        let record = token_record(1)?;
        issue(&*storage, &record).await?;
        holds_token(&*storage, &record).await?;
    }

    /// Of many revocations of one token one is done, and each answers a revision that has it.
    async fn one_of_many_racing_revocations_counts(storage) {
        furnish(&*storage).await?;
        issue(&*storage, &token_record(1)?).await?;
        let start = storage.heartbeat().await?.revision;
        let leak = revoked(2)?;
        let answers = race(&storage, 6, move |storage, thread| {
            let revoked = Revoked { at: at(u32::from(thread)), ..leak.clone() };
            wait(storage.revoke_token(token(1), &revoked, &act(2)))
        })?;
        for answer in answers {
            let revision = answer?;
            equal("the answered number", &revision.number, &(start.number + 1))?;
        }
        equal("the number", &storage.heartbeat().await?.revision.number, &(start.number + 1))?;
    }

    /// Mass revocations are listed in the order in which they were made, whole, doubles included.
    async fn mass_revocations_are_listed_oldest_first(storage) {
        check!(storage.mass_revocations().await?.is_empty(), "a fresh store has some");
        let mut expected = Vec::new();
        for (scope, _) in scoped_parents()? {
            for until in [Some(7), None] {
                let revocation = mass(scope.clone(), until)?;
                storage.revoke_many(&revocation, &act(1)).await?;
                expected.push(revocation);
            }
        }
        let again = mass(MassScope::Organization(organization(1)), None)?;
        storage.revoke_many(&again, &act(1)).await?;
        expected.push(again);
        equal("the revocations", &storage.mass_revocations().await?, &expected)?;
    }

    /// When a token was last used goes forward alone.
    async fn last_use_never_goes_back(storage) {
        furnish(&*storage).await?;
        issue(&*storage, &token_record(1)?).await?;
        for (noted, expected) in [(50, 50), (40, 50), (60, 60), (60, 60)] {
            storage.touch_tokens(&[(token(1), at(noted))]).await?;
            holds_token(&*storage, &TokenRecord { last_used: Some(at(expected)), ..token_record(1)? }).await?;
        }
        storage.touch_tokens(&[(token(1), at(90)), (token(1), at(80))]).await?;
        holds_token(&*storage, &TokenRecord { last_used: Some(at(90)), ..token_record(1)? }).await?;
    }

    /// A use of an unknown token hinders no other.
    async fn uses_of_unknown_tokens_are_passed_over(storage) {
        furnish(&*storage).await?;
        issue(&*storage, &token_record(1)?).await?;
        let before = trace(&*storage).await?;
        storage.touch_tokens(&[(token(8), at(5)), (token(1), at(6)), (token(9), at(7))]).await?;
        storage.touch_tokens(&[]).await?;
        holds_token(&*storage, &TokenRecord { last_used: Some(at(6)), ..token_record(1)? }).await?;
        check!(storage.token(token(8)).await?.is_none(), "a use made a token");
        untouched(&*storage, before).await?;
    }

    /// Purging takes what expired before the moment, and nothing else.
    async fn purging_takes_what_expired_before(storage) {
        furnish(&*storage).await?;
        for (number, end) in [(1, Some(99)), (2, Some(100)), (3, Some(101)), (4, None), (5, Some(50))] {
            issue(&*storage, &TokenRecord { expires_at: end.map(at), ..token_record(number)? }).await?;
        }
        storage.revoke_token(token(4), &revoked(1)?, &act(1)).await?;
        let before = trace(&*storage).await?;
        equal("how many are gone", &storage.purge_tokens(at(100)).await?, &2)?;
        let left = storage.tokens(&TokenFilter::default(), None, 99).await?;
        equal("who is left", &ids_of(&left), &vec![token(2), token(3), token(4)])?;
        equal("how many are gone then", &storage.purge_tokens(at(100)).await?, &0)?;
        untouched(&*storage, before).await?;
    }

    /// Whoever has descendants stays until they are gone.
    async fn purging_keeps_ancestors(storage) {
        furnish(&*storage).await?;
        let ends = |number, end| Ok::<_, super::Violation>(TokenRecord {
            expires_at: Some(at(end)),
            ..token_record(number)?
        });
        issue(&*storage, &ends(1, 50)?).await?;
        issue(&*storage, &TokenRecord { ancestors: vec![token(1)], ..ends(2, 60)? }).await?;
        issue(&*storage, &TokenRecord { ancestors: vec![token(2), token(1)], ..ends(3, 500)? }).await?;
        equal("with a living grandchild", &storage.purge_tokens(at(100)).await?, &0)?;
        equal("with an expired one", &storage.purge_tokens(at(501)).await?, &1)?;
        equal("with an expired child", &storage.purge_tokens(at(501)).await?, &1)?;
        equal("with nobody", &storage.purge_tokens(at(501)).await?, &1)?;
        check!(storage.tokens(&TokenFilter::default(), None, 9).await?.is_empty(), "somebody is left");
    }
}

/// Token 99 with these ancestors.
fn child(lineage: &[u8]) -> Result<TokenRecord, super::Violation> {
    let ancestors = lineage.iter().map(|number| token(*number)).collect();
    Ok(TokenRecord { ancestors, ..token_record(99)? })
}

/// Fails unless a child of these cannot be inserted at this second, and the try leaves nothing.
async fn stillborn(storage: &dyn Storage, lineage: &[u8], second: u32) -> Outcome {
    let before = trace(storage).await?;
    let answer = storage.insert_token(&child(lineage)?, &Preconditions::default(), &act(second)).await;
    refused(&format!("a child of {lineage:?} at {second}"), answer, Refusal::Precondition)?;
    check!(storage.token(token(99)).await?.is_none(), "a refused child is there");
    untouched(storage, before).await
}

/// One token for each scope of a mass revocation, which no scope before it takes.
fn scoped_parents() -> Result<Vec<(MassScope, TokenRecord)>, super::Violation> {
    let loner = |number| {
        Ok::<_, super::Violation>(TokenRecord {
            owner: Principal::User(user(number)),
            organization: None,
            workspace: None,
            ..token_record(number)?
        })
    };
    let workload = Principal::Workload { anchor: name("github")?, subject: "repo:acme/app".into() };
    Ok(vec![
        (MassScope::Family(token(44)), TokenRecord { family: token(44), ..loner(1)? }),
        (MassScope::Principal(Principal::User(user(2))), loner(2)?),
        (
            MassScope::Organization(organization(3)),
            TokenRecord { organization: Some(organization(3)), ..loner(3)? },
        ),
        (MassScope::Workspace(workspace(4)), TokenRecord { workspace: Some(workspace(4)), ..loner(4)? }),
        (MassScope::Key("k5".into()), TokenRecord { form: TokenForm::Jwt { key: "k5".into() }, ..loner(5)? }),
        (MassScope::Anchor(name("github")?), TokenRecord { owner: workload, ..loner(6)? }),
        (MassScope::Everything, loner(7)?),
    ])
}
