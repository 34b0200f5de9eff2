//! Schedules: who may make them, when their times come, and what happens then.
//!
//! A time that has passed by more than [`GRACE`] while nobody looked, or while the group was paused or
//! stopped, is not made up for: the next one counts, and what was to happen once is marked as missed.
//! Schedules run in active and idle groups.
//!
//! Cron expressions are read on the clocks of a zone. One with fixed hours happens once a day however
//! the clocks are turned: a time that they skip happens as much later, one that they show twice at its
//! first. One whose hours begin with `*` follows real time, through both.
//!
//! Anybody may have itself, and a peer up to four by name, told something; more, and everything else, is
//! for the user and the foreman. States are set and actors controlled once, not again and again.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command::{AddSchedule, When};
use crate::error::{Error, Result};
use crate::event::{
    ActorRestart, ActorStart, ActorStop, FiredResult, GroupMode, GroupSetState, ScheduleAction,
    ScheduleFired, ScheduleRemove, ScheduleSet, SystemNotify, Trigger, Wish,
};
use crate::id::{Principal, ScheduleId};
use crate::ledger::Draft;
use crate::rule::actor::MAX_ACTORS;
use crate::rule::address;
use crate::rule::message::MAX_OBLIGED_BY_PEER;
use crate::rule::permission::{self, Rank, lead, owner};
use crate::rule::person::MAX_PEOPLE;
use crate::rule::policy::host;
use crate::rule::{Call, Decision, bounded, few};
use crate::state::{GroupState, Schedule};
use crate::time::Timestamp;

mod cron;

/// Most schedules of a group.
pub const MAX_SCHEDULES: usize = 256;
/// Shortest interval.
pub const MIN_EVERY: Duration = Duration::from_secs(60);
/// Longest interval, and how far ahead something may be scheduled.
pub const MAX_AHEAD: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// By how much a time may have passed and still happen.
pub const GRACE: Duration = Duration::from_secs(60);
/// Longest text, in bytes.
pub const MAX_TEXT_BYTES: usize = 4 << 10;

/// A schedule whose time has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Firing {
    /// Which.
    pub schedule_id: ScheduleId,
    /// The time that has come.
    pub scheduled_at: Timestamp,
    /// Whether it is too late: then it is only marked as missed.
    pub missed: bool,
}

impl Schedule {
    /// The first time after `after`, whether or not the schedule runs; `None` where there is none.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.trigger {
            Trigger::Interval { every_ms, from } => {
                let every = i64::try_from(*every_ms).ok().filter(|every| *every > 0)?;
                let passed = after.as_millis().saturating_sub(from.as_millis());
                let count = passed.div_euclid(every).max(0).saturating_add(1);
                Some(Timestamp::from_millis(from.as_millis().saturating_add(count.saturating_mul(every))))
            }
            Trigger::Cron { expr, tz } => cron::Cron::new(expr, tz).ok()?.next_after(after),
            Trigger::Once { at } => Some(*at).filter(|at| *at > after),
        }
    }

    /// The time that comes next or has just come, as things are at `now`.
    fn upcoming(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.enabled || self.completed {
            return None;
        }
        if let Trigger::Once { at } = self.trigger {
            return Some(at);
        }
        let grace = i64::try_from(GRACE.as_millis()).unwrap_or(i64::MAX);
        let floor = Timestamp::from_millis(now.as_millis().saturating_sub(grace).saturating_sub(1));
        let last = self.fired_at.map_or(self.since, |fired| fired.max(self.since));
        let mut next = self.next_after(last.max(floor))?;
        // Of several times within the grace the last is meant.
        while let Some(later) = self.next_after(next).filter(|later| *later <= now) {
            next = later;
        }
        Some(next)
    }

    /// When it will run next, if it does; `now` or before if its time has come.
    #[must_use]
    pub fn next_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.upcoming(now)
    }
}

fn runs(state: &GroupState) -> bool {
    matches!(state.mode(), GroupMode::Active | GroupMode::Idle)
}

/// The schedules whose time has come, by name.
#[must_use]
pub fn due(state: &GroupState, now: Timestamp) -> Vec<Firing> {
    if !runs(state) {
        return Vec::new();
    }
    let firing = |(id, schedule): (&ScheduleId, &Schedule)| {
        let scheduled_at = schedule.upcoming(now).filter(|at| *at <= now)?;
        Some(Firing { schedule_id: id.clone(), scheduled_at, missed: now.since(scheduled_at) > GRACE })
    };
    state.schedules().iter().filter_map(firing).collect()
}

