//! Schedules: what is to happen when, and that it happened.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::GroupMode;
use crate::id::{ActorId, ScheduleId};
use crate::time::Timestamp;

/// When something is to happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trigger {
    /// Again and again, at `from` and every so many milliseconds after it.
    Interval {
        /// Milliseconds between two times.
        every_ms: u64,
        /// Where counting begins; the first time is one interval later.
        from: Timestamp,
    },
    /// Whenever the clocks of a time zone match.
    Cron {
        /// Five fields: minute, hour, day of the month, month, day of the week.
        expr: String,
        /// The zone, by its IANA name.
        tz: String,
    },
    /// Once.
    Once {
        /// When.
        at: Timestamp,
    },
}

/// What is to happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ScheduleAction {
    /// Somebody is told something.
    Notify {
        /// Addresses; whom they mean is decided each time.
        to: Vec<String>,
        /// What is said; 1 byte to 4 KiB.
        text: String,
    },
    /// The group's state is changed.
    SetState {
        /// To this.
        state: GroupMode,
    },
    /// It is wished that an actor be started, stopped or restarted.
    Control {
        /// Which.
        actor_id: ActorId,
        /// What.
        wish: Wish,
    },
}

/// What is wished of the process behind an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// That it run.
    Start,
    /// That it end.
    Stop,
    /// That it end and begin anew.
    Restart,
}

/// `schedule.set`: a schedule is made, or changed as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleSet {
    /// Its name in the group.
    pub schedule_id: ScheduleId,
    /// When.
    pub trigger: Trigger,
    /// What.
    pub action: ScheduleAction,
    /// Whether it runs.
    pub enabled: bool,
}

/// `schedule.remove`: a schedule is no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleRemove {
    /// Which.
    pub schedule_id: ScheduleId,
}

/// What became of a scheduled time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FiredResult {
    /// What was to happen was done by the events that follow, as far as there was anything to do.
    Done,
    /// It could not be done.
    Failed {
        /// Why.
        reason: String,
    },
    /// Nobody was there at that time, and it is not made up for.
    Missed,
}

/// `schedule.fired`: a time of a schedule has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleFired {
    /// Which.
    pub schedule_id: ScheduleId,
    /// The time that was scheduled; the event's own is when somebody looked.
    pub scheduled_at: Timestamp,
    /// What became of it.
    pub result: FiredResult,
}

macro_rules! wishes {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub struct $name {
            /// Whose process is meant.
            pub actor_id: ActorId,
            /// Why, for people.
            #[serde(default, skip_serializing_if = "String::is_empty")]
            pub reason: String,
        })*
    };
}

wishes! {
    /// `actor.start`: it is wished that the actor's process run; whoever hosts it carries that out.
    ActorStart;
    /// `actor.stop`: it is wished that the actor's process end.
    ActorStop;
    /// `actor.restart`: it is wished that the actor's process end and begin anew.
    ActorRestart;
}
