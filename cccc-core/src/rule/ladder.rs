//! The ladder of a delivery: what may be said of one try, and in which order.
//!
//! ```text
//! claimed -> handed -> queued -> accepted, as a door says -> accepted, as was seen -> answered
//! ```
//!
//! A step may be left out, and none is taken back: what comes late and says less than what is known adds nothing. Beside
//! the ladder stand how a try can end or be held up: `held`, `refused`, `withdrawn`, `failed`, `ambiguous`, `bounced`.
//! Steps are evidence of one try, so none of them begins another: only a new claim does, with an id of its own.

use super::receipt::DeliveryWord;
use crate::event::{DeliveryState, RuntimeDelivery, Witness};
use crate::state::FlightState;

/// What a step adds to what is known of the same try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adds {
    /// It is news.
    News,
    /// As much or more is known.
    Nothing,
    /// It cannot be, if what is known is true.
    Contradiction,
}

/// What `next` adds to `last`, the last step that is known of the same try.
pub(super) fn adds(last: &RuntimeDelivery, next: &RuntimeDelivery) -> Adds {
    use DeliveryState::{Ambiguous, Answered, Claimed, Held, Unknown, Withdrawn};
    if last.state == next.state {
        return Adds::Nothing;
    }
    match (&last.state, &next.state) {
        // Nothing final is known.
        (Claimed | Held { .. } | Ambiguous { .. } | Unknown(_), _) => Adds::News,
        // Whoever cancels a turn before its first word takes back what stood in it.
        (Answered { .. }, Withdrawn { .. }) => Adds::Contradiction,
        (_, Withdrawn { .. }) if rung(last).is_some() => Adds::News,
        _ => match (rung(last), rung(next)) {
            (Some(last), Some(next)) if next > last => Adds::News,
            (Some(_), Some(_)) => Adds::Nothing,
            // On its way anything may befall it; what stands in a turn does so.
            (Some(last), None) if last < Rung::Told => Adds::News,
            // Taken back, and then sent off all the same.
            (None, Some(_)) if matches!(last.state, Withdrawn { .. }) => Adds::News,
            _ => Adds::Contradiction,
        },
    }
}

/// The steps of the ladder, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rung {
    Handed,
    Queued,
    /// Accepted, as a door says.
    Told,
    /// Accepted, as was seen.
    Seen,
    Answered,
}

fn rung(step: &RuntimeDelivery) -> Option<Rung> {
    match &step.state {
        DeliveryState::Handed { .. } => Some(Rung::Handed),
        DeliveryState::Queued { .. } => Some(Rung::Queued),
        DeliveryState::Accepted { .. } => Some(match step.witness().is_some_and(|by| by.is_proof()) {
            true => Rung::Seen,
            false => Rung::Told,
        }),
        DeliveryState::Answered { .. } => Some(Rung::Answered),
        _ => None,
    }
}

/// Whether `next` says more of a message that stands in a turn than `last` does, of whichever try.
pub(super) fn says_more(last: (DeliveryWord, Option<&Witness>), next: &RuntimeDelivery) -> bool {
    let last = match last {
        (DeliveryWord::Answered, _) => Some(Rung::Answered),
        (DeliveryWord::Accepted, by) if by.is_some_and(Witness::is_proof) => Some(Rung::Seen),
        (DeliveryWord::Accepted, _) => Some(Rung::Told),
        _ => None,
    };
    rung(next) > last
}

/// The word for a message of which a try is in this state.
pub(crate) fn word(flight: FlightState) -> DeliveryWord {
    match flight {
        FlightState::Claimed => DeliveryWord::Claimed,
        FlightState::Handed => DeliveryWord::Handed,
        FlightState::Queued => DeliveryWord::Queued,
        FlightState::Held => DeliveryWord::Held,
        FlightState::Refused => DeliveryWord::Refused,
        FlightState::Withdrawn => DeliveryWord::Withdrawn,
        FlightState::Failed => DeliveryWord::Failed,
        FlightState::Ambiguous => DeliveryWord::Ambiguous,
        FlightState::Retried => DeliveryWord::Pending,
        FlightState::Bounced => DeliveryWord::Bounced,
    }
}

#[cfg(test)]
mod tests;
