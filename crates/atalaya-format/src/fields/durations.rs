//! How long something took, as text.

/// Reads `12.3ms`, `1.416µs`, `2.001s`, `1m30s`: milliseconds. Days are not how long one event takes.
pub fn with_unit(text: &str) -> Option<f64> {
    let mut rest = text.trim();
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|next: char| !next.is_ascii_digit() && next != '.')?;
        let number: f64 = rest.get(..end)?.parse().ok()?;
        rest = rest.get(end..)?.trim_start();
        let unit_end = rest
            .find(|next: char| next.is_ascii_digit() || next == ' ')
            .unwrap_or(rest.len());
        total += milliseconds(number, unit(rest.get(..unit_end)?)?);
        rest = rest.get(unit_end..)?.trim_start();
    }
    Some(milliseconds(total, 1.0))
}

/// So many of a unit, of which each has so many milliseconds: through whole nanoseconds where there
/// are such, or 1.003 seconds would be 1002.9999999999999 milliseconds.
pub(crate) fn milliseconds(value: f64, unit: f64) -> f64 {
    const NEAR: f64 = 1e-3;
    let nanos = value * (unit * 1e6);
    let whole = nanos.round();
    if (nanos - whole).abs() < NEAR {
        whole / 1e6
    } else {
        value * unit
    }
}

/// Milliseconds in a unit.
pub(crate) fn unit(word: &str) -> Option<f64> {
    Some(match word {
        "ns" | "nanoseconds" => 0.000_001,
        "us" | "µs" | "μs" | "microseconds" => 0.001,
        "ms" | "msec" | "msecs" | "millis" | "milliseconds" => 1.0,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000.0,
        "h" | "hour" | "hours" => 3_600_000.0,
        _ => return None,
    })
}

/// [`with_unit`], `00:00:01.2` (hours, minutes, seconds) or `PT1.2S` (ISO 8601): milliseconds.
pub(crate) fn any(text: &str) -> Option<f64> {
    let text = text.trim_ascii();
    match text.as_bytes().first()? {
        b'P' => iso(text),
        _ if memchr::memchr(b':', text.as_bytes()).is_some() => clock(text),
        _ => with_unit(text),
    }
}

/// `0:00:01.234567`, `00:00:01.2`, as Python's and .NET's spans of time are printed.
fn clock(text: &str) -> Option<f64> {
    let mut parts = text.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let (whole, fraction) = seconds.split_once(['.', ',']).unwrap_or((seconds, "0"));
    if parts.next().is_some()
        || !digits(hours, 3)
        || !digits(minutes, 2)
        || minutes.len() != 2
        || !digits(whole, 2)
        || !digits(fraction, 9)
    {
        return None;
    }
    let [hours, minutes, whole] =
        [hours, minutes, whole].map(|text| text.parse::<f64>().unwrap_or(0.0));
    let fraction: f64 = format!("0.{fraction}").parse().ok()?;
    (minutes < 60.0 && whole < 60.0).then_some(milliseconds(
        hours * 3_600.0 + minutes * 60.0 + whole + fraction,
        1_000.0,
    ))
}

/// `PT1M2.5S`; days and more are not how long one event takes.
fn iso(text: &str) -> Option<f64> {
    let mut rest = text.strip_prefix("PT")?;
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|next: char| !next.is_ascii_digit() && next != '.')?;
        let number: f64 = rest.get(..end)?.parse().ok()?;
        let unit = match rest.as_bytes().get(end)? {
            b'H' => 3_600_000.0,
            b'M' => 60_000.0,
            b'S' => 1_000.0,
            _ => return None,
        };
        total += milliseconds(number, unit);
        rest = rest.get(end + 1..)?;
    }
    Some(milliseconds(total, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time() {
        for (text, milliseconds) in [
            ("12.5ms", Some(12.5)),
            ("1m30s", Some(90_000.0)),
            ("3 seconds", Some(3_000.0)),
            ("00:00:01.2", Some(1_200.0)),
            ("0:01:00.25", Some(60_250.0)),
            ("01:02:03", Some(3_723_000.0)),
            ("1.003s", Some(1_003.0)),
            ("250.5µs", Some(0.2505)),
            ("0:00:01.003", Some(1_003.0)),
            ("PT1.003S", Some(1_003.0)),
            ("PT1.2S", Some(1_200.0)),
            ("PT1M0.5S", Some(60_500.0)),
            ("12", None),
            ("15d", None),
            ("12:30", None),
            ("2024-05-01T08:00:00", None),
            ("00:61:00", None),
            ("PT", None),
            ("P1D", None),
            (":::", None),
            ("", None),
        ] {
            assert_eq!(any(text), milliseconds, "{text}");
        }
    }
}
