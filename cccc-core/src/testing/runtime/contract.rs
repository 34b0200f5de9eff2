//! The contract of runtimes, as checks that any of them can be put to.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::Subject;
use crate::command::Outcome;

use crate::group::{Group, Message};
use crate::id::EventId;
use crate::runtime::{Handoff, Later, Manner};

/// Puts a runtime to every check; panics at the first that fails. `subject` makes a new one, with no agents.
///
/// # Panics
/// With what is wrong.
pub async fn check(subject: impl Fn() -> Arc<dyn Subject>) {
    what_is_delivered_is_heard_once_and_verbatim(subject()).await;
    the_same_delivery_again_is_no_second_copy(subject()).await;
    an_unknown_manner_is_refused_and_certain(subject()).await;
    what_is_cleared_is_withdrawn_and_never_heard(subject()).await;
    a_dropped_delivery_can_be_settled(subject()).await;
    an_agent_that_died_is_certain_about_what_it_never_took(subject()).await;
    stopping_ends_the_evidence(subject()).await;
}

const SESSION: &str = "s1";

/// Messages as a recipient sees them, each with the id of a claim.
async fn messages(texts: &[&str]) -> Vec<(EventId, Message)> {
    let user = Group::in_memory("contract").await.expect("a group in memory");
    user.add_actor("alice").await.expect("an actor");
    let alice = user.bind("alice").await.expect("an actor that is there");
    for text in texts {
        user.send(*text).to("alice").await.expect("a message");
    }
    let inbox = alice.inbox().peek().await.expect("an inbox");
    inbox.messages.into_iter().map(|message| (message.event_id, message)).collect()
}

fn handoff((delivery, message): &(EventId, Message)) -> Handoff {
    Handoff::new(*delivery, vec![message.clone()], Manner::WhenIdle)
}

/// Whether a message is on its way or there.
fn is_taken(outcome: &Outcome) -> bool {
    use Outcome::{Accepted, Answered, Handed, Held, Queued};
    matches!(outcome, Handed(_) | Queued(_) | Accepted { .. } | Answered { .. } | Held(_))
}

fn is_certainly_not(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(_) | Outcome::Refused(_) | Outcome::Withdrawn(_) | Outcome::Bounced(_))
}

fn times(heard: &[String], text: &str) -> usize {
    heard.iter().filter(|one| one.contains(text)).count()
}

/// Reads evidence until a step of this delivery is as wanted.
async fn until(
    evidence: &mut Later<(EventId, Outcome)>,
    delivery: EventId,
    wanted: impl Fn(&Outcome) -> bool,
) -> Outcome {
    loop {
        let step = poll_fn(|context| evidence.as_mut().poll_next(context)).await;
        let (of, outcome) = step.expect("the evidence ends before it says what became of a delivery");
        if of == delivery && wanted(&outcome) {
            return outcome;
        }
    }
}

async fn what_is_delivered_is_heard_once_and_verbatim(subject: Arc<dyn Subject>) {
    let runtime = subject.runtime();
    subject.start(SESSION).await;
    let mut evidence = runtime.evidence(SESSION);
    let sent = messages(&["one", "two\nlines, \"quotes\" and a tab\t.", "three"]).await;
    for one in &sent {
        let outcome = runtime.deliver(SESSION, handoff(one)).await;
        assert!(is_taken(&outcome), "a ready agent takes a message: {outcome:?}");
    }
    subject.turn(SESSION).await;
    for (delivery, _) in &sent {
        let proof = |outcome: &Outcome| match outcome {
            Outcome::Accepted { by, .. } | Outcome::Answered { by, .. } => {
                let by = by.clone().unwrap_or(crate::event::Witness::Runtime);
                by == runtime.capabilities().witness || !runtime.capabilities().witness.is_proof()
            }
            _ => false,
        };
        until(&mut evidence, *delivery, proof).await;
    }
    let heard = subject.heard(SESSION).await;
    for (_, message) in &sent {
        assert_eq!(times(&heard, &message.content.text), 1, "{:?} in {heard:?}", message.content.text);
    }
}

async fn the_same_delivery_again_is_no_second_copy(subject: Arc<dyn Subject>) {
    let runtime = subject.runtime();
    subject.start(SESSION).await;
    let sent = messages(&["only once"]).await;
    for _ in 0..3 {
        assert!(is_taken(&runtime.deliver(SESSION, handoff(&sent[0])).await));
    }
    subject.turn(SESSION).await;
    let again = runtime.deliver(SESSION, handoff(&sent[0])).await;
    assert!(is_taken(&again), "it is known by now: {again:?}");
    subject.turn(SESSION).await;
    assert_eq!(times(&subject.heard(SESSION).await, "only once"), 1);
}

