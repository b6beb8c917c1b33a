//! What cachegate does.

use std::hint::black_box;

use cachegate_jwt::{Algorithm, sign_access_token, verify_access_token};

use crate::Operation;
use crate::names::*;
use crate::world::{NOW, World};

pub(crate) fn operations(world: &World) -> Vec<Operation<'_>> {
    let issuing = &world.issuing;
    let mut operations = vec![
        Operation::prepared(GATE_UNSEEN, |count| world.make_unseen(count), || world.asks_with_next()),
        Operation::prepared(
            AFTER_CHANGE,
            |count| world.make_seen_before_a_change(count),
            || world.asks_with_next(),
        ),
        Operation::new(OWN_CODEC, || {
            let token = black_box(issuing.token.expose_secret());
            verify_access_token(token, &issuing.keys, &issuing.check, NOW.into()).is_ok()
        }),
        Operation::new(ISSUE, || sign_access_token(&issuing.key, black_box(&issuing.claims)).is_ok()),
        Operation::prepared(SIGNED_WARM, |_| world.warm(), || world.door.asks_held(black_box(&world.signed))),
        Operation::prepared(OPAQUE_WARM, |_| world.warm(), || world.door.asks_held(black_box(&world.opaque))),
        Operation::new(DECISION, || world.policy.decides(black_box(&world.door.entry))),
    ];
    for platform in &world.platform {
        let name = match platform.algorithm {
            Algorithm::EdDsa => EDDSA,
            Algorithm::Es256 => ES256,
            _ => RS256,
        };
        operations.push(Operation::new(name, move || {
            black_box(platform).decides(&world.policy, &world.door.entry)
        }));
    }
    operations
}
