//! Points in time as the ledger writes them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

/// A wall-clock time in UTC with millisecond precision; `2026-11-21T08:38:21.123Z` on the wire.
///
/// Clocks jump in both directions, so no order between events is ever derived from it: that is what
/// [`Seq`](crate::Seq) is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, JsonSchema)]
#[schemars(with = "String")]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970; values beyond the years -9999 to 9999 are clamped.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        // The last whole second: jiff makes no timestamp from milliseconds after it.
        let (first, last) = (jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
        Self(millis.clamp(first * 1000, last * 1000))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// This time plus `duration`; clamped at the end of time.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => Err(fmt::Error),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let time: jiff::Timestamp = text.parse().map_err(|source| {
            Error::invalid(format!("{text:?} is not an RFC 3339 time"))
                .hint("write it like 2026-11-21T08:38:21Z")
                .source(source)
        })?;
        Ok(Self::from_millis(time.as_millisecond()))
    }
}

/// Text where people read it, a number in checkpoints.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 time")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                text.parse().map_err(E::custom)
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Text)
        } else {
            i64::deserialize(deserializer).map(Self::from_millis)
        }
    }
}

/// The IANA name of the machine's time zone, else `UTC`: what a person at it means by `17:00`.
///
/// No rule asks for it; frontends name it in what they ask for. Not for a child that was forked while another thread asked
/// for it: jiff keeps the zone behind a lock of the process, and writes it down there every few minutes.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "it is for the edge, where people say a time of day")]
pub fn local_zone() -> String {
    jiff::tz::TimeZone::system().iana_name().unwrap_or("UTC").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_fixed_width_utc() {
        let time = Timestamp::from_millis(1_795_250_301_120);
        assert_eq!(time.to_string(), "2026-11-21T08:38:21.120Z");
        assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        assert_eq!("2026-11-21T09:38:21.1204+01:00".parse::<Timestamp>().unwrap(), time);
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn arithmetic_saturates() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end.after(Duration::MAX), end);
        assert!(!end.to_string().is_empty());
        let last: Timestamp = jiff::Timestamp::MAX.to_string().parse().unwrap();
        assert_eq!(last, end, "what is read can be written");
        assert!(!Timestamp::from_millis(i64::MIN).to_string().is_empty());
        assert_eq!(Timestamp::from_millis(5).since(Timestamp::from_millis(9)), Duration::ZERO);
    }
}
