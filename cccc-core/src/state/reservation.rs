//! Reservations: who works on which paths.

use serde::{Deserialize, Serialize};

use super::GroupState;
use crate::event::{Event, ReservationExtend, ReservationTake};
use crate::id::{EventId, Principal, ReservationId};
use crate::time::Timestamp;

/// A reservation that is not known to be over. Whether it has lapsed is to be computed with the time.
///
/// Whatever the clock says: no two of different holders overlap. A reservation that had lapsed when
/// another was taken was ended by that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reservation {
    /// The event that took it.
    pub taken_by_event: EventId,
    /// Whose it is.
    pub holder: Principal,
    /// Which paths.
    pub globs: Vec<String>,
    /// What for.
    pub purpose: String,
    /// When it lapses.
    pub until: Timestamp,
}

impl Reservation {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> ReservationId {
        ReservationId(self.taken_by_event.seq)
    }

    /// Whether its time is over.
    #[must_use]
    pub fn has_lapsed(&self, now: Timestamp) -> bool {
        now >= self.until
    }
}

impl GroupState {
    pub(super) fn take_reservation(&mut self, event: &Event, take: &ReservationTake) {
        self.note_time(event.seq, event.ts);
        for lapsed in &take.lapsed {
            self.reservations.remove(lapsed);
        }
        let reservation = Reservation {
            taken_by_event: event.id,
            holder: event.by.clone(),
            globs: take.globs.clone(),
            purpose: take.purpose.clone(),
            until: take.until,
        };
        self.reservations.insert(reservation.id(), reservation);
    }

    pub(super) fn extend_reservation(&mut self, extend: &ReservationExtend) {
        if let Some(reservation) = self.reservations.get_mut(&extend.reservation_id) {
            reservation.until = extend.until;
        }
    }

    /// What somebody who was removed had reserved is their successor's, or nobody's.
    pub(super) fn leave_reservations(&mut self, gone: &Principal, successor: Option<&Principal>) {
        let theirs = |reservation: &Reservation| reservation.holder == *gone;
        match successor {
            Some(successor) => {
                for reservation in self.reservations.values_mut().filter(|one| theirs(one)) {
                    reservation.holder = successor.clone();
                }
            }
            None => self.reservations.retain(|_, reservation| !theirs(reservation)),
        }
    }
}
