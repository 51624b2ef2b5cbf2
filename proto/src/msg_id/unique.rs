use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::{IdBytes, IdText, InvalidId, TAIL};

const MILLIS_PER_DAY: i64 = 86_400_000;
/// Ids that one millisecond holds: the counter on the wire has 16 bits.
const IDS_PER_MILLI: u32 = 1 << 16;
/// How far the clock may step back before its new time is taken over, as in Java.
const TOLERATED_STEP_BACK: i64 = 1_000_000;
/// Times beyond the year 9999 are taken as its end, which keeps the calendar within its numbers.
const MAX_UNIX_MS: u64 = 253_402_300_799_999;

/// The producer's own id of a message, property `UNIQ_KEY` (PROTOCOL D.5): 32 or 56 upper-case
/// hexadecimal digits.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UniqueId(IdBytes);

/// What tells one generator of ids from all others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UniqueIdSeed {
    /// An address of this host. IPv4 makes ids of 32 digits, IPv6 of 56.
    pub ip: IpAddr,
    /// The process; only the low 16 bits go into an id.
    pub pid: u32,
    /// Any number that differs between generators of one process, and best a random one (Java: the
    /// hash of the class loader).
    pub hash: u32,
    /// What to add to UTC for local time, seconds. Readers of ids assume the writer's local month.
    pub utc_offset_seconds: i32,
}

/// Makes unique ids; reads no clock and takes no lock.
///
/// A generator never repeats an id. Where Java would (more than 65 536 ids within a millisecond, a
/// clock that steps back, the same moment a month later) this one takes the next millisecond, stays
/// at the last one until the clock is there again, or counts `hash` up: the last for a new month and
/// for steps back of more than 1 000 s, whose new time it follows.
#[derive(Clone, Debug)]
pub struct UniqueIds {
    seed: UniqueIdSeed,
    hash: u32,
    month: Month,
    /// The millisecond that ids are made for; moves forward only, but for a new `hash`.
    at: i64,
    used: u32,
    counter: u16,
}

/// A month of local time as span of UTC milliseconds, its end excluded. Empty before the first use.
#[derive(Clone, Copy, Debug)]
struct Month {
    start: i64,
    end: i64,
}

impl UniqueIds {
    /// A generator; its counter starts at 0.
    pub fn new(seed: UniqueIdSeed) -> Self {
        Self {
            seed,
            hash: seed.hash,
            month: Month { start: 0, end: 0 },
            at: i64::MIN,
            used: 0,
            counter: 0,
        }
    }

    /// An id for a message made at `unix_ms`, milliseconds since 1970.
    pub fn next(&mut self, unix_ms: u64) -> UniqueId {
        self.move_to(unix_ms.min(MAX_UNIX_MS) as i64);
        let id = self.id();
        self.counter = self.counter.wrapping_add(1);
        self.used += 1;
        id
    }

    fn move_to(&mut self, now: i64) {
        if now > self.at {
            self.go(now);
        } else if self.at - now > TOLERATED_STEP_BACK {
            self.hash = self.hash.wrapping_add(1);
            self.go(now);
        }
        if self.used >= IDS_PER_MILLI {
            self.go(self.at + 1);
        }
    }

    fn go(&mut self, at: i64) {
        self.at = at;
        self.used = 0;
        if (self.month.start..self.month.end).contains(&at) {
            return;
        }
        // A month's milliseconds return in the next one: only another hash tells them apart.
        if self.month.end != self.month.start {
            self.hash = self.hash.wrapping_add(1);
        }
        self.month = Month::around(at, self.seed.utc_offset_seconds);
    }

    fn id(&self) -> UniqueId {
        // A long month passes 2^31 ms; Java lets the int wrap, and so do readers.
        let millis = (self.at - self.month.start) as u32;
        let mut tail = [0; TAIL];
        tail[..2].copy_from_slice(&(self.seed.pid as u16).to_be_bytes());
        tail[2..6].copy_from_slice(&self.hash.to_be_bytes());
        tail[6..10].copy_from_slice(&millis.to_be_bytes());
        tail[10..].copy_from_slice(&self.counter.to_be_bytes());
        UniqueId(IdBytes::new(self.seed.ip, tail))
    }
}

