//! Ids of things that begin with an event: a letter that says what it is, and the event's number.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Seq, parse_seq};
use crate::error::{Error, Result};

/// Declares an id type. The letter tells kinds apart where models and people copy them; it may be left out.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident, $what:literal, $letter:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(pub Seq);

        impl $name {
            /// The event it began with.
            #[must_use]
            pub fn seq(self) -> Seq {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&format!("{}{}", $letter, self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                parse_seq(text.strip_prefix($letter).unwrap_or(text)).map(Self).ok_or_else(|| {
                    Error::invalid(format!("{text:?} does not name a {}", $what))
                        .hint(format!("write it like {}57", $letter))
                })
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

numbered!(
    /// The id of a request for approval: `a57` began with event 57.
    ApprovalId, "request for approval", 'a'
);
numbered!(
    /// The id of a reservation: `r57` began with event 57.
    ReservationId, "reservation", 'r'
);
numbered!(
    /// The id of a task: `t57` began with event 57.
    TaskId, "task", 't'
);
numbered!(
    /// The id of a vote: `v57` began with event 57.
    VoteId, "vote", 'v'
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_the_letter_may_be_left_out() {
        for text in ["r57", "57"] {
            assert_eq!(text.parse::<ReservationId>().unwrap(), ReservationId(Seq(57)));
        }
        assert_eq!(ReservationId(Seq(57)).to_string(), "r57");
        assert_eq!(serde_json::to_string(&VoteId(Seq(3))).unwrap(), "\"v3\"");
        for bad in ["", "r", "r0", "v57", "r057", "r-1", "rr5"] {
            assert!(bad.parse::<ReservationId>().is_err(), "{bad:?}");
        }
    }
}
