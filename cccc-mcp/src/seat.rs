//! Who this server is: which group, which actor, which session.
//!
//! Nobody is anybody before a tool needs it, so a program that only asks whether this server starts disturbs no
//! session that works. Then the server joins: under the id said for it, else that of the environment (which
//! core refuses where it is another session's), else as whoever it was before, else under a new name. Where the
//! agent's program has joined already, by a hook or a command, this is that session and no other. It is that
//! actor's session until it ends or the agent says that it is somebody else.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cccc_core::{ActorId, Agent, Error, ErrorKind, Group, Home, LiveSession, Result, Running, SessionView};
use tokio::sync::OnceCell;

use crate::options::Options;

/// Why a session ended whose agent says that it is somebody else.
const RENAMED: &str = "went on under another name";

/// As whom to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum As {
    /// As was said when the server was started, else as the environment says, else as before.
    Told,
    /// As this actor.
    Named(String),
    /// Whatever the environment says: as before, else under a new name.
    Before,
}

/// The seat, taken or not.
#[derive(Debug)]
pub(crate) struct Seat {
    options: Options,
    home: OnceCell<Home>,
    /// How the client names itself.
    client: Mutex<String>,
    /// The client's own id of its session, if it says so with its calls.
    agent_session: Mutex<Option<String>>,
    taken: tokio::sync::Mutex<Option<Arc<Seated>>>,
    /// Set when the client is gone: nobody comes in any more.
    closed: AtomicBool,
    /// The packs that are on.
    packs: Mutex<BTreeSet<String>>,
}

/// Who sits on it.
#[derive(Debug)]
pub(crate) struct Seated {
    session: LiveSession,
    /// The session that this one replaced, if it still runs.
    pub(crate) replaced: Option<SessionView>,
    /// Whether the actor was added by joining.
    pub(crate) added: bool,
    actor: ActorId,
}

impl Seated {
    pub(crate) fn session(&self) -> &LiveSession {
        &self.session
    }

    /// The group, bound to the actor, in the name of the session.
    pub(crate) fn group(&self) -> &Group {
        self.session.group()
    }

