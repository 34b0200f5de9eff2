//! Requests for approval.

use std::time::Duration;

use super::awaited::awaited_by_run;
use super::{Group, appended};
use crate::command::Command;
use crate::engine::Executed;
use crate::error::{Error, Result};
use crate::id::ApprovalId;
use crate::rule::approval::{self, ApprovalView};

/// How long a request for approval is open unless another time is asked for.
pub const DEFAULT_APPROVAL: Duration = Duration::from_secs(10 * 60);

impl Group {
    /// Asks whether this actor may do something: `group.request_approval("Run the migration").await?`. The user
    /// decides, and the foreman where the group's setting `approval.foreman` is `true`. What is undecided when its
    /// time is over allows nothing.
    ///
    /// # Errors
    /// `Refused` for everybody but actors, and beyond 16 open requests of one (256 of all); `Conflict` for a key that
    /// was used for another request.
    pub fn request_approval(&self, subject: impl Into<String>) -> ApprovalRequest<'_> {
        ApprovalRequest {
            group: self,
            subject: subject.into(),
            tool: None,
            input: None,
            within: DEFAULT_APPROVAL,
            client_id: None,
        }
    }

    /// Decides on a request. Answers where it stands.
    ///
    /// # Errors
    /// `Refused` for who may not decide it, and when its time is over; `Conflict`, with whose verdict it was and when,
    /// if it was decided before. The same verdict of the same one again changes nothing.
    pub async fn decide_approval(
        &self,
        approval: impl IntoApprovalId,
        allow: bool,
        reason: impl Into<String>,
    ) -> Result<ApprovalView> {
        let approval = approval.into_approval_id()?;
        self.execute(Command::DecideApproval { approval, allow, reason: reason.into() }).await?;
        self.approval(approval).await
    }

    /// Withdraws a request of this actor's; or, when its time is over, says so.
    ///
    /// # Errors
    /// `Refused` for others while it is open, `Conflict` if it was decided.
    pub async fn close_approval(
        &self,
        approval: impl IntoApprovalId,
        reason: impl Into<String>,
    ) -> Result<Executed> {
        let approval = approval.into_approval_id()?;
        self.execute(Command::CloseApproval { approval, reason: reason.into() }).await
    }

    /// The requests that are not decided, oldest first.
    ///
    /// # Errors
    /// As for any look at the ledger.
    pub async fn approvals(&self) -> Result<Vec<ApprovalView>> {
        let ids = self.shared.engine.query(|state| state.approvals().keys().copied().collect()).await?;
        self.approvals_of(ids).await
    }

    /// The requests that are not decided, and the last hundred that were, oldest first.
    ///
    /// # Errors
    /// As for any look at the ledger.
    pub async fn all_approvals(&self) -> Result<Vec<ApprovalView>> {
        let ids = self.shared.engine.query(|state| {
            let mut ids: Vec<ApprovalId> =
                state.approvals().keys().chain(state.decided_approvals()).copied().collect();
            ids.sort_unstable();
            ids
        });
        self.approvals_of(ids.await?).await
    }

    async fn approvals_of(&self, ids: Vec<ApprovalId>) -> Result<Vec<ApprovalView>> {
        let mut approvals = Vec::with_capacity(ids.len());
        for id in ids {
            approvals.push(self.approval(id).await?);
        }
        Ok(approvals)
    }

    /// A request, decided or not.
    ///
    /// # Errors
    /// `NotFound` if there is no such event, `Invalid` if it is no request.
    pub async fn approval(&self, approval: impl IntoApprovalId) -> Result<ApprovalView> {
        let id = approval.into_approval_id()?;
        let engine = &self.shared.engine;
        let Some(opened) = engine.event_at(id.seq()).await? else {
            return Err(Error::not_found(format!("there is no request {id} in this group"))
                .hint("`cccc approval list` shows the requests"));
        };
        let now = engine.clock().now();
        engine.query_facts(id.seq(), |state, facts| approval::show(state, &opened, facts, now)).await?
    }
}

/// A request about to be made; awaiting it asks. Made by [`Group::request_approval`].
#[derive(Debug)]
#[must_use = "nothing is asked until this is awaited"]
pub struct ApprovalRequest<'a> {
    group: &'a Group,
    subject: String,
    tool: Option<String>,
    input: Option<String>,
    within: Duration,
    client_id: Option<String>,
}

impl ApprovalRequest<'_> {
    /// The tool that would be used, as the agent's program names it; at most 256 bytes.
    pub fn tool(self, tool: impl Into<String>) -> Self {
        Self { tool: Some(tool.into()), ..self }
    }

    /// What would be given to that tool, verbatim; at most 16 KiB. Whoever decides sees it.
    pub fn input(self, input: impl Into<String>) -> Self {
        Self { input: Some(input.into()), ..self }
    }

    /// For how long it is open, not counting time the group is paused; at most a day. Default: ten minutes.
    pub fn within(self, time: Duration) -> Self {
        Self { within: time, ..self }
    }

    /// A key of the actor's own, such as its program's id of the call: asked again under it, it is one request.
    pub fn client_id(self, key: impl Into<String>) -> Self {
        Self { client_id: Some(key.into()), ..self }
    }

    async fn run(self) -> Result<ApprovalView> {
        let Self { group, subject, tool, input, within, client_id } = self;
        let command = Command::OpenApproval { subject, tool, input, within, client_id };
        let done = group.execute(command).await?;
        let opened = appended(&done)?.seq;
        group.approval(ApprovalId(opened)).await
    }
}

awaited_by_run! {
    ApprovalRequest => ApprovalView;
}

/// Anything that names a request for approval: its id, a view of it, `"a57"`, `"57"`.
pub trait IntoApprovalId {
    /// The request that is meant.
    fn into_approval_id(self) -> Result<ApprovalId>;
}

impl IntoApprovalId for ApprovalId {
    fn into_approval_id(self) -> Result<ApprovalId> {
        Ok(self)
    }
}

impl IntoApprovalId for &ApprovalView {
    fn into_approval_id(self) -> Result<ApprovalId> {
        Ok(self.approval_id)
    }
}

impl IntoApprovalId for &str {
    fn into_approval_id(self) -> Result<ApprovalId> {
        self.parse()
    }
}
