//! Policies: what should be said to whom when nobody says it.
//!
//! | policy | when | to whom | setting |
//! |---|---|---|---|
//! | `unread` | a message is unread, and was not handed over in this session, for 15 min | its recipient, once | `policy.unread_ms` |
//! | `attention` | an acknowledgement is owed for 5 min; 5 min later | its debtor, once; then the foreman, once | `policy.attention_ms` |
//! | `reply` | what has a deadline is overdue; 15 min later | its debtor, once; then asker and foreman, once | `policy.reply_ms` |
//! | `cycle` | actors wait for each other in a circle | the foreman, else the user, once | `policy.cycle_ms` |
//! | `idle` | an actor with a session has done nothing for that long; off | the foreman, once | `policy.idle_ms` |
//! | `keepalive` | the same, and it owes something; off | itself, once | `policy.keepalive_ms` |
//! | `silence` | nobody in the group has done anything for that long; off | the foreman, else the user, once | `policy.silence_ms` |
//!
//! A setting of 0 turns its policy off. Times stand still while the group is paused, and policies only
//! speak in an active group: when it is idle, paused, stopped or archived they say nothing. An actor
//! whose session has ended is not reminded; what it owes is escalated. The user is never reminded: what
//! the user owes past its deadline is reported to the asker once.
//!
//! Everything is computed from the state when asked, so a read or an answer that came in between cancels
//! what would have been said. That something was said is in the state as well, as soon as the notice is
//! on the ledger; so several hosts may run, and still nothing is said twice for one batch and level.
//! Notices carry no message's text and are never unread.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::event::{GroupMode, SystemNotify};
use crate::id::{ActorId, Principal, Seq};
use crate::ledger::Draft;
use crate::rule::permission::{self, Rank};
use crate::rule::presence::{self, Condition, Facts, Upkeep};
use crate::rule::relay::{self, DueRelay};
use crate::rule::schedule::{self, Firing};
use crate::rule::{Call, Decision, delivery, question, wait};
use crate::state::{ActorMemory, GroupState, Mailbox, Obligation, ObligationKind};
use crate::time::Timestamp;

/// The most effects in one answer; the others are in the next one, when these are carried out.
pub const MAX_EFFECTS: usize = 256;

/// The longest time of a policy: beyond it the state no longer knows when messages were sent.
pub const MAX_PERIOD: Duration = Duration::from_secs(24 * 60 * 60);

const MINUTE: Duration = Duration::from_secs(60);

/// The policies with their default times; zero is off.
pub const DEFAULTS: [(&str, Duration); 7] = [
    ("unread", Duration::from_secs(15 * 60)),
    ("attention", Duration::from_secs(5 * 60)),
    ("reply", Duration::from_secs(15 * 60)),
    ("cycle", MINUTE),
    ("idle", Duration::ZERO),
    ("keepalive", Duration::ZERO),
    ("silence", Duration::ZERO),
];

/// Something that is to be done because its time has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "effect")]
#[non_exhaustive]
pub enum Effect {
    /// To be carried out by [`Command::Notify`](crate::Command::Notify).
    Notify(Reminder),
    /// To be carried out by [`Command::FireSchedule`](crate::Command::FireSchedule).
    Fire(Firing),
    /// To be carried out by [`Upkeep::command`], as the system.
    Keep(Keeping),
    /// To be carried out by copying a message into another group, see [`relay`].
    Relay(DueRelay),
}

/// Something to be put in order, and since when that is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Keeping {
    /// What.
    #[serde(flatten)]
    pub upkeep: Upkeep,
    /// Since when, as far as that is known.
    pub due_at: Timestamp,
}

/// What somebody who keeps a group has found out about the outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// Which sessions run.
    pub facts: Facts,
    /// Who is in the middle of a turn, and not to be reminded of its own.
    pub busy: BTreeSet<ActorId>,
}

