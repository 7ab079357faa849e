//! Calendar arithmetic on the proleptic Gregorian calendar, without a time zone.

/// A reading of a wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to the length of the month.
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    /// Up to 60: a leap second is the instant after :59, which the next minute shares.
    pub second: u8,
    pub micros: u32,
}

impl Civil {
    /// Whether such a day and such a time exist.
    pub fn is_valid(&self) -> bool {
        (1..=12).contains(&self.month)
            && self.day >= 1
            && self.day <= month_length(self.year, self.month)
            && self.hour < 24
            && self.minute < 60
            && self.second <= 60
            && self.micros < 1_000_000
    }

    /// Seconds since 1970-01-01T00:00:00 on the same clock.
    pub fn local_seconds(&self) -> i64 {
        days_from_civil(self.year, self.month, self.day) * 86_400
            + i64::from(self.hour) * 3_600
            + i64::from(self.minute) * 60
            + i64::from(self.second)
    }
}

/// Days since 1970-01-01 of a date.
///
/// Source: <https://howardhinnant.github.io/date_algorithms.html#days_from_civil>: years begin in
/// March, so the leap day is the last one and months have a linear formula.
pub fn days_from_civil(year: i32, month: u8, day: u8) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The year of a day counted from 1970-01-01.
pub fn year_of_days(days: i64) -> i32 {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let january_or_february = (5 * day_of_year + 2) / 153 >= 10;
    i32::try_from(year_of_era + era * 400 + i64::from(january_or_february)).unwrap_or(i32::MAX)
}

pub fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_length(year: i32, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use chrono::{Datelike, NaiveDate};

    use super::*;

    #[test]
    fn every_day_of_eight_centuries_agrees_with_chrono() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        let mut day = NaiveDate::from_ymd_opt(1600, 1, 1).unwrap();
        while day.year() < 2400 {
            let days = day.signed_duration_since(epoch).num_days();
            let month = u8::try_from(day.month()).unwrap();
            assert_eq!(
                days_from_civil(day.year(), month, u8::try_from(day.day()).unwrap()),
                days,
                "{day}"
            );
            assert_eq!(year_of_days(days), day.year(), "{day}");
            day = day.succ_opt().unwrap();
        }
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        let civil = |year, month, day| Civil {
            year,
            month,
            day,
            hour: 0,
            minute: 0,
            second: 0,
            micros: 0,
        };
        assert!(civil(2024, 2, 29).is_valid());
        assert!(!civil(2023, 2, 29).is_valid());
        assert!(!civil(1900, 2, 29).is_valid());
        assert!(!civil(2023, 13, 1).is_valid());
        assert!(!civil(2023, 4, 31).is_valid());
        assert!(!civil(2023, 4, 0).is_valid());
    }
}
