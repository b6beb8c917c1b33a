//! Base62 of fixed width: numbers as digits `0-9A-Za-z`, in ASCII order, so that texts sort as their numbers do.
//!
//! Not constant in time, which tells nobody anything: a text is decoded for whoever already holds it.

/// The digits, by value.
const ALPHABET: [u8; 62] = *b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// As many digits as are taken at once: 62^10 is the highest power of 62 below 2^63.
const CHUNK: usize = 10;

/// The powers of 62 up to that one.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which would refuse to panic")]
const POWERS: [u64; CHUNK + 1] = {
    let mut powers = [1; CHUNK + 1];
    let mut exponent = 1;
    while exponent <= CHUNK {
        powers[exponent] = powers[exponent - 1] * 62;
        exponent += 1;
    }
    powers
};

/// The values, by digit. A table, because the branches of a comparison would be guessed wrong every third time.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which would refuse to panic")]
const VALUES: [u8; 256] = {
    let mut values = [0; 256];
    let mut value = 0;
    while value < 62 {
        values[ALPHABET[value as usize] as usize] = value;
        value += 1;
    }
    values
};

/// Writes the number into all of `digits`, zeros in front. `limbs` is little-endian; what does not fit is cut off, so
/// the caller's width must be enough: 22 digits for 128 bits, 43 for 256, 6 for 32.
pub(crate) fn encode<const LIMBS: usize>(mut limbs: [u64; LIMBS], digits: &mut [u8]) {
    for chunk in digits.rchunks_mut(CHUNK) {
        let mut rest = divide(&mut limbs, scale(chunk.len()));
        for digit in chunk.iter_mut().rev() {
            *digit = digit_of(rest % 62);
            rest /= 62;
        }
    }
}

/// The number that the digits are, as little-endian limbs; `None` when it does not fit.
///
/// The caller has seen that every byte is a letter or a digit.
pub(crate) fn decode<const LIMBS: usize>(digits: &[u8]) -> Option<[u64; LIMBS]> {
    let mut limbs = [0; LIMBS];
    let mut overflow = 0;
    for chunk in digits.chunks(CHUNK) {
        let value = chunk.iter().fold(0, |value: u64, digit| value * 62 + u64::from(value_of(*digit)));
        overflow |= multiply_add(&mut limbs, scale(chunk.len()), value);
    }
    (overflow == 0).then_some(limbs)
}

/// `limbs * factor + summand` in place; returns what did not fit.
fn multiply_add(limbs: &mut [u64], factor: u64, summand: u64) -> u64 {
    limbs.iter_mut().fold(summand, |carry, limb| {
        let (high, low) = halves(u128::from(*limb) * u128::from(factor) + u128::from(carry));
        *limb = low;
        high
    })
}

/// `limbs / divisor` in place; returns the remainder.
fn divide(limbs: &mut [u64], divisor: u64) -> u64 {
    let divisor = u128::from(divisor);
    limbs.iter_mut().rev().fold(0, |rest, limb| {
        let dividend = (u128::from(rest) << 64) | u128::from(*limb);
        *limb = halves(dividend / divisor).1;
        halves(dividend % divisor).1
    })
}

#[expect(clippy::cast_possible_truncation, reason = "taking the number apart is the purpose")]
const fn halves(wide: u128) -> (u64, u64) {
    ((wide >> 64) as u64, wide as u64)
}

/// 62 to the power of a chunk's length.
fn scale(length: usize) -> u64 {
    POWERS.get(length).copied().unwrap_or(1)
}

fn digit_of(value: u64) -> u8 {
    usize::try_from(value).ok().and_then(|index| ALPHABET.get(index)).copied().unwrap_or(b'0')
}

fn value_of(digit: u8) -> u8 {
    VALUES.get(usize::from(digit)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digits<const LIMBS: usize>(width: usize, limbs: [u64; LIMBS]) -> String {
        let mut digits = vec![0; width];
        encode(limbs, &mut digits);
        String::from_utf8(digits).expect("ASCII")
    }

    #[test]
    fn the_widths_hold_their_highest_numbers() {
        // From an independent computation: repeated division of 2^32 - 1, 2^128 - 1 and 2^256 - 1 by 62.
        assert_eq!(digits(6, [u64::from(u32::MAX)]), "4gfFC3");
        assert_eq!(digits(22, [u64::MAX; 2]), "7n42DGM5Tflk9n8mt7Fhc7");
        assert_eq!(digits(43, [u64::MAX; 4]), "yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1");
        assert_eq!(digits(22, [61, 0]), format!("{}z", "0".repeat(21)));
    }

    #[test]
    fn one_more_than_the_highest_number_does_not_fit() {
        assert_eq!(decode::<2>(b"7n42DGM5Tflk9n8mt7Fhc7"), Some([u64::MAX; 2]));
        assert_eq!(decode::<2>(b"7n42DGM5Tflk9n8mt7Fhc8"), None);
        assert_eq!(decode::<2>(&[b'z'; 22]), None);
        assert_eq!(decode::<4>(b"yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp2"), None);
        assert_eq!(decode::<4>(&[b'z'; 43]), None);
    }

    proptest! {
        #[test]
        fn digits_read_back_and_sort_as_their_numbers(left: [u64; 4], right: [u64; 4]) {
            let (mut one, mut other) = ([0; 43], [0; 43]);
            encode(left, &mut one);
            encode(right, &mut other);
            prop_assert_eq!(decode::<4>(&one), Some(left));
            prop_assert!(one.iter().all(u8::is_ascii_alphanumeric));
            prop_assert_eq!(one.cmp(&other), left.iter().rev().cmp(right.iter().rev()));
        }
    }
}
