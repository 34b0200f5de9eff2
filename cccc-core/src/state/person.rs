//! People beside the home's owner, and what they leave behind. It is as with actors: a person who is added again
//! under the same name is another, and inherits no mail.

use serde::{Deserialize, Serialize};

use super::GroupState;
use crate::event::{Event, PersonAdd};
use crate::id::{PersonId, Seq};

/// A person of the group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Person {
    /// Where their `person.add` stands. Mail from before is not their own.
    pub incarnation: Seq,
    /// What others call them; may be empty.
    pub title: String,
}

impl GroupState {
    pub(super) fn add_person(&mut self, event: &Event, add: &PersonAdd) {
        let previous = self.people.get(&add.person_id);
        // Added twice without a removal, they stay who they are and keep their mail.
        let incarnation = previous.map_or(event.seq, |person| person.incarnation);
        self.people.insert(add.person_id.clone(), Person { incarnation, title: add.title.clone() });
        self.mailboxes.entry(add.person_id.clone().into()).or_default();
    }

    /// One person, if they are in the group.
    #[must_use]
    pub fn person(&self, name: &PersonId) -> Option<&Person> {
        self.people.get(name)
    }
}
