//! Requests for permission that are not decided.

use serde::{Deserialize, Serialize};

use super::{GroupState, Obligation, ObligationKind};
use crate::event::{ApprovalDecide, ApprovalOpen, Event};
use crate::id::{ApprovalId, EventId, Principal};
use crate::time::Timestamp;

/// How many decided requests are remembered, newest first to stay; what became of them is on the ledger.
pub const MAX_DECIDED_APPROVALS: usize = 100;

/// A request that is not decided. What it is about is on the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Approval {
    /// The event that opened it.
    pub opened_by_event: EventId,
    /// Who asks.
    pub requester: Principal,
    /// Who may decide.
    pub deciders: Vec<Principal>,
    /// When it ends undecided, not counting pauses since it was opened; see
    /// [`approval_ends_at`](GroupState::approval_ends_at).
    pub until: Timestamp,
    /// For how long the group had been paused before.
    pub paused_before_ms: u64,
}

impl Approval {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> ApprovalId {
        ApprovalId(self.opened_by_event.seq)
    }
}

impl GroupState {
    /// When a request ends undecided, as of `now`: each moment of pause moves it by that much.
    #[must_use]
    pub fn approval_ends_at(&self, approval: &Approval, now: Timestamp) -> Timestamp {
        self.after_pauses(approval.until, approval.paused_before_ms, now)
    }

    pub(super) fn open_approval(&mut self, event: &Event, open: &ApprovalOpen) {
        let paused_ms = u64::try_from(self.paused_until(event.ts).as_millis()).unwrap_or(u64::MAX);
        for decider in &open.deciders {
            let Some(mailbox) = self.mailboxes.get_mut(decider) else { continue };
            let obligation = Obligation {
                source: event.id,
                creditor: event.by.clone(),
                due_at: Some(open.until),
                paused_before_ms: paused_ms,
                lineages: vec![vec![(decider.clone(), event.seq)]],
                thread: event.seq,
                told: None,
            };
            mailbox.owed.insert((event.seq, ObligationKind::Approval), obligation);
        }
        let approval = Approval {
            opened_by_event: event.id,
            requester: event.by.clone(),
            deciders: open.deciders.clone(),
            until: open.until,
            paused_before_ms: paused_ms,
        };
        self.approvals.insert(open.approval_id, approval);
    }

    pub(super) fn decide_approval(&mut self, decide: &ApprovalDecide) {
        let id = decide.approval_id;
        if self.approvals.remove(&id).is_some() {
            self.decided_approvals.push_back(id);
            if self.decided_approvals.len() > MAX_DECIDED_APPROVALS {
                self.decided_approvals.pop_front();
            }
        }
        for mailbox in self.mailboxes.values_mut() {
            mailbox.owed.remove(&(id.seq(), ObligationKind::Approval));
        }
    }
}