impl Effect {
    /// Since when it is due.
    #[must_use]
    pub fn due_at(&self) -> Timestamp {
        match self {
            Self::Notify(reminder) => reminder.due_at,
            Self::Fire(firing) => firing.scheduled_at,
            Self::Keep(keeping) => keeping.due_at,
            Self::Relay(due) => due.due_at,
        }
    }
}

/// What a policy wants said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Reminder {
    /// What makes it one of its kind: `policy/batch/level`.
    pub key: String,
    /// The policy.
    pub policy: String,
    /// What it is about, within the policy.
    pub batch: String,
    /// How far it was escalated, from 1.
    pub level: u32,
    /// To whom; each gets a notice of its own.
    pub targets: Vec<Principal>,
    /// The events it is about.
    pub related: Vec<Seq>,
    /// Since when it is due.
    pub due_at: Timestamp,
}

impl Reminder {
    fn new(policy: &str, batch: String, level: u32, due_at: Timestamp) -> Self {
        let key = format!("{policy}/{batch}/{level}");
        Self { key, policy: policy.into(), batch, level, targets: Vec::new(), related: Vec::new(), due_at }
    }

    fn to(self, targets: impl IntoIterator<Item = Principal>) -> Self {
        let targets: BTreeSet<Principal> = targets.into_iter().collect();
        Self { targets: targets.into_iter().collect(), ..self }
    }

    fn about(self, related: impl IntoIterator<Item = Seq>) -> Self {
        Self { related: related.into_iter().collect(), ..self }
    }
}

/// What is to be done now, the longest due first; at most [`MAX_EFFECTS`].
#[must_use]
pub fn due(state: &GroupState, now: Timestamp) -> Vec<Effect> {
    due_around(state, &Around::default(), now)
}

/// As [`due`], knowing what surrounds the group: what follows from sessions that ended is due as well, and
/// whoever is busy, or whose process is gone, is not reminded of its own.
#[must_use]
pub fn due_around(state: &GroupState, around: &Around, now: Timestamp) -> Vec<Effect> {
    let spared = |reminder: &Reminder| match reminder.targets.as_slice() {
        [Principal::Actor(target)] if reminder.level == 1 && is_own(reminder, target) => {
            around.busy.contains(target) || is_gone(state, &around.facts, target)
        }
        _ => false,
    };
    let reminders = reminders(state, now).into_iter().filter(|reminder| !spared(reminder));
    let firings = schedule::due(state, now).into_iter().map(Effect::Fire);
    let keep = |upkeep: Upkeep| Effect::Keep(Keeping { due_at: upkeep.due_at(state, now).min(now), upkeep });
    let upkeep = presence::due(state, &around.facts, now).into_iter().map(keep);
    let relays = relay::due(state).into_iter().map(Effect::Relay);
    let said = reminders.map(Effect::Notify);
    let mut effects: Vec<Effect> = upkeep.chain(said).chain(firings).chain(relays).collect();
    effects.retain(|effect| effect.due_at() <= now);
    effects.sort_by_key(Effect::due_at);
    effects.truncate(MAX_EFFECTS);
    effects
}

/// Whether a reminder is of what its target is to do itself, and not of somebody else.
fn is_own(reminder: &Reminder, target: &ActorId) -> bool {
    matches!(reminder.policy.as_str(), "unread" | "attention" | "reply" | "keepalive")
        && reminder.targets == [Principal::from(target.clone())]
}

/// Whether the process of an actor's newest session has certainly ended.
fn is_gone(state: &GroupState, facts: &Facts, id: &ActorId) -> bool {
    let session = state.actor(id).and_then(|actor| actor.session.as_ref());
    session.is_some_and(|session| session.open && facts.condition(&session.session) == Condition::Absent)
}

/// When [`due`] should be asked next if no event comes before; not after `now` if something is due.
#[must_use]
pub fn next_deadline(state: &GroupState, now: Timestamp) -> Option<Timestamp> {
    let reminders = reminders(state, now).into_iter().map(|reminder| reminder.due_at).min();
    let others = schedule::next_deadline(state, now).into_iter().chain(presence::next_deadline(state, now));
    let relays = relay::due(state).into_iter().map(|due| due.due_at).min();
    let lapses = On { state, now }.next_lapse();
    reminders.into_iter().chain(others).chain(relays).chain(lapses).min()
}

