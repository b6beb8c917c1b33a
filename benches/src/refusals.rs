//! Input that no signature is checked for: what a request can send without having anything.

use std::hint::black_box;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use cachegate::Verdict;

use crate::Operation;
use crate::world::World;

/// The longest token that is looked at.
const LONGEST: usize = 16 * 1024;

pub(crate) fn operations(world: &World) -> Vec<Operation<'_>> {
    let refuse = |(name, header): (&'static str, Vec<u8>)| {
        Operation::prepared(
            name,
            |_| world.door.catch_up(),
            move || match world.door.answer(black_box(&header)) {
                // No credential at all: the header was refused.
                None => true,
                Some(Verdict::NotAuthenticated(_)) => true,
                Some(Verdict::Allowed(_) | Verdict::Denied(_) | Verdict::Unavailable(_)) => false,
            },
        )
    };
    inputs(world).into_iter().map(refuse).collect()
}

/// The family of refused input: each as a whole header.
fn inputs(world: &World) -> Vec<(&'static str, Vec<u8>)> {
    let signed = world.signed.expose_secret();
    let token = signed.strip_prefix("Bearer cg1_").expect("a JWT of ours");
    let [header, payload, signature] = *token.split('.').collect::<Vec<_>>() else {
        unreachable!("a JWT has three parts")
    };
    let opaque = world.opaque.expose_secret();
    let encode = |json: &str| BASE64_URL_SAFE_NO_PAD.encode(json);
    let long = |text: &str, length: usize| text.repeat(length.div_ceil(text.len()))[..length].to_owned();
    let bearer = |token: &str| format!("Bearer {token}");
    let ours =
        |header: &str, payload: &str, signature: &str| bearer(&format!("cg1_{header}.{payload}.{signature}"));
    let basic = |password: &str| format!("Basic {}", BASE64_STANDARD.encode(format!("login:{password}")));
    let stranger = encode(r#"{"typ":"at+jwt","alg":"EdDSA","kid":"nobody"}"#);
    let wordy = encode(&format!(r#"{{"alg":"EdDSA","kid":"nobody","more":"{}"}}"#, "a".repeat(700)));
    let members: String = (0..90).map(|index| format!(r#","a{index:02}":1"#)).collect();
    let crowded = encode(&format!(r#"{{"alg":"EdDSA","kid":"k"{members}}}"#));
    let broken = |part: &str| format!("{}!{}", &part[..9], &part[10..]);
    let rest = LONGEST - header.len() - signature.len() - 16;
    [
        ("16 KiB of one letter", bearer(&long("a", LONGEST))),
        ("16 KiB of dots", bearer(&long(".", LONGEST))),
        ("16 KiB, ours by the prefix", bearer(&format!("cg1_{}", long("a", LONGEST - 4)))),
        ("16 KiB that begin as a JWT", bearer(&format!("eyJ{}", long("a", LONGEST - 3)))),
        ("16 KiB in three even parts", bearer(&long(&format!("{}.", "a".repeat(LONGEST / 3)), LONGEST - 1))),
        ("16 KiB of payload under our header", ours(header, &long("a", rest), signature)),
        ("16 KiB of payload under a strange header", ours(&stranger, &long("a", rest), signature)),
        ("16 KiB of signature under our header", ours(header, payload, &long("a", rest - payload.len()))),
        ("16 KiB of another issuer's", bearer(&format!("{stranger}.{}.{signature}", long("a", rest)))),
        ("another issuer's token", bearer(&world.platform[0].token)),
        ("a header of 1 KiB, unknown key", ours(&wordy, payload, signature)),
        ("a header of ninety members, unknown key", ours(&crowded, payload, signature)),
        ("unknown key", ours(&stranger, payload, signature)),
        ("bad base64 in the header", ours(&broken(header), payload, signature)),
        ("bad base64 in the payload", ours(header, &broken(payload), signature)),
        ("bad base64 in the signature", ours(header, payload, &broken(signature))),
        ("stray bits at the signature's end", ours(header, payload, &format!("{}B", &signature[..85]))),
        ("no signature", bearer(&format!("cg1_{header}.{payload}."))),
        ("cut off in the signature", ours(header, payload, &signature[..40])),
        ("a token twice, a comma between", format!("{signed}, {signed}")),
        ("a token twice, a dot between", format!("{signed}.{}", &signed[7..])),
        ("a token of another version", bearer(&format!("cg9_{token}"))),
        ("an opaque token with a typo", mistyped(opaque)),
        ("an opaque token with more behind it", format!("{opaque}{}", long("a", LONGEST - 100))),
        ("a line end behind 16 KiB", bearer(&format!("{}\n", long("a", LONGEST - 1)))),
        ("16 KiB of commas", bearer(&long(",", LONGEST))),
        ("16 KiB of bytes beyond ASCII", bearer(&long("é", LONGEST))),
        ("24 KiB of one letter behind Basic", format!("Basic {}", long("a", 24 * 1024 - 6))),
        ("16 KiB of one letter as a Basic password", basic(&long("a", LONGEST))),
        ("16 KiB of payload as a Basic password", basic(&ours(header, &long("a", rest), signature)[7..])),
        (
            "a Basic login of 17 KiB and no password",
            format!("Basic {}", BASE64_STANDARD.encode(long("a", 17_000))),
        ),
        ("24 KiB of another scheme", format!("Digest {}", long("a", 24 * 1024 - 7))),
        ("24 KiB without a scheme", long("a", 24 * 1024)),
        ("24 KiB of spaces", long(" ", 24 * 1024)),
        ("24 KiB of spaces behind the scheme", format!("Bearer{}a", long(" ", 24 * 1024 - 7))),
        ("200,000 bytes of one letter", bearer(&long("a", 200_000))),
    ]
    .map(|(name, header)| (name, header.into_bytes()))
    .into()
}

/// A token whose last letter, a part of its checksum, is another one.
fn mistyped(token: &str) -> String {
    let other = if token.ends_with('0') { '1' } else { '0' };
    format!("{}{other}", &token[..token.len() - 1])
}
