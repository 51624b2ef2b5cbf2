//! Writing many small pieces into room that was made beforehand.

use std::mem::take;

use bytes::BytesMut;

/// Room that a decimal wants: nineteen digits and a sign, written eight digits at a time.
pub(crate) const DECIMAL_ROOM: usize = 25;

/// Appends what `write` writes. `guess` says how much room it will need: when that was too little it runs again with
/// twice as much, so that the pieces need no thought of growing.
pub(crate) fn append(out: &mut BytesMut, guess: usize, write: impl Fn(&mut Writer<'_>)) {
    let start = out.len();
    let mut room = guess;
    loop {
        out.resize(start + room, 0);
        let mut writer = Writer::new(&mut out[start..]);
        write(&mut writer);
        if let Some(len) = writer.finish() {
            out.truncate(start + len);
            return;
        }
        room = room.saturating_mul(2).max(64);
    }
}

/// Room of a fixed size, taken from the front piece by piece. A piece that does not fit is dropped, as is everything
/// after it.
#[derive(Debug)]
pub(crate) struct Writer<'b> {
    /// What is left. Never used up: no room left says that something did not fit.
    room: &'b mut [u8],
    len: usize,
}

impl<'b> Writer<'b> {
    #[inline(always)]
    pub(crate) fn new(room: &'b mut [u8]) -> Self {
        let len = room.len();
        Self { room, len }
    }

    /// How much was written, or `None` when something did not fit.
    #[inline(always)]
    pub(crate) fn finish(&self) -> Option<usize> {
        (!self.room.is_empty()).then_some(self.len - self.room.len())
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
        let (window, rest) = take(&mut self.room).split_at_mut_checked(len)?;
        self.room = rest;
        Some(window)
    }

    /// Gives what is left of the room to `write`, which gives back what it did not take, or `None` when it did not
    /// suffice.
    #[inline(always)]
    pub(crate) fn fill(&mut self, write: impl FnOnce(&'b mut [u8]) -> Option<&'b mut [u8]>) {
        self.room = write(take(&mut self.room)).unwrap_or_default();
    }

    #[inline(always)]
    pub(crate) fn decimal(&mut self, number: i64) {
        self.fill(|room| decimal(room, number));
    }
}

/// The digit 0 in each byte.
const ZEROS: u64 = 0x3030_3030_3030_3030;
const EIGHT_DIGITS: u64 = 100_000_000;

/// Writes `number` in decimal to the front of `room`, of which it may want [`DECIMAL_ROOM`]; gives what is left.
#[inline(never)]
pub(crate) fn decimal(room: &mut [u8], number: i64) -> Option<&mut [u8]> {
    match u64::try_from(number) {
        Ok(number) if number < EIGHT_DIGITS => first_digits(room, number),
        _ => long_decimal(room, number),
    }
}

#[inline(never)]
fn long_decimal(room: &mut [u8], number: i64) -> Option<&mut [u8]> {
    let mut room = room;
    if number < 0 {
        *room.first_mut()? = b'-';
        room = room.get_mut(1..)?;
    }
    let number = number.unsigned_abs();
    let (upper, last) = (number / EIGHT_DIGITS, number % EIGHT_DIGITS);
    let room = match upper {
        0 => return first_digits(room, last),
        1..EIGHT_DIGITS => first_digits(room, upper)?,
        _ => {
            let room = first_digits(room, upper / EIGHT_DIGITS)?;
            next_digits(room, upper % EIGHT_DIGITS)?
        }
    };
    next_digits(room, last)
}

/// Writes a number of up to eight digits without leading zeros.
#[inline(always)]
fn first_digits(room: &mut [u8], number: u64) -> Option<&mut [u8]> {
    let digits = if number < 10_000 {
        four_digits(number) << 32
    } else {
        eight_digits(number)
    };
    let zeros = (digits.trailing_zeros() / 8).min(7);
    let text = (digits | ZEROS) >> (8 * zeros);
    *room.first_chunk_mut()? = text.to_le_bytes();
    room.get_mut(8 - zeros as usize..)
}

/// Writes eight digits, zeros included.
#[inline(always)]
fn next_digits(room: &mut [u8], number: u64) -> Option<&mut [u8]> {
    let text = eight_digits(number) | ZEROS;
    let (place, room) = room.split_first_chunk_mut()?;
    *place = text.to_le_bytes();
    Some(room)
}

/// The digits of a number below 10^8, a byte each, the first one lowest: halved three times, every part of the word at
/// once. The factors divide by 100 and by 10; what the parts hold is small enough for that to be exact.
#[inline(always)]
fn eight_digits(number: u64) -> u64 {
    four_digits((number / 10_000) | ((number % 10_000) << 32))
}

/// The digits of a number below 10^4, or of two such numbers in the halves of the word.
#[inline(always)]
fn four_digits(fours: u64) -> u64 {
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007F_0000_007F;
    let pairs = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((pairs * 103) >> 10) & 0x000F_000F_000F_000F;
    tens | ((pairs - tens * 10) << 8)
}

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
        numbers.extend((0..20_000).map(|step| step * 5_003));
        let mut power = 1i64;
        for _ in 0..18 {
            power *= 10;
            numbers.extend([power - 1, power, power + 1, -power, 1 - power]);
        }
        for number in numbers {
            let mut room = [0; DECIMAL_ROOM];
            let len = DECIMAL_ROOM - decimal(&mut room, number).unwrap().len();
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
            writer.put(b"longer ");
            writer.put(b"than the guess");
        });
        assert_eq!(&out[..], b"beforelonger than the guess");
    }

    #[test]
    fn once_something_does_not_fit_nothing_is_finished() {
        for room in 0..4 {
            let mut room = vec![0; room];
            let mut writer = Writer::new(&mut room);
            writer.put(b"ab");
            writer.put(b"cd");
            writer.decimal(7);
            assert_eq!(writer.finish(), None);
        }
    }
}
