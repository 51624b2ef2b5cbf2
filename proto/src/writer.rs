//! A cursor over the end of a [`BytesMut`], for encoders that write many small pieces.

use bytes::BytesMut;

/// Longest decimal `i64`: nineteen digits and a sign.
pub(crate) const MAX_DIGITS: usize = 20;

/// Writes behind what `out` held. The part not yet written is zeroed room, which [`finish`](Self::finish) or
/// [`undo`](Self::undo) takes away again: so a piece costs one bounds check and a copy.
#[derive(Debug)]
pub(crate) struct Writer<'b> {
    out: &'b mut BytesMut,
    start: usize,
    at: usize,
}

impl<'b> Writer<'b> {
    /// `room` is a guess of what will be written; more is made when it was too small.
    #[inline]
    pub(crate) fn new(out: &'b mut BytesMut, room: usize) -> Self {
        let start = out.len();
        out.resize(start + room, 0);
        Self {
            out,
            start,
            at: start,
        }
    }

    /// Keeps what was written, takes the unused room away.
    #[inline]
    pub(crate) fn finish(self) {
        self.out.truncate(self.at);
    }

    /// Takes everything away that was written.
    pub(crate) fn undo(self) {
        self.out.truncate(self.start);
    }

    #[inline(always)]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.window(bytes.len()).copy_from_slice(bytes);
    }

    /// Room for exactly `len` bytes, counted as written.
    #[inline(always)]
    pub(crate) fn window(&mut self, len: usize) -> &mut [u8] {
        let from = self.at;
        if self.out.len() - from < len {
            self.grow(len);
        }
        self.at = from + len;
        &mut self.out[from..from + len]
    }

    /// Room for at least `len` bytes, none of them counted as written.
    #[inline(always)]
    pub(crate) fn room(&mut self, len: usize) -> &mut [u8] {
        if self.out.len() - self.at < len {
            self.grow(len);
        }
        &mut self.out[self.at..]
    }

    /// Counts `len` bytes of the room as written.
    #[inline(always)]
    pub(crate) fn advance(&mut self, len: usize) {
        self.at += len;
    }

    /// Bytes written so far.
    #[inline(always)]
    pub(crate) fn written(&self) -> usize {
        self.at - self.start
    }

    /// Goes back to where [`written`](Self::written) was `len`.
    #[inline(always)]
    pub(crate) fn rewind(&mut self, len: usize) {
        self.at = self.start + len;
    }

    /// Replaces bytes written before; `at` counts from the start of what this writer wrote.
    #[inline(always)]
    pub(crate) fn patch(&mut self, at: usize, bytes: &[u8]) {
        let from = self.start + at;
        self.out[from..from + bytes.len()].copy_from_slice(bytes);
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, len: usize) {
        self.out.resize(self.at + len, 0);
    }
}

/// Writes `number` in decimal to the front of `room`, which must hold [`MAX_DIGITS`]; gives its length.
#[inline(always)]
pub(crate) fn decimal(room: &mut [u8], number: i64) -> usize {
    if (0..10).contains(&number) {
        room[0] = b'0' + number as u8;
        return 1;
    }
    long_decimal(room, number)
}

#[inline(never)]
fn long_decimal(room: &mut [u8], number: i64) -> usize {
    let sign = usize::from(number < 0);
    if sign == 1 {
        room[0] = b'-';
    }
    let mut rest = number.unsigned_abs();
    let len = sign + rest.checked_ilog10().unwrap_or(0) as usize + 1;
    let room = &mut room[..len];
    let mut end = len;
    while rest >= 10 {
        let pair = (rest % 100) as usize * 2;
        rest /= 100;
        end -= 2;
        room[end..end + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if end > sign {
        room[sign] = b'0' + rest as u8;
    }
    len
}

const PAIRS: [u8; 200] = {
    let mut pairs = [0; 200];
    let mut number = 0;
    while number < 100 {
        pairs[number * 2] = b'0' + (number / 10) as u8;
        pairs[number * 2 + 1] = b'0' + (number % 10) as u8;
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
            let len = decimal(&mut room, number);
            assert_eq!(
                std::str::from_utf8(&room[..len]).unwrap(),
                number.to_string()
            );
        }
    }

    #[test]
    fn what_was_there_stays_and_unused_room_goes() {
        let mut out = BytesMut::from(&b"before"[..]);
        let mut writer = Writer::new(&mut out, 3);
        writer.put(b"longer than the guess");
        writer.rewind(6);
        writer.finish();
        assert_eq!(&out[..], b"beforelonger");

        let mut writer = Writer::new(&mut out, 100);
        writer.put(b"x");
        writer.undo();
        assert_eq!(&out[..], b"beforelonger");
    }
}
