//! A runtime whose agents are queues in memory, and which hands over in whatever way a test wants.

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::{fmt, pin::Pin};

use async_trait::async_trait;
use futures_core::Stream;
use serde_json::json;

use super::Subject;
use crate::command::Outcome;
use crate::error::{Error, Result};
use crate::event::Witness;
use crate::group::Message;
use crate::id::{ActorId, EventId, GroupId};
use crate::runtime::{Capabilities, Handoff, Later, Launch, Manner, Runtime, Signal, Started};

/// How its agents are told that they may have got a message before.
pub const AGAIN: &str = "(sent again) ";

/// Most deliveries that wait for an agent's turn.
const MAX_QUEUE: usize = 64;

/// How a session's agent is handed messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// Its program says that it holds them.
    #[default]
    Queues,
    /// The transport says that it took them, and no more.
    Hands,
    /// Its program says that they are in a turn, which begins at once.
    Accepts,
    /// It waits for its user, and gets them when it is let go.
    Holds,
    /// It does not take them.
    Refuses,
    /// The transport fails before anything is sent.
    Fails,
    /// Nobody answers, and the agent has got them.
    StallsAfter,
    /// Nobody answers, and the agent will not get them.
    StallsBefore,
}

/// A [`Runtime`] for tests. A clone is the same runtime.
#[derive(Clone, Debug, Default)]
pub struct SimRuntime(Arc<Mutex<BTreeMap<String, Session>>>);

#[derive(Debug, Default)]
struct Session {
    way: Way,
    ended: bool,
    waiting: VecDeque<(EventId, Vec<String>)>,
    heard: Vec<String>,
    /// The last that is known of each delivery.
    known: BTreeMap<EventId, Outcome>,
    steps: Log<(EventId, Outcome)>,
    signals: Log<Signal>,
}

impl Session {
    fn step(&mut self, delivery: EventId, outcome: Outcome) {
        self.known.insert(delivery, outcome.clone());
        self.steps.push((delivery, outcome));
    }

    fn turn(&mut self) {
        if self.ended || self.waiting.is_empty() {
            return;
        }
        self.signals.push(Signal::Busy);
        while let Some((delivery, texts)) = self.waiting.pop_front() {
            self.heard.extend(texts);
            let entry = json!({ "entry": self.heard.len() });
            let seen = Outcome::Accepted { by: Some(Witness::Transcript), evidence: entry.clone() };
            self.step(delivery, seen);
            self.step(delivery, Outcome::Answered { by: Some(Witness::Transcript), evidence: entry });
        }
        self.signals.push(Signal::Idle);
    }

    /// What the agent had not taken never gets into a turn of it: it was in its memory, which is gone.
    fn end(&mut self, why: &str) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        for (delivery, _) in std::mem::take(&mut self.waiting) {
            self.step(delivery, Outcome::Withdrawn(format!("{why} before it took them")));
        }
        self.signals.push(Signal::Ended(why.to_owned()));
        self.steps.end();
        self.signals.end();
    }
}

impl SimRuntime {
    fn sessions(&self) -> MutexGuard<'_, BTreeMap<String, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, session: &str, work: impl FnOnce(&mut Session) -> T) -> T {
        let mut sessions = self.sessions();
        work(sessions.entry(session.to_owned()).or_default())
    }

    /// From now on messages are handed to the session's agent in this way. What was held goes on, unless it is held
    /// again.
    pub fn set_way(&self, session: &str, way: Way) {
        self.with(session, |session| {
            session.way = way;
            let held =
                |(id, outcome): (&EventId, &Outcome)| matches!(outcome, Outcome::Held(_)).then_some(*id);
            let held: Vec<EventId> = session.known.iter().filter_map(held).collect();
            for delivery in held.into_iter().filter(|_| way != Way::Holds) {
                session.step(delivery, Outcome::Queued(json!({ "after": "it was held" })));
            }
        });
    }

    /// The texts that got into the session's turns.
    #[must_use]
    pub fn heard_by(&self, session: &str) -> Vec<String> {
        self.with(session, |session| session.heard.clone())
    }

    /// Has the session's agent take a turn.
    pub fn take_turn(&self, session: &str) {
        self.with(session, |session| {
            let held = |delivery: &EventId| matches!(session.known.get(delivery), Some(Outcome::Held(_)));
            // What is held does not get in.
            let (held, free): (VecDeque<_>, VecDeque<_>) =
                session.waiting.drain(..).partition(|(delivery, _)| held(delivery));
            session.waiting = free;
            session.turn();
            session.waiting.extend(held);
        });
    }

    /// Has the agent's user take back what waits.
    pub fn clear_queue(&self, session: &str) {
        self.with(session, |session| {
            for (delivery, _) in std::mem::take(&mut session.waiting) {
                session.step(delivery, Outcome::Withdrawn("its user cleared the queue".into()));
            }
        });
    }

    /// Ends the agent at once.
    pub fn crash(&self, session: &str) {
        self.with(session, |session| session.end("the agent crashed"));
    }
}