/// A policy as it is set in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct PolicyView {
    /// Its name.
    pub policy: String,
    /// Its time; absent: it is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
    /// What that is by default; absent: off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_ms: Option<u64>,
    /// The setting of the group that changes it.
    pub setting: String,
}

/// The policies, in the order of the table above.
#[must_use]
pub fn settings(state: &GroupState) -> Vec<PolicyView> {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let view = |(name, default): (&str, Duration)| PolicyView {
        policy: name.to_owned(),
        after_ms: state.period(name, default).map(millis),
        default_ms: Some(default).filter(|default| !default.is_zero()).map(millis),
        setting: format!("policy.{name}_ms"),
    };
    DEFAULTS.map(view).into()
}

/// Everything that the policies will say if nothing happens, each with its time.
fn reminders(state: &GroupState, now: Timestamp) -> Vec<Reminder> {
    if state.mode() != GroupMode::Active {
        return Vec::new();
    }
    let on = On { state, now };
    let mut reminders = Vec::new();
    on.unread(&mut reminders);
    on.obligations(&mut reminders);
    on.cycles(&mut reminders);
    on.quiet_actors(&mut reminders);
    on.silence(&mut reminders);
    reminders.retain(|reminder| !reminder.targets.is_empty());
    reminders
}

struct On<'a> {
    state: &'a GroupState,
    now: Timestamp,
}

