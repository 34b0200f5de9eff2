//! The shared context, what agents say of themselves, and labels: the last word counts.

use std::collections::{BTreeMap, BTreeSet};

use cccc_core::event::{AgentState, Body, ContextSet, Event};
use cccc_core::{ActorId, ContextKey, Label};

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
            let says = [&said.focus, &said.next, &said.blocker].iter().any(|text| !text.is_empty());
            let same = self.member(&id.clone().into()).is_some_and(|member| member.added < event.seq);
            says && same
        });
        words
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
