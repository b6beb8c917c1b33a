//! AWS Security Token Service: outbound web identity, one issuer for each account.

use cachegate_jwt::Algorithm;

use super::{Profile, Reading, common_facts, derived, digits, text};
use crate::{Fact, FactClass, Mode, Refusal, TriggerClass};

pub(super) const PROFILE: Profile = Profile {
    name: "aws-sts",
    title: "AWS STS",
    algorithms: &[Algorithm::Es384, Algorithm::Rs256],
    types: &["JWT"],
    type_optional: false,
    issued_at_optional: false,
    bare_header: false,
    max_lifetime: 60 * 60,
    mode: Mode::Exchange,
    token_id: "jti",
    claims: &[
        ("iss", FactClass::Fixed),
        ("sub", FactClass::Name),
        ("aud", FactClass::Caller),
        ("iat", FactClass::Time),
        ("exp", FactClass::Time),
        ("jti", FactClass::Run),
        ("nbf", FactClass::Time),
        ("https://sts.amazonaws.com/", FactClass::Context),
        ("/https:~1~1sts.amazonaws.com~1/aws_account", FactClass::Id),
        ("/https:~1~1sts.amazonaws.com~1/org_id", FactClass::Id),
        ("/https:~1~1sts.amazonaws.com~1/ou_path", FactClass::Admin),
        ("/https:~1~1sts.amazonaws.com~1/source_region", FactClass::Context),
        ("/https:~1~1sts.amazonaws.com~1/principal_tags", FactClass::Admin),
        ("/https:~1~1sts.amazonaws.com~1/source_identity", FactClass::Context),
        ("/https:~1~1sts.amazonaws.com~1/ec2_source_instance_arn", FactClass::Run),
        ("/https:~1~1sts.amazonaws.com~1/lambda_source_function_arn", FactClass::Context),
        ("/https:~1~1sts.amazonaws.com~1/request_tags", FactClass::Caller),
    ],
    facts: common_facts![
        "jti",
        text(Fact::TenantId, FactClass::Id, "/https:~1~1sts.amazonaws.com~1/org_id"),
        digits(Fact::AccountId, FactClass::Id, "/https:~1~1sts.amazonaws.com~1/aws_account"),
        derived(Fact::Role, FactClass::Name, "sub"),
        derived(Fact::UserName, FactClass::Name, "sub"),
        derived(Fact::TriggerClass, FactClass::Name, "sub"),
        text(Fact::ActorName, FactClass::Context, "/https:~1~1sts.amazonaws.com~1/source_identity"),
        text(Fact::InstanceId, FactClass::Run, "/https:~1~1sts.amazonaws.com~1/ec2_source_instance_arn"),
        text(
            Fact::WorkloadUid,
            FactClass::Context,
            "/https:~1~1sts.amazonaws.com~1/lambda_source_function_arn"
        ),
    ],
    always: &[Fact::AccountId],
    pin_sets: &[&[Fact::AccountId]],
    write_conditions: &[],
    folded: &[],
    principal: &[Fact::AccountId, Fact::Role],
    group_cap: None,
    is_shared: |_| false,
    tenant: |_| None,
    tenant_fact: Fact::AccountId,
    tenant_said: |_| Ok(None),
    intended_end: None,
    is_default_audience: |_| false,
    audience_hint: "request the token with `aws sts get-web-identity-token --audience` and this service's audience alone",
    read,
};

fn read(reading: &mut Reading<'_>) -> Result<(), Refusal> {
    let parts: Vec<&str> = reading.subject.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else {
        return Ok(());
    };
    reading.subject_agrees(Fact::AccountId, "aws_account", account)?;
    if !partition.starts_with("aws") {
        return Ok(());
    }
    let subject = reading.subject;
    if resource.starts_with("role/") {
        reading.facts.know(Fact::Role, subject);
        reading.facts.set_trigger(TriggerClass::Trusted);
    } else if resource.starts_with("user/") {
        // A user's keys may lie anywhere: nothing tells who acts.
        reading.facts.know(Fact::UserName, subject);
    }
    Ok(())
}
