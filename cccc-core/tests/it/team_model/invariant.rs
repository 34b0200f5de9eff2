//! The sentences that must hold whatever happens, each with histories of what touches it.
//!
//! Some hold although clocks jump in both directions; the histories of those do.

use std::collections::BTreeMap;
use std::time::Duration;

use cccc_core::event::{Body, DeliveryState, Priority, Transport};
use cccc_core::rule::obligation::{self, Filter};
use cccc_core::rule::receipt::ObligationWord;
use cccc_core::{ObligationKind, Principal, Seq, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::ops::{Op, What, op_of};
use super::{World, cases};

/// Who comes, goes and rests, in every history.
const COMING: [What; 8] = [
    What::Add,
    What::Remove,
    What::Join,
    What::CloseSession,
    What::Lead,
    What::Mode,
    What::Wait,
    What::WaitLong,
];

fn histories(of: &[What], often: usize, most: usize) -> impl Strategy<Value = Vec<Op>> + use<> {
    let of: Vec<What> = of.iter().flat_map(|what| vec![*what; often]).chain(COMING).collect();
    proptest::collection::vec(op_of(of), 1..most)
}

/// Takes the steps, and looks at the group after each.
fn after_each(ops: &[Op], mut world: World, mut look: impl FnMut(&World)) -> Result<(), TestCaseError> {
    for op in ops {
        world.step(op);
        look(&world);
    }
    assert_eq!(&world.desk.rebuilt(), world.desk.state());
    Ok(())
}

fn jumping() -> World {
    let mut world = World::new();
    world.model.jumps = true;
    world
}

impl World {
    /// What holds at any time, whatever the history is about.
    pub(super) fn expect_sentences(&self) {
        self.model.expect_no_orphans();
        self.model.expect_undecided();
        self.model.expect_one_holder();
        if !self.model.jumps {
            self.model.expect_rate_notices();
        }
    }

    /// How far each obligation got that a message brought with it.
    fn words(&self) -> BTreeMap<(Seq, Principal, ObligationKind), (ObligationWord, Option<Principal>)> {
        let mut words = BTreeMap::new();
        for sent in self.desk.events().iter().filter(|event| event.message().is_some()) {
            for receipt in self.desk.receipts(sent.seq) {
                for (kind, word) in
                    [(ObligationKind::Ack, receipt.ack), (ObligationKind::Reply, receipt.reply)]
                {
                    let key = (sent.seq, receipt.recipient.clone(), kind);
                    words.insert(key, (word, receipt.debtor.clone()));
                }
            }
        }
        words
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(400), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_vote_decides_exactly_once(ops in histories(&[What::OpenVote, What::Cast, What::Cast, What::CloseVote, What::Jump], 3, 120)) {
        let mut ended: BTreeMap<Seq, String> = BTreeMap::new();
        after_each(&ops, jumping(), |world| {
            world.model.expect_undecided();
            for (event, open) in world.model.votes() {
                let ends: Vec<String> = world.model.ends(open.vote_id).map(|end| end.outcome.to_string()).collect();
                assert!(ends.len() <= 1, "{open:?} ended as {ends:?}");
                let listed = world.desk.state().votes().contains_key(&open.vote_id);
                assert_eq!(listed, ends.is_empty(), "{open:?} ended as {ends:?}");
                if let Some(end) = ends.first() {
                    assert_eq!(ended.entry(event.seq).or_insert_with(|| end.clone()), end);
                }
            }
        })?;
    }

    #[test]
    fn a_question_has_one_answer_and_a_request_one_verdict(
        ops in histories(
            &[
                What::Ask,
                What::Choose,
                What::Choose,
                What::Answer,
                What::CloseQuestion,
                What::OpenApproval,
                What::Decide,
                What::CloseApproval,
                What::Setting,
                What::Jump,
            ],
            3,
            120,
        )
    ) {
        let mut first: BTreeMap<Seq, Seq> = BTreeMap::new();
        after_each(&ops, jumping(), |world| {
            for (asked, question) in world.model.questions() {
                let answers: Vec<Seq> = world.model.answers(asked).map(|(event, _)| event.seq).collect();
                assert!(answers.len() <= 1, "{question:?} is answered by {answers:?}");
                if let Some(answer) = answers.first() {
                    assert_eq!(first.entry(asked.seq).or_insert(*answer), answer);
                    assert!(world.model.asked_in(asked.seq).is_empty(), "nobody owes what was answered");
                    assert!(!world.desk.state().questions().contains_key(&asked.seq));
                }
            }
            for (event, open) in world.model.approvals() {
                let verdicts = world.model.verdicts(open.approval_id).count();
                assert!(verdicts <= 1, "{open:?} has {verdicts} verdicts");
                assert_eq!(world.desk.state().approvals().contains_key(&open.approval_id), verdicts == 0);
                let there = world.model.same_since(&event.by, event.seq);
                assert!(there || verdicts == 1, "who asked for {open:?} has gone");
            }
        })?;
    }

    #[test]
    fn a_reservation_never_has_two_holders(ops in histories(&[What::Reserve, What::Extend, What::Release, What::Jump], 5, 120)) {
        after_each(&ops, jumping(), |world| world.model.expect_one_holder())?;
    }

    #[test]
    fn an_obligation_ends_once_or_is_open_and_listed(
        ops in histories(&[What::Send, What::Send, What::Answer, What::Ack, What::Cancel, What::Retract, What::Pull], 3, 60)
    ) {
        let mut before = BTreeMap::new();
        after_each(&ops, World::new(), |world| {
            let listed = obligation::list(world.desk.state(), &Filter::default(), world.desk.now);
            let words = world.words();
            for (key, (word, debtor)) in &words {
                let (source, recipient, kind) = key;
                let debtor = debtor.as_ref().unwrap_or(recipient);
                let is_listed = |by: &Principal| listed.iter().any(|one| {
                    one.source.seq == *source && one.kind == *kind && one.debtor == *by
                });
                if *word == ObligationWord::Open {
                    assert!(is_listed(debtor), "{key:?} is open and not listed");
                }
                if let Some((was, _)) = before.get(key).filter(|(was, _)| *was != *word) {
                    let asked = *was == ObligationWord::Open;
                    let given = *was == ObligationWord::None && *word == ObligationWord::Met;
                    assert!(asked || given, "{key:?} was {was:?} and is {word:?}");
                }
            }
            for one in listed.iter().filter(|one| matches!(one.kind, ObligationKind::Ack | ObligationKind::Reply)) {
                let open = words.iter().any(|((source, recipient, kind), (word, debtor))| {
                    let debtor = debtor.as_ref().unwrap_or(recipient);
                    *source == one.source.seq && *kind == one.kind && *debtor == one.debtor && *word == ObligationWord::Open
                });
                assert!(open, "{one:?} is listed, and no receipt says that it is open");
            }
            before = words;
        })?;
    }

    #[test]
    fn a_task_is_owed_or_over(
        ops in histories(&[What::AddTask, What::TrackedSend, What::Task, What::Task, What::Finish], 4, 120)
    ) {
        after_each(&ops, jumping(), |world| {
            world.model.expect_no_orphans();
            let listed = obligation::list(world.desk.state(), &Filter::default(), world.desk.now);
            for task in world.desk.state().tasks() {
                let of_it: Vec<_> = listed
                    .iter()
                    .filter(|one| one.source == task.created && !matches!(one.kind, ObligationKind::Ack | ObligationKind::Reply))
                    .collect();
                let own = task.owner.as_ref().is_none_or(|owner| *owner == task.asker);
                let served = matches!(task.asker, Principal::Service(_)) && task.status.is_closed();
                let owed = usize::from(!task.is_settled() && !own && !served);
                assert_eq!(of_it.len(), owed, "{task:?}: {of_it:?}");
            }
        })?;
    }

    // That no key is ever used twice is looked at with every event.
    #[test]
    fn a_notice_is_never_sent_twice(
        ops in histories(
            &[What::Send, What::AddTask, What::Task, What::Setting, What::Due, What::Due, What::WaitUntilDue, What::Upkeep],
            3,
            150,
        )
    ) {
        after_each(&ops, World::new(), |_| {})?;
    }

    #[test]
    fn a_rate_is_never_exceeded_by_pushes(
        ops in histories(&[What::Send, What::Burst, What::Chat, What::Answer, What::Finish, What::Claim], 3, 50)
    ) {
        let mut world = World::new();
        for op in &ops {
            world.step(op);
        }
        world.expect_bounded_pushes();
    }

    // In histories of everything, by anybody.
    #[test]
    fn a_refusal_writes_nothing_and_what_is_accepted_means_the_same_to_all(
        ops in proptest::collection::vec(super::ops::op(), 1..120)
    ) {
        after_each(&ops, jumping(), |world| {
            assert_eq!(&world.replica, world.desk.state());
        })?;
    }
}

impl World {
    /// In no time of ten minutes are more than thirty messages of one to another pushed, except replies that
    /// are owed, unless the user spoke or one of both got on with a task; and none that is quiet is.
    fn expect_bounded_pushes(&self) {
        let log = &self.model.log;
        let mut pushed: BTreeMap<(Principal, Principal), Vec<(Seq, Timestamp)>> = BTreeMap::new();
        for event in log {
            match &event.body {
                Body::RuntimeDelivery(claim)
                    if claim.transport == Transport::Push && claim.state == DeliveryState::Claimed =>
                {
                    for id in &claim.event_ids {
                        let quiet = &self.model.event(id.seq).unwrap().message().unwrap().quiet;
                        assert!(!quiet.contains(&claim.actor_id), "{id} was pushed to {}", claim.actor_id);
                    }
                }
                Body::ChatMessage(sent) if event.by.actor().is_some() && sent.reply_to.is_none() => {
                    let may_be_pushed =
                        |to: &&Principal| sent.priority != Priority::Low && !sent.quiet.contains(to);
                    for to in sent.recipients.iter().filter(may_be_pushed) {
                        pushed.entry((event.by.clone(), to.clone())).or_default().push((event.seq, event.ts));
                    }
                }
                _ => {}
            }
        }
        for ((by, to), sent) in pushed {
            for thirty_one in sent.windows(31) {
                let ((first, from), (last, until)) = (thirty_one[0], thirty_one[30]);
                let between = log.iter().filter(|event| event.seq > first && event.seq < last);
                let reset = between.into_iter().any(|event| match &event.body {
                    Body::ChatMessage(_) => event.by.is_person(),
                    Body::TaskUpdate(_) => event.by == by || event.by == to,
                    Body::ActorAdd(add) => {
                        by.actor() == Some(&add.actor_id) || to.actor() == Some(&add.actor_id)
                    }
                    Body::ChatRedact(_) => true,
                    _ => false,
                });
                let apart = until.since(from) >= Duration::from_secs(600);
                assert!(reset || apart, "{by} to {to}: {first} to {last} are all pushed");
            }
        }
    }
}
