//! Reservations: leases on paths, so that two agents do not edit the same file.
//!
//! A lease has a purpose and an end, and lapses by itself; time in a pause counts, as files can be edited
//! in it. Taking what overlaps somebody else's lease is refused with the holder and the end. A lapsed
//! lease may still be extended as long as nobody took what it had. All paths of a group are relative
//! to its directory; a group of several directories has them under the same names.
//!
//! Clocks jump, so a lapsed lease is not simply forgotten: whoever takes something ends all that have
//! lapsed by then, in the same event. So two holders never overlap, whatever the clock says later.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::event::{ReservationExtend, ReservationRelease, ReservationTake};
use crate::id::{Principal, ReservationId};
use crate::ledger::Draft;
use crate::rule::glob::Glob;
use crate::rule::permission::{self, Rank};
use crate::rule::{Call, Decision, MAX_REASON_BYTES, bounded, few};
use crate::state::{GroupState, Reservation};
use crate::time::Timestamp;

/// Most reservations of a group at a time.
pub const MAX_RESERVATIONS: usize = 256;
/// Most patterns of one reservation.
pub const MAX_GLOBS: usize = 32;
/// Longest lease; it may be extended again and again.
pub const MAX_LEASE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A reservation as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ReservationView {
    /// Its id.
    pub reservation_id: ReservationId,
    /// Whose it is.
    pub holder: Principal,
    /// Which paths.
    pub globs: Vec<String>,
    /// What for; may be empty.
    pub purpose: String,
    /// When it lapses.
    pub until: Timestamp,
    /// Whether it has; then anyone may take the paths.
    pub lapsed: bool,
}

/// The reservations that nobody ended, oldest first; with those that have lapsed if `lapsed` is set.
#[must_use]
pub fn list(state: &GroupState, lapsed: bool, now: Timestamp) -> Vec<ReservationView> {
    let all = state.reservations().values();
    all.map(|one| view(one, now)).filter(|view| lapsed || !view.lapsed).collect()
}

/// One reservation, if nobody ended it.
#[must_use]
pub fn find(state: &GroupState, id: ReservationId, now: Timestamp) -> Option<ReservationView> {
    state.reservations().get(&id).map(|one| view(one, now))
}

fn view(reservation: &Reservation, now: Timestamp) -> ReservationView {
    ReservationView {
        reservation_id: reservation.id(),
        holder: reservation.holder.clone(),
        globs: reservation.globs.clone(),
        purpose: reservation.purpose.clone(),
        until: reservation.until,
        lapsed: reservation.has_lapsed(now),
    }
}

/// Whoever else has reserved a path, as of `now`: what an editor or a hook asks before it writes.
#[must_use]
pub fn holder_of(state: &GroupState, path: &str, now: Timestamp) -> Vec<ReservationView> {
    let means = |one: &&Reservation| parsed(one).any(|glob| glob.matches(path));
    let held = state.reservations().values().filter(|one| !one.has_lapsed(now)).filter(means);
    held.map(|one| view(one, now)).collect()
}

/// What stands on the ledger had been checked, if not by this version; a pattern that it cannot read
/// is taken for everything.
fn parsed(reservation: &Reservation) -> impl Iterator<Item = Glob> {
    reservation.globs.iter().map(|text| Glob::parse(text).unwrap_or_else(|_| Glob::everything()))
}

pub(super) fn take(
    state: &GroupState,
    call: &Call,
    globs: &[String],
    purpose: &str,
    lease: Duration,
) -> Result<Decision> {
    let globs = checked(globs)?;
    bounded("the purpose", purpose, MAX_REASON_BYTES)?;
    let until = end_of(call, lease)?;
    let others = state.reservations().values().filter(|one| one.holder != call.by);
    for other in others.filter(|one| !one.has_lapsed(call.now)) {
        conflict(call, other, &globs)?;
    }
    let texts: Vec<String> = globs.iter().map(|glob| glob.as_str().to_owned()).collect();
    // Asking again for what one has makes it last, not twice.
    let same = |one: &&Reservation| one.holder == call.by && one.globs == texts && one.purpose == purpose;
    if let Some(own) = state.reservations().values().find(same) {
        return Ok(lengthened(own, until));
    }
    let (over, live): (Vec<_>, Vec<_>) =
        state.reservations().values().partition(|one| one.has_lapsed(call.now));
    if live.len() >= MAX_RESERVATIONS {
        return Err(Error::refused(format!(
            "the group has {MAX_RESERVATIONS} reservations, which is the most"
        ))
        .hint("release what is no longer needed; `cccc reservations` lists them"));
    }
    Ok(Decision::write([Draft::from(ReservationTake {
        reservation_id: ReservationId(state.position().seq.next()),
        globs: texts,
        purpose: purpose.to_owned(),
        until,
        lapsed: over.into_iter().map(Reservation::id).collect(),
    })]))
}

