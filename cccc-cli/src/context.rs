//! Where a command works: which home, which group, and in whose name.
//!
//! Flags come before the environment, the environment before what is found around.

use std::path::PathBuf;
use std::sync::Arc;

use cccc_core::presence::Record;
use cccc_core::{Clock, Error, Group, GroupId, Home, HomeOptions, Principal, Process, Result};

use crate::cli::Globals;
use crate::output::Output;
use crate::speaker::{self, ACTOR_VARIABLE, Source, Speaker};

/// The variable that names the group.
const GROUP_VARIABLE: &str = "CCCC_GROUP_ID";

/// The variable that allows a home on a file system where processes are not known to be kept apart.
const NETWORK_VARIABLE: &str = "CCCC_ALLOW_NETWORK_FS";

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context {
    globals: Globals,
    /// What groups go by.
    clock: Arc<dyn Clock>,
    /// Where it prints.
    pub(crate) out: Output,
}

impl Context {
    pub(crate) fn new(globals: Globals, clock: Arc<dyn Clock>) -> Self {
        let out = Output::new(globals.json);
        Self { globals, clock, out }
    }

    /// Where the home is, or would be.
    pub(crate) fn home_path(&self) -> Result<PathBuf> {
        match &self.globals.home {
            Some(path) => Ok(path.clone()),
            None => Home::default_path(),
        }
    }

    /// The home, made if it is not there.
    pub(crate) async fn home(&self) -> Result<Home> {
        self.check_names()?;
        Home::open_with(self.home_path()?, self.home_options()).await
    }

    /// Refuses what the environment says of who speaks and of which group, if it cannot be understood: whoever set
    /// it meant something by it, and must not be taken for somebody else.
    pub(crate) fn check_names(&self) -> Result<()> {
        if self.globals.speaker.is_none()
            && let Some(name) = cccc_core::variable(ACTOR_VARIABLE)?
        {
            let named = name.parse::<Principal>();
            named.map_err(|error| {
                let hint = error.hint_text().unwrap_or("correct it, or take it away").to_owned();
                Error::invalid(format!("{ACTOR_VARIABLE}: {error}")).hint(hint)
            })?;
        }
        self.named_group().map(drop)
    }

    /// How a home is opened.
    pub(crate) fn home_options(&self) -> HomeOptions {
        let mut options = HomeOptions::default();
        options.clock = self.clock.clone();
        options.allow_network_file_system = variable(NETWORK_VARIABLE).is_some_and(|value| value == "1");
        options
    }

    /// Who is said to speak by a flag, for this command alone.
    pub(crate) fn flagged_speaker(&self) -> Option<String> {
        self.globals.speaker.clone()
    }

    /// Who speaks.
    pub(crate) async fn speaker(&self) -> Result<Speaker> {
        self.check_names()?;
        if self.named_speaker().is_none()
            && let Some((_, record)) = self.joined().await?
        {
            return Ok(Speaker { principal: record.principal, source: Source::Session });
        }
        speaker::speaker(self.globals.speaker.as_deref(), &variable)
    }

    /// Who is said to speak, by a flag, or by the environment where that names no person: a person's environment
    /// reaches the agents that they start as well, and a session that has joined is whoever it joined as.
    pub(crate) fn named_speaker(&self) -> Option<String> {
        self.globals.speaker.clone().or_else(|| cccc_core::agent_name(variable(ACTOR_VARIABLE)))
    }

