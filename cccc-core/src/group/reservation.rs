//! Reserving paths.

use std::time::Duration;

use super::Group;
use super::awaited::awaited_by_run;
use crate::command::Command;
use crate::engine::Executed;
use crate::error::{Error, Result};
use crate::event::Body;
use crate::id::ReservationId;
use crate::rule::reservation::{self, ReservationView};

/// How long a reservation lasts unless another time is asked for.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(30 * 60);

impl Group {
    /// Reserves paths: `group.reserve(["src/**"]).purpose("split the parser").await?`. Either all of them
    /// or none; asking again for the same makes it last from now.
    ///
    /// Patterns are relative to the group's directory: `*` and `?` within a name, `**` for any number of
    /// names; a plain path means everything below it as well.
    ///
    /// # Errors
    /// `Conflict`, naming the holder and the end, where a pattern overlaps somebody else's reservation
    /// (with the time until then as `retry_after`); `Invalid` for a malformed pattern; `Refused` when the
    /// group has 256 reservations.
    pub fn reserve<G: Into<String>>(&self, globs: impl IntoIterator<Item = G>) -> ReserveRequest<'_> {
        ReserveRequest {
            group: self,
            globs: globs.into_iter().map(Into::into).collect(),
            purpose: String::new(),
            lease: DEFAULT_LEASE,
        }
    }

    /// Says anew how long an own reservation lasts from now. One that has lapsed comes back if nobody has
    /// reserved anything since.
    ///
    /// # Errors
    /// `Refused` unless it is this principal's own, `NotFound` if it is over.
    pub async fn extend_reservation(
        &self,
        id: impl IntoReservationId,
        lease: Duration,
    ) -> Result<ReservationView> {
        let reservation = id.into_reservation_id()?;
        self.execute(Command::ExtendReservation { reservation, lease }).await?;
        self.reservation(reservation).await
    }

    /// Ends a reservation.
    ///
    /// # Errors
    /// `Refused` unless it is this principal's own, or this is the user, or the foreman; `NotFound` if it
    /// is over already.
    pub async fn release(&self, id: impl IntoReservationId, reason: impl Into<String>) -> Result<Executed> {
        let reservation = id.into_reservation_id()?;
        self.execute(Command::ReleaseReservation { reservation, reason: reason.into() }).await
    }

    /// The reservations that hold, oldest first.
    pub async fn reservations(&self) -> Result<Vec<ReservationView>> {
        let now = self.shared.engine.clock().now();
        self.shared.engine.query(|state| reservation::list(state, false, now)).await
    }

    /// Who has reserved a path: what to ask before writing to it.
    pub async fn reservations_of(&self, path: impl AsRef<str>) -> Result<Vec<ReservationView>> {
        let now = self.shared.engine.clock().now();
        self.shared.engine.query(|state| reservation::holder_of(state, path.as_ref(), now)).await
    }

    async fn reservation(&self, id: ReservationId) -> Result<ReservationView> {
        let now = self.shared.engine.clock().now();
        let found = self.shared.engine.query(|state| reservation::find(state, id, now)).await?;
        found.ok_or_else(|| Error::conflict(format!("{id} was released again meanwhile")))
    }
}

/// Paths about to be reserved; awaiting it reserves them. Made by [`Group::reserve`].
#[derive(Debug)]
#[must_use = "nothing is reserved until this is awaited"]
pub struct ReserveRequest<'a> {
    group: &'a Group,
    globs: Vec<String>,
    purpose: String,
    lease: Duration,
}

impl ReserveRequest<'_> {
    /// What for; shown to whoever comes in its way.
    pub fn purpose(self, text: impl Into<String>) -> Self {
        Self { purpose: text.into(), ..self }
    }

    /// For how long from now, at most seven days. Default: 30 minutes.
    pub fn lasting(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    async fn run(self) -> Result<ReservationView> {
        let Self { group, globs, purpose, lease } = self;
        let done = group.execute(Command::Reserve { globs, purpose, lease }).await?;
        let event = super::appended(&done)?;
        let id = match &event.body {
            Body::ReservationTake(take) => take.reservation_id,
            Body::ReservationExtend(extend) => extend.reservation_id,
            _ => ReservationId(event.seq),
        };
        group.reservation(id).await
    }
}

awaited_by_run! {
    ReserveRequest => ReservationView;
}

/// Anything that names a reservation: its id, a view of it, `"r57"`, `"57"`.
pub trait IntoReservationId {
    /// The reservation that is meant.
    fn into_reservation_id(self) -> Result<ReservationId>;
}

impl IntoReservationId for ReservationId {
    fn into_reservation_id(self) -> Result<ReservationId> {
        Ok(self)
    }
}

impl IntoReservationId for &ReservationView {
    fn into_reservation_id(self) -> Result<ReservationId> {
        Ok(self.reservation_id)
    }
}

impl IntoReservationId for &str {
    fn into_reservation_id(self) -> Result<ReservationId> {
        self.parse()
    }
}