/// When the next time of any schedule comes.
#[must_use]
pub fn next_deadline(state: &GroupState, now: Timestamp) -> Option<Timestamp> {
    let schedules = state.schedules().values().filter(|_| runs(state));
    schedules.filter_map(|schedule| schedule.upcoming(now)).min()
}

pub(super) fn add(state: &GroupState, call: &Call, add: &AddSchedule) -> Result<Decision> {
    let schedule_id = match &add.schedule_id {
        Some(id) => id.clone(),
        None => ScheduleId::new(format!("s{}", state.position().seq.next()))?,
    };
    if state.schedules().contains_key(&schedule_id) {
        return Err(Error::conflict(format!("there is a schedule {schedule_id} already")).hint(format!(
            "remove it first with `cccc schedule remove {schedule_id}`, or take another name"
        )));
    }
    if state.schedules().len() >= MAX_SCHEDULES {
        return Err(Error::refused(format!("the group has {MAX_SCHEDULES} schedules, which is the most"))
            .hint("`cccc schedule clear` removes those that are completed"));
    }
    let trigger = trigger(call, &add.when)?;
    check_action(state, call, &add.action, &trigger)?;
    Ok(Decision::write([Draft::from(ScheduleSet {
        schedule_id,
        trigger,
        action: add.action.clone(),
        enabled: true,
    })]))
}

fn trigger(call: &Call, when: &When) -> Result<Trigger> {
    let once = |at: Timestamp| {
        if at <= call.now {
            return Err(Error::invalid(format!("{at} is over")).hint("give a time that is still to come"));
        }
        if at > call.now.after(MAX_AHEAD) {
            return Err(Error::invalid("a schedule looks at most a year ahead"));
        }
        Ok(Trigger::Once { at })
    };
    match when {
        When::Every(every) if *every < MIN_EVERY || *every > MAX_AHEAD => {
            Err(Error::invalid("an interval is a minute at least, and a year at most"))
        }
        When::Every(every) => {
            let every_ms = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
            Ok(Trigger::Interval { every_ms, from: call.now })
        }
        When::Cron { expr, tz } => {
            let tz = tz.clone().unwrap_or_else(|| "UTC".into());
            if cron::Cron::new(expr, &tz)?.next_after(call.now).is_none() {
                return Err(Error::invalid(format!("{expr:?} never happens"))
                    .hint("days that no month has? see `cccc schedule add --help`"));
            }
            Ok(Trigger::Cron { expr: expr.clone(), tz })
        }
        When::At(at) => once(*at),
        When::AtTime { time, tz } => {
            once(cron::next_time_of_day(time, tz.as_deref().unwrap_or("UTC"), call.now)?)
        }
    }
}

fn check_action(state: &GroupState, call: &Call, action: &ScheduleAction, trigger: &Trigger) -> Result<()> {
    if !matches!(action, ScheduleAction::Notify { .. }) && !matches!(trigger, Trigger::Once { .. }) {
        return Err(Error::refused("only notices are sent again and again; anything else is scheduled once")
            .hint("give one time with `--at`"));
    }
    match action {
        ScheduleAction::Notify { to, text } => {
            bounded("the text", text, MAX_TEXT_BYTES)?;
            if text.trim().is_empty() {
                return Err(Error::invalid("the text is empty").hint("say what is to be said"));
            }
            if to.is_empty() {
                return Err(Error::invalid("a notice is for somebody").hint("name them with `--to`"));
            }
            // The system speaks, so everybody can be meant, also who makes the schedule.
            let audience = address::resolve(state, &Principal::System, &address::parse_all(to)?, &[])?;
            let leads =
                matches!(permission::rank(state, &call.by), Rank::Owner | Rank::Person | Rank::Foreman);
            if !leads && (audience.selected || audience.recipients.len() > MAX_OBLIGED_BY_PEER) {
                return Err(Error::refused(format!(
                    "{} may have {MAX_OBLIGED_BY_PEER} told something, each by name",
                    call.by
                ))
                .hint("people and the foreman may have anybody told"));
            }
            Ok(())
        }
        ScheduleAction::SetState { state: GroupMode::Archived } => owner(state, call, "archive a group"),
        ScheduleAction::SetState { .. } => lead(state, call, "change the state of the group"),
        ScheduleAction::Control { actor_id, .. } => {
            lead(state, call, "start, stop or restart an actor at a time")?;
            permission::member(state, actor_id)
        }
    }
}