impl On<'_> {
    fn period(&self, policy: &str) -> Option<Duration> {
        let default = DEFAULTS.iter().find(|(name, _)| *name == policy).map(|(_, default)| *default);
        self.state.period(policy, default.unwrap_or_default())
    }

    /// A running time, on the clock on the wall.
    fn wall(&self, running: Timestamp) -> Timestamp {
        self.state.on_the_wall(running, self.now)
    }

    /// Whether a reminder can reach them: not an actor that has ended its session.
    fn reachable(&self, id: &ActorId) -> bool {
        let session = self.state.actor(id).and_then(|actor| actor.session.as_ref());
        session.is_none_or(|session| session.open)
    }

    fn foreman(&self) -> Option<Principal> {
        self.state.foreman().cloned().map(Principal::Actor)
    }

    /// Who looks after the group: the foreman, if that is not who it is about, else the user.
    fn lead(&self, besides: Option<&ActorId>) -> Principal {
        self.foreman().filter(|foreman| foreman.actor() != besides).unwrap_or(Principal::User)
    }

    fn memory(&self, id: &ActorId) -> ActorMemory {
        self.state.memory().actors.get(id).cloned().unwrap_or_default()
    }

    fn unread(&self, reminders: &mut Vec<Reminder>) {
        let Some(period) = self.period("unread") else { return };
        for (principal, mailbox) in self.state.mailboxes() {
            let Principal::Actor(id) = principal else { continue };
            if !self.reachable(id) {
                continue;
            }
            let memory = self.memory(id);
            let Some(first) = self.first_unread(mailbox, &memory) else { continue };
            let since = self.state.memory().times.at(first).max(memory.opened);
            let batch = format!("{},{first}", mailbox.generation);
            let reminder =
                Reminder::new("unread", format!("{batch},{id}"), 1, self.wall(since.after(period)));
            reminders.push(reminder.to([principal.clone()]).about([first]));
        }
    }

    /// The oldest message that was not handed over in this session, and not spoken of in it.
    fn first_unread(&self, mailbox: &Mailbox, memory: &ActorMemory) -> Option<Seq> {
        let through = match memory.unread_told {
            (generation, through) if generation == mailbox.generation => through,
            _ => Seq(0),
        };
        let mut waiting = &mailbox.unread - &mailbox.handed;
        waiting -= &mailbox.quiet;
        let mut waiting = waiting.iter();
        waiting.advance_to(through.next().0);
        let may_come = |seq: &Seq| delivery::withheld(self.state, mailbox, *seq, self.now).is_none();
        waiting.map(Seq).find(may_come)
    }

    fn obligations(&self, reminders: &mut Vec<Reminder>) {
        for (debtor, mailbox) in self.state.mailboxes() {
            for ((source, kind), owed) in &mailbox.owed {
                // Nobody is reminded of what it will never be shown.
                if delivery::withheld(self.state, mailbox, *source, self.now).is_some() {
                    continue;
                }
                let since = owed.lineages.iter().filter_map(|lineage| Some(lineage.last()?.1)).min();
                let batch = format!("{source},{},{debtor},{}", kind.as_str(), since.unwrap_or(*source));
                let found = match (kind, debtor) {
                    (ObligationKind::Ack, Principal::Actor(id)) => self.attention(id, owed, batch),
                    // A voice counts until its vote ends, and then no more; that it is asked for was said.
                    (ObligationKind::Ack | ObligationKind::Vote | ObligationKind::Approval, _) => None,
                    // So do a verdict and an answer: when their time is over, that is said.
                    (kind, _) if question::is_answer(self.state, *source, *kind) => None,
                    _ => self.overdue(debtor, owed, batch),
                };
                reminders.extend(found.map(|reminder| reminder.about([*source])));
            }
        }
    }

    /// Note is not taken of what asks for attention.
    fn attention(&self, debtor: &ActorId, owed: &Obligation, batch: String) -> Option<Reminder> {
        let period = self.period("attention")?;
        // Whoever took it over is asked since then.
        let since = owed.lineages.iter().filter_map(|lineage| Some(lineage.last()?.1)).max();
        let asked = self.state.memory().times.at(since.unwrap_or(owed.source.seq));
        let reminder = |level, running| Reminder::new("attention", batch, level, self.wall(running));
        let others = [self.lead(Some(debtor))];
        match owed.told.map(|told| (told.level, told.at)) {
            None if self.reachable(debtor) => {
                Some(reminder(1, asked.after(period)).to([debtor.clone().into()]))
            }
            None => Some(reminder(2, asked.after(period * 2)).to(others)),
            Some((1, at)) => Some(reminder(2, at.after(period)).to(others)),
            Some(_) => None,
        }
    }

    /// What is owed has a deadline, which passes.
    fn overdue(&self, debtor: &Principal, owed: &Obligation, batch: String) -> Option<Reminder> {
        let period = self.period("reply")?;
        // It is overdue after its deadline, not at it.
        let due = self.state.due_at(owed, self.now)?.after(Duration::from_millis(1));
        let reminder = |level, at| Reminder::new("reply", batch, level, at);
        let asker = [owed.creditor.clone()];
        let others = asker.iter().cloned().chain(self.foreman());
        let others = others.filter(|other| other != debtor && self.state.mailbox(other).is_some());
        match (debtor, owed.told.map(|told| (told.level, told.at))) {
            (Principal::Actor(id), None) if self.reachable(id) => Some(reminder(1, due).to([debtor.clone()])),
            (Principal::Actor(_), None) => Some(reminder(2, due.after(period)).to(others)),
            (Principal::Actor(_), Some((1, at))) => Some(reminder(2, self.wall(at.after(period))).to(others)),
            (Principal::User | Principal::Person(_), None) => Some(reminder(2, due).to(asker)),
            _ => None,
        }
    }

    fn cycles(&self, reminders: &mut Vec<Reminder>) {
        let Some(period) = self.period("cycle") else { return };
        for cycle in wait::graph(self.state, self.now).cycles {
            let batch = cycle.id();
            if self.state.memory().knows_cycle(&batch) {
                continue;
            }
            let newest = cycle.waits.iter().map(|wait| wait.source).max().unwrap_or_default();
            let since = self.state.memory().times.at(newest);
            let reminder = Reminder::new("cycle", batch, 1, self.wall(since.after(period)));
            reminders.push(reminder.to([self.lead(None)]).about(cycle.waits.iter().map(|wait| wait.source)));
        }
    }

    /// When a circle that is hidden by another may show, which may be due then.
    fn next_lapse(&self) -> Option<Timestamp> {
        let tells = self.state.mode() == GroupMode::Active && self.period("cycle").is_some();
        let lapse = wait::next_lapse(self.state, self.now).filter(|_| tells)?;
        (!wait::graph(self.state, self.now).cycles.is_empty()).then_some(lapse)
    }

    fn quiet_actors(&self, reminders: &mut Vec<Reminder>) {
        for (id, memory) in &self.state.memory().actors {
            let session = self.state.actor(id).and_then(|actor| actor.session.as_ref());
            let Some((seq, active)) = memory.active.filter(|_| session.is_some_and(|session| session.open))
            else {
                continue;
            };
            let reminder = |policy, period: Duration| {
                Reminder::new(
                    policy,
                    format!("{id},{seq}"),
                    1,
                    self.wall(active.max(memory.opened).after(period)),
                )
            };
            if let Some(period) = self.period("idle").filter(|_| memory.idle_told < seq) {
                reminders.push(reminder("idle", period).to([self.lead(Some(id))]).about([seq]));
            }
            let own = Principal::Actor(id.clone());
            let owes = self.state.mailbox(&own).is_some_and(|mailbox| !mailbox.owed.is_empty());
            if let Some(period) = self.period("keepalive").filter(|_| owes && memory.keepalive_told < seq) {
                reminders.push(reminder("keepalive", period).to([own]).about([seq]));
            }
        }
    }

    fn silence(&self, reminders: &mut Vec<Reminder>) {
        let memory = self.state.memory();
        let (seq, last) = memory.last;
        if let Some(period) = self.period("silence").filter(|_| memory.silence_told < seq) {
            let reminder = Reminder::new("silence", seq.to_string(), 1, self.wall(last.after(period)));
            reminders.push(reminder.to([self.lead(None)]).about([seq]));
        }
    }
}