impl UniqueId {
    /// Reads 32 or 56 hexadecimal digits of either case.
    ///
    /// # Errors
    ///
    /// When the text has another length or other characters.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        IdBytes::parse(text).map(Self)
    }

    /// The digits, upper-case, without an allocation.
    pub fn to_hex(self) -> IdText {
        self.0.to_hex()
    }

    /// Appends the digits to `out`.
    pub fn write_hex(self, out: &mut String) {
        out.push_str(&self.to_hex());
    }

    /// Digits of the written form: 32 or 56.
    pub fn hex_len(self) -> usize {
        2 * self.0.as_bytes().len()
    }

    /// The address of the producer's host.
    pub fn ip(self) -> IpAddr {
        self.0.ip()
    }

    /// The low 16 bits of the producer's process id.
    pub fn pid(self) -> u16 {
        let tail = self.0.tail();
        u16::from_be_bytes([tail[0], tail[1]])
    }

    /// The generator's number.
    pub fn hash(self) -> u32 {
        let tail = self.0.tail();
        u32::from_be_bytes([tail[2], tail[3], tail[4], tail[5]])
    }

    /// Milliseconds since the month began in the producer's local time. Which month is not said.
    pub fn millis_of_month(self) -> u32 {
        let tail = self.0.tail();
        u32::from_be_bytes([tail[6], tail[7], tail[8], tail[9]])
    }

    /// When the id was made, milliseconds since 1970: the last such moment of a month that is not
    /// after `now_unix_ms`. `utc_offset_seconds` is the producer's local time, which the id does not
    /// tell; ids older than a month come out as many months too late.
    pub fn made_at(self, now_unix_ms: u64, utc_offset_seconds: i32) -> u64 {
        let now = now_unix_ms.min(MAX_UNIX_MS) as i64;
        let since_month = i64::from(self.millis_of_month());
        let month = Month::around(now, utc_offset_seconds);
        let made_at = if month.start + since_month <= now {
            month.start + since_month
        } else {
            Month::around(month.start - 1, utc_offset_seconds).start + since_month
        };
        made_at.max(0) as u64
    }

    /// The low 16 bits of the generator's counter.
    pub fn counter(self) -> u16 {
        let tail = self.0.tail();
        u16::from_be_bytes([tail[10], tail[11]])
    }
}

impl Month {
    fn around(at: i64, utc_offset_seconds: i32) -> Self {
        let offset = i64::from(utc_offset_seconds) * 1000;
        let local_day = (at + offset).div_euclid(MILLIS_PER_DAY);
        let (year, month) = year_and_month(local_day);
        let (next_year, next_month) = if month == 12 {
            (year + 1, 1)
        } else {
            (year, month + 1)
        };
        Self {
            start: first_day(year, month) * MILLIS_PER_DAY - offset,
            end: first_day(next_year, next_month) * MILLIS_PER_DAY - offset,
        }
    }
}

/// Days from 1970-01-01 to the first of a month. Counting years from March puts the leap day last,
/// so that the days before a month follow one formula.
fn first_day(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let months_since_march = (month + 9) % 12;
    let days_before_month = (153 * months_since_march + 2) / 5;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    const FIRST_OF_MARCH_OF_YEAR_0: i64 = -719_468;
    FIRST_OF_MARCH_OF_YEAR_0 + 365 * year + leap_days + days_before_month
}

/// The year and month (1 to 12) of a day counted from 1970-01-01.
fn year_and_month(day: i64) -> (i64, i64) {
    // The mean year of 365.2425 days misses the true one by less than two; then walk.
    let mut year = 1970 + (day * 400).div_euclid(146_097);
    while first_day(year, 1) > day {
        year -= 1;
    }
    while first_day(year + 1, 1) <= day {
        year += 1;
    }
    let month = (2..=12)
        .take_while(|&month| first_day(year, month) <= day)
        .last();
    (year, month.unwrap_or(1))
}

impl fmt::Debug for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_hex())
    }
}

impl FromStr for UniqueId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::parse(text)
    }
}
