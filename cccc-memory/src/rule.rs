//! Who sees a note, and who may do what with it. Pure: who asks and what is meant come in as arguments.
//!
//! | | the user | the foreman | its author | the actor whose own it is | others |
//! |---|---|---|---|---|---|
//! | see a note of the group | yes | yes | yes | | yes |
//! | see an actor's own | yes | no | no | yes | no |
//! | change or forget one of the group | yes | yes | yes | | no |
//! | change or forget an actor's own | yes | no | no | yes | no |
//! | see what was forgotten | yes | of the group | no | no | no |
//!
//! An actor that was added again under the same id is another: it has neither the notes nor the rights of the one
//! before. As everywhere, this keeps cooperating processes of one person apart, not hostile code.

use cccc_core::event::GroupMode;
use cccc_core::rule::permission::Rank;
use cccc_core::{ActorId, Error, Principal, Result, Roster, Seq};

use crate::note::{Scope, Stored};

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) principal: Principal,
    pub(crate) rank: Rank,
    /// If it is an actor: which one, of those that had its id.
    pub(crate) at: Option<Seq>,
}

/// The notes that somebody sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    All,
    /// The group's, and those of this actor.
    GroupAnd(ActorId, Seq),
    Group,
}

/// What keeps the memory in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// Changes nothing that a note says: anybody.
    Upkeep,
    /// Takes notes away or moves them.
    Purge,
    HandOver,
    /// Takes notes out.
    Export,
    /// Says who wrote what.
    Import,
}

impl Who {
    pub(crate) fn of(principal: &Principal, roster: &Roster) -> Self {
        Self { principal: principal.clone(), rank: roster.rank, at: roster.added_at(principal) }
    }

    pub(crate) fn sight(&self) -> Sight {
        match (&self.principal, self.rank, self.at) {
            (_, Rank::Owner, _) => Sight::All,
            (Principal::Actor(id), _, Some(at)) => Sight::GroupAnd(id.clone(), at),
            _ => Sight::Group,
        }
    }

    /// Whether it sees what was forgotten, of the notes that it sees.
    pub(crate) fn sees_forgotten(&self) -> bool {
        matches!(self.rank, Rank::Owner | Rank::Foreman)
    }

    pub(crate) fn sees(&self, note: &Stored) -> bool {
        let in_sight = match (self.sight(), &note.owner) {
            (Sight::All, _) | (_, None) => true,
            (Sight::GroupAnd(id, at), Some((owner, owner_at))) => id == *owner && at == *owner_at,
            (Sight::Group, Some(_)) => false,
        };
        let told = match note.forgotten {
            None => true,
            Some(_) => self.rank == Rank::Owner || (self.sees_forgotten() && note.owner.is_none()),
        };
        in_sight && told
    }

    /// Whose a new note is.
    ///
    /// # Errors
    /// `Refused` for one that may not have such a note.
    pub(crate) fn owner_of_new(&self, scope: Scope) -> Result<Option<(ActorId, Seq)>> {
        match (scope, &self.principal, self.at) {
            (_, Principal::Remote(remote), _) => {
                Err(Error::refused(format!("{remote} is not in this group, and leaves no notes here"))
                    .hint(format!("write it there: `cccc --group {} memory add`", remote.group())))
            }
            (Scope::Group, ..) => Ok(None),
            (Scope::Own, Principal::Actor(id), Some(at)) => Ok(Some((id.clone(), at))),
            (Scope::Own, other, _) => {
                Err(Error::refused(format!("only an actor has notes of its own, not {other}"))
                    .hint("leave out `own`: it is then a note of the group"))
            }
        }
    }

    /// Whether it may change, supersede or forget a note that it sees.
    ///
    /// # Errors
    /// `Refused`, saying who may.
    pub(crate) fn may_change(&self, note: &Stored) -> Result<()> {
        let wrote = self.principal == note.author && self.at == note.author_at;
        let may = match (self.rank, &note.owner) {
            (Rank::Owner, _) => true,
            (_, Some((owner, at))) => self.principal.actor() == Some(owner) && self.at == Some(*at),
            (Rank::Foreman, None) => true,
            (_, None) => wrote,
        };
        if may {
            return Ok(());
        }
        let Principal::Actor(author) = &note.author else {
            return Err(Error::refused(format!(
                "{} is a note of {}: the user and the foreman may change it",
                note.id, note.author
            ))
            .hint("add a note of your own that says what you know"));
        };
        Err(Error::refused(format!(
            "{} is a note of {author}: its author, the foreman and the user may change it",
            note.id
        ))
        .hint(format!("ask with `cccc send --to {author}`, or add a note of your own")))
    }