async fn an_unknown_manner_is_refused_and_certain(subject: Arc<dyn Subject>) {
    let runtime = subject.runtime();
    subject.start(SESSION).await;
    let known = runtime.capabilities().manners;
    let Some(manner) = [Manner::Interrupt, Manner::Steer].into_iter().find(|one| !known.contains(one)) else {
        return;
    };
    let sent = messages(&["not so"]).await;
    let handoff = Handoff { manner, ..handoff(&sent[0]) };
    let outcome = runtime.deliver(SESSION, handoff).await;
    assert!(matches!(outcome, Outcome::Refused(_)), "{manner:?}: {outcome:?}");
    subject.turn(SESSION).await;
    assert_eq!(times(&subject.heard(SESSION).await, "not so"), 0);
}

async fn what_is_cleared_is_withdrawn_and_never_heard(subject: Arc<dyn Subject>) {
    let runtime = subject.runtime();
    subject.start(SESSION).await;
    let mut evidence = runtime.evidence(SESSION);
    let sent = messages(&["cleared"]).await;
    assert!(is_taken(&runtime.deliver(SESSION, handoff(&sent[0])).await));
    if !subject.clear(SESSION).await {
        return;
    }
    until(&mut evidence, sent[0].0, |outcome| matches!(outcome, Outcome::Withdrawn(_))).await;
    subject.turn(SESSION).await;
    assert_eq!(times(&subject.heard(SESSION).await, "cleared"), 0);
    // Another try is another delivery.
    let again = messages(&["cleared", "cleared"]).await;
    assert!(is_taken(&runtime.deliver(SESSION, handoff(&again[1])).await));
    subject.turn(SESSION).await;
    assert_eq!(times(&subject.heard(SESSION).await, "cleared"), 1);
}

async fn a_dropped_delivery_can_be_settled(subject: Arc<dyn Subject>) {
    let runtime = subject.runtime();
    subject.start(SESSION).await;
    if !subject.stall(SESSION).await {
        return;
    }
    let sent = messages(&["in doubt", "never begun"]).await;
    let mut delivering = runtime.deliver(SESSION, handoff(&sent[0]));
    let polled = poll_fn(|context| Poll::Ready(delivering.as_mut().poll(context))).await;
    drop(delivering);
    assert!(polled.is_pending(), "a stalled program answers nothing");
    let known = runtime.settle(SESSION, sent[0].0).await;
    subject.turn(SESSION).await;
    let heard = times(&subject.heard(SESSION).await, "in doubt");
    assert!(heard <= 1);
    assert!(!(is_certainly_not(&known) && heard == 1), "it was certain, and wrong: {known:?}");
    assert!(
        !(matches!(known, Outcome::Accepted { .. } | Outcome::Answered { .. }) && heard == 0),
        "{known:?}"
    );
    let never = runtime.settle(SESSION, sent[1].0).await;
    assert!(!is_taken(&never), "what was never handed over is nowhere: {never:?}");
}

async fn an_agent_that_died_is_certain_about_what_it_never_took(subject: Arc<dyn Subject>) {
    let runtime = subject.runtime();
    subject.start(SESSION).await;
    let mut evidence = runtime.evidence(SESSION);
    let sent = messages(&["taken", "waiting", "too late"]).await;
    assert!(is_taken(&runtime.deliver(SESSION, handoff(&sent[0])).await));
    subject.turn(SESSION).await;
    assert!(is_taken(&runtime.deliver(SESSION, handoff(&sent[1])).await));
    subject.kill(SESSION).await;
    let over = |outcome: &Outcome| is_certainly_not(outcome) || matches!(outcome, Outcome::Ambiguous(_));
    let waiting = until(&mut evidence, sent[1].0, over).await;
    let late = runtime.deliver(SESSION, handoff(&sent[2])).await;
    assert!(matches!(late, Outcome::Failed(_) | Outcome::Refused(_)), "nobody is there: {late:?}");
    let heard = subject.heard(SESSION).await;
    assert_eq!((times(&heard, "taken"), times(&heard, "too late")), (1, 0));
    assert!(!(is_certainly_not(&waiting) && times(&heard, "waiting") == 1), "{waiting:?}");
}

async fn stopping_ends_the_evidence(subject: Arc<dyn Subject>) {
    let runtime = subject.runtime();
    subject.start(SESSION).await;
    let (mut evidence, mut signals) = (runtime.evidence(SESSION), runtime.signals(SESSION));
    runtime.stop(SESSION, Duration::ZERO).await.expect("it can be stopped");
    runtime.stop(SESSION, Duration::ZERO).await.expect("it is gone");
    while poll_fn(|context| evidence.as_mut().poll_next(context)).await.is_some() {}
    while poll_fn(|context| signals.as_mut().poll_next(context)).await.is_some() {}
    // Another agent under the same id is another session.
    subject.start(SESSION).await;
    let sent = messages(&["anew"]).await;
    assert!(is_taken(&runtime.deliver(SESSION, handoff(&sent[0])).await));
}
