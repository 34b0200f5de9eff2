//! Who is in the group, for what is kept beside the ledger.

use std::collections::BTreeMap;

use super::Group;
use crate::error::Result;
use crate::event::GroupMode;
use crate::id::{ActorId, PersonId, Principal, Seq};
use crate::rule::permission::{self, Rank};
use crate::time::Timestamp;

/// Who is in the group, and what the one who asks is to it. Made by [`Group::roster`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Roster {
    /// When this was looked at, by the group's clock.
    pub at: Timestamp,
    /// What the group is doing.
    pub state: GroupMode,
    /// What the one who asks is to the group.
    pub rank: Rank,
    /// The actors, each with where it was added: that tells it from others that had its id before.
    pub actors: BTreeMap<ActorId, Seq>,
    /// The people beside the user, likewise.
    pub people: BTreeMap<PersonId, Seq>,
}

impl Roster {
    /// Where somebody of the group was added; `None` for whoever is not added: the user, services, the system.
    #[must_use]
    pub fn added_at(&self, who: &Principal) -> Option<Seq> {
        match who {
            Principal::Actor(id) => self.actors.get(id).copied(),
            Principal::Person(name) => self.people.get(name).copied(),
            Principal::User | Principal::System | Principal::Service(_) | Principal::Remote(_) => None,
        }
    }
}

impl Group {
    /// Who is in the group, and what this principal is to it: for a store beside the ledger, whose own rules
    /// say what follows from that.
    ///
    /// # Errors
    /// `NotFound` for an actor or a person who has been removed.
    pub async fn roster(&self) -> Result<Roster> {
        let at = self.shared.engine.clock().now();
        let by = &self.by;
        let look = |state: &crate::state::GroupState| {
            permission::present(state, by)?;
            Ok(Roster {
                at,
                state: state.mode(),
                rank: permission::rank(state, by),
                actors: state.actors().iter().map(|(id, actor)| (id.clone(), actor.incarnation)).collect(),
                people: state.people().iter().map(|(name, one)| (name.clone(), one.incarnation)).collect(),
            })
        };
        self.shared.engine.query(look).await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocking::block_on;
    use crate::error::ErrorKind;

    #[test]
    fn an_actor_that_was_added_again_is_another() {
        block_on(async {
            let user = Group::in_memory("test").await?;
            for id in ["lead", "alice"] {
                user.add_actor(id).await?;
            }
            let (lead, alice) = (user.bind("lead").await?, user.bind("alice").await?);
            let id = ActorId::new("alice")?;
            let before = alice.roster().await?;
            assert_eq!((before.rank, before.actors.len()), (Rank::Peer, 2));
            assert_eq!(lead.roster().await?.rank, Rank::Foreman);
            user.remove_actor("alice").await?;
            assert_eq!(alice.roster().await.unwrap_err().kind(), ErrorKind::NotFound);
            assert!(!user.roster().await?.actors.contains_key(&id));
            user.add_actor("alice").await?;
            let after = user.roster().await?;
            assert!(after.actors.get(&id) > before.actors.get(&id));
            assert_eq!(after.rank, Rank::Owner);
            user.add_person("bea").await?;
            let bea = user.bind("user:bea").await?;
            let first = bea.roster().await?;
            assert_eq!(first.rank, Rank::Person);
            user.remove_person("bea").await?;
            assert_eq!(bea.roster().await.unwrap_err().kind(), ErrorKind::NotFound);
            user.add_person("bea").await?;
            assert!(bea.roster().await?.added_at(bea.by()) > first.added_at(bea.by()));
            assert_eq!(first.added_at(user.by()), None);
            Ok::<_, crate::Error>(())
        })
        .unwrap();
    }
}