    /// Whether it may look after the memory so.
    ///
    /// # Errors
    /// `Refused`, saying who may.
    pub(crate) fn may(&self, care: Care) -> Result<()> {
        let (may, whose) = match (care, self.rank) {
            (Care::Upkeep, _) => (true, ""),
            (Care::Import, rank) => (rank == Rank::Owner, "the user"),
            (_, rank) => (matches!(rank, Rank::Owner | Rank::Foreman), "the user and the foreman"),
        };
        if may {
            return Ok(());
        }
        let what = match care {
            Care::Upkeep => "look after the memory",
            Care::Purge => "purge forgotten notes",
            Care::HandOver => "hand over notes",
            Care::Export => "export notes",
            Care::Import => "import notes",
        };
        Err(Error::refused(format!("{} may not {what}: that is for {whose}", self.principal))
            .hint("ask with `cccc send --to user`"))
    }
}

/// Refuses what would change the memory of an archived group.
pub(crate) fn may_write(roster: &Roster) -> Result<()> {
    match roster.state {
        GroupMode::Archived => Err(Error::refused("the group is archived, and so read-only")
            .hint("the user can open it again with `cccc group resume`")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use cccc_core::Timestamp;

    use super::*;
    use crate::note::NoteId;

    fn who(text: &str, rank: Rank, at: Option<u64>) -> Who {
        Who { principal: text.parse().unwrap(), rank, at: at.map(Seq) }
    }

    fn note(author: &str, author_at: Option<u64>, owner: Option<(&str, u64)>, forgotten: bool) -> Stored {
        let author: Principal = author.parse().unwrap();
        Stored {
            id: NoteId(1),
            owner: owner.map(|(id, at)| (id.parse().unwrap(), Seq(at))),
            edited_by: author.clone(),
            author,
            author_at: author_at.map(Seq),
            text: String::new(),
            tags: Vec::new(),
            sources: Vec::new(),
            version: 1,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            superseded_by: None,
            forgotten: forgotten.then(|| (Timestamp::default(), Principal::User)),
        }
    }

    #[test]
    fn who_sees_and_changes_what() {
        let everybody = [
            who("user", Rank::Owner, None),
            who("system", Rank::Owner, None),
            who("lead", Rank::Foreman, Some(2)),
            who("alice", Rank::Peer, Some(3)),
            who("bob", Rank::Peer, Some(4)),
            who("svc:ci", Rank::Service, None),
            // The same name, added again.
            who("alice", Rank::Peer, Some(9)),
            who("user:bea", Rank::Person, Some(5)),
            who("user:bea", Rank::Person, Some(10)),
        ];
        for (case, note, sees, changes) in [
            ("of the group", note("alice", Some(3), None, false), "111111111", "111100000"),
            ("of the user", note("user", None, None, false), "111111111", "111000000"),
            ("of a service", note("svc:ci", None, None, false), "111111111", "111001000"),
            ("of a person", note("user:bea", Some(5), None, false), "111111111", "111000010"),
            ("forgotten", note("alice", Some(3), None, true), "111000000", "111100000"),
            ("own", note("alice", Some(3), Some(("alice", 3)), false), "110100000", "110100000"),
            ("of the foreman", note("lead", Some(2), Some(("lead", 2)), false), "111000000", "111000000"),
            ("handed over", note("alice", Some(3), Some(("bob", 4)), false), "110010000", "110010000"),
            ("own, forgotten", note("alice", Some(3), Some(("alice", 3)), true), "110000000", "110100000"),
        ] {
            let bits = |may: &dyn Fn(&Who) -> bool| -> String {
                everybody.iter().map(|who| if may(who) { '1' } else { '0' }).collect()
            };
            assert_eq!(bits(&|who| who.sees(&note)), sees, "who sees one {case}");
            assert_eq!(bits(&|who| who.may_change(&note).is_ok()), changes, "who changes one {case}");
        }
    }

    #[test]
    fn who_looks_after_the_memory() {
        let rights = |rank| {
            let who = Who { principal: Principal::User, rank, at: None };
            [Care::Upkeep, Care::Purge, Care::HandOver, Care::Export, Care::Import]
                .map(|care| if who.may(care).is_ok() { '1' } else { '0' })
                .iter()
                .collect::<String>()
        };
        assert_eq!(rights(Rank::Owner), "11111");
        assert_eq!(rights(Rank::Foreman), "11110");
        assert_eq!(rights(Rank::Person), "10000");
        assert_eq!(rights(Rank::Peer), "10000");
        assert_eq!(rights(Rank::Service), "10000");
    }

    #[test]
    fn whose_a_new_note_is() {
        let (alice, user) = (who("alice", Rank::Peer, Some(3)), who("user", Rank::Owner, None));
        assert_eq!(alice.owner_of_new(Scope::Own).unwrap(), Some(("alice".parse().unwrap(), Seq(3))));
        assert_eq!(user.owner_of_new(Scope::Group).unwrap(), None);
        assert!(user.owner_of_new(Scope::Own).is_err());
        assert!(who("bob@g2", Rank::Service, None).owner_of_new(Scope::Group).is_err());
    }
}
