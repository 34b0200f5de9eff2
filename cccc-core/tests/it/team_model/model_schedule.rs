//! Schedules, their times found by trying one minute after the other.

use cccc_core::event::{Event, FiredResult, ScheduleFired, ScheduleSet, Trigger};
use cccc_core::{ScheduleId, Timestamp};

use super::model::Model;

/// Expressions of the histories, with what they mean: minutes, hours, and weekdays from Sunday.
pub(super) const CRONS: [(&str, &str, i64); 4] = [
    ("*/5 * * * *", "UTC", 0),
    ("30 9 * * 1-5", "UTC", 0),
    ("0 12 * * *", "Asia/Kolkata", 330),
    ("15 */6 * * 0", "UTC", 0),
];

const GRACE_MS: i64 = 60_000;
const MINUTE_MS: i64 = 60_000;

/// A schedule.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) id: ScheduleId,
    pub(super) trigger: Trigger,
    pub(super) enabled: bool,
    pub(super) since: Timestamp,
    pub(super) fired: Option<Timestamp>,
    pub(super) completed: bool,
}

/// Whether the clocks show what an expression of [`CRONS`] says.
fn shows(expr: &str, at_ms: i64) -> bool {
    let (_, _, offset) = CRONS.iter().find(|(known, _, _)| *known == expr).expect("a known expression");
    let minutes = at_ms / MINUTE_MS + offset;
    let (minute, hour, weekday) = (minutes % 60, minutes / 60 % 24, (minutes / 1440 + 4) % 7);
    match expr {
        "*/5 * * * *" => minute % 5 == 0,
        "30 9 * * 1-5" => minute == 30 && hour == 9 && (1..=5).contains(&weekday),
        "0 12 * * *" => minute == 0 && hour == 12,
        "15 */6 * * 0" => minute == 15 && hour % 6 == 0 && weekday == 0,
        _ => panic!("{expr}"),
    }
}

impl Plan {
    /// The times from `from` on, both ends included, for more than a week.
    fn times(&self, from: Timestamp) -> impl Iterator<Item = Timestamp> {
        let from_ms = from.as_millis();
        let all: Vec<i64> = match &self.trigger {
            Trigger::Once { at } => vec![at.as_millis()],
            Trigger::Interval { every_ms, from: start } => {
                let every = i64::try_from(*every_ms).unwrap();
                let mut at = start.as_millis() + every;
                while at < from_ms {
                    at += every;
                }
                vec![at, at + every, at + 2 * every]
            }
            Trigger::Cron { expr, .. } => {
                let first = from_ms.div_euclid(MINUTE_MS) * MINUTE_MS;
                let minutes = (0..8 * 1440).map(|n| first + n * MINUTE_MS);
                minutes.filter(|at| *at >= from_ms && shows(expr, *at)).take(3).collect()
            }
            other => panic!("{other:?}"),
        };
        all.into_iter().filter(move |at| *at >= from_ms).map(Timestamp::from_millis)
    }

    /// The time that has come or comes next.
    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.enabled || self.completed {
            return None;
        }
        if let Trigger::Once { at } = self.trigger {
            return Some(at);
        }
        // What is too long ago is not made up for, and what has happened does not happen again.
        let done = self.fired.map_or(self.since, |fired| fired.max(self.since)).as_millis() + 1;
        let from = Timestamp::from_millis(done.max(now.as_millis() - GRACE_MS));
        let times: Vec<Timestamp> = self.times(from).collect();
        times.iter().rev().find(|at| **at <= now).or(times.first()).copied()
    }
}

impl Model {
    pub(super) fn set_plan(&mut self, event: &Event, set: &ScheduleSet) {
        let before = self.plans.iter().position(|plan| plan.id == set.schedule_id);
        let before = before.map(|at| self.plans.remove(at));
        self.plans.push(Plan {
            id: set.schedule_id.clone(),
            trigger: set.trigger.clone(),
            enabled: set.enabled,
            since: event.ts,
            fired: before.as_ref().and_then(|plan| plan.fired),
            completed: before.is_some_and(|plan| plan.completed),
        });
        self.plans.sort_by(|a, b| a.id.cmp(&b.id));
    }

    pub(super) fn plan_fired(&mut self, fired: &ScheduleFired) {
        for plan in self.plans.iter_mut().filter(|plan| plan.id == fired.schedule_id) {
            plan.fired = Some(fired.scheduled_at);
            plan.completed = matches!(plan.trigger, Trigger::Once { .. });
        }
    }

    /// A time comes once, when it has come, and is missed when it is over.
    pub(super) fn expect_firing(&self, now: Timestamp, fired: &ScheduleFired) {
        let plan = self.plans.iter().find(|plan| plan.id == fired.schedule_id).expect("a schedule");
        assert_eq!(plan.next(now), Some(fired.scheduled_at), "{plan:?}");
        assert!(
            fired.scheduled_at <= now && plan.fired.is_none_or(|last| last < fired.scheduled_at),
            "{plan:?}"
        );
        let late = now.as_millis() - fired.scheduled_at.as_millis() > GRACE_MS;
        assert_eq!(fired.result == FiredResult::Missed, late, "{fired:?} at {now}");
    }
}
