//! Times and lengths of time as the screens write them.

use std::time::Duration;

use chrono::{DateTime, Local, NaiveDateTime, Utc};

use atalaya_domain::time::Timestamp;
use atalaya_query::Zone;

fn naive(at: Timestamp, zone: Zone) -> NaiveDateTime {
    let utc: DateTime<Utc> = at.to_utc();
    match zone {
        Zone::Utc => utc.naive_utc(),
        Zone::Local => utc.with_timezone(&Local).naive_local(),
    }
}

/// With a chrono format string of our own.
pub fn format(at: Timestamp, zone: Zone, pattern: &str) -> String {
    naive(at, zone).format(pattern).to_string()
}

/// `14:32:07.118`: the time column of lists.
pub fn millis(at: Timestamp, zone: Zone) -> String {
    format(at, zone, "%H:%M:%S%.3f")
}

/// `14:32`.
pub fn minute(at: Timestamp, zone: Zone) -> String {
    format(at, zone, "%H:%M")
}

/// `2026-03-02 14:32:07.118204 UTC`, exact, with its zone.
pub fn exact(at: Timestamp, zone: Zone) -> String {
    match zone {
        Zone::Utc => format(at, zone, "%Y-%m-%d %H:%M:%S%.6f UTC"),
        Zone::Local => at
            .to_utc()
            .with_timezone(&Local)
            .format("%Y-%m-%d %H:%M:%S%.6f %:z")
            .to_string(),
    }
}

/// `2026-03-02`.
pub fn day(at: Timestamp, zone: Zone) -> String {
    format(at, zone, "%Y-%m-%d")
}

/// `UTC`, or the offset of this host at that time: `+01:00`.
pub fn zone_name(at: Timestamp, zone: Zone) -> String {
    match zone {
        Zone::Utc => "UTC".into(),
        Zone::Local => at.to_utc().with_timezone(&Local).format("%:z").to_string(),
    }
}

/// An age or a length, coarse, in at most two units: `3 s`, `4 min`, `2 h 05`, `3 d 4 h`.
pub fn coarse(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3_599 => format!("{} min", seconds / 60),
        3_600..=86_399 => format!("{} h {:02}", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A length to three figures: `118 µs`, `4.20 ms`, `1.25 s`, `2 min 05`, `3 h 12`.
pub fn precise(length: Duration) -> String {
    let micros = length.as_micros();
    match micros {
        0..=999 => format!("{micros} µs"),
        1_000..=999_999 => scaled(micros as f64 / 1e3, "ms"),
        1_000_000..=59_999_999 => scaled(micros as f64 / 1e6, "s"),
        60_000_000..=3_599_999_999 => {
            format!("{} min {:02}", length.as_secs() / 60, length.as_secs() % 60)
        }
        _ => coarse(length),
    }
}

fn scaled(value: f64, unit: &str) -> String {
    if value < 10.0 {
        format!("{value:.2} {unit}")
    } else if value < 100.0 {
        format!("{value:.1} {unit}")
    } else {
        format!("{value:.0} {unit}")
    }
}

/// `12,345`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_counts_read_well() {
        assert_eq!(coarse(Duration::from_secs(7_500)), "2 h 05");
        assert_eq!(precise(Duration::from_micros(4_200)), "4.20 ms");
        assert_eq!(precise(Duration::from_micros(125_400_000)), "2 min 05");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(999), "999");
        let at = Timestamp::from_micros(1_772_446_804_118_204);
        assert_eq!(exact(at, Zone::Utc), "2026-03-02 10:20:04.118204 UTC");
        assert_eq!(millis(at, Zone::Utc), "10:20:04.118");
    }
}
