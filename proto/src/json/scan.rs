//! Finding the end of a string and reading a number, eight bytes at a time.

use crate::words::{HIGH, ONES, equal, first};

/// Index of the first quote or backslash, or the length when there is none.
#[inline(always)]
pub(super) fn find_quote_or_backslash(bytes: &[u8], quote: u8) -> usize {
    let mut rest = bytes;
    while let Some((word, behind)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        let found = equal(word, quote) | equal(word, b'\\');
        if found != 0 {
            return bytes.len() - rest.len() + first(found);
        }
        rest = behind;
    }
    let tail = rest
        .iter()
        .take_while(|byte| **byte != quote && **byte != b'\\')
        .count();
    bytes.len() - rest.len() + tail
}

/// The number that the first bytes of `word` (the lowest) write in decimal, and of how many digits. Only of up to seven
/// digits is it known that no more follow.
#[inline(always)]
pub(super) fn digits(word: u64) -> (u32, usize) {
    let word = word ^ (ONES * u64::from(b'0'));
    // The lowest bit set is exact: a carry can only spoil bytes above a byte that is no digit.
    let others = (word.wrapping_add(ONES * (0x80 - 10)) | word) & HIGH;
    let len = first(others);
    if len == 0 {
        return (0, 0);
    }
    // Leading zeros come from the shift.
    let digits = word << (64 - 8 * len);
    let pairs = (digits * 10 + (digits >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
    let eight = fours * 10_000 + (fours >> 32);
    (eight as u32, len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_at_the_first_byte_that_is_no_digit() {
        for number in ["0", "7", "10", "409", "1006", "99999", "100000", "1234567"] {
            for behind in [
                ",\"x\":1,\"y",
                "}       ",
                "/0000000",
                ":1234567",
                "\u{ff}\u{ff}\u{ff}\u{ff}",
            ] {
                let text = format!("{number}{behind}");
                let word = *text.as_bytes().first_chunk().unwrap();
                assert_eq!(
                    digits(u64::from_le_bytes(word)),
                    (number.parse().unwrap(), number.len()),
                    "{text}"
                );
            }
        }
        assert_eq!(digits(u64::from_le_bytes(*b"00000012")), (12, 8));
        for text in [*b",1234567", *b"-1      ", *b"\xFF1234567"] {
            assert_eq!(digits(u64::from_le_bytes(text)), (0, 0));
        }
    }

    #[test]
    fn quotes_and_backslashes_are_found_at_every_place() {
        for len in 0..40 {
            for special in *b"\"\\" {
                let mut bytes = vec![b'\x21'; len];
                assert_eq!(find_quote_or_backslash(&bytes, b'"'), len);
                for place in 0..len {
                    bytes[place] = special;
                    bytes
                        .iter_mut()
                        .skip(place + 1)
                        .for_each(|byte| *byte = b'\x23');
                    assert_eq!(find_quote_or_backslash(&bytes, b'"'), place);
                    bytes.fill(b'\x21');
                }
            }
        }
    }
}
