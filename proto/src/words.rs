//! Looking at eight bytes of a text at a time. In a word the first byte is the lowest.

/// A one in each byte.
pub(crate) const ONES: u64 = 0x0101_0101_0101_0101;

/// The highest bit of each byte.
pub(crate) const HIGH: u64 = 0x8080_8080_8080_8080;

/// Marks the highest bit of each byte of `word` that is `byte`, which is below 0x80. The lowest mark is exact: a borrow
/// can only spoil bytes above a true one.
#[inline(always)]
pub(crate) fn equal(word: u64, byte: u8) -> u64 {
    (word ^ (ONES * u64::from(byte))).wrapping_sub(ONES) & !word & HIGH
}

/// The place of the lowest mark.
#[inline(always)]
pub(crate) fn first(marks: u64) -> usize {
    (marks.trailing_zeros() / 8) as usize
}

/// Up to seven bytes, filled up with underscores.
#[inline(always)]
pub(crate) fn short(bytes: &[u8]) -> u64 {
    let bits = 8 * (bytes.len() % 8);
    let word = match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        // The two overlap.
        (Some(first), Some(last)) => {
            let last = u64::from(u32::from_le_bytes(*last));
            u64::from(u32::from_le_bytes(*first)) | last << (bits - 32)
        }
        _ => {
            let bytes = bytes.iter().rev();
            bytes.fold(0, |word, byte| word << 8 | u64::from(*byte))
        }
    };
    word | (ONES * u64::from(b'_')) << bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_words_hold_their_bytes_and_then_underscores() {
        let text = b"abcdefg";
        for len in 0..=7 {
            let expected = format!("{:_<8}", std::str::from_utf8(&text[..len]).unwrap());
            assert_eq!(short(&text[..len]).to_le_bytes(), *expected.as_bytes());
        }
    }

    #[test]
    fn the_lowest_mark_is_the_first_byte_that_is_equal() {
        let word = u64::from_le_bytes(*b"a\x01b\x02\x01\x01\xFF\x81");
        assert_eq!(first(equal(word, 1)), 1);
        assert_eq!(first(equal(word, 2)), 3);
        assert_eq!(equal(word, b'c'), 0);
    }
}
