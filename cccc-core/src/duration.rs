//! Durations as people and models write them: `90s`, `15m`, `1h30m`, `2d`.

use std::time::Duration;

use crate::error::{Error, Result};

/// Units with their length in milliseconds. `ms` stands before `m`, so that it is not read as minutes.
const UNITS: [(&str, u64); 6] = [
    ("ms", 1),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
];

/// The longest duration: ten years. What is meant to be longer has no end.
const MAX: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// Parses whole numbers with units, added up.
///
/// # Errors
/// `Invalid`, saying how durations are written.
pub fn parse(text: &str) -> Result<Duration> {
    let wrong = || {
        Error::invalid(format!("write it as 90s, 15m, 1h30m or 2d, at most {} days", MAX.as_secs() / 86_400))
    };
    let (mut rest, mut millis) = (text, 0u64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let (unit, length) = UNITS.iter().find(|(unit, _)| after.starts_with(unit)).ok_or_else(wrong)?;
        millis = number.checked_mul(*length).and_then(|more| millis.checked_add(more)).ok_or_else(wrong)?;
        rest = after.strip_prefix(unit).unwrap_or_default();
    }
    match Duration::from_millis(millis) {
        Duration::ZERO => Err(wrong()),
        duration if duration > MAX => Err(wrong()),
        duration => Ok(duration),
    }
}

/// A duration in its one or two largest units: `3d`, `2h5m`, `12s`.
#[must_use]
pub fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, 0) => format!("{hours}h"),
        (0, hours, minutes) => format!("{hours}h{minutes}m"),
        (days, 0, _) => format!("{days}d"),
        (days, hours, _) => format!("{days}d{hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in
            [("90s", 90), ("15m", 900), ("1h30m", 5400), ("2d", 172_800), ("1w1s", 604_801)]
        {
            assert_eq!(parse(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        assert_eq!(parse("250ms").unwrap(), Duration::from_millis(250));
        for bad in ["", "0s", "m", "15", "-5m", "1.5h", "5 m", "5x", "15m3", "99999999999999999999s", "9999w"]
        {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn durations_are_shortened_to_what_matters() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (61, "1m"), (3600, "1h"), (3720, "1h2m"), (90_000, "1d1h")]
        {
            assert_eq!(short(Duration::from_secs(seconds)), text);
        }
    }
}
