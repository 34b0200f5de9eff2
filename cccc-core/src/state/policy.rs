//! What the policies have to remember: when things began, and what somebody was told already.
//!
//! All times in here are running times: they stand still while the group is paused, as the clocks of
//! obligations do.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::GroupState;
use super::mailbox::{ObligationKind, Told};
use super::times::Times;
use crate::event::{Event, SystemNotify};
use crate::id::{ActorId, Principal, Seq};
use crate::time::Timestamp;

/// Cycles of waiting that were reported; beyond it the oldest is forgotten.
const MAX_CYCLES: usize = 256;

/// See the [module](self). At most a few entries per actor of the group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) times: Times,
    pub(crate) actors: BTreeMap<ActorId, ActorMemory>,
    /// The last thing that the user or an actor did.
    pub(crate) last: (Seq, Timestamp),
    /// Up to where a silence of the group was reported.
    pub(crate) silence_told: Seq,
    cycles: VecDeque<String>,
}

/// What is remembered of one actor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ActorMemory {
    /// When its current session began.
    pub(crate) opened: Timestamp,
    /// The last thing it did.
    pub(crate) active: Option<(Seq, Timestamp)>,
    /// In which generation, and up to where, it was told of unread messages.
    pub(crate) unread_told: (u64, Seq),
    /// Up to which of its doings its idleness was reported.
    pub(crate) idle_told: Seq,
    /// Up to which of its doings it was reminded of what it owes.
    pub(crate) keepalive_told: Seq,
}

impl Memory {
    /// Whether this cycle was reported.
    pub(crate) fn knows_cycle(&self, batch: &str) -> bool {
        self.cycles.iter().any(|known| known == batch)
    }
}

impl GroupState {
    /// A time, as it would be had the group never been paused.
    pub(crate) fn running(&self, at: Timestamp) -> Timestamp {
        let paused = i64::try_from(self.paused_until(at).as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(at.as_millis().saturating_sub(paused))
    }

    /// When a running time comes, by what is known at `now`.
    pub(crate) fn on_the_wall(&self, running: Timestamp, now: Timestamp) -> Timestamp {
        running.after(self.paused_until(now))
    }

    /// The time that the setting `policy.<name>_ms` gives a policy; `None` turns it off.
    pub(crate) fn period(&self, name: &str, default: Duration) -> Option<Duration> {
        let set = self.settings.get(&format!("policy.{name}_ms")).and_then(|text| text.parse().ok());
        Some(set.map_or(default, Duration::from_millis)).filter(|period| !period.is_zero())
    }

    pub(super) fn remember(&mut self, event: &Event) {
        if !event.by.is_person() && !matches!(event.by, Principal::Actor(_)) {
            return;
        }
        let at = (event.seq, self.running(event.ts));
        self.memory.last = at;
        if let Principal::Actor(id) = &event.by
            && self.actors.contains_key(id)
        {
            self.memory.actors.entry(id.clone()).or_default().active = Some(at);
        }
    }

    pub(super) fn session_began(&mut self, id: &ActorId, at: Timestamp) {
        let at = self.running(at);
        if let Some(memory) = self.remembered(id) {
            memory.opened = at;
        }
    }

    /// Something that obliges somebody was written.
    pub(super) fn note_time(&mut self, seq: Seq, at: Timestamp) {
        let at = self.running(at);
        self.memory.times.note(seq, at);
    }

    /// Remembers what was said, so that it is not said again, and that its target has yet to see it.
    pub(super) fn notified(&mut self, event: &Event, notice: &SystemNotify) {
        match &notice.target {
            Some(target) => {
                if let Some(mailbox) = self.mailboxes.get_mut(target) {
                    mailbox.notice(event.seq);
                }
            }
            None => self.mailboxes.values_mut().for_each(|mailbox| mailbox.notice(event.seq)),
        }
        let batch = notice.batch();
        let mut parts = batch.split(',');
        match notice.notice.as_str() {
            "rate" => {
                if let Some(Ok(sender)) = parts.next().map(str::parse::<Principal>) {
                    self.rates.told(&sender, event.seq);
                }
            }
            "unread" => {
                let Some(target) = &notice.target else { return };
                let generation = self.mailboxes.get(target).map_or(0, |mailbox| mailbox.generation);
                if let Some(memory) = target.actor().and_then(|id| self.remembered(id)) {
                    memory.unread_told = (generation, event.seq);
                }
            }
            "attention" | "reply" => self.told_of_obligation(event, notice.level, batch),
            "cycle" if !self.memory.knows_cycle(batch) => {
                self.memory.cycles.push_back(batch.to_owned());
                if self.memory.cycles.len() > MAX_CYCLES {
                    self.memory.cycles.pop_front();
                }
            }
            "idle" | "keepalive" => {
                let Some(Ok(id)) = parts.next().map(str::parse::<ActorId>) else { return };
                let Some(memory) = self.remembered(&id) else { return };
                let told =
                    if notice.notice == "idle" { &mut memory.idle_told } else { &mut memory.keepalive_told };
                *told = memory.active.map_or(*told, |(seq, _)| seq);
            }
            "silence" => self.memory.silence_told = self.memory.last.0,
            _ => {}
        }
    }

    fn remembered(&mut self, id: &ActorId) -> Option<&mut ActorMemory> {
        self.actors.contains_key(id).then(|| self.memory.actors.entry(id.clone()).or_default())
    }

    /// `batch` is `source,kind,debtor,since`; the last says by which event the debtor came to owe it, as the
    /// same may come to it again, and is absent in the oldest ledgers.
    fn told_of_obligation(&mut self, event: &Event, level: u32, batch: &str) {
        let mut parts = batch.splitn(4, ',');
        let source = parts.next().and_then(|source| source.parse().ok()).map(Seq);
        let kind = parts.next().and_then(|kind| ObligationKind::ALL.into_iter().find(|k| k.as_str() == kind));
        let debtor = parts.next().and_then(|debtor| debtor.parse::<Principal>().ok());
        let at = self.running(event.ts);
        let (Some(source), Some(kind), Some(debtor)) = (source, kind, debtor) else { return };
        let owed = self.mailboxes.get_mut(&debtor).and_then(|mailbox| mailbox.owed.get_mut(&(source, kind)));
        if let Some(obligation) = owed
            && obligation.told.is_none_or(|told| told.level < level)
        {
            obligation.told = Some(Told { level, at });
        }
    }
}
