//! The shared context, what agents say of themselves, and labels: the last word counts.

use std::collections::{BTreeMap, BTreeSet};

use cccc_core::event::{AgentState, Body, ContextSet, Event, WaitingFor};
use cccc_core::{ActorId, ContextKey, Label, Seq};

use super::model::Model;

impl Model {
    /// The entries with the events that set them.
    pub(super) fn entries(&self) -> BTreeMap<ContextKey, (&Event, &ContextSet)> {
        let sets = self.log.iter().filter_map(|event| match &event.body {
            Body::ContextSet(set) => Some((event, set)),
            _ => None,
        });
        let mut entries: BTreeMap<ContextKey, (&Event, &ContextSet)> =
            sets.map(|(event, set)| (set.key.clone(), (event, set))).collect();
        entries.retain(|_, (_, set)| set.value.is_some());
        entries
    }

    /// What members say last of what they are doing, if it is anything.
    pub(super) fn words(&self) -> BTreeMap<ActorId, (&Event, &AgentState)> {
        let said = self.log.iter().filter_map(|event| match &event.body {
            Body::AgentState(said) => Some((event, said)),
            _ => None,
        });
        let mut words: BTreeMap<ActorId, (&Event, &AgentState)> =
            said.map(|(event, said)| (said.actor_id.clone(), (event, said))).collect();
        words.retain(|id, (event, said)| {
            let says = [&said.focus, &said.next, &said.blocker].iter().any(|text| !text.is_empty())
                || self.awaited(event.seq, said).is_some();
            let same = self.member(&id.clone().into()).is_some_and(|member| member.added < event.seq);
            says && same
        });
        words
    }

    /// What somebody said it waits for; no longer somebody who has left since, whoever came by that name.
    pub(super) fn awaited(&self, since: Seq, said: &AgentState) -> Option<WaitingFor> {
        let left = |who: &cccc_core::Principal| {
            self.log.iter().any(|event| match &event.body {
                Body::ActorRemove(gone) => event.seq > since && who.actor() == Some(&gone.actor_id),
                Body::PersonRemove(gone) => event.seq > since && *who == gone.person_id.clone().into(),
                _ => false,
            })
        };
        said.waiting_for.clone().filter(|what| !matches!(what, WaitingFor::Actor(who) if left(who)))
    }

    /// Who has each label.
    pub(super) fn topics(&self) -> BTreeMap<Label, BTreeSet<ActorId>> {
        let mut topics: BTreeMap<Label, BTreeSet<ActorId>> = BTreeMap::new();
        for member in &self.members {
            for label in &member.labels {
                topics.entry(label.clone()).or_default().insert(member.id.clone());
            }
        }
        topics
    }
}
