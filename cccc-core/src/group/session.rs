//! Sessions of actors: coming in, being present, being replaced, going; and what that leaves to be done.

use std::collections::BTreeSet;
use std::future::{Future, IntoFuture};
use std::path::Path;
use std::pin::Pin;

use schemars::JsonSchema;
use serde::Serialize;

use super::handing::wrote_nothing;
use super::{ActorView, Group};
use crate::blocking::off_thread;
use crate::command::{Arrival, Command, JoinGroup, OpenSession};
use crate::engine::Executed;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Body, Via};
use crate::id::{ActorId, Label, Principal};
use crate::presence::{Held, Process, Record, Sighting};
use crate::rule::presence::{Condition, Facts, Upkeep};
use crate::rule::{context, join, presence, session};
use crate::state::Session;
use crate::time::Timestamp;

/// How often a name is chosen again because somebody else took it at the same moment.
const NAME_TRIES: usize = 16;

/// A session as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct SessionView {
    /// Its id.
    pub session: String,
    /// Its number among the actor's sessions, from 1.
    pub generation: u64,
    /// The program.
    pub runtime: String,
    /// The program's own id of it.
    pub agent_session_id: Option<String>,
    /// Its working directory.
    pub cwd: String,
    /// The git branch there, when it began.
    pub branch: Option<String>,
    /// Whether it has not said that it ended.
    pub open: bool,
}

impl From<&Session> for SessionView {
    fn from(session: &Session) -> Self {
        Self {
            session: session.session.clone(),
            generation: session.generation,
            runtime: session.runtime.clone(),
            agent_session_id: session.agent_session_id.clone(),
            cwd: session.cwd.clone(),
            branch: session.branch.clone(),
            open: session.open,
        }
    }
}

/// An actor, with the session that embodies it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Member {
    /// The actor.
    #[serde(flatten)]
    pub actor: ActorView,
    /// Whether its newest session runs. `unknown` for one that left no trace on this machine.
    pub presence: Condition,
    /// Its newest session, if it ever had one.
    pub session: Option<SessionView>,
    /// What it is at: its own word, while that holds, else the task that it has begun; cut to 160 bytes.
    pub summary: Option<String>,
    /// When it was added, last wrote something, or last began or ended a session.
    pub last_seen: Timestamp,
}

/// A session of this process (or of one that it stands for); while this lives, its actor is present.
///
/// Dropping it without [`close`](Self::close) is as if the process had ended.
#[derive(Debug)]
pub struct LiveSession {
    group: Group,
    session: String,
    /// Whether another process than this one is the session.
    elsewhere: bool,
    held: Held,
}

impl LiveSession {
    /// The group, bound to the session's actor and in the session's name: once a newer session has replaced
    /// it, [`inbox`](Group::inbox) and claims are refused, and say so.
    #[must_use]
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.session
    }

    /// Whether it is its actor's newest session, the one that receives.
    ///
    /// # Errors
    /// `Refused`, saying by which it was replaced, if it is not.
    pub async fn check(&self) -> Result<()> {
        let by = self.group.by();
        self.group.shared.engine.query(|state| session::current(state, by, &self.session)).await?
    }

    /// Lets it go on without this program, as the process that it was said to be; if it was said to be none,
    /// nothing tells any more whether it runs.
    ///
    /// # Errors
    /// `Unavailable` if the disk refuses.
    pub async fn hand_over(self) -> Result<()> {
        if self.elsewhere {
            return Ok(());
        }
        self.group.forget_session(self.session).await
    }

    /// Goes, and ends it unless something else of the session still runs: the program that it is, if that
    /// was said by another that [joined](Group::join) it.
    ///
    /// # Errors
    /// As for [`close`](Self::close).
    pub async fn depart(self, reason: impl Into<String>) -> Result<()> {
        let Self { group, session, held, .. } = self;
        held.withdraw()?;
        if group.presence_facts().await?.condition(&session) == Condition::Present {
            return Ok(());
        }
        end(&group, session, reason.into()).await
    }

    /// Takes its lock and its record away, and says nothing on the ledger.
    pub(super) fn withdraw(self) -> Result<()> {
        self.held.withdraw()
    }

    /// Ends it. One that was replaced just goes.
    ///
    /// # Errors
    /// As for [`Group::execute`].
    pub async fn close(self, reason: impl Into<String>) -> Result<()> {
        end(&self.group, self.session, reason.into()).await
    }
}

