//! What is due: for hosts, and for people who want to see why somebody was told something.

use super::Group;
use crate::command::Command;
use crate::engine::Executed;
use crate::error::Result;
use crate::rule::policy::{self, Effect};
use crate::time::Timestamp;

impl Group {
    /// What policies and schedules want done now, the longest due first; at most 256 effects.
    ///
    /// Looking changes nothing. [`carry_out`](Self::carry_out) does what is due.
    pub async fn due(&self) -> Result<Vec<Effect>> {
        let now = self.shared.engine.clock().now();
        self.shared.engine.query(|state| policy::due(state, now)).await
    }

    /// When to ask [`due`](Self::due) again if no event comes before; `None` if only an event can bring
    /// something about. Not after now if something is due.
    pub async fn next_deadline(&self) -> Result<Option<Timestamp>> {
        let now = self.shared.engine.clock().now();
        self.shared.engine.query(|state| policy::next_deadline(state, now)).await
    }

    /// Carries out what is due. What was carried out meanwhile, or is no longer due, writes nothing, so any
    /// number of hosts may do this.
    ///
    /// # Errors
    /// `Refused` for actors: that is for the system, services and the user; but anybody may have a message
    /// relayed that is due.
    pub async fn carry_out(&self, effect: &Effect) -> Result<Executed> {
        let command = match effect {
            Effect::Relay(due) => return self.pass_on(due.event_id, &due.group_id).await,
            Effect::Notify(reminder) => Command::Notify { key: reminder.key.clone() },
            Effect::Fire(firing) => Command::FireSchedule {
                schedule_id: firing.schedule_id.clone(),
                scheduled_at: firing.scheduled_at,
            },
        };
        self.execute(command).await
    }
}
