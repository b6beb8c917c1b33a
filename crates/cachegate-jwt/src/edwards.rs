//! Which 32 bytes are an Ed25519 public key.
//!
//! ring and aws-lc-rs take any: a key of small order, under which one signature fits every message, a key that is
//! written in a second way, and bytes that are no point. Here they are told apart once, when a key is loaded. All of it
//! is public, so that nothing has to run in constant time.

use crate::KeyError;

/// A number modulo p = 2^255 - 19, as four limbs, lowest first; not always the smallest form.
type Number = [u64; 4];

const P: Number = [0xffff_ffff_ffff_ffed, u64::MAX, u64::MAX, 0x7fff_ffff_ffff_ffff];

/// -121665 / 121666 (RFC 8032, section 5.1).
const D: Number =
    [0x75eb_4dca_1359_78a3, 0x0070_0a4d_4141_d8ab, 0x8cc7_4079_7779_e898, 0x5203_6cee_2b6f_fe73];

/// The y coordinates of the eight points of small order: 0, 1, -1, and the two of order 8.
const SMALL_ORDER: [Number; 5] = [
    [0; 4],
    [1, 0, 0, 0],
    [0xffff_ffff_ffff_ffec, u64::MAX, u64::MAX, 0x7fff_ffff_ffff_ffff],
    [0xb027_b2c2_8f95_e826, 0xf098_eff2_89f4_c345, 0x3933_c6d3_05ac_dfd5, 0x05fc_536d_8802_38b1],
    [0x4fd8_4d3d_706a_17c7, 0x0f67_100d_760b_3cba, 0xc6cc_392c_fa53_202a, 0x7a03_ac92_77fd_c74e],
];

/// Refuses all that is no key of the one group that Ed25519 means.
pub(crate) fn check(bytes: &[u8; 32]) -> Result<(), KeyError> {
    check_writing(bytes)?;
    if is_on_curve(&y_coordinate(bytes)) { Ok(()) } else { Err(KeyError::NotOnCurve) }
}

/// The cheap part of it, which leaves a point or nothing: for a key whose next use tells which.
pub(crate) fn check_writing(bytes: &[u8; 32]) -> Result<(), KeyError> {
    let y = y_coordinate(bytes);
    if SMALL_ORDER.contains(&y) {
        Err(KeyError::SmallOrder)
    } else if y.iter().rev().ge(P.iter().rev()) {
        Err(KeyError::NotCanonical)
    } else {
        Ok(())
    }
}

/// The 255 bits that are not the sign of x.
fn y_coordinate(bytes: &[u8; 32]) -> Number {
    let mut limbs = [0; 4];
    for (limb, bytes) in limbs.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *limb = u64::from_le_bytes(*bytes);
    }
    let [a, b, c, d] = limbs;
    [a, b, c, d & (u64::MAX >> 1)]
}

/// Whether some x goes with this y: x^2 = (y^2 - 1) / (d y^2 + 1) (RFC 8032, section 5.1.3). A quotient is a square
/// where the product is one, and by Euler's criterion that is where its power (p - 1) / 2 is 0 or 1.
fn is_on_curve(y: &Number) -> bool {
    const MINUS_ONE: Number = [0xffff_ffff_ffff_ffec, u64::MAX, u64::MAX, 0x7fff_ffff_ffff_ffff];
    /// 0 and 1, in each form below 2^256.
    const SQUARES: [Number; 6] = [
        [0; 4],
        P,
        [0xffff_ffff_ffff_ffda, u64::MAX, u64::MAX, u64::MAX],
        [1, 0, 0, 0],
        [0xffff_ffff_ffff_ffee, u64::MAX, u64::MAX, 0x7fff_ffff_ffff_ffff],
        [0xffff_ffff_ffff_ffdb, u64::MAX, u64::MAX, u64::MAX],
    ];
    let square = multiply(y, y);
    let product = multiply(&add(&square, &MINUS_ONE), &add(&multiply(&D, &square), &[1, 0, 0, 0]));
    // (p - 1) / 2 = 2^254 - 10: 254 ones but for the bits 0 and 3.
    let mut power = [1, 0, 0, 0];
    for bit in (0..254).rev() {
        power = multiply(&power, &power);
        if bit != 0 && bit != 3 {
            power = multiply(&power, &product);
        }
    }
    SQUARES.contains(&power)
}

fn add(a: &Number, b: &Number) -> Number {
    multiply_add(a, b, 1, 0)
}

fn multiply(a: &Number, b: &Number) -> Number {
    let mut product = [0; 4];
    for limb in b.iter().rev() {
        let [l0, l1, l2, shifted_out] = product;
        product = multiply_add(&[0, l0, l1, l2], a, *limb, shifted_out);
    }
    product
}

/// `a + b * limb + 2^256 * over`.
fn multiply_add(a: &Number, b: &Number, limb: u64, over: u64) -> Number {
    let (mut sum, mut carry) = (*a, 0);
    for (sum, b) in sum.iter_mut().zip(b) {
        // At most (2^64 - 1) + (2^64 - 1)^2 + (2^64 - 1): it fits.
        (*sum, carry) = split(u128::from(*sum) + u128::from(*b) * u128::from(limb) + carry);
    }
    // What lies above weighs 2^256, which is 38.
    carry += u128::from(over);
    while carry != 0 {
        carry *= 38;
        for sum in &mut sum {
            (*sum, carry) = split(u128::from(*sum) + carry);
        }
    }
    sum
}

/// The lower 64 bits, and what lies above them.
fn split(number: u128) -> (u64, u128) {
    (u64::try_from(number & u128::from(u64::MAX)).unwrap_or_default(), number >> 64)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::VerifyingKey;
    use proptest::prelude::*;

    use super::*;

    fn theirs(bytes: &[u8; 32]) -> Result<(), KeyError> {
        match VerifyingKey::from_bytes(bytes) {
            Ok(key) if key.is_weak() => Err(KeyError::SmallOrder),
            Ok(key) if key.to_bytes() != *bytes => Err(KeyError::NotCanonical),
            Ok(_) => Ok(()),
            Err(_) => Err(KeyError::NotOnCurve),
        }
    }

    #[test]
    fn the_first_thousand_y_are_points_where_another_library_says_so() {
        let mut points = 0;
        for low in 0_u16..1000 {
            let mut bytes = [0; 32];
            bytes[..2].copy_from_slice(&low.to_le_bytes());
            assert_eq!(check(&bytes), theirs(&bytes), "{low}");
            points += usize::from(check(&bytes).is_ok());
        }
        assert!((400..600).contains(&points), "{points}");
    }

    proptest! {
        #[test]
        fn bytes_are_a_key_where_another_library_says_so(bytes in any::<[u8; 32]>()) {
            prop_assert_eq!(check(&bytes), theirs(&bytes));
        }

        #[test]
        fn numbers_near_the_prime_are_judged_alike(low in any::<u8>(), high in prop_oneof![Just(0x7f_u8), Just(0xff)]) {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (low, high);
            let expected = theirs(&bytes);
            // What is not canonical may also be no point, or one of small order: here the spelling comes first,
            // but for the orders.
            match check(&bytes) {
                Err(KeyError::NotCanonical) => prop_assert!(low >= 0xed),
                ours => prop_assert_eq!(ours, expected),
            }
        }
    }
}
