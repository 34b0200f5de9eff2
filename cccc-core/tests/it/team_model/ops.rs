//! What is tried in a history: one step is a word and some numbers, which choose among what there is.

use std::fmt;

use proptest::prelude::*;

/// Who speaks. Not all of them are in the group all the time, and `d` comes by itself.
pub(super) const PEOPLE: [&str; 9] = ["user", "lead", "a", "b", "c", "d", "user:p", "user:q", "svc:host"];
/// How many of them are no service: the first of the list.
pub(super) const RECEIVERS: usize = 8;
pub(super) const ACTORS: [&str; 5] = ["lead", "a", "b", "c", "d"];

/// One step.
#[derive(Clone)]
pub(super) struct Op {
    pub(super) what: What,
    pub(super) by: usize,
    pub(super) n: [usize; 3],
}

/// On one line, as a history has many.
impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} by {} {:?}", self.what, PEOPLE[self.by], self.n)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum What {
    Send,
    Burst,
    Chat,
    Answer,
    Ack,
    Read,
    Cancel,
    Retract,
    Redact,
    Pull,
    /// Somebody takes its inbox, and then says that it has it, or not.
    Take,
    Claim,
    /// Some of those who deliver turn out to be dead.
    LoseClaims,
    AddTask,
    TrackedSend,
    Task,
    Finish,
    OpenVote,
    Cast,
    CloseVote,
    /// A question with options.
    Ask,
    Choose,
    CloseQuestion,
    OpenApproval,
    Decide,
    CloseApproval,
    Pin,
    Unpin,
    Reserve,
    Extend,
    Release,
    Labels,
    SetContext,
    Append,
    AgentState,
    /// Somebody looks at its notices.
    See,
    Join,
    CloseSession,
    Upkeep,
    Add,
    Remove,
    AddPerson,
    RemovePerson,
    Lead,
    Mode,
    JoinPolicy,
    Setting,
    AddSchedule,
    EnableSchedule,
    RemoveSchedule,
    ClearSchedules,
    Due,
    Wait,
    WaitLong,
    WaitUntilDue,
    /// The clock is set back, or forward.
    Jump,
}

/// Steps with how often each is taken.
const WEIGHTS: [(usize, What); 55] = [
    (8, What::Send),
    (1, What::Burst),
    (1, What::Chat),
    (6, What::Answer),
    (3, What::Ack),
    (2, What::Read),
    (2, What::Cancel),
    (1, What::Retract),
    (1, What::Redact),
    (3, What::Pull),
    (3, What::Take),
    (4, What::Claim),
    (2, What::LoseClaims),
    (5, What::AddTask),
    (3, What::TrackedSend),
    (22, What::Task),
    (4, What::Finish),
    (4, What::OpenVote),
    (12, What::Cast),
    (1, What::CloseVote),
    (5, What::Ask),
    (5, What::Choose),
    (1, What::CloseQuestion),
    (3, What::OpenApproval),
    (3, What::Decide),
    (1, What::CloseApproval),
    (2, What::Pin),
    (2, What::Unpin),
    (6, What::Reserve),
    (2, What::Extend),
    (2, What::Release),
    (3, What::Labels),
    (5, What::SetContext),
    (2, What::Append),
    (5, What::AgentState),
    (2, What::See),
    (4, What::Join),
    (2, What::CloseSession),
    (3, What::Upkeep),
    (3, What::Add),
    (3, What::Remove),
    (2, What::AddPerson),
    (1, What::RemovePerson),
    (1, What::Lead),
    (4, What::Mode),
    (1, What::JoinPolicy),
    (3, What::Setting),
    (4, What::AddSchedule),
    (1, What::EnableSchedule),
    (1, What::RemoveSchedule),
    (1, What::ClearSchedules),
    (8, What::Due),
    (5, What::Wait),
    (3, What::WaitLong),
    (6, What::WaitUntilDue),
];

pub(super) fn op() -> impl Strategy<Value = Op> {
    op_of(WEIGHTS.iter().flat_map(|(weight, what)| vec![*what; *weight]).collect())
}

/// Steps of these kinds, those that are named twice twice as often.
pub(super) fn op_of(table: Vec<What>) -> impl Strategy<Value = Op> + use<> {
    let numbers = [0..1_000_usize, 0..1_000, 0..1_000];
    (proptest::sample::select(table), 0..PEOPLE.len(), numbers).prop_map(|(what, by, n)| Op { what, by, n })
}
