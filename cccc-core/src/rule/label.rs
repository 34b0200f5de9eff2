//! Labels: topics that an actor takes and drops by itself, and that `#label` addresses.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::event::ActorUpdate;
use crate::id::{ActorId, Label};
use crate::ledger::Draft;
use crate::rule::actor::MAX_LABELS;
use crate::rule::permission::{self, lead};
use crate::rule::{Call, Decision, few};
use crate::state::GroupState;

/// A label and who has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct LabelView {
    /// The label.
    pub label: Label,
    /// How many actors have it.
    pub count: usize,
    /// They, in order.
    pub actors: Vec<ActorId>,
}

/// Every label that somebody has, in order.
#[must_use]
pub fn list(state: &GroupState) -> Vec<LabelView> {
    let mut having: BTreeMap<&Label, Vec<ActorId>> = BTreeMap::new();
    for (id, actor) in state.actors() {
        for label in &actor.labels {
            having.entry(label).or_default().push(id.clone());
        }
    }
    let view = |(label, actors): (&Label, Vec<ActorId>)| LabelView {
        label: label.clone(),
        count: actors.len(),
        actors,
    };
    having.into_iter().map(view).collect()
}

/// Gives an actor labels and takes others from it, whatever else happens to its labels meanwhile.
pub(super) fn change(
    state: &GroupState,
    call: &Call,
    actor_id: Option<&ActorId>,
    add: &[Label],
    remove: &[Label],
) -> Result<Decision> {
    let Some(id) = actor_id.or(call.by.actor()) else {
        return Err(Error::invalid(format!("{} is no actor, and only actors have labels", call.by))
            .hint("name the actor with `--actor`"));
    };
    let Some(actor) = state.actor(id) else { return Err(permission::unknown_actor(state, id)) };
    if call.by.actor() != Some(id) {
        lead(state, call, "change the labels of another actor")?;
    }
    if let Some(both) = add.iter().find(|label| remove.contains(label)) {
        return Err(Error::invalid(format!("{both} cannot be taken and dropped at once")));
    }
    let kept = actor.labels.iter().filter(|label| !remove.contains(label));
    let labels: BTreeSet<Label> = kept.chain(add).cloned().collect();
    few("labels", labels.len(), MAX_LABELS)?;
    if labels == actor.labels {
        return Ok(Decision::nothing());
    }
    let labels = Some(labels.into_iter().collect());
    Ok(Decision::write([Draft::from(ActorUpdate { labels, ..ActorUpdate::of(id.clone()) })]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::error::ErrorKind;
    use crate::rule::desk::Desk;

    fn labels(names: &[&str]) -> Vec<Label> {
        names.iter().map(|name| Label::new(name).unwrap()).collect()
    }

    fn change(add: &[&str], remove: &[&str], actor: Option<&str>) -> Command {
        let actor_id = actor.map(|id| ActorId::new(id).unwrap());
        Command::ChangeLabels { actor_id, add: labels(add), remove: labels(remove) }
    }

    fn shown(desk: &Desk) -> Vec<String> {
        let show = |view: LabelView| format!("{} {}", view.label, view.count);
        list(desk.state()).into_iter().map(show).collect()
    }

    #[test]
    fn labels_are_taken_and_dropped_by_oneself() {
        let mut desk = Desk::with(&["lead", "alice", "bob"]);
        desk.run("alice", change(&["docs", "review"], &[], None)).unwrap();
        desk.run("bob", change(&["review"], &[], None)).unwrap();
        assert_eq!(shown(&desk), ["docs 1", "review 2"]);
        desk.run("alice", change(&["ui"], &["docs", "never-had"], None)).unwrap();
        assert_eq!(shown(&desk), ["review 2", "ui 1"]);
        // What is so already is not written again.
        let again = desk.run("alice", change(&["ui"], &["docs"], None)).unwrap();
        assert!(again.events.is_empty());
    }

    #[test]
    fn others_labels_are_for_those_who_lead() {
        let mut desk = Desk::with(&["lead", "alice", "bob"]);
        for (by, actor, kind) in [
            ("alice", Some("bob"), Some(ErrorKind::Refused)),
            ("lead", Some("bob"), None),
            ("user", Some("alice"), None),
            ("user", None, Some(ErrorKind::Invalid)),
            ("user", Some("carol"), Some(ErrorKind::NotFound)),
        ] {
            let error = desk.run(by, change(&["x"], &[], actor)).err();
            assert_eq!(error.as_ref().map(crate::Error::kind), kind, "{by} {actor:?}: {error:?}");
        }
        let both = desk.run("alice", change(&["y"], &["y"], None)).unwrap_err();
        assert_eq!(both.kind(), ErrorKind::Invalid);
    }

    #[test]
    fn there_are_not_too_many() {
        let mut desk = Desk::with(&["lead"]);
        let names: Vec<String> = (0..=MAX_LABELS).map(|n| format!("l{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(desk.run("lead", change(&names, &[], None)).unwrap_err().kind(), ErrorKind::TooLarge);
        desk.run("lead", change(&names[..MAX_LABELS], &[], None)).unwrap();
        let swap = change(&[names[MAX_LABELS]], &[names[0]], None);
        desk.run("lead", swap).unwrap();
    }
}
