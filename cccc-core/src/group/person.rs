//! People of the group beside the home's owner.

use schemars::JsonSchema;
use serde::Serialize;

use super::awaited::awaited_by_run;
use super::{Group, admin};
use crate::command::{AddPerson, Command};
use crate::engine::Executed;
use crate::error::{Error, Result};
use crate::event::PersonRemove;
use crate::id::{PersonId, Principal};
use crate::rule::obligation::ObligationView;
use crate::rule::reading;
use crate::state::GroupState;
use crate::time::Timestamp;

/// A person as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct PersonView {
    /// Who: `user:<name>`.
    pub principal: Principal,
    /// What others call them; may be empty.
    pub title: String,
    /// How many messages they have not read.
    pub unread: u64,
    /// How much they owe.
    pub owed: u64,
}

/// The people of a group beside its owner, in order of name.
pub(super) fn views(state: &GroupState, obligations: &[ObligationView], now: Timestamp) -> Vec<PersonView> {
    let view = |(name, person): (&PersonId, &crate::state::Person)| {
        let principal = Principal::Person(name.clone());
        PersonView {
            title: person.title.clone(),
            unread: reading::unread_count(state, &principal, now),
            owed: admin::owed_by(obligations, &principal),
            principal,
        }
    };
    state.people().iter().map(view).collect()
}

/// A person's name as callers give it: `bea`, or as the principal it is, `user:bea`.
fn name(text: &str) -> Result<PersonId> {
    let bare = text.strip_prefix('@').unwrap_or(text);
    PersonId::new(bare.strip_prefix("user:").unwrap_or(bare))
}

impl Group {
    /// The people of the group beside the home's owner, by name.
    pub async fn people(&self) -> Result<Vec<PersonView>> {
        Ok(self.summary().await?.people)
    }

    /// Adds a person, by name (`bea`, or `user:bea`). One who is there stays who they are, and is given the title if
    /// there is one.
    ///
    /// # Errors
    /// `Refused` for all but the user, `TooLarge` beyond 256 people.
    pub fn add_person(&self, name: impl AsRef<str>) -> AddPersonRequest<'_> {
        let person = self::name(name.as_ref()).map(|person_id| AddPerson { person_id, title: None });
        AddPersonRequest { group: self, person }
    }

    /// Removes a person. What becomes of what they owe and have not read is as for
    /// [`remove_actor`](Self::remove_actor). Whoever is added under the same name later is somebody else.
    ///
    /// # Errors
    /// `Refused` for all but the user and the person; `NotFound` for one who never was here.
    pub fn remove_person(&self, name: impl AsRef<str>) -> RemovePersonRequest<'_> {
        let removal = self::name(name.as_ref()).map(|person_id| PersonRemove {
            person_id,
            reason: String::new(),
            successor: None,
        });
        RemovePersonRequest { group: self, removal }
    }
}

/// A person about to be added; awaiting it adds them. Made by [`Group::add_person`].
#[derive(Debug)]
#[must_use = "nobody is added until this is awaited"]
pub struct AddPersonRequest<'a> {
    group: &'a Group,
    person: Result<AddPerson>,
}

impl AddPersonRequest<'_> {
    /// What others call them. Default: their name.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        if let Ok(person) = &mut self.person {
            person.title = Some(title.into());
        }
        self
    }

    async fn run(self) -> Result<PersonView> {
        let add = self.person?;
        let principal = Principal::Person(add.person_id.clone());
        self.group.execute(Command::AddPerson(add)).await?;
        let people = self.group.people().await?;
        let added = people.into_iter().find(|person| person.principal == principal);
        added.ok_or_else(|| Error::conflict(format!("{principal} was removed again meanwhile")))
    }
}

/// A person about to be removed; awaiting it removes them. Made by [`Group::remove_person`].
#[derive(Debug)]
#[must_use = "nobody is removed until this is awaited"]
pub struct RemovePersonRequest<'a> {
    group: &'a Group,
    removal: Result<PersonRemove>,
}

impl RemovePersonRequest<'_> {
    /// Who takes over what they owe: a person, the user or an actor. Default: nobody, it returns to those it is owed
    /// to.
    pub fn successor(mut self, who: impl AsRef<str>) -> Self {
        match (who.as_ref().parse(), &mut self.removal) {
            (Ok(who), Ok(removal)) => removal.successor = Some(who),
            (Err(error), Ok(_)) => self.removal = Err(error),
            (_, Err(_)) => {}
        }
        self
    }

    /// Why, for people.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        if let Ok(removal) = &mut self.removal {
            removal.reason = reason.into();
        }
        self
    }

    async fn run(self) -> Result<Executed> {
        self.group.execute(Command::RemovePerson(self.removal?)).await
    }
}

awaited_by_run! {
    AddPersonRequest => PersonView;
    RemovePersonRequest => Executed;
}
