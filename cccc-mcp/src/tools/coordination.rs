//! Agreeing: decisions, reservations, votes, questions, approvals, pins, and who waits for whom.

use cccc_core::event::Choice;
use cccc_core::rule::presence::Condition;
use cccc_core::{ApprovalView, Error, PersonView, PinView, QuestionView};
use cccc_core::{Cycle, Member, ObligationView, Receipt, ReservationView, Result, Timestamp, VoteView, Wait};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Done, Effect, Tool, needed};
use crate::args::{Event, Time, names};
use crate::bounds::{MAX_ITEMS, page};

/// `cccc_coordination`
#[derive(Debug)]
pub(crate) enum Coordination {}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    Who,
    People,
    Owed,
    Waits,
    Receipts,
    Decide,
    Note,
    Reserve,
    Extend,
    Release,
    Reservations,
    VoteOpen,
    Vote,
    Votes,
    VoteClose,
    Questions,
    ApprovalOpen,
    ApprovalDecide,
    Approvals,
    ApprovalClose,
    Pin,
    Unpin,
    Pins,
    Cancel,
    Retract,
    Retry,
    Leave,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CoordinationArgs {
    action: Action,
    /// decide, note
    text: Option<String>,
    /// reserve: globs like src/**
    #[serde(default, deserialize_with = "names")]
    paths: Vec<String>,
    /// reserve: what for
    purpose: Option<String>,
    /// How long, like 30m
    #[serde(rename = "for")]
    time: Option<Time>,
    /// extend, release
    reservation: Option<String>,
    /// reservations: who has this path
    path: Option<String>,
    /// vote_open: the question, or `release ID`; approval_open
    subject: Option<String>,
    /// vote_open [all]
    #[serde(default, deserialize_with = "names")]
    voters: Vec<String>,
    /// vote, vote_close; votes: only this one
    vote: Option<String>,
    /// vote; approval_decide: yes or no
    choice: Option<Choice>,
    /// approval_*: which
    approval: Option<String>,
    /// The message; questions: only this one
    seq: Option<Event>,
    /// retry: to whom once more, where delivery is ambiguous
    to: Option<String>,
    /// Everybody's, and past ones
    #[serde(default)]
    all: bool,
    /// Why
    reason: Option<String>,
    /// Of a list: leave out the first so many
    skip: Option<usize>,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Coordinated {
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    done: Option<Done>,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Vec<MemberView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    people: Option<Vec<PersonView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    obligations: Option<Vec<ObligationView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waits: Option<Vec<Wait>>,
    /// Circles, each with who can break it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cycles: Vec<Cycle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipts: Option<Vec<Receipt>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reservations: Option<Vec<ReservationView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    votes: Option<Vec<VoteView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    questions: Option<Vec<QuestionView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    approvals: Option<Vec<ApprovalView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pins: Option<Vec<PinView>>,
    /// The call that shows what follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// An actor, as the others see it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MemberView {
    id: cccc_core::ActorId,
    role: cccc_core::event::Role,
    presence: Condition,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<cccc_core::Label>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    unread: u64,
    owed: u64,
    last_seen: Timestamp,
}

impl From<Member> for MemberView {
    fn from(member: Member) -> Self {
        Self {
            id: member.actor.actor_id,
            role: member.actor.role,
            presence: member.presence,
            labels: member.actor.labels,
            runtime: member.actor.runtime,
            branch: member.session.and_then(|session| session.branch),
            unread: member.actor.unread,
            owed: member.actor.owed,
            last_seen: member.last_seen,
        }
    }
}

/// Puts a page of something into an answer.
fn paged<T: Serialize>(
    items: Vec<T>,
    skip: Option<usize>,
    arguments: &str,
    put: impl FnOnce(&mut Coordinated, Vec<T>),
) -> Coordinated {
    let page = page(items, skip);
    let next = page.call(Coordination::NAME, arguments);
    let mut answer = Coordinated { next, ..Coordinated::default() };
    put(&mut answer, page.items);
    answer
}

impl From<cccc_core::Executed> for Coordinated {
    fn from(done: cccc_core::Executed) -> Self {
        Self { done: Some(done.into()), ..Self::default() }
    }
}

fn of_approval(approval: ApprovalView) -> Coordinated {
    Coordinated { approvals: Some(vec![approval]), ..Coordinated::default() }
}

impl Tool for Coordination {
    const NAME: &'static str = "cccc_coordination";
    const ABOUT: &'static str = "Agree with the others: see who is here, what is owed, who waits for whom; write down \
        decisions and notes; reserve paths before you edit them; vote; ask for approval; pin messages; receipts of your messages, or take one back; \
        leave the group.";
    const EFFECT: Effect = Effect::Changes;
    type Args = CoordinationArgs;
    type Answer = Coordinated;

    async fn run(call: &Call, args: CoordinationArgs) -> Result<Coordinated> {
        let seated = call.seated().await?;
        let group = seated.group();
        let (reason, skip) = (args.reason.unwrap_or_default(), args.skip);
        let event = |name| needed(args.seq.as_ref(), name, "seq").and_then(Event::reference);
        let vote = |name| needed(args.vote.as_deref(), name, "vote");
        let approval = |name| needed(args.approval.as_deref(), name, "approval");
        let reservation = |name| needed(args.reservation.as_deref(), name, "reservation");
        Ok(match args.action {
            Action::Who => {
                let members = group.who().await?.into_iter().map(MemberView::from).collect();
                paged(members, skip, "\"action\":\"who\"", |answer, members| answer.members = Some(members))
            }
            Action::People => {
                paged(group.people().await?, skip, "\"action\":\"people\"", |answer, people| {
                    answer.people = Some(people);
                })
            }
            Action::Owed => {
                let (request, call) = match args.all {
                    true => (group.obligations().all(), "\"action\":\"owed\",\"all\":true"),
                    false => (group.obligations(), "\"action\":\"owed\""),
                };
                paged(request.await?, skip, call, |answer, all| answer.obligations = Some(all))
            }
            Action::Waits => {
                let graph = group.waits().await?;
                let mut answer = paged(graph.waits, skip, "\"action\":\"waits\"", |answer, waits| {
                    answer.waits = Some(waits)
                });
                answer.cycles = graph.cycles.into_iter().take(MAX_ITEMS / 4).collect();
                for breaker in answer.cycles.iter_mut().flat_map(|cycle| &mut cycle.breakers) {
                    if let Some(call) = crate::calls::call(&breaker.call) {
                        breaker.call = call;
                    }
                }
                answer
            }
            Action::Receipts => {
                let message = event("receipts")?;
                let arguments = format!("\"action\":\"receipts\",\"seq\":{:?}", message.to_string());
                paged(group.receipts(message).await?, skip, &arguments, |answer, receipts| {
                    answer.receipts = Some(receipts)
                })
            }
            Action::Decide => group.decide(needed(args.text, "decide", "text")?).await?.into(),
            Action::Note => group.note(needed(args.text, "note", "text")?).await?.into(),
            Action::Reserve => {
                let mut request = group.reserve(args.paths).purpose(args.purpose.unwrap_or_default());
                if let Some(Time(time)) = args.time {
                    request = request.lasting(time);
                }
                let taken = request.await?;
                Coordinated { reservations: Some(vec![taken]), ..Coordinated::default() }
            }
            Action::Extend => {
                let time = args.time.map_or(cccc_core::DEFAULT_LEASE, |Time(time)| time);
                let extended = group.extend_reservation(reservation("extend")?, time).await?;
                Coordinated { reservations: Some(vec![extended]), ..Coordinated::default() }
            }
            Action::Release => group.release(reservation("release")?, reason).await?.into(),
            Action::Reservations => {
                let all = match &args.path {
                    Some(path) => group.reservations_of(path).await?,
                    None => group.reservations().await?,
                };
                paged(all, skip, "\"action\":\"reservations\"", |answer, all| answer.reservations = Some(all))
            }
            Action::VoteOpen => {
                let mut request = group.open_vote(needed(args.subject, "vote_open", "subject")?);
                for voter in args.voters {
                    request = request.voter(voter);
                }
                if let Some(Time(time)) = args.time {
                    request = request.within(time);
                }
                Coordinated { votes: Some(vec![request.await?]), ..Coordinated::default() }
            }
            Action::Vote => {
                let choice = needed(args.choice, "vote", "choice")?;
                let standing = group.cast_vote(vote("vote")?, choice, reason).await?;
                Coordinated { votes: Some(vec![standing]), ..Coordinated::default() }
            }
            Action::Votes => match args.vote.as_deref() {
                Some(id) => {
                    Coordinated { votes: Some(vec![group.vote(id).await?]), ..Coordinated::default() }
                }
                None => {
                    let (votes, call) = match args.all {
                        true => (group.all_votes().await?, "\"action\":\"votes\",\"all\":true"),
                        false => (group.votes().await?, "\"action\":\"votes\""),
                    };
                    paged(votes, skip, call, |answer, votes| answer.votes = Some(votes))
                }
            },
            Action::VoteClose => group.close_vote(vote("vote_close")?, reason).await?.into(),
            Action::Questions => match &args.seq {
                Some(_) => {
                    let question = group.question(event("questions")?).await?;
                    Coordinated { questions: Some(vec![question]), ..Coordinated::default() }
                }
                None => paged(group.questions().await?, skip, "\"action\":\"questions\"", |answer, all| {
                    answer.questions = Some(all)
                }),
            },
            Action::ApprovalOpen => {
                let mut request = group.request_approval(needed(args.subject, "approval_open", "subject")?);
                if let Some(Time(time)) = args.time {
                    request = request.within(time);
                }
                of_approval(request.await?)
            }
            Action::ApprovalDecide => {
                let allow = match needed(args.choice, "approval_decide", "choice")? {
                    Choice::Yes => true,
                    Choice::No => false,
                    Choice::Abstain => return Err(Error::invalid("a request is decided with yes or no")),
                };
                of_approval(group.decide_approval(approval("approval_decide")?, allow, reason).await?)
            }
            Action::Approvals => match args.approval.as_deref() {
                Some(id) => of_approval(group.approval(id).await?),
                None => {
                    let (approvals, call) = match args.all {
                        true => (group.all_approvals().await?, "\"action\":\"approvals\",\"all\":true"),
                        false => (group.approvals().await?, "\"action\":\"approvals\""),
                    };
                    paged(approvals, skip, call, |answer, all| answer.approvals = Some(all))
                }
            },
            Action::ApprovalClose => group.close_approval(approval("approval_close")?, reason).await?.into(),
            Action::Pin => group.pin(event("pin")?, reason).await?.into(),
            Action::Unpin => group.unpin(event("unpin")?, reason).await?.into(),
            Action::Pins => paged(group.pins().await?, skip, "\"action\":\"pins\"", |answer, pins| {
                answer.pins = Some(pins)
            }),
            Action::Cancel => group.cancel(event("cancel")?, reason).await?.into(),
            Action::Retract => group.retract(event("retract")?, reason).await?.into(),
            Action::Retry => {
                let to = needed(args.to.as_deref(), "retry", "to")?;
                group.retry(event("retry")?, to.trim_start_matches('@')).await?.into()
            }
            Action::Leave => group.leave(reason).await?.into(),
        })
    }
}