#[async_trait]
impl Runtime for SimRuntime {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            manners: vec![Manner::WhenIdle, Manner::Steer],
            witness: Witness::Transcript,
            batch: 20,
        }
    }

    async fn start(&self, launch: Launch) -> Result<Started> {
        let mut sessions = self.sessions();
        if sessions.get(&launch.session).is_some_and(|session| !session.ended) {
            return Err(Error::conflict(format!("session {} runs already", launch.session)));
        }
        sessions.insert(launch.session, Session::default());
        Ok(Started::default())
    }

    async fn deliver(&self, session: &str, handoff: Handoff) -> Outcome {
        let Handoff { delivery, messages, manner } = handoff;
        let answer = self.with(session, |session| {
            if let Some(known) = session.known.get(&delivery) {
                return Some(known.clone());
            }
            if session.ended {
                return Some(Outcome::Failed("the agent has ended".into()));
            }
            if !self.capabilities().manners.contains(&manner) || session.waiting.len() >= MAX_QUEUE {
                return Some(Outcome::Refused("it does not take that now".into()));
            }
            let outcome = match session.way {
                Way::Queues | Way::StallsAfter => Outcome::Queued(json!({ "place": session.waiting.len() })),
                Way::Hands => Outcome::Handed(json!({ "bytes": 1 })),
                Way::Accepts => Outcome::accepted("it said so"),
                Way::Holds => Outcome::Held("its user has to answer a question in its window".into()),
                Way::Refuses => Outcome::Refused("it is in a mode that takes nothing".into()),
                Way::Fails => Outcome::Failed("the pipe is closed".into()),
                Way::StallsBefore => return None,
            };
            session.known.insert(delivery, outcome.clone());
            if !matches!(outcome, Outcome::Refused(_) | Outcome::Failed(_)) {
                let text = |message: Message| match message.again {
                    true => format!("{AGAIN}{}", message.content.text),
                    false => message.content.text,
                };
                session.waiting.push_back((delivery, messages.into_iter().map(text).collect()));
            }
            match session.way {
                Way::Accepts => session.turn(),
                Way::StallsAfter => return None,
                _ => {}
            }
            Some(outcome)
        });
        match answer {
            Some(outcome) => outcome,
            None => pending().await,
        }
    }

    fn evidence(&self, session: &str) -> Later<(EventId, Outcome)> {
        let read = |runtime: &Self, name: &str, at: usize, waker: &Waker| {
            runtime.with(name, |session| session.steps.get(at, waker))
        };
        Box::pin(Reading { runtime: self.clone(), session: session.to_owned(), at: 0, read })
    }

    async fn settle(&self, session: &str, delivery: EventId) -> Outcome {
        self.with(session, |session| match session.known.get(&delivery) {
            Some(known) => known.clone(),
            None => {
                // Nothing of it is on its way anywhere: whoever sends it again gives it another id.
                let failed = Outcome::Failed("the agent never got it".into());
                session.known.insert(delivery, failed.clone());
                failed
            }
        })
    }

    fn signals(&self, session: &str) -> Later<Signal> {
        let read = |runtime: &Self, name: &str, at: usize, waker: &Waker| {
            runtime.with(name, |session| session.signals.get(at, waker))
        };
        Box::pin(Reading { runtime: self.clone(), session: session.to_owned(), at: 0, read })
    }

    async fn stop(&self, session: &str, _grace: Duration) -> Result<()> {
        self.with(session, |session| session.end("the agent was stopped"));
        Ok(())
    }
}

#[async_trait]
impl Subject for SimRuntime {
    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::new(self.clone())
    }

    async fn start(&self, session: &str) -> Started {
        let group = GroupId::new("g_sim").expect("an id");
        let actor = ActorId::new("sim").expect("an id");
        let launch = Launch::new(group, actor, session, ".");
        Runtime::start(self, launch).await.expect("it was not there")
    }

    async fn heard(&self, session: &str) -> Vec<String> {
        self.heard_by(session)
    }

    async fn turn(&self, session: &str) {
        self.take_turn(session);
    }

    async fn clear(&self, session: &str) -> bool {
        self.clear_queue(session);
        true
    }

    async fn kill(&self, session: &str) {
        self.crash(session);
    }

    async fn stall(&self, session: &str) -> bool {
        self.set_way(session, Way::StallsAfter);
        true
    }
}

/// What happened, for whoever reads it from its beginning or waits for more.
#[derive(Debug)]
struct Log<T> {
    items: Vec<T>,
    ended: bool,
    waiting: Vec<Waker>,
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self { items: Vec::new(), ended: false, waiting: Vec::new() }
    }
}

impl<T: Clone> Log<T> {
    fn push(&mut self, item: T) {
        self.items.push(item);
        self.waiting.drain(..).for_each(Waker::wake);
    }

    fn end(&mut self) {
        self.ended = true;
        self.waiting.drain(..).for_each(Waker::wake);
    }

    fn get(&mut self, at: usize, waker: &Waker) -> Poll<Option<T>> {
        match self.items.get(at) {
            Some(item) => Poll::Ready(Some(item.clone())),
            None if self.ended => Poll::Ready(None),
            None => {
                self.waiting.push(waker.clone());
                Poll::Pending
            }
        }
    }
}

/// A log of a session, as a stream.
struct Reading<R> {
    runtime: SimRuntime,
    session: String,
    at: usize,
    read: R,
}

impl<R> fmt::Debug for Reading<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reading({} from {})", self.session, self.at)
    }
}

impl<T, R: Fn(&SimRuntime, &str, usize, &Waker) -> Poll<Option<T>> + Unpin> Stream for Reading<R> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.get_mut();
        let found = (this.read)(&this.runtime, &this.session, this.at, context.waker());
        if matches!(found, Poll::Ready(Some(_))) {
            this.at += 1;
        }
        found
    }
}
