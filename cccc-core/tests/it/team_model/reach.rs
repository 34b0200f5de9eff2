//! The histories reach what they are meant to try: a model that agrees about nothing proves nothing.

use std::collections::BTreeMap;

use cccc_core::Principal;
use cccc_core::event::{Body, DeliveryState, Event, FiredResult, KINDS};
use cccc_core::rule::wait;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::World;
use super::ops::op;

/// What an event is an example of.
fn examples(event: &Event) -> Vec<String> {
    let kind = event.body.kind().to_owned();
    let more = match &event.body {
        Body::TaskUpdate(update) => update.change.as_str().to_owned(),
        Body::SystemNotify(notice) => format!("{} {}", notice.notice, notice.level),
        Body::VoteClose(close) => close.outcome.to_string(),
        Body::ApprovalDecide(decide) => decide.verdict.to_string(),
        Body::ChatCancel(cancel) if cancel.cause.is_some() => {
            cancel.cause.as_ref().map(ToString::to_string).unwrap_or_default()
        }
        Body::ChatMessage(message) if !message.options.is_empty() => "question".into(),
        Body::ChatMessage(message) if message.choice.is_some() => "choice".into(),
        Body::ChatMessage(message) if !message.quiet.is_empty() && message.depth > 40 => "deep".into(),
        Body::ChatMessage(message) if !message.quiet.is_empty() => "quiet".into(),
        Body::ChatMessage(message) if message.task_id.is_some() => "tracked".into(),
        Body::ScheduleFired(fired) => match fired.result {
            FiredResult::Done => "done".into(),
            FiredResult::Missed => "missed".into(),
            _ => "failed".into(),
        },
        Body::RuntimeDelivery(delivery) => match &delivery.state {
            DeliveryState::Withheld { .. } => "withheld".into(),
            DeliveryState::Claimed if !delivery.again.is_empty() => "again".into(),
            DeliveryState::Handed { .. } => "handed".into(),
            DeliveryState::Queued { .. } => "queued".into(),
            DeliveryState::Held { .. } => "held".into(),
            DeliveryState::Withdrawn { .. } => "withdrawn".into(),
            DeliveryState::Ambiguous { .. } if event.by == Principal::System => "lost".into(),
            _ => return vec![kind],
        },
        Body::ActorRemove(remove) if remove.successor.is_some() => "with a successor".into(),
        Body::ActorRemove(remove) if remove.reason.contains("released by vote") => "released".into(),
        Body::ActorRemove(remove) if remove.reason.contains("stayed away") => "retired".into(),
        Body::PersonRemove(remove) if remove.successor.is_some() => "with a successor".into(),
        Body::ReservationTake(take) if !take.lapsed.is_empty() => "after lapsed ones".into(),
        _ => return vec![kind],
    };
    vec![kind.clone(), format!("{kind}: {more}")]
}

#[test]
fn the_histories_reach_everything() {
    let mut runner = TestRunner::deterministic();
    let strategy = proptest::collection::vec(op(), 150);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..300 {
        let ops = strategy.new_tree(&mut runner).unwrap().current();
        let mut world = World::new();
        for op in &ops {
            world.step(op);
            let cycles = wait::graph(world.desk.state(), world.desk.now).cycles;
            for cycle in cycles {
                *seen.entry(format!("circle of {}", cycle.members.len())).or_default() += 1;
            }
        }
        for example in world.model.log.iter().flat_map(examples) {
            *seen.entry(example).or_default() += 1;
        }
    }
    for (what, count) in &seen {
        println!("{count:6} {what}");
    }
    // No frontend of this model attaches directories, and gaps are a repair's.
    let besides = ["group.attach", "group.detach_scope", "ledger.gap"];
    let kinds = KINDS.iter().copied().filter(|kind| !besides.contains(kind));
    let task_ops = [
        "edit", "start", "plan", "assign", "ask", "add_item", "check", "note", "evidence", "checked",
        "offer", "take", "keep", "depend", "undepend", "done", "decline", "accept", "reopen", "cancel",
    ];
    let notices = [
        "unread 1",
        "attention 1",
        "attention 2",
        "reply 1",
        "reply 2",
        "cycle 1",
        "idle 1",
        "keepalive 1",
        "silence 1",
        "rate 1",
        "schedule 1",
        "task_assigned 1",
        "task_ready 1",
        "task_stuck 1",
        "task_returned 1",
        "task_refuted 1",
        "returned 1",
        "vote_opened 1",
        "vote_closed 1",
        "approval_opened 1",
        "approval_decided 1",
        "question_expired 1",
    ];
    let wanted = kinds
        .map(str::to_owned)
        .chain(task_ops.iter().map(|op| format!("task.update: {op}")))
        .chain(notices.iter().map(|notice| format!("system.notify: {notice}")))
        .chain(
            ["accepted", "rejected", "expired", "cancelled"].iter().map(|end| format!("vote.close: {end}")),
        )
        .chain(
            ["allow", "deny", "expired", "withdrawn"].iter().map(|word| format!("approval.decide: {word}")),
        )
        .chain(["answered", "expired"].iter().map(|cause| format!("chat.cancel: {cause}")))
        .chain(
            ["quiet", "deep", "tracked", "question", "choice"]
                .iter()
                .map(|how| format!("chat.message: {how}")),
        )
        .chain(["done", "missed"].iter().map(|result| format!("schedule.fired: {result}")))
        .chain(["with a successor", "released", "retired"].iter().map(|how| format!("actor.remove: {how}")))
        .chain(["person.remove: with a successor".to_owned()])
        .chain(
            ["withheld", "lost", "again", "handed", "queued", "held", "withdrawn"]
                .iter()
                .map(|how| format!("runtime.delivery: {how}")),
        )
        .chain(["reservation.take: after lapsed ones".to_owned()])
        .chain([2, 3].iter().map(|size| format!("circle of {size}")));
    let missing: Vec<String> = wanted.filter(|what| !seen.contains_key(what)).collect();
    assert!(missing.is_empty(), "never reached: {missing:?}");
}
