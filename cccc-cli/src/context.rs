//! Where a command works: which home, which group, and in whose name.
//!
//! Flags come before the environment, the environment before what is found around.

use std::path::PathBuf;

use cccc_core::{Error, Group, Home, HomeOptions, Result};

use crate::cli::Globals;
use crate::output::Output;
use crate::speaker::{self, Speaker};

/// The variable that names the group.
const GROUP_VARIABLE: &str = "CCCC_GROUP_ID";

/// The variable that allows a home on a file system where processes are not known to be kept apart.
const NETWORK_VARIABLE: &str = "CCCC_ALLOW_NETWORK_FS";

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context {
    globals: Globals,
    /// Where it prints.
    pub(crate) out: Output,
}

impl Context {
    pub(crate) fn new(globals: Globals) -> Self {
        let out = Output::new(globals.json);
        Self { globals, out }
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
        let mut options = HomeOptions::default();
        options.allow_network_file_system = variable(NETWORK_VARIABLE).is_some_and(|value| value == "1");
        Home::open_with(self.home_path()?, options).await
    }

    /// Who speaks.
    pub(crate) fn speaker(&self) -> Result<Speaker> {
        speaker::speaker(self.globals.speaker.as_deref(), &variable)
    }

    /// The group, bound to whoever speaks: for all that is done in somebody's name.
    pub(crate) async fn group(&self) -> Result<Group> {
        // Who speaks is settled first: nothing is opened for one who may not.
        self.speaker()?;
        self.group_in(&self.home().await?).await
    }

    /// As [`group`](Self::group), in a home that is open already.
    pub(crate) async fn group_in(&self, home: &Home) -> Result<Group> {
        let speaker = self.speaker()?;
        self.find_group(home).await?.bind(speaker.principal.to_string()).await
    }

    /// The group, for looking only: nobody needs to speak.
    pub(crate) async fn group_to_look(&self) -> Result<Group> {
        self.find_group(&self.home().await?).await
    }

    /// The group in an open home.
    async fn find_group(&self, home: &Home) -> Result<Group> {
        let named = self.globals.group.clone().or_else(|| variable(GROUP_VARIABLE));
        let group = match named {
            Some(name) => home.group_named(&name).await?,
            None => match home.find(".").await? {
                Some(group) => group,
                None => self.active(home).await?,
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

/// A variable of the environment; empty is as good as not set.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
