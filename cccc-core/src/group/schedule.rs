//! Schedules: making, listing, resting, removing.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Group, appended};
use crate::command::{AddSchedule, Command, When};
use crate::engine::Executed;
use crate::error::{Error, Result};
use crate::event::{Body, FiredResult, GroupMode, ScheduleAction, Trigger, Wish};
use crate::id::{ActorId, Principal, ScheduleId};
use crate::state::{GroupState, Schedule};
use crate::time::Timestamp;

/// A schedule, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ScheduleView {
    /// Its name.
    pub schedule_id: ScheduleId,
    /// Who made it.
    pub author: Principal,
    /// When.
    pub trigger: Trigger,
    /// What.
    pub action: ScheduleAction,
    /// Whether it runs.
    pub enabled: bool,
    /// Whether it was to happen once, and that is over.
    pub completed: bool,
    /// Its next time; absent if it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// The last of its times that has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fired_at: Option<Timestamp>,
    /// What became of that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<FiredResult>,
}

impl ScheduleView {
    fn of(schedule_id: &ScheduleId, schedule: &Schedule, now: Timestamp) -> Self {
        Self {
            schedule_id: schedule_id.clone(),
            author: schedule.author.clone(),
            trigger: schedule.trigger.clone(),
            action: schedule.action.clone(),
            enabled: schedule.enabled,
            completed: schedule.completed,
            next_at: schedule.next_at(now),
            fired_at: schedule.fired_at,
            result: schedule.result.clone(),
        }
    }
}

impl Group {
    /// Has somebody told something at times that are still to be named:
    /// `group.schedule_notice("stand up").to("@peers").cron("0 9 * * 1-5", "Europe/Paris").await?`.
    ///
    /// # Errors
    /// `Invalid` for a text or times that cannot be; `Refused` for a peer that wants more than four told, or
    /// whoever a selector means; `NotFound` for addresses that match nobody; `Conflict` for a name in use.
    pub fn schedule_notice(&self, text: impl Into<String>) -> ScheduleRequest<'_> {
        ScheduleRequest::new(self, Ok(ScheduleAction::Notify { to: Vec::new(), text: text.into() }))
    }

    /// Has the group's state changed, once.
    ///
    /// # Errors
    /// `Refused` for peers, and for times that come again.
    pub fn schedule_state(&self, state: GroupMode) -> ScheduleRequest<'_> {
        ScheduleRequest::new(self, Ok(ScheduleAction::SetState { state }))
    }

    /// Has it wished, once, that an actor's process start, stop or restart; whoever hosts it sees to that.
    ///
    /// # Errors
    /// `Refused` for peers, and for times that come again; `NotFound` for an unknown actor.
    pub fn schedule_control(&self, actor: impl AsRef<str>, wish: Wish) -> ScheduleRequest<'_> {
        let action = ActorId::new(actor).map(|actor_id| ScheduleAction::Control { actor_id, wish });
        ScheduleRequest::new(self, action)
    }

    /// The schedules, by name.
    pub async fn schedules(&self) -> Result<Vec<ScheduleView>> {
        let now = self.shared.engine.clock().now();
        let all = |state: &GroupState| {
            state.schedules().iter().map(|(id, schedule)| ScheduleView::of(id, schedule, now)).collect()
        };
        self.shared.engine.query(all).await
    }

    /// Lets a schedule run again. What passed while it rested is not made up for.
    ///
    /// # Errors
    /// `NotFound`; `Refused` for who has not made it and does not lead, and for what is completed.
    pub async fn enable_schedule(&self, id: impl AsRef<str>) -> Result<Executed> {
        let schedule_id = ScheduleId::new(id)?;
        self.execute(Command::EnableSchedule { schedule_id, enabled: true }).await
    }

    /// Lets a schedule rest.
    ///
    /// # Errors
    /// As [`enable_schedule`](Self::enable_schedule).
    pub async fn disable_schedule(&self, id: impl AsRef<str>) -> Result<Executed> {
        let schedule_id = ScheduleId::new(id)?;
        self.execute(Command::EnableSchedule { schedule_id, enabled: false }).await
    }

    /// Removes a schedule.
    ///
    /// # Errors
    /// `NotFound`; `Refused` for who has not made it and does not lead.
    pub async fn remove_schedule(&self, id: impl AsRef<str>) -> Result<Executed> {
        self.execute(Command::RemoveSchedule { schedule_id: ScheduleId::new(id)? }).await
    }

    /// Removes what is completed: everybody's for the user and the foreman, one's own for a peer.
    pub async fn clear_schedules(&self) -> Result<Executed> {
        self.execute(Command::ClearSchedules).await
    }
}

/// A schedule about to be made; awaiting it makes it. Made by [`Group::schedule_notice`] and its like.
#[derive(Debug)]
#[must_use = "nothing is scheduled until this is awaited"]
pub struct ScheduleRequest<'a> {
    group: &'a Group,
    schedule_id: Option<ScheduleId>,
    when: Option<When>,
    action: Result<ScheduleAction>,
}

impl<'a> ScheduleRequest<'a> {
    fn new(group: &'a Group, action: Result<ScheduleAction>) -> Self {
        Self { group, schedule_id: None, when: None, action }
    }

    /// Adds somebody who is told: any address. Means something for notices only.
    pub fn to(mut self, address: impl Into<String>) -> Self {
        if let Ok(ScheduleAction::Notify { to, .. }) = &mut self.action {
            to.push(address.into());
        }
        self
    }

    /// Its name. Default: `s` and the number of the event that makes it.
    pub fn named(mut self, id: impl AsRef<str>) -> Self {
        match ScheduleId::new(id) {
            Ok(id) => self.schedule_id = Some(id),
            Err(error) => self.action = self.action.and(Err(error)),
        }
        self
    }

    /// When, in whatever way. The last one named counts.
    pub fn when(self, when: When) -> Self {
        Self { when: Some(when), ..self }
    }

    /// Again and again, first after this time; a minute to a year.
    pub fn every(self, every: Duration) -> Self {
        self.when(When::Every(every))
    }

    /// Whenever the clocks of a zone (`Europe/Paris`) match five fields: minute, hour, day of the month,
    /// month, day of the week.
    pub fn cron(self, expr: impl Into<String>, tz: impl Into<String>) -> Self {
        self.when(When::Cron { expr: expr.into(), tz: Some(tz.into()) })
    }

    /// Once, then; at most a year ahead.
    pub fn at(self, at: Timestamp) -> Self {
        self.when(When::At(at))
    }

    /// Once, when the clocks of a zone next show this time (`17:00`).
    pub fn at_time(self, time: impl Into<String>, tz: impl Into<String>) -> Self {
        self.when(When::AtTime { time: time.into(), tz: Some(tz.into()) })
    }

    async fn run(self) -> Result<ScheduleView> {
        let action = self.action?;
        let when = self.when.ok_or_else(|| {
            Error::invalid("a schedule needs a time").hint("say every, cron, at or at_time")
        })?;
        let add = AddSchedule { schedule_id: self.schedule_id, when, action };
        let done = self.group.execute(Command::AddSchedule(add)).await?;
        let id = match &appended(&done)?.body {
            Body::ScheduleSet(set) => set.schedule_id.clone(),
            _ => return Err(Error::conflict("the command changed nothing")),
        };
        let schedules = self.group.schedules().await?;
        let made = schedules.into_iter().find(|schedule| schedule.schedule_id == id);
        made.ok_or_else(|| Error::conflict(format!("{id} was removed again meanwhile")))
    }
}

impl<'a> IntoFuture for ScheduleRequest<'a> {
    type Output = Result<ScheduleView>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