/// The schedule of that name, if it is the caller's to change.
fn own<'a>(state: &'a GroupState, call: &Call, id: &ScheduleId) -> Result<&'a Schedule> {
    let schedule = state.schedules().get(id).ok_or_else(|| {
        Error::not_found(format!("there is no schedule {id}")).hint("`cccc schedule list` shows them")
    })?;
    if schedule.author != call.by {
        lead(state, call, &format!("change a schedule of {}", schedule.author))?;
    }
    Ok(schedule)
}

pub(super) fn enable(state: &GroupState, call: &Call, id: &ScheduleId, enabled: bool) -> Result<Decision> {
    let schedule = own(state, call, id)?;
    if schedule.enabled == enabled {
        return Ok(Decision::nothing());
    }
    if schedule.completed {
        return Err(Error::refused(format!("schedule {id} was to happen once, and that is over"))
            .hint("make a new one with `cccc schedule add`"));
    }
    if enabled {
        // Whoever lets it run answers for it, as if making it.
        check_action(state, call, &schedule.action, &schedule.trigger)?;
    }
    Ok(Decision::write([Draft::from(ScheduleSet {
        schedule_id: id.clone(),
        trigger: schedule.trigger.clone(),
        action: schedule.action.clone(),
        enabled,
    })]))
}

pub(super) fn remove(state: &GroupState, call: &Call, id: &ScheduleId) -> Result<Decision> {
    own(state, call, id)?;
    Ok(Decision::write([Draft::from(ScheduleRemove { schedule_id: id.clone() })]))
}

/// Removes what is completed, as far as it is the caller's.
pub(super) fn clear(state: &GroupState, call: &Call) -> Result<Decision> {
    let leads = matches!(permission::rank(state, &call.by), Rank::Owner | Rank::Foreman);
    let over = state.schedules().iter().filter(|(_, schedule)| schedule.completed);
    let mine = over.filter(|(_, schedule)| leads || schedule.author == call.by);
    Ok(Decision::write(mine.map(|(id, _)| Draft::from(ScheduleRemove { schedule_id: id.clone() }))))
}

/// Carries out a time that has come, with what it brings about, in one append. If it has not come, or
/// was carried out before, nothing is written.
pub(super) fn fire(state: &GroupState, call: &Call, id: &ScheduleId, at: Timestamp) -> Result<Decision> {
    host(state, call, "carry out schedules")?;
    let firing =
        due(state, call.now).into_iter().find(|one| one.schedule_id == *id && one.scheduled_at == at);
    let Some((firing, schedule)) = firing.zip(state.schedules().get(id)) else {
        return Ok(Decision::nothing());
    };
    let (result, drafts) = if firing.missed {
        (FiredResult::Missed, Vec::new())
    } else {
        match effects(state, id, at, &schedule.action) {
            Ok(drafts) => (FiredResult::Done, drafts),
            Err(error) => (FiredResult::Failed { reason: error.to_string() }, Vec::new()),
        }
    };
    let fired = ScheduleFired { schedule_id: id.clone(), scheduled_at: at, result };
    Ok(Decision::write(std::iter::once(Draft::from(fired)).chain(drafts)))
}

fn effects(
    state: &GroupState,
    id: &ScheduleId,
    at: Timestamp,
    action: &ScheduleAction,
) -> Result<Vec<Draft>> {
    let reason = format!("schedule {id}");
    Ok(match action {
        ScheduleAction::Notify { to, text } => {
            let audience = address::resolve(state, &Principal::System, &address::parse_all(to)?, &[])?;
            few("recipients", audience.recipients.len(), MAX_ACTORS + MAX_PEOPLE + 1)?;
            let notice = |target: Principal| {
                let notice = SystemNotify::new("schedule", target, &format!("{id},{}", at.as_millis()), 1);
                Draft::from(SystemNotify { text: Some(text.clone()), ..notice })
            };
            audience.recipients.into_iter().map(notice).collect()
        }
        ScheduleAction::SetState { state: mode } if *mode == state.mode() => Vec::new(),
        ScheduleAction::SetState { state: mode } => vec![Draft::from(GroupSetState { state: *mode, reason })],
        ScheduleAction::Control { actor_id, wish } => {
            permission::member(state, actor_id)?;
            let actor_id = actor_id.clone();
            vec![match wish {
                Wish::Start => Draft::from(ActorStart { actor_id, reason }),
                Wish::Stop => Draft::from(ActorStop { actor_id, reason }),
                Wish::Restart => Draft::from(ActorRestart { actor_id, reason }),
            }]
        }
    })
}

#[cfg(test)]
mod tests;