/// Says what is due, to each of those whom it is for. What is no longer due, or was said before, is not
/// said: then nothing is written.
pub(super) fn notify(state: &GroupState, call: &Call, key: &str) -> Result<Decision> {
    host(state, call, "speak for the policies")?;
    let found = reminders(state, call.now).into_iter().find(|one| one.key == key && one.due_at <= call.now);
    let Some(reminder) = found else { return Ok(Decision::nothing()) };
    let notices = reminder.targets.iter().map(|target| {
        let notice = SystemNotify::new(&reminder.policy, target.clone(), &reminder.batch, reminder.level);
        Draft::from(SystemNotify { related: reminder.related.clone(), ..notice })
    });
    Ok(Decision::write(notices))
}

/// Whoever hosts the group: the system, a service, or the user.
pub(super) fn host(state: &GroupState, call: &Call, what: &str) -> Result<()> {
    match permission::rank(state, &call.by) {
        Rank::Owner | Rank::Service => Ok(()),
        Rank::Person | Rank::Foreman | Rank::Peer => {
            Err(Error::refused(format!("{} may not {what}: the host does that by itself", call.by)))
        }
    }
}

/// Refuses a setting `policy.*` that no policy can be run by.
pub(super) fn check_setting(name: &str, value: &Value) -> Result<()> {
    let Some(policy) = name.strip_prefix("policy.") else { return Ok(()) };
    let names = || DEFAULTS.map(|(name, _)| format!("policy.{name}_ms")).join(", ");
    if !DEFAULTS.iter().any(|(known, _)| policy.strip_suffix("_ms") == Some(known)) {
        return Err(
            Error::invalid(format!("there is no setting {name}")).hint(format!("there are {}", names()))
        );
    }
    let max = u64::try_from(MAX_PERIOD.as_millis()).unwrap_or(u64::MAX);
    if value.is_null() || value.as_u64().is_some_and(|ms| ms <= max) {
        return Ok(());
    }
    Err(Error::invalid(format!("{name} is a number of milliseconds, at most a day"))
        .hint("0 turns the policy off; null gives it its default again"))
}

#[cfg(test)]
mod tests;
