//! Voting.

use std::time::Duration;

use super::Group;
use super::awaited::awaited_by_run;
use crate::command::Command;
use crate::engine::Executed;
use crate::error::{Error, Result};
use crate::event::{Body, Choice};
use crate::id::{Principal, VoteId};
use crate::rule::vote::{self, VoteView};

/// How long a vote is open unless another time is asked for.
pub const DEFAULT_VOTE: Duration = Duration::from_secs(60 * 60);

impl Group {
    /// Puts a question to a vote: `group.open_vote("Merge now?").within(hour).await?`. Of two voters both
    /// must agree, of more the majority of all; it is decided as soon as it can be.
    ///
    /// The question `release <actor>` (or `release <actor> to <successor>`) is whether to remove that peer: every
    /// other actor votes, and when it is
    /// accepted the actor is removed in the same append.
    ///
    /// # Errors
    /// `Refused` where there would be fewer than two voters, for a release of the foreman, and beyond 64 open
    /// votes (4 of one peer); `NotFound` for a voter that is not there; `Conflict` if that release is being
    /// voted on already. The same question of the same asker again is the same vote.
    pub fn open_vote(&self, subject: impl Into<String>) -> OpenVoteRequest<'_> {
        OpenVoteRequest { group: self, subject: subject.into(), voters: Ok(Vec::new()), within: DEFAULT_VOTE }
    }

    /// Votes. A voice stands once it is given; giving it again changes nothing. Answers where the vote stands.
    ///
    /// # Errors
    /// `Refused` for who is not a voter and when its time is over; `Conflict` after another voice and when the
    /// vote is decided.
    pub async fn cast_vote(
        &self,
        vote: impl IntoVoteId,
        choice: Choice,
        reason: impl Into<String>,
    ) -> Result<VoteView> {
        let vote = vote.into_vote_id()?;
        self.execute(Command::CastVote { vote, choice, reason: reason.into() }).await?;
        self.vote(vote).await
    }

    /// Calls a vote off; or, when its time is over, says so.
    ///
    /// # Errors
    /// `Refused` unless this principal had asked, or is the foreman or the user, or the time is over;
    /// `Conflict` if it was decided.
    pub async fn close_vote(&self, vote: impl IntoVoteId, reason: impl Into<String>) -> Result<Executed> {
        let vote = vote.into_vote_id()?;
        self.execute(Command::CloseVote { vote, reason: reason.into() }).await
    }

    /// The votes that are not closed, oldest first.
    pub async fn votes(&self) -> Result<Vec<VoteView>> {
        let now = self.shared.engine.clock().now();
        self.shared.engine.query(|state| vote::list(state, now)).await
    }

    /// The votes that are not closed, and the last hundred that were, oldest first.
    pub async fn all_votes(&self) -> Result<Vec<VoteView>> {
        let now = self.shared.engine.clock().now();
        let look = |state: &crate::state::GroupState| (vote::list(state, now), state.closed_votes().clone());
        let (mut votes, closed) = self.shared.engine.query(look).await?;
        for id in closed {
            votes.push(self.vote(id).await?);
        }
        votes.sort_by_key(|vote| vote.vote_id);
        Ok(votes)
    }

    /// A vote, open or decided.
    ///
    /// # Errors
    /// `NotFound` if there is no such event, `Invalid` if it is no vote.
    pub async fn vote(&self, vote: impl IntoVoteId) -> Result<VoteView> {
        let id = vote.into_vote_id()?;
        let engine = &self.shared.engine;
        let Some(opened) = engine.event_at(id.seq()).await? else {
            return Err(Error::not_found(format!("there is no vote {id} in this group"))
                .hint("`cccc vote list` shows the votes"));
        };
        let now = engine.clock().now();
        engine.query_facts(id.seq(), |state, facts| vote::show(state, &opened, facts, now)).await?
    }
}

/// A question about to be asked; awaiting it asks. Made by [`Group::open_vote`].
#[derive(Debug)]
#[must_use = "nothing is asked until this is awaited"]
pub struct OpenVoteRequest<'a> {
    group: &'a Group,
    subject: String,
    voters: Result<Vec<Principal>>,
    within: Duration,
}

impl OpenVoteRequest<'_> {
    /// Adds a voter. Default: every actor; of a release every actor but the one concerned.
    pub fn voter(mut self, name: impl AsRef<str>) -> Self {
        match (name.as_ref().parse(), &mut self.voters) {
            (Ok(voter), Ok(voters)) => voters.push(voter),
            (Err(error), Ok(_)) => self.voters = Err(error),
            (_, Err(_)) => {}
        }
        self
    }

    /// For how long it is open, not counting time the group is paused; at most 30 days. Default: one hour.
    pub fn within(self, time: Duration) -> Self {
        Self { within: time, ..self }
    }

    async fn run(self) -> Result<VoteView> {
        let Self { group, subject, voters, within } = self;
        let done = group.execute(Command::OpenVote { subject, voters: voters?, within }).await?;
        let opened = |event: &crate::event::Event| match &event.body {
            Body::VoteOpen(open) => Some(open.vote_id),
            _ => None,
        };
        // Votes whose time was over may have been closed before it in the same append.
        let id = done.events.iter().chain(&done.duplicate).find_map(opened);
        group.vote(id.ok_or_else(|| Error::conflict("the command changed nothing"))?).await
    }
}

awaited_by_run! {
    OpenVoteRequest => VoteView;
}

/// Anything that names a vote: its id, a view of it, `"v57"`, `"57"`.
pub trait IntoVoteId {
    /// The vote that is meant.
    fn into_vote_id(self) -> Result<VoteId>;
}

impl IntoVoteId for VoteId {
    fn into_vote_id(self) -> Result<VoteId> {
        Ok(self)
    }
}

impl IntoVoteId for &VoteView {
    fn into_vote_id(self) -> Result<VoteId> {
        Ok(self.vote_id)
    }
}

impl IntoVoteId for &str {
    fn into_vote_id(self) -> Result<VoteId> {
        self.parse()
    }
}
