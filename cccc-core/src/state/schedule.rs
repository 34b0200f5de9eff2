//! The schedules of a group.

use serde::{Deserialize, Serialize};

use super::GroupState;
use crate::event::{Event, FiredResult, ScheduleAction, ScheduleFired, ScheduleSet, Trigger};
use crate::id::Principal;
use crate::time::Timestamp;

/// A schedule, running or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Schedule {
    /// Who made it.
    pub author: Principal,
    /// When.
    pub trigger: Trigger,
    /// What.
    pub action: ScheduleAction,
    /// Whether it runs.
    pub enabled: bool,
    /// When it was made or last changed; earlier times do not count.
    pub since: Timestamp,
    /// The last of its times that has come.
    pub fired_at: Option<Timestamp>,
    /// What became of that one.
    pub result: Option<FiredResult>,
    /// Whether it was to happen once, and that is over.
    pub completed: bool,
}

impl GroupState {
    pub(super) fn set_schedule(&mut self, event: &Event, set: &ScheduleSet) {
        let present = self.schedules.get(&set.schedule_id);
        let same = present.is_some_and(|present| present.trigger == set.trigger);
        let schedule = Schedule {
            author: present.map_or_else(|| event.by.clone(), |present| present.author.clone()),
            trigger: set.trigger.clone(),
            action: set.action.clone(),
            enabled: set.enabled,
            since: event.ts,
            fired_at: present.and_then(|present| present.fired_at),
            result: present.and_then(|present| present.result.clone()),
            completed: same && present.is_some_and(|present| present.completed),
        };
        self.schedules.insert(set.schedule_id.clone(), schedule);
    }

    pub(super) fn schedule_fired(&mut self, fired: &ScheduleFired) {
        let Some(schedule) = self.schedules.get_mut(&fired.schedule_id) else { return };
        schedule.fired_at = Some(fired.scheduled_at);
        schedule.result = Some(fired.result.clone());
        schedule.completed = matches!(schedule.trigger, Trigger::Once { .. });
    }
}
