//! What is due: for hosts, and for people who want to see why somebody was told something.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Group;
use crate::command::Command;
use crate::engine::Executed;
use crate::error::{Error, Result};
use crate::event::GroupUpdate;
use crate::id::Principal;
use crate::rule::policy::{self, Around, Effect, PolicyView};
use crate::rule::presence::Upkeep;
use crate::rule::task::{self, Check};
use crate::time::Timestamp;

/// How often what is due is looked for again after it was carried out, in one call.
const MAX_ROUNDS: usize = 16;

impl Group {
    /// What policies and schedules want done now, and what has to be put in order, the longest due first; at
    /// most 256 effects.
    ///
    /// Looking changes nothing. [`carry_out`](Self::carry_out) does what is due.
    pub async fn due(&self) -> Result<Vec<Effect>> {
        let around = Around { facts: self.presence_facts().await?, ..Around::default() };
        let now = self.shared.engine.clock().now();
        self.shared.engine.query(|state| policy::due_around(state, &around, now)).await
    }

    /// When to ask [`due`](Self::due) again if no event comes and no process ends before; `None` if only that
    /// can bring something about. Not after now if something is due.
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
            Effect::Keep(keeping) => {
                if let Principal::Actor(id) = &self.by {
                    return Err(Error::refused(format!(
                        "{id} may not put that in order: the host does that by itself"
                    )));
                }
                return self.keep(&keeping.upkeep).await;
            }
        };
        self.execute(command).await
    }

    /// Puts something in order, in the name of the system.
    pub(super) async fn keep(&self, upkeep: &Upkeep) -> Result<Executed> {
        let system = Self { by: Principal::System, ..self.clone() };
        let done = system.execute(upkeep.command()).await;
        if let Upkeep::CloseSession { session } = upkeep
            && done.as_ref().map_or_else(Error::is_done_by_another, |_| true)
        {
            // It may have claimed something that was not durable yet when this was found due.
            self.bury(vec![session.clone()]).await?;
        }
        done
    }

    /// Carries out everything that is due, and what becomes due by that; answers what was done. A second time
    /// at the same moment does nothing.
    ///
    /// # Errors
    /// `Refused` for actors. What another did at the same moment is no error.
    pub async fn carry_out_due(&self) -> Result<Vec<Effect>> {
        let mut done = Vec::new();
        for _ in 0..MAX_ROUNDS {
            let before = done.len();
            for effect in self.due().await? {
                match self.carry_out(&effect).await {
                    Ok(executed) if executed.events.is_empty() => {}
                    Ok(_) => done.push(effect),
                    Err(error) if error.is_done_by_another() => {}
                    Err(error) => return Err(error),
                }
            }
            if done.len() == before {
                break;
            }
        }
        Ok(done)
    }

    /// Evidence for tasks that somebody outside may look at; [`checked`](crate::UpdateTaskRequest::checked)
    /// records what was found. Nothing waits for it.
    pub async fn checks(&self) -> Result<Vec<Check>> {
        self.shared.engine.query(task::checks).await
    }

    /// The policies and their times.
    pub async fn policies(&self) -> Result<Vec<PolicyView>> {
        self.shared.engine.query(policy::settings).await
    }

    /// Sets the time of a policy, at most a day; zero turns it off, `None` gives it its default again.
    ///
    /// # Errors
    /// `Invalid` for a policy that there is not and for a longer time; `Refused` for peers.
    pub async fn set_policy(&self, name: impl AsRef<str>, after: Option<Duration>) -> Result<Executed> {
        let value = after.map_or(serde_json::Value::Null, |after| {
            u64::try_from(after.as_millis()).unwrap_or(u64::MAX).into()
        });
        let settings = BTreeMap::from([(format!("policy.{}_ms", name.as_ref()), value)]);
        self.update(GroupUpdate { settings, ..GroupUpdate::default() }).await
    }
}
