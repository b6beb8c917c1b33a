//! People, their places, and groups.

use cachegate_types::{GroupId, OrganizationId, Role, UserId};

use super::Violation;
use super::fixtures::{
    act, at, furnish, group, group_record, organization, organization_record, trace, untouched, user,
    user_record,
};
use super::outcome::{Refusal, equal, refused};
use crate::{GroupRecord, MemberRecord, MembershipRecord, Storage};

cases! {
    /// A person is found by id, whole.
    async fn a_user_reads_back(storage) {
        equal("an unknown person", &storage.user(user(1)).await?, &None)?;
        storage.create_user(&user_record(1)?, &act(0)).await?;
        equal("the person", &storage.user(user(1)).await?, &Some(user_record(1)?))?;
    }

    /// No two people share an id.
    async fn user_ids_are_unique(storage) {
        storage.create_user(&user_record(1)?, &act(0)).await?;
        let before = trace(&*storage).await?;
        let other = crate::UserRecord { display: user_record(2)?.display, ..user_record(1)? };
        refused("a taken id", storage.create_user(&other, &act(1)).await, Refusal::Exists)?;
        equal("the person", &storage.user(user(1)).await?, &Some(user_record(1)?))?;
        untouched(&*storage, before).await?;
    }

    /// Setting makes a member, and setting again changes the role alone.
    async fn a_member_is_given_a_role_and_another_one(storage) {
        furnish(&*storage).await?;
        equal("before", &storage.memberships(user(3)).await?, &Vec::new())?;
        for role in [Role::Member, Role::Owner, Role::Admin] {
            storage.set_member(organization(1), user(3), role, &act(1)).await?;
            let expected = vec![membership(1, 3, role, None, &[])];
            equal("the memberships", &storage.memberships(user(3)).await?, &expected)?;
        }
    }

    /// Nobody is a member of nothing, and nothing has nobody as a member.
    async fn a_member_needs_person_and_organization(storage) {
        furnish(&*storage).await?;
        let before = trace(&*storage).await?;
        let answer = storage.set_member(organization(9), user(1), Role::Member, &act(1)).await;
        refused("no organization", answer, Refusal::Missing)?;
        let answer = storage.set_member(organization(1), user(9), Role::Member, &act(1)).await;
        refused("no person", answer, Refusal::Missing)?;
        equal("the memberships", &storage.memberships(user(9)).await?, &Vec::new())?;
        untouched(&*storage, before).await?;
    }

    /// Tokens of the time before somebody left stay dead when they come back, those of that very second included.
    async fn a_returning_member_keeps_former_tokens_dead(storage) {
        furnish(&*storage).await?;
        storage.remove_member(organization(1), user(1), &act(50)).await?;
        storage.set_member(organization(1), user(1), Role::Member, &act(60)).await?;
        equal("tokens count", &tokens_since(&*storage, 1, 1).await?, &Some(at(51)))?;
        equal("of whoever stayed", &tokens_since(&*storage, 1, 2).await?, &None)?;
    }

    /// A role changes nothing about since when tokens count.
    async fn another_role_keeps_former_tokens_dead(storage) {
        furnish(&*storage).await?;
        storage.remove_member(organization(1), user(1), &act(50)).await?;
        for role in [Role::Member, Role::Admin] {
            storage.set_member(organization(1), user(1), role, &act(60)).await?;
            equal("tokens count", &tokens_since(&*storage, 1, 1).await?, &Some(at(51)))?;
        }
    }

    /// Whoever leaves twice has the later moment, even by a clock that went back in between.
    async fn leaving_again_raises_no_former_token(storage) {
        furnish(&*storage).await?;
        for (left, since) in [(50, 51), (80, 81), (10, 81)] {
            storage.remove_member(organization(1), user(1), &act(left)).await?;
            storage.set_member(organization(1), user(1), Role::Member, &act(90)).await?;
            equal("tokens count", &tokens_since(&*storage, 1, 1).await?, &Some(at(since)))?;
        }
    }

    /// Whoever has left is in none of the lists.
    async fn leaving_ends_the_membership(storage) {
        furnish(&*storage).await?;
        storage.remove_member(organization(1), user(1), &act(1)).await?;
        equal("the memberships", &storage.memberships(user(1)).await?, &Vec::new())?;
        let expected = vec![membership(1, 2, Role::Member, None, &[])];
        equal("the members", &storage.members(organization(1), None, 9).await?, &expected)?;
    }

    /// Whoever has left is in no group of the organization, and stays out when they come back.
    async fn leaving_takes_the_person_off_the_groups(storage) {
        furnish(&*storage).await?;
        storage.put_group(&group_record(1, 1, &[1, 2])?, &act(1)).await?;
        storage.put_group(&group_record(2, 1, &[1])?, &act(1)).await?;
        storage.remove_member(organization(1), user(1), &act(1)).await?;
        let expected = vec![group_record(1, 1, &[2])?, group_record(2, 1, &[])?];
        equal("the groups", &storage.groups(organization(1)).await?, &expected)?;
        storage.set_member(organization(1), user(1), Role::Member, &act(2)).await?;
        let expected = vec![membership(1, 1, Role::Member, Some(2), &[])];
        equal("the memberships", &storage.memberships(user(1)).await?, &expected)?;
    }

    /// Leaving one organization changes nothing in another.
    async fn leaving_one_organization_leaves_the_others(storage) {
        furnish(&*storage).await?;
        storage.set_member(organization(2), user(1), Role::Owner, &act(1)).await?;
        storage.put_group(&group_record(5, 2, &[1])?, &act(1)).await?;
        storage.remove_member(organization(1), user(1), &act(1)).await?;
        let expected = vec![membership(2, 1, Role::Owner, None, &[5])];
        equal("the memberships", &storage.memberships(user(1)).await?, &expected)?;
    }

    /// Nobody leaves where they are not.
    async fn leaving_needs_a_membership(storage) {
        furnish(&*storage).await?;
        let before = trace(&*storage).await?;
        for (place, person) in [(1, 3), (2, 1), (9, 1), (1, 9)] {
            let answer = storage.remove_member(organization(place), user(person), &act(1)).await;
            refused("no membership", answer, Refusal::Missing)?;
        }
        untouched(&*storage, before).await?;
        storage.remove_member(organization(1), user(1), &act(1)).await?;
        let answer = storage.remove_member(organization(1), user(1), &act(2)).await;
        refused("leaving twice", answer, Refusal::Missing)?;
    }

    /// A person's places are listed by ascending organization, the groups in each ascending.
    async fn memberships_are_listed_ascending(storage) {
        storage.create_user(&user_record(1)?, &act(0)).await?;
        for number in [5, 2, 9] {
            storage.create_organization(&organization_record(number)?, &act(0)).await?;
            storage.set_member(organization(number), user(1), Role::Member, &act(0)).await?;
        }
        for number in [7, 3, 8] {
            storage.put_group(&group_record(number, 5, &[1])?, &act(0)).await?;
        }
        storage.put_group(&group_record(4, 5, &[2])?, &act(0)).await?;
        let expected: Vec<MembershipRecord> = [(2, &[][..]), (5, &[3, 7, 8]), (9, &[])]
            .map(|(place, groups)| membership(place, 1, Role::Member, None, groups))
            .into();
        equal("the memberships", &storage.memberships(user(1)).await?, &expected)?;
    }

    /// Pages of members follow one another by ascending id, with the groups of each.
    async fn members_page_by_ascending_id(storage) {
        for number in [1, 2] {
            storage.create_organization(&organization_record(number)?, &act(0)).await?;
        }
        for number in [5, 3, 9, 1, 7] {
            storage.create_user(&user_record(number)?, &act(0)).await?;
            storage.set_member(organization(1), user(number), Role::Member, &act(0)).await?;
        }
        storage.set_member(organization(2), user(3), Role::Member, &act(0)).await?;
        storage.put_group(&group_record(1, 1, &[3, 9])?, &act(0)).await?;
        let expected: Vec<MembershipRecord> = [(1, &[][..]), (3, &[1]), (5, &[]), (7, &[]), (9, &[1])]
            .map(|(person, groups)| membership(1, person, Role::Member, None, groups))
            .into();
        for limit in [1, 2, 5, usize::MAX] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = storage.members(organization(1), after, limit).await?;
                check!(page.len() <= limit, "{} members where {limit} were asked for", page.len());
                let Some(last) = page.last() else { break };
                after = Some(last.member.user);
                found.extend(page);
                check!(found.len() <= expected.len(), "a page repeats members: {found:?}");
            }
            equal("the pages", &found, &expected)?;
        }
        equal("a page of none", &storage.members(organization(1), None, 0).await?, &Vec::new())?;
    }

    /// A group is added, then replaced whole, its name too.
    async fn a_group_is_replaced_whole(storage) {
        furnish(&*storage).await?;
        let renamed = GroupRecord { name: group_record(9, 1, &[])?.name, ..group_record(1, 1, &[2])? };
        for record in [group_record(1, 1, &[1, 2])?, renamed.clone(), renamed, group_record(1, 1, &[])?] {
            storage.put_group(&record, &act(1)).await?;
            equal("the groups", &storage.groups(organization(1)).await?, &vec![record])?;
        }
    }

    /// However its members are given, a group lists each once, ascending.
    async fn a_group_lists_each_person_once(storage) {
        furnish(&*storage).await?;
        storage.put_group(&group_record(1, 1, &[3, 1, 3, 2, 1])?, &act(1)).await?;
        equal("the groups", &storage.groups(organization(1)).await?, &vec![group_record(1, 1, &[1, 2, 3])?])?;
    }

    /// A group gives nothing to whoever is no member, and is there once they are.
    async fn a_group_gives_nothing_to_a_non_member(storage) {
        furnish(&*storage).await?;
        storage.put_group(&group_record(1, 1, &[3])?, &act(1)).await?;
        equal("the memberships", &storage.memberships(user(3)).await?, &Vec::new())?;
        let members = storage.members(organization(1), None, 9).await?;
        check!(members.iter().all(|found| found.member.user != user(3)), "a group made a member: {members:?}");
        storage.set_member(organization(2), user(3), Role::Member, &act(1)).await?;
        let elsewhere = vec![membership(2, 3, Role::Member, None, &[])];
        equal("as a member of another organization", &storage.memberships(user(3)).await?, &elsewhere)?;
        storage.set_member(organization(1), user(3), Role::Member, &act(1)).await?;
        let both = vec![membership(1, 3, Role::Member, None, &[1]), membership(2, 3, Role::Member, None, &[])];
        equal("as a member", &storage.memberships(user(3)).await?, &both)?;
    }

    /// No two groups of one organization share a name.
    async fn group_names_are_unique_in_an_organization(storage) {
        furnish(&*storage).await?;
        storage.put_group(&group_record(1, 1, &[1])?, &act(1)).await?;
        let before = trace(&*storage).await?;
        let same_name = GroupRecord { id: group(2), ..group_record(1, 1, &[2])? };
        refused("a taken name", storage.put_group(&same_name, &act(1)).await, Refusal::Exists)?;
        untouched(&*storage, before).await?;
        let elsewhere = GroupRecord { organization: organization(2), ..same_name };
        storage.put_group(&elsewhere, &act(1)).await?;
        equal("elsewhere", &storage.groups(organization(2)).await?, &vec![elsewhere])?;
        equal("the first", &storage.groups(organization(1)).await?, &vec![group_record(1, 1, &[1])?])?;
    }

    /// No group is taken over by another organization.
    async fn a_group_stays_in_its_organization(storage) {
        furnish(&*storage).await?;
        storage.put_group(&group_record(1, 1, &[1])?, &act(1)).await?;
        let before = trace(&*storage).await?;
        refused("another's id", storage.put_group(&group_record(1, 2, &[3])?, &act(1)).await, Refusal::Exists)?;
        equal("the groups", &storage.groups(organization(1)).await?, &vec![group_record(1, 1, &[1])?])?;
        equal("the others", &storage.groups(organization(2)).await?, &Vec::new())?;
        untouched(&*storage, before).await?;
    }

    /// A group is made in an organization that exists.
    async fn a_group_needs_its_organization(storage) {
        furnish(&*storage).await?;
        let answer = storage.put_group(&group_record(1, 9, &[])?, &act(1)).await;
        refused("no organization", answer, Refusal::Missing)?;
        equal("the groups", &storage.groups(organization(9)).await?, &Vec::new())?;
    }

    /// A removed group is in no list and gives nothing; its name is free.
    async fn a_removed_group_is_gone(storage) {
        furnish(&*storage).await?;
        storage.put_group(&group_record(1, 1, &[1])?, &act(1)).await?;
        storage.remove_group(group(1), &act(1)).await?;
        equal("the groups", &storage.groups(organization(1)).await?, &Vec::new())?;
        let expected = vec![membership(1, 1, Role::Member, None, &[])];
        equal("the memberships", &storage.memberships(user(1)).await?, &expected)?;
        let same_name = GroupRecord { id: group(2), ..group_record(1, 1, &[])? };
        storage.put_group(&same_name, &act(1)).await?;
    }

    /// What is not there is not removed.
    async fn removing_a_group_needs_it(storage) {
        furnish(&*storage).await?;
        refused("no group", storage.remove_group(group(1), &act(1)).await, Refusal::Missing)?;
    }

    /// Groups are listed by ascending id, of one organization alone.
    async fn groups_are_listed_by_ascending_id(storage) {
        furnish(&*storage).await?;
        for number in [5, 3, 9] {
            storage.put_group(&group_record(number, 1, &[1])?, &act(1)).await?;
            storage.put_group(&group_record(number + 1, 2, &[1])?, &act(1)).await?;
        }
        let expected =
            vec![group_record(3, 1, &[1])?, group_record(5, 1, &[1])?, group_record(9, 1, &[1])?];
        equal("the groups", &storage.groups(organization(1)).await?, &expected)?;
    }
}

fn membership(place: u8, person: u8, role: Role, since: Option<u32>, groups: &[u8]) -> MembershipRecord {
    let (organization, user): (OrganizationId, UserId) = (organization(place), user(person));
    let groups: Vec<GroupId> = groups.iter().map(|number| group(*number)).collect();
    MembershipRecord {
        member: MemberRecord { organization, user, role, tokens_since: since.map(at) },
        groups,
    }
}

/// Since when the tokens of this member count.
async fn tokens_since(
    storage: &dyn Storage,
    place: u8,
    person: u8,
) -> Result<Option<cachegate_types::Timestamp>, Violation> {
    let found = storage.memberships(user(person)).await?;
    let found = found.into_iter().find(|found| found.member.organization == organization(place));
    let found = found.ok_or_else(|| Violation::new("the member is none".to_owned()))?;
    let listed = storage.members(organization(place), None, usize::MAX).await?;
    let listed = listed.into_iter().find(|listed| listed.member.user == user(person));
    equal("the member in the organization's list", &listed.as_ref(), &Some(&found))?;
    Ok(found.member.tokens_since)
}