/// Patterns in order, each once.
fn checked(globs: &[String]) -> Result<Vec<Glob>> {
    if globs.is_empty() {
        return Err(Error::invalid("a reservation needs a path").hint("for example `cccc reserve 'src/**'`"));
    }
    few("path patterns", globs.len(), MAX_GLOBS)?;
    let mut globs = globs.iter().map(|text| Glob::parse(text)).collect::<Result<Vec<_>>>()?;
    globs.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    globs.dedup();
    Ok(globs)
}

fn end_of(call: &Call, lease: Duration) -> Result<Timestamp> {
    if lease.is_zero() || lease > MAX_LEASE {
        return Err(Error::invalid("a reservation lasts more than nothing and at most seven days")
            .hint("extend it when it is needed for longer"));
    }
    Ok(call.now.after(lease))
}

/// Refuses what overlaps somebody else's reservation.
fn conflict(call: &Call, other: &Reservation, globs: &[Glob]) -> Result<()> {
    let theirs: Vec<Glob> = parsed(other).collect();
    let pair = globs.iter().find_map(|own| Some((own, theirs.iter().find(|their| own.overlaps(their))?)));
    let Some((own, their)) = pair else { return Ok(()) };
    let purpose = if other.purpose.is_empty() { String::new() } else { format!(", for {:?}", other.purpose) };
    Err(Error::conflict(format!(
        "{} overlaps {}, which {} has reserved until {} ({}{purpose})",
        own.as_str(),
        their.as_str(),
        other.holder,
        other.until,
        other.id(),
    ))
    .hint(format!("reserve something else, wait, or ask: `cccc send --to {}`", other.holder))
    .retry_after(other.until.since(call.now)))
}

/// A lease is only made longer by asking for it again, never shorter.
fn lengthened(own: &Reservation, until: Timestamp) -> Decision {
    if until <= own.until {
        return Decision::done_by(own.taken_by_event);
    }
    Decision::write([Draft::from(ReservationExtend { reservation_id: own.id(), until })])
}

/// The holder says anew how long it lasts from now; that may also be shorter.
pub(super) fn extend(
    state: &GroupState,
    call: &Call,
    id: ReservationId,
    lease: Duration,
) -> Result<Decision> {
    let until = end_of(call, lease)?;
    let own = open(state, id)?;
    if own.holder != call.by {
        return Err(Error::refused(format!("{id} is {}'s, and only its holder extends it", own.holder))
            .hint("reserve the paths yourself when it is over"));
    }
    if until == own.until {
        return Ok(Decision::nothing());
    }
    Ok(Decision::write([Draft::from(ReservationExtend { reservation_id: id, until })]))
}

pub(super) fn release(state: &GroupState, call: &Call, id: ReservationId, reason: &str) -> Result<Decision> {
    bounded("the reason", reason, MAX_REASON_BYTES)?;
    let own = open(state, id)?;
    let allowed = match permission::rank(state, &call.by) {
        Rank::Owner => true,
        Rank::Foreman => !own.holder.is_person(),
        Rank::Person | Rank::Peer | Rank::Service => own.holder == call.by,
    };
    if !allowed {
        return Err(Error::refused(format!("{id} is {}'s to release", own.holder)).hint(format!(
            "ask with `cccc send --to {}`; the foreman and the user may release it too",
            own.holder
        )));
    }
    Ok(Decision::write([Draft::from(ReservationRelease { reservation_id: id, reason: reason.to_owned() })]))
}

/// A reservation that nobody ended.
fn open(state: &GroupState, id: ReservationId) -> Result<&Reservation> {
    state.reservations().get(&id).ok_or_else(|| {
        Error::not_found(format!("there is no reservation {id}, or it is over"))
            .hint("`cccc reservations` lists them; reserve the paths again if you need them")
    })
}

#[cfg(test)]
mod tests;
