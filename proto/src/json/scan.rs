//! Finding the end of a string, eight bytes at a time.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Index of the first quote or backslash, or the length when there is none.
#[inline(always)]
pub(super) fn find_quote_or_backslash(bytes: &[u8], quote: u8) -> usize {
    let mut rest = bytes;
    while let Some((word, behind)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        let quotes = word ^ (ONES * u64::from(quote));
        let backslashes = word ^ (ONES * u64::from(b'\\'));
        // The lowest bit set is exact: a borrow can only spoil bytes above a true match.
        let found = (quotes.wrapping_sub(ONES) | backslashes.wrapping_sub(ONES)) & !word & HIGH;
        if found != 0 {
            return bytes.len() - rest.len() + (found.trailing_zeros() / 8) as usize;
        }
        rest = behind;
    }
    let tail = rest
        .iter()
        .take_while(|byte| **byte != quote && **byte != b'\\')
        .count();
    bytes.len() - rest.len() + tail
}

#[cfg(test)]
mod tests {
    use super::*;

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