/// Ends a session.
async fn end(group: &Group, session: String, reason: String) -> Result<()> {
    let reason = Some(reason).filter(|reason| !reason.is_empty());
    if group.by().actor().is_some() {
        let close = Command::CloseSession { session: session.clone(), reason };
        match group.execute(close).await {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    group.forget_session(session).await
}

/// Who joined.
#[derive(Debug)]
#[non_exhaustive]
pub struct Joined {
    /// Its session, with the group bound to it.
    pub session: LiveSession,
    /// Its id.
    pub actor_id: ActorId,
    /// Whether it was added just now.
    pub added: bool,
    /// Its session's number, from 1.
    pub generation: u64,
    /// The session that this one replaced and that still runs, as far as is known.
    pub replaced: Option<SessionView>,
}

/// An agent about to join; awaiting it joins. Made by [`Group::join`].
#[derive(Debug)]
#[must_use = "nobody joins until this is awaited"]
pub struct JoinRequest<'a> {
    group: &'a Group,
    id: Option<Result<ActorId>>,
    labels: Result<Vec<Label>>,
    title: String,
    open: OpenSession,
    process: Option<Process>,
    program: Option<Process>,
    inherited: Option<Vec<Process>>,
    quietly: bool,
}

impl Group {
    /// Brings an agent in and begins its session: under its [`id`](JoinRequest::id), else as the actor it
    /// was before (same program, same session of the program, same directory), else under a readable name
    /// that nobody has. What is added by this is a peer and ephemeral: it is removed when it stays away for
    /// a day, and what it owes returns to those it owes it to.
    ///
    /// # Errors
    /// `Refused` if the actor is not there and the group's `join` setting does not let it add itself.
    pub fn join(&self) -> JoinRequest<'_> {
        JoinRequest {
            group: self,
            id: None,
            labels: Ok(Vec::new()),
            title: String::new(),
            open: OpenSession::default(),
            process: None,
            program: None,
            inherited: None,
            quietly: false,
        }
    }

    /// Says, for as long as the answer lives, that a service that delivers is at work. Claims made through
    /// [`LiveSession::group`] become ambiguous when it ends before it has settled them.
    ///
    /// # Errors
    /// `Invalid` for an actor: it [joins](Self::join).
    pub fn serve(&self) -> Result<LiveSession> {
        if let Principal::Actor(id) = &self.by {
            return Err(Error::invalid(format!("{id} is an actor")).hint("actors join"));
        }
        self.deliverer()
    }

    /// What holds a lock while messages are handed over in this handle's name; it is no actor's session.
    pub(super) fn deliverer(&self) -> Result<LiveSession> {
        let session = crate::home::random_name()?;
        self.hold(Record {
            principal: self.by.clone(),
            session,
            process: None,
            program: None,
            deliverer: true,
            joining: false,
        })
    }

    /// On the calling thread, which it does not hold up: nobody else has the lock of a new file, and nothing is
    /// synced. So there is no moment at which a caller that gives up leaves a lock behind.
    fn hold(&self, record: Record) -> Result<LiveSession> {
        let (session, elsewhere) = (record.session.clone(), record.process.is_some());
        let held = self.shared.presence.hold(record)?;
        Ok(LiveSession { group: self.in_session(&session), session, elsewhere, held })
    }

    /// The same handle in the name of a session of its principal, which may have begun in another process:
    /// what hands messages over is refused to it once a newer session has replaced that one.
    #[must_use]
    pub fn in_session(&self, session: &str) -> Self {
        let door = self.via.as_ref().map_or_else(|| "rust".into(), |via| via.door.clone());
        Self { via: Some(Via { door, session: Some(session.to_owned()) }), ..self.clone() }
    }

    /// One process is one session of an actor: what it was before is over.
    async fn forget_earlier(&self, process: Option<&Process>, session: &str) -> Result<()> {
        for Sighting { record, .. } in self.sightings().await? {
            let same = process.is_some() && record.process.as_ref() == process && record.principal == self.by;
            if same && record.session != session {
                self.forget_session(record.session).await?;
            }
        }
        Ok(())
    }

    /// Ends the newest session of the actor that this handle is bound to. It stays in the group, and mail
    /// waits for it; one that had joined by itself is removed when it stays away for a day.
    ///
    /// # Errors
    /// `NotFound` if it has no open session.
    pub async fn leave(&self, reason: impl Into<String>) -> Result<Executed> {
        let reason = Some(reason.into()).filter(|reason| !reason.is_empty());
        let newest = self.shared.engine.query(|state| {
            let actor = self.by.actor().and_then(|id| state.actor(id))?;
            actor.session.as_ref().filter(|session| session.open).map(|session| session.session.clone())
        });
        let Some(session) = newest.await? else {
            return Err(Error::not_found(format!("{} has no open session", self.by)));
        };
        let done = self.execute(Command::CloseSession { session: session.clone(), reason }).await?;
        self.forget_session(session).await?;
        Ok(done)
    }

    /// The actors, by id, with the sessions that embody them and whether these run.
    pub async fn who(&self) -> Result<Vec<Member>> {
        let facts = self.presence_facts().await?;
        let actors = self.actors().await?;
        let now = self.shared.engine.clock().now();
        let member = |state: &crate::state::GroupState, actor: ActorView| {
            let known = state.actor(&actor.actor_id)?;
            Some(Member {
                presence: facts.of_actor(known),
                session: known.session.as_ref().map(SessionView::from),
                summary: context::summary(state, &actor.actor_id, now),
                last_seen: known.last_seen,
                actor,
            })
        };
        self.shared
            .engine
            .query(|state| actors.into_iter().filter_map(|actor| member(state, actor)).collect())
            .await
    }

    /// What has to be done about sessions that ended and actors that stay away; see [`upkeep`](Self::upkeep).
    pub async fn upkeep_due(&self) -> Result<Vec<Upkeep>> {
        let facts = self.presence_facts().await?;
        let now = self.shared.engine.clock().now();
        self.shared.engine.query(|state| presence::due(state, &facts, now)).await
    }

    /// Does what has to be done about sessions that ended and actors that stay away, as the system; answers
    /// what that was. Any process may, any number of times.
    ///
    /// # Errors
    /// As for [`execute`](Self::execute). What another process did at the same moment is no error.
    pub async fn upkeep(&self) -> Result<Vec<Upkeep>> {
        let mut done = Vec::new();
        for upkeep in self.upkeep_due().await? {
            match self.keep(&upkeep).await {
                Ok(executed) if executed.events.is_empty() => {}
                Ok(_) => done.push(upkeep),
                Err(error) if error.is_done_by_another() => {}
                Err(error) => return Err(error),
            }
        }
        self.tidy().await?;
        Ok(done)
    }

    /// Takes away what dead processes left of which there is nothing more to be said.
    async fn tidy(&self) -> Result<()> {
        let presence = self.shared.presence.clone();
        let remove = move || {
            presence.remove_drafts();
            Ok(())
        };
        off_thread("removing unfinished records", remove).await?;
        let sightings = self.sightings().await?;
        let mut facts = Facts::default();
        for Sighting { record, condition, .. } in &sightings {
            facts.add(record.session.clone(), *condition);
        }
        let sessions: BTreeSet<String> = sightings.into_iter().map(|one| one.record.session).collect();
        let dead: Vec<String> =
            sessions.into_iter().filter(|session| facts.condition(session) == Condition::Absent).collect();
        if dead.is_empty() {
            return Ok(());
        }
        let leftovers = self.shared.engine.query(|state| presence::leftovers(state, dead)).await?;
        self.bury(leftovers).await
    }
}

