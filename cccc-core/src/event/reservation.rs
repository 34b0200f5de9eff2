//! Leases on paths.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::ReservationId;
use crate::time::Timestamp;

/// `reservation.take`: whoever wrote this event works on these paths, and others keep off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReservationTake {
    /// Its id, from the number of this event.
    pub reservation_id: ReservationId,
    /// Which paths, relative to the group's directory.
    pub globs: Vec<String>,
    /// What for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub purpose: String,
    /// When it lapses by itself.
    pub until: Timestamp,
    /// Reservations that had lapsed by then, and are over for good whatever the clock says later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lapsed: Vec<ReservationId>,
}

/// `reservation.extend`: it lapses at another time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReservationExtend {
    /// Which.
    pub reservation_id: ReservationId,
    /// When it lapses now.
    pub until: Timestamp,
}

/// `reservation.release`: it is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReservationRelease {
    /// Which.
    pub reservation_id: ReservationId,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}
