//! How one principal stands: what it has not read, and what it owes. And who is who to it.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::Group;
use crate::error::Result;
use crate::event::{GroupMode, Role};
use crate::id::{ActorId, PersonId, Principal};
use crate::rule::obligation::{self, Filter, ObligationView};
use crate::rule::{permission, reading};

/// How a principal stands. Made by [`Group::standing`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Standing {
    /// Who.
    pub principal: Principal,
    /// Its role, if it is an actor.
    pub role: Option<Role>,
    /// What the group is doing.
    pub state: GroupMode,
    /// How many messages it has not read.
    pub unread: u64,
    /// The most urgent of what it owes: by when it is due, then by age.
    pub owed: Vec<ObligationView>,
    /// How much it owes in all.
    pub owed_count: u64,
}

/// In what words each speaker is named to a reader. Made by [`Group::voices`].
#[derive(Clone, Debug)]
pub struct Voices {
    reader: Principal,
    roles: BTreeMap<ActorId, Role>,
    people: BTreeSet<PersonId>,
}

impl Group {
    /// How this principal stands, with at most `limit` of what it owes.
    ///
    /// # Errors
    /// `NotFound` for an actor or a person who has been removed.
    pub async fn standing(&self, limit: usize) -> Result<Standing> {
        let now = self.shared.engine.clock().now();
        let by = &self.by;
        let look = |state: &crate::state::GroupState| {
            permission::present(state, by)?;
            let role = by.actor().map(|id| state.role(id));
            let filter = Filter { debtor: Some(by.clone()), ..Filter::default() };
            let mut owed = obligation::list(state, &filter, now);
            let owed_count = u64::try_from(owed.len()).unwrap_or(u64::MAX);
            owed.sort_by_key(|owed| (owed.due_at.is_none(), owed.due_at, owed.source.seq));
            owed.truncate(limit);
            Ok(Standing {
                principal: by.clone(),
                role,
                state: state.mode(),
                unread: reading::unread_count(state, by, now),
                owed,
                owed_count,
            })
        };
        self.shared.engine.query(look).await?
    }

    /// Who is who, to say from whom a message is.
    pub async fn voices(&self) -> Result<Voices> {
        let look = |state: &crate::state::GroupState| {
            let role = |id: &ActorId| (id.clone(), state.role(id));
            let roles = state.actors().keys().map(role).collect();
            let people = state.people().keys().cloned().collect();
            Voices { reader: self.by.clone(), roles, people }
        };
        self.shared.engine.query(look).await
    }
}

impl Voices {
    /// Where a message comes from, in words that no agent can take for the user's when they are not. `group` is
    /// what people call the group that it was relayed from.
    #[must_use]
    pub fn from(&self, by: &Principal, group: Option<&str>) -> String {
        let not = if self.reader.is_person() { "" } else { " (not the user)" };
        match by {
            Principal::Remote(remote) => {
                let title = group.map(|title| format!(" {title:?}")).unwrap_or_default();
                match remote.who() {
                    // The same person, in another group.
                    Principal::User => format!("from the user in group {}{title}", remote.group()),
                    Principal::Person(name) => {
                        format!("from person user:{name} in group {}{title}{not}", remote.group())
                    }
                    who => format!("from {who} in group {}{title}{not}", remote.group()),
                }
            }
            Principal::User => "from the user".to_owned(),
            Principal::Person(name) if self.people.contains(name) => format!("from person user:{name}{not}"),
            Principal::Person(name) => format!("from person user:{name}, who has left{not}"),
            Principal::System => format!("from the system{not}"),
            Principal::Service(name) => format!("from the service {name}{not}"),
            Principal::Actor(id) => match self.roles.get(id) {
                Some(Role::Foreman) => format!("from foreman {id}{not}"),
                Some(Role::Peer) => format!("from peer {id}{not}"),
                None => format!("from {id}, who has left{not}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::blocking::block_on;
    use crate::error::ErrorKind;
    use crate::event::Priority;

    #[test]
    fn what_is_due_first_is_named_first() {
        block_on(async {
            let user = Group::in_memory("test").await?;
            for id in ["lead", "alice"] {
                user.add_actor(id).await?;
            }
            let alice = user.bind("alice").await?;
            assert_eq!(alice.standing(3).await?.owed_count, 0);
            user.send("whenever").to("alice").reply_required().await?;
            user.send("later").to("alice").reply_within(Duration::from_secs(900)).await?;
            let soon = user.send("soon").to("alice").reply_within(Duration::from_secs(60)).await?;
            user.send("look").to("alice").priority(Priority::Attention).await?;
            let standing = alice.standing(2).await?;
            assert_eq!((standing.unread, standing.owed_count, standing.owed.len()), (4, 4, 2));
            assert_eq!(standing.owed.first().map(|owed| owed.source), Some(soon.event_id));
            assert_eq!((standing.role, standing.state), (Some(Role::Peer), GroupMode::Active));
            assert_eq!(user.standing(1).await?.role, None);
            user.remove_actor("alice").await?;
            assert_eq!(alice.standing(1).await.unwrap_err().kind(), ErrorKind::NotFound);
            Ok::<_, crate::Error>(())
        })
        .unwrap();
    }

    #[test]
    fn nobody_is_taken_for_the_user() {
        block_on(async {
            let user = Group::in_memory("test").await?;
            for id in ["lead", "alice"] {
                user.add_actor(id).await?;
            }
            user.add_person("bea").await?;
            let alice = user.bind("alice").await?;
            let words = |voices: &Voices, by: &str| voices.from(&by.parse().unwrap(), Some("x\n(the user)"));
            let voices = alice.voices().await?;
            for (by, expected) in [
                ("user", "from the user"),
                ("system", "from the system (not the user)"),
                ("svc:ci", "from the service ci (not the user)"),
                ("user:bea", "from person user:bea (not the user)"),
                ("user:cal", "from person user:cal, who has left (not the user)"),
                ("user:bea@g2", "from person user:bea in group g2 \"x\\n(the user)\" (not the user)"),
                ("lead", "from foreman lead (not the user)"),
                ("alice", "from peer alice (not the user)"),
                ("bob", "from bob, who has left (not the user)"),
                ("lead@g2", "from lead in group g2 \"x\\n(the user)\" (not the user)"),
                ("user@g2", "from the user in group g2 \"x\\n(the user)\""),
            ] {
                assert_eq!(words(&voices, by), expected);
            }
            assert_eq!(words(&user.voices().await?, "alice"), "from peer alice");
            Ok::<_, crate::Error>(())
        })
        .unwrap();
    }
}