    /// The session that the nearest process above this one is, in the group that is named, else in any.
    ///
    /// # Errors
    /// `Refused` if it has joined several groups, or another than the one that is named: there it is not the user.
    async fn joined(&self) -> Result<Option<(GroupId, Record)>> {
        // Looking makes no home.
        if !self.home_path()?.is_dir() {
            return Ok(None);
        }
        let mut found = self.home().await?.embodied(&Process::ancestors()).await?;
        if let Some(named) = self.named_group()?
            && let Some((elsewhere, record)) = found.first().cloned()
        {
            let group = self.home().await?.group_named(&named).await?;
            found.retain(|(id, _)| id == group.id());
            if found.is_empty() {
                return Err(Error::refused(format!(
                    "the program that runs this is {} of group {elsewhere}, and has not joined group {}",
                    record.principal,
                    group.id()
                ))
                .hint(format!("`cccc --group {} join`, or say who is speaking: --as ID", group.id())));
            }
        }
        let Some(first) = found.pop() else { return Ok(None) };
        if let Some((id, other)) =
            found.iter().find(|(id, record)| (id, &record.principal) != (&first.0, &first.1.principal))
        {
            return Err(Error::refused(format!(
                "the program that runs this joined as {} in {} and as {} in {id}",
                first.1.principal, first.0, other.principal
            ))
            .hint(format!("say which: --group ID or --as ID, or {ACTOR_VARIABLE}=ID")));
        }
        Ok(Some(first))
    }

    /// The group that is named by a flag or the environment.
    ///
    /// # Errors
    /// `Invalid` if the variable is no plain text.
    pub(crate) fn named_group(&self) -> Result<Option<String>> {
        match &self.globals.group {
            Some(name) => Ok(Some(name.clone())),
            None => cccc_core::variable(GROUP_VARIABLE),
        }
    }

    /// The group, bound to whoever speaks: for all that is done in somebody's name.
    pub(crate) async fn group(&self) -> Result<Group> {
        // Who speaks is settled first: nothing is opened for one who may not.
        self.speaker().await?;
        self.group_in(&self.home().await?).await
    }

    /// As [`group`](Self::group), in a home that is open already.
    pub(crate) async fn group_in(&self, home: &Home) -> Result<Group> {
        let speaker = self.speaker().await?;
        let group = self.find_group(home).await?;
        let bound = group.bind(speaker.principal.to_string()).await?;
        // Who is named need not be the only one whom the program above has joined as.
        let joined = if speaker.source == Source::Session { self.joined().await? } else { None };
        match joined {
            Some((id, record)) => {
                // The same name in another group is somebody else.
                if id != *bound.id() {
                    return Err(Error::refused(format!(
                        "this is {} of group {id}, and the directory belongs to group {}",
                        record.principal,
                        bound.id()
                    ))
                    .hint(format!("name the group: --group {id}, or `cccc join` this one")));
                }
                Ok(bound.in_session(&record.session))
            }
            None => Ok(bound),
        }
    }

    /// The group, for looking only: nobody needs to speak.
    pub(crate) async fn group_to_look(&self) -> Result<Group> {
        self.find_group(&self.home().await?).await
    }

    /// The group in an open home.
    async fn find_group(&self, home: &Home) -> Result<Group> {
        let group = match self.named_group()? {
            Some(name) => home.group_named(&name).await?,
            None => match home.find(".").await? {
                Some(group) => group,
                None if self.named_speaker().is_some() => self.active(home).await?,
                None => match self.joined().await? {
                    Some((id, _)) => home.group(&id).await?,
                    None => self.active(home).await?,
                },
            },
        };
        Ok(group.through("cli"))
    }

    /// The active group, which is a person's convenience: an agent that strays out of its directory must
    /// not speak in some other group.
    async fn active(&self, home: &Home) -> Result<Group> {
        if speaker::is_person(&variable)
            && let Some(group) = home.active().await?
        {
            return Ok(group);
        }
        Err(Error::not_found("this directory belongs to no group")
            .hint("`cccc attach` makes one; or name one: --group ID, of those in `cccc groups`"))
    }
}

/// A variable of the environment; empty is as good as not set. One that is no text is set all the same: what takes
/// it for a name will refuse it.
pub(crate) fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
    Some(value.to_string_lossy().into_owned())
}

/// A variable that leads to files of others; one that is no text leads nowhere.
pub(crate) fn place(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
