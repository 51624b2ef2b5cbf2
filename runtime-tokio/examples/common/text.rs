//! Bodies.

/// So many bytes of text: always the same, and such that zlib makes about half of it.
pub(crate) fn text(len: usize) -> Vec<u8> {
    const LETTERS: &[u8; 16] = b" etaoinshrdlcum,";
    // xorshift64
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        LETTERS[(state >> 60) as usize]
    };
    std::iter::repeat_with(letter).take(len).collect()
}
