//! Time as Java prints it.

/// `yyyy-MM-dd HH:mm:ss,SSS` in UTC.
pub(crate) fn human_time(unix_ms: u64) -> String {
    let (seconds, millis) = (unix_ms / 1000, unix_ms % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02},{millis:03}",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// The Gregorian date of a number of days after 1970-01-01. Years are counted from March, so that the leap day is
/// the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_EPOCH: u64 = 719_468;
    const DAYS_PER_ERA: u64 = 146_097;
    let shifted = days + DAYS_TO_EPOCH;
    let (era, day_of_era) = (shifted / DAYS_PER_ERA, shifted % DAYS_PER_ERA);
    let leaps = day_of_era / 1460 + day_of_era / (DAYS_PER_ERA - 1) - day_of_era / 36_524;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::human_time;

    #[test]
    fn dates_around_leap_days_are_right() {
        assert_eq!(human_time(0), "1970-01-01 00:00:00,000");
        assert_eq!(human_time(951_782_400_123), "2000-02-29 00:00:00,123");
        assert_eq!(human_time(1_709_251_199_000), "2024-02-29 23:59:59,000");
        assert_eq!(human_time(1_709_251_200_000), "2024-03-01 00:00:00,000");
    }
}
