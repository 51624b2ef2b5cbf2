//! Writing many small pieces into room that was made beforehand.

use bytes::BytesMut;

/// Longest decimal `i64`: nineteen digits and a sign.
pub(crate) const MAX_DIGITS: usize = 20;

/// Appends what `write` writes. `guess` says how much room it will need: when that was too little it runs again with
/// twice as much, so that the pieces need no thought of growing.
pub(crate) fn append(out: &mut BytesMut, guess: usize, write: impl Fn(&mut Writer<'_>)) {
    let start = out.len();
    let mut room = guess;
    loop {
        out.resize(start + room, 0);
        let mut writer = Writer::new(&mut out[start..], 0);
        write(&mut writer);
        if let Some(len) = writer.finish() {
            out.truncate(start + len);
            return;
        }
        room = room.saturating_mul(2).max(64);
    }
}

/// Room of a fixed size and a place in it. A piece that does not fit is dropped, as is everything after it.
#[derive(Debug)]
pub(crate) struct Writer<'b> {
    room: &'b mut [u8],
    at: usize,
}

impl<'b> Writer<'b> {
    /// Past the end of any slice, and far enough from the end of the numbers to add a length to.
    const FULL: usize = isize::MAX as usize;

    /// Writes to `room` from `at` on.
    #[inline(always)]
    pub(crate) fn new(room: &'b mut [u8], at: usize) -> Self {
        Self { room, at }
    }

    /// Where writing ended, or `None` when something did not fit.
    #[inline(always)]
    pub(crate) fn finish(&self) -> Option<usize> {
        (self.at <= self.room.len()).then_some(self.at)
    }

    #[inline(always)]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        if let Some(window) = self.window(bytes.len()) {
            window.copy_from_slice(bytes);
        }
    }

    /// The next `len` bytes, counted as written.
    #[inline(always)]
    pub(crate) fn window(&mut self, len: usize) -> Option<&mut [u8]> {
        let (from, to) = (self.at, self.at + len);
        let window = self.room.get_mut(from..to);
        self.at = if window.is_some() { to } else { Self::FULL };
        window
    }

    /// Gives what is left of the room to `write`, which says how much of it it took, or that it did not suffice.
    #[inline(always)]
    pub(crate) fn fill(&mut self, write: impl FnOnce(&mut [u8]) -> Option<usize>) {
        let len = self.room.get_mut(self.at..).and_then(write);
        self.at = len.map_or(Self::FULL, |len| self.at + len);
    }

    #[inline(always)]
    pub(crate) fn decimal(&mut self, number: i64) {
        self.fill(|room| decimal(room, number));
    }

    /// Replaces bytes written before.
    #[inline(always)]
    pub(crate) fn patch(&mut self, at: usize, bytes: [u8; 4]) {
        if let Some(place) = self.room.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            *place = bytes;
        }
    }
}

/// Writes `number` in decimal to the front of `room`, of which it wants [`MAX_DIGITS`]; gives its length.
#[inline(never)]
pub(crate) fn decimal(room: &mut [u8], number: i64) -> Option<usize> {
    if (10..10_000).contains(&number) {
        return short_decimal(room, number as usize);
    }
    // Digits are written from behind, up to the middle; the other half lets the copy have a fixed length.
    let mut digits = [0; MAX_DIGITS * 2];
    let mut start = MAX_DIGITS;
    let mut pair = |number: usize| {
        start -= 2;
        digits[start..start + 2].copy_from_slice(&PAIRS[number]);
    };
    let mut rest = number.unsigned_abs();
    while rest >= 10_000 {
        let four = (rest % 10_000) as usize;
        rest /= 10_000;
        pair(four % 100);
        pair(four / 100);
    }
    let mut rest = rest as usize;
    if rest >= 100 {
        pair(rest % 100);
        rest /= 100;
    }
    if rest >= 10 {
        pair(rest);
    } else {
        start -= 1;
        digits[start] = b'0' + rest as u8;
    }
    if number < 0 {
        start -= 1;
        digits[start] = b'-';
    }
    *room.first_chunk_mut::<MAX_DIGITS>()? = *digits.get(start..)?.first_chunk()?;
    Some(MAX_DIGITS - start)
}

/// Two to four digits without a branch: leading zeros are shifted out.
#[inline(always)]
fn short_decimal(room: &mut [u8], number: usize) -> Option<usize> {
    let [a, b] = PAIRS[number / 100 % 100];
    let [c, d] = PAIRS[number % 100];
    let zeros = usize::from(number < 1000) + usize::from(number < 100);
    let digits = u32::from_le_bytes([a, b, c, d]) >> (8 * zeros);
    *room.first_chunk_mut::<4>()? = digits.to_le_bytes();
    Some(4 - zeros)
}

const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_those_of_the_standard_library() {
        let mut numbers = vec![
            0,
            9,
            10,
            99,
            100,
            -1,
            -9,
            -10,
            i64::MAX,
            i64::MIN,
            1_700_000_000_123,
        ];
        let mut power = 1i64;
        for _ in 0..18 {
            power *= 10;
            numbers.extend([power - 1, power, power + 1, -power, 1 - power]);
        }
        for number in numbers {
            let mut room = [0; MAX_DIGITS];
            let len = decimal(&mut room, number).unwrap();
            assert_eq!(
                std::str::from_utf8(&room[..len]).unwrap(),
                number.to_string()
            );
        }
    }

    #[test]
    fn what_was_there_stays_and_unused_room_goes() {
        let mut out = BytesMut::from(&b"before"[..]);
        append(&mut out, 3, |writer| {
            writer.put(b"longer than the guess");
            writer.patch(0, *b"LONG");
        });
        assert_eq!(&out[..], b"beforeLONGer than the guess");
    }

    #[test]
    fn once_something_does_not_fit_nothing_is_finished() {
        for room in 0..4 {
            let mut room = vec![0; room];
            let mut writer = Writer::new(&mut room, 0);
            writer.put(b"ab");
            writer.put(b"cd");
            writer.decimal(7);
            writer.patch(0, [0; 4]);
            assert_eq!(writer.finish(), None);
        }
    }
}