    pub(crate) fn actor(&self) -> &ActorId {
        &self.actor
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seat {
    pub(crate) fn new(options: Options) -> Self {
        let packs = options.packs.iter().cloned().collect();
        Self {
            options,
            home: OnceCell::new(),
            client: Mutex::default(),
            agent_session: Mutex::default(),
            taken: tokio::sync::Mutex::default(),
            closed: AtomicBool::new(false),
            packs: Mutex::new(packs),
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Takes note of how the client names itself.
    pub(crate) fn met(&self, client: &str) {
        client.clone_into(&mut locked(&self.client));
    }

    /// Takes note of the client's own id of its session.
    pub(crate) fn met_session(&self, id: &str) {
        *locked(&self.agent_session) = Some(id.to_owned());
    }

    /// The packs that are on.
    pub(crate) fn packs(&self) -> BTreeSet<String> {
        locked(&self.packs).clone()
    }

    /// Switches a pack on; says whether it was off.
    pub(crate) fn add_pack(&self, name: &str) -> bool {
        locked(&self.packs).insert(name.to_owned())
    }

    pub(crate) async fn home(&self) -> Result<&Home> {
        let Options { home, home_options, .. } = &self.options;
        self.home.get_or_try_init(|| Home::open_with(home, home_options.clone())).await
    }

    /// The group, for looking only.
    pub(crate) async fn group(&self) -> Result<Group> {
        let home = self.home().await?;
        let group = match &self.options.group {
            Some(id) => home.group(&id.parse()?).await?,
            None => home.find(&self.options.directory).await?.ok_or_else(|| {
                let directory = self.options.directory.display();
                Error::not_found(format!("{directory} belongs to no group yet"))
                    .hint("ask the user to run `cccc attach` there, then call cccc_bootstrap again")
            })?,
        };
        Ok(group.through("mcp"))
    }

    /// Who sits here, if somebody does.
    pub(crate) async fn occupant(&self) -> Option<Arc<Seated>> {
        self.taken.lock().await.clone()
    }

    /// Who sits here; joins if nobody does.
    pub(crate) async fn seated(&self) -> Result<Arc<Seated>> {
        let mut taken = self.taken.lock().await;
        if let Some(seated) = &*taken {
            return Ok(seated.clone());
        }
        let seated = Arc::new(self.join(&As::Told).await?);
        *taken = Some(seated.clone());
        Ok(seated)
    }

    /// Joins as is asked for; says whether anything changed. A session that was replaced by a newer one comes
    /// back only if its agent says its name, or two of them would drive each other out for ever.
    pub(crate) async fn sit(&self, who: &As) -> Result<(Arc<Seated>, bool)> {
        let mut taken = self.taken.lock().await;
        if let Some(seated) = &*taken {
            let stays = match who {
                As::Told => !self.has_ended(seated).await?,
                As::Named(id) => seated.actor.as_str() == id && seated.session.check().await.is_ok(),
                As::Before => false,
            };
            if stays {
                return Ok((seated.clone(), false));
            }
        }
        let before = taken.take();
        let seated = match self.join(who).await {
            Ok(seated) => Arc::new(seated),
            Err(error) => {
                *taken = before;
                return Err(error);
            }
        };
        *taken = Some(seated.clone());
        if let Some(before) = before.filter(|before| before.actor != seated.actor) {
            end(before, RENAMED).await?;
        }
        Ok((seated, true))
    }

    /// Whether the session was ended, or its actor removed. One that was replaced goes on, but receives nothing.
    async fn has_ended(&self, seated: &Seated) -> Result<bool> {
        let id = seated.actor();
        let members = seated.group().who().await?;
        let actor = members.into_iter().find(|member| member.actor.actor_id == *id);
        Ok(actor.is_none_or(|actor| actor.session.is_none_or(|newest| !newest.open)))
    }

    async fn join(&self, who: &As) -> Result<Seated> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::unavailable("the client has gone"));
        }
        let group = self.group().await?;
        let Options {
            directory,
            actor,
            inherited_actor,
            runtime,
            runtimes,
            agent_session,
            program,
            above,
            ..
        } = &self.options;
        let name = match runtime {
            Some(name) => name.clone(),
            None => runtimes.of_client(&locked(&self.client), self.options.marked_runtime.as_deref()),
        };
        let one_session = runtimes.is_one_session(&name);
        let agent_session = agent_session.clone().or_else(|| locked(&self.agent_session).clone());
        let agent_session = agent_session.or_else(|| self.options.told_session(&name));
        let agent = Agent {
            runtime: name.clone(),
            agent_session_id: agent_session.clone(),
            process: program.clone(),
            above: above.clone(),
            one_session,
            fresh: false,
        };
        let named = match (who, actor) {
            (As::Named(id), _) | (As::Told, Some(id)) => Some(id),
            (As::Told, None) | (As::Before, _) => None,
        };
        let mut request = group.join().directory(directory).runtime(&name);
        if let Some(session) = agent_session {
            request = request.agent_session(session);
        }
        if let Some(program) = program {
            request = request.program(program.clone());
            if one_session {
                request = request.process(program.clone());
            }
        }
        // What a hook or a command of the same program began goes on here. What another server has is left to
        // it: a client that connects anew takes over, and the server before it is told.
        let running = group.running(&agent).await?;
        let running = running.filter(|one| one.stands_alone && !one.is_replaced());
        let same = |one: &Running| named.is_none_or(|id| one.actor_id.as_str() == id);
        let (running, left) =
            if running.as_ref().is_none_or(same) { (running, None) } else { (None, running) };
        request = match (running, named, inherited_actor) {
            (Some(running), ..) => request.id(running.actor_id.as_str()).session(running.session),
            (None, Some(id), _) => request.id(id),
            (None, None, Some(id)) if *who == As::Told => request.inherited_id(id, above.clone()),
            (None, None, _) => request,
        };
        let joined = request.await.map_err(|error| explained(error, inherited_actor.as_deref()))?;
        // Else its hooks would go on taking the mail of whoever it was for them.
        if let Some(left) = left {
            match group.of_actor(&left.actor_id).leave(RENAMED).await {
                Err(error) if !error.is_done_by_another() => return Err(error),
                _ => {}
            }
        }
        Ok(Seated {
            session: joined.session,
            replaced: joined.replaced,
            added: joined.added,
            actor: joined.actor_id,
        })
    }

    /// Who this would be, as far as can be told without joining.
    pub(crate) fn expected(&self) -> Option<String> {
        self.options.actor.clone().or_else(|| self.options.inherited_actor.clone())
    }

    /// Gets up: ends the session, so that nobody has to find out.
    pub(crate) async fn leave(&self, reason: &str) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        match self.taken.lock().await.take() {
            Some(seated) => end(seated, reason).await,
            None => Ok(()),
        }
    }
}

/// Ends a session. What is still at work in its name keeps it alive until it is done.
async fn end(seated: Arc<Seated>, reason: &str) -> Result<()> {
    match Arc::into_inner(seated) {
        Some(seated) => seated.session.depart(reason).await,
        None => Ok(()),
    }
}

/// Says how an agent comes in whose environment is somebody else's.
fn explained(error: Error, inherited: Option<&str>) -> Error {
    match inherited {
        Some(id) if error.kind() == ErrorKind::Refused && error.to_string().contains("environment") => {
            error.hint(format!(
                "cccc_bootstrap {{\"as\":\"auto\"}} joins under another name; {{\"as\":\"{id}\"}} if you are {id} and it is gone"
            ))
        }
        _ => error,
    }
}