impl JoinRequest<'_> {
    /// Who it is. Default: whoever it was before, else a new name.
    pub fn id(self, id: impl AsRef<str>) -> Self {
        Self { id: Some(ActorId::new(id)), ..self }
    }

    /// What people call it, if it is added now.
    pub fn title(self, title: impl Into<String>) -> Self {
        Self { title: title.into(), ..self }
    }

    /// A label, if it is added now.
    pub fn label(mut self, label: impl AsRef<str>) -> Self {
        match (Label::new(label), &mut self.labels) {
            (Ok(label), Ok(labels)) => labels.push(label),
            (Err(error), Ok(_)) => self.labels = Err(error),
            (_, Err(_)) => {}
        }
        self
    }

    /// The program that embodies it (`claude`, `codex`...).
    pub fn runtime(mut self, runtime: impl Into<String>) -> Self {
        self.open.runtime = runtime.into();
        self
    }

    /// The program's own id of its session: by this it is known again after a restart.
    pub fn agent_session(mut self, id: impl Into<String>) -> Self {
        self.open.agent_session_id = Some(id.into());
        self
    }

    /// Its working directory, with the git branch there.
    pub fn directory(mut self, dir: impl AsRef<Path>) -> Self {
        self.open.cwd = dir.as_ref().to_string_lossy().into_owned();
        self.open.branch = crate::home::git_branch(dir.as_ref());
        self
    }

    /// The session's id, unique within the group. Default: a random one.
    pub fn session(mut self, session: impl Into<String>) -> Self {
        self.open.session = session.into();
        self
    }

    /// The process that the session is. Default: the one that joins, for as long as it keeps the answer.
    pub fn process(self, process: Process) -> Self {
        Self { process: Some(process), ..self }
    }

    /// The program that starts the session's process, and may start that of others too. Default: not known.
    pub fn program(self, program: Process) -> Self {
        Self { program: Some(program), ..self }
    }

    /// Its id is one that stands in the environment, with the processes above this one, nearest first.
    ///
    /// What is started by an agent inherits the agent's environment, and some programs start everything
    /// with the environment of whoever came first. So joining is refused where a session of that actor
    /// runs that one of these processes is or has started: that id is somebody else's. It is not where the
    /// session is this [`process`](Self::process), or the [`program`](Self::program) that started it.
    pub fn inherited_id(self, id: impl AsRef<str>, above: Vec<Process>) -> Self {
        Self { inherited: Some(above), ..self.id(id) }
    }

    /// Takes nobody's place and adds nobody: joining is refused with `NotFound` where it would be under a new
    /// name, and with `Conflict` where another session of the actor may be running. Default: the newest session
    /// receives, and whoever is not there is added.
    pub fn quietly(self) -> Self {
        Self { quietly: true, ..self }
    }

    async fn run(mut self) -> Result<Joined> {
        let labels = std::mem::replace(&mut self.labels, Ok(Vec::new()))?;
        if self.open.session.is_empty() {
            self.open.session = crate::home::random_name()?;
        }
        if self.quietly {
            self.who().await?;
        }
        // What ended without a word is put in order first, so that it does not look alive.
        self.group.settle_joins().await?;
        self.group.upkeep().await?;
        let mut lost = Error::conflict("somebody else took every name");
        for _ in 0..NAME_TRIES {
            let (id, arrival) = self.who().await?;
            let command = Command::Join(JoinGroup {
                session: self.open.clone(),
                title: self.title.clone(),
                labels: labels.clone(),
                arrival,
            });
            match self.enter(&id, command).await {
                // Taken, or gone, since it was looked for.
                Err(error)
                    if arrival != Arrival::Named
                        && matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) =>
                {
                    lost = error;
                }
                result => return result,
            }
        }
        Err(lost)
    }

    /// Which actor it is.
    async fn who(&self) -> Result<(ActorId, Arrival)> {
        if let Some(id) = &self.id {
            return Ok((id.clone()?, if self.quietly { Arrival::Returning } else { Arrival::Named }));
        }
        let facts = self.group.presence_facts().await?;
        let seed = crate::home::random_bits()?;
        let already = self.already().await?.filter(|_| self.open.agent_session_id.is_none());
        let choose = |state: &crate::state::GroupState| {
            let already = already.as_ref().filter(|id| state.actor(id).is_some());
            match already.or_else(|| join::returning(state, &facts, &self.open)) {
                Some(id) => Ok((id.clone(), Arrival::Returning)),
                None if self.quietly => Err(Error::not_found("nobody was here before from this session")),
                None => Ok((join::fresh_name(state, seed)?, Arrival::New)),
            }
        };
        self.group.shared.engine.query(choose).await?
    }

    /// The actor that this very process was before in this group; it may have been replaced since.
    async fn already(&self) -> Result<Option<ActorId>> {
        let Some(process) = &self.process else { return Ok(None) };
        let sightings = self.group.sightings().await?.into_iter();
        let mut mine = sightings.filter(|one| one.record.process.as_ref() == Some(process));
        Ok(mine.find_map(|one| one.record.principal.actor().cloned()))
    }

    /// Refuses an id of the environment if the session that goes by it shares the environment.
    async fn own_environment(&self, id: &ActorId, session: &SessionView, above: &[Process]) -> Result<()> {
        let sightings = self.group.sightings().await?.into_iter();
        let mut live = sightings
            .filter(|one| one.record.session == session.session && one.condition == Condition::Present);
        let is_above = |process: &Option<Process>| process.as_ref().is_some_and(|one| above.contains(one));
        let shares = |one: Sighting| {
            let is_session = |process: &Option<Process>| process.is_some() && one.record.process == *process;
            let same = is_session(&self.process) || is_session(&self.program);
            !same && (is_above(&one.record.process) || is_above(&one.record.program))
        };
        if !live.any(shares) {
            return Ok(());
        }
        Err(Error::refused(format!(
            "the environment says that this is {id}, but {id} is at work already in the program that started this ({})",
            session.cwd
        ))
        .hint(format!("join under another name, or say yourself that you are {id}")))
    }

    async fn enter(&self, id: &ActorId, command: Command) -> Result<Joined> {
        let bound = Group { by: id.clone().into(), ..self.group.clone() };
        let facts = bound.presence_facts().await?;
        let runs = |session: &&Session| session.open && session.session != self.open.session;
        let before = bound.shared.engine.query(|state| {
            let session = state.actor(id).and_then(|actor| actor.session.as_ref()).filter(runs)?;
            (facts.condition(&session.session) != Condition::Absent).then(|| SessionView::from(session))
        });
        let replaced = before.await?;
        if let (true, Some(session)) = (self.quietly, &replaced) {
            return Err(Error::conflict(format!("{id} is at work in another session ({})", session.cwd)));
        }
        if let (Some(above), Some(session)) = (&self.inherited, &replaced) {
            self.own_environment(id, session, above).await?;
        }
        // First the lock, then the word: whoever reads that it began finds that it runs.
        let record = Record {
            principal: bound.by.clone(),
            session: self.open.session.clone(),
            process: self.process.clone(),
            program: self.program.clone(),
            deliverer: false,
            joining: true,
        };
        let session = bound.hold(record.clone())?;
        let done = match session.group.execute(command).await {
            Ok(done) => done,
            // It may be written all the same, and then it is known by the record whose it is.
            Err(error) if !wrote_nothing(&error) => return Err(error),
            Err(error) => {
                // Only what this left: it may be somebody's who is there already.
                session.held.withdraw()?;
                return Err(error);
            }
        };
        // If this fails it is as if this process had died here: whoever looks next asks the ledger.
        let _ = session.held.begun(record);
        let added = done.events.iter().any(|event| matches!(event.body, Body::ActorAdd(_)));
        bound.forget_earlier(self.process.as_ref(), &session.session).await?;
        let generation = bound.shared.engine.query(|state| {
            state.actor(id).and_then(|actor| actor.session.as_ref()).map_or(0, |newest| newest.generation)
        });
        Ok(Joined { generation: generation.await?, session, actor_id: id.clone(), added, replaced })
    }
}

impl<'a> IntoFuture for JoinRequest<'a> {
    type Output = Result<Joined>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Joined>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
