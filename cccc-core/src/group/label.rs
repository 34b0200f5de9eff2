//! Labels, taken and dropped.

use super::Group;
use super::awaited::awaited_by_run;
use crate::command::Command;
use crate::engine::Executed;
use crate::error::Result;
use crate::id::{ActorId, Label};
use crate::rule::label::{self, LabelView};

impl Group {
    /// Every label that somebody has, with who has it.
    pub async fn labels(&self) -> Result<Vec<LabelView>> {
        self.shared.engine.query(label::list).await
    }

    /// Takes labels, so that `#label` reaches this actor: `group.add_labels(["docs"]).await?`. Its other
    /// labels stay.
    ///
    /// # Errors
    /// `Invalid` for the user, who has none; `Refused` for another actor's unless this is the foreman or the
    /// user; `TooLarge` beyond 32.
    pub fn add_labels<L: AsRef<str>>(&self, labels: impl IntoIterator<Item = L>) -> LabelsRequest<'_> {
        LabelsRequest { group: self, actor: Ok(None), add: parsed(labels), remove: Ok(Vec::new()) }
    }

    /// Drops labels; those that it does not have are passed over.
    ///
    /// # Errors
    /// As for [`add_labels`](Self::add_labels).
    pub fn remove_labels<L: AsRef<str>>(&self, labels: impl IntoIterator<Item = L>) -> LabelsRequest<'_> {
        LabelsRequest { group: self, actor: Ok(None), add: Ok(Vec::new()), remove: parsed(labels) }
    }
}

fn parsed<L: AsRef<str>>(labels: impl IntoIterator<Item = L>) -> Result<Vec<Label>> {
    // A label is addressed as `#label`, and often written so.
    labels.into_iter().map(|text| Label::new(text.as_ref().trim_start_matches('#'))).collect()
}

/// Labels about to be taken or dropped; awaiting it does that. Made by [`Group::add_labels`].
#[derive(Debug)]
#[must_use = "nothing is changed until this is awaited"]
pub struct LabelsRequest<'a> {
    group: &'a Group,
    actor: Result<Option<ActorId>>,
    add: Result<Vec<Label>>,
    remove: Result<Vec<Label>>,
}

impl LabelsRequest<'_> {
    /// Whose labels. Default: the caller's.
    pub fn of(self, id: impl AsRef<str>) -> Self {
        Self { actor: ActorId::new(id).map(Some), ..self }
    }

    async fn run(self) -> Result<Executed> {
        let Self { group, actor, add, remove } = self;
        group.execute(Command::ChangeLabels { actor_id: actor?, add: add?, remove: remove? }).await
    }
}

awaited_by_run! {
    LabelsRequest => Executed;
}
