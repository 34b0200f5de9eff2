//! What is to be done for one agent, and doing it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cccc_core::{Error, ErrorKind, Result};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use similar::TextDiff;

use super::apply::Loaded;
use super::catalog::{Place, Runtime, Scope};
use super::detect;
use super::edit::{self, Edit};
use super::entry::{Found, NAME, Registered, Wanted, registered};
use super::hooking::HookReport;

/// How long an agent's own command may take.
const OWN_COMMAND_WITHIN: Duration = Duration::from_secs(60);

/// How often a file that somebody else writes at the same time is read anew.
pub(super) const TRIES: usize = 3;

/// What is wanted of a setup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The server is registered.
    Present,
    /// The server is not registered.
    Absent,
    /// Nothing is changed; it is said what is there.
    Look,
}

/// What there is to work with.
#[derive(Debug)]
pub(crate) struct Task<'a> {
    pub(crate) name: &'a str,
    pub(crate) runtime: &'a Runtime,
    pub(crate) scope: Scope,
    pub(crate) goal: Goal,
    /// Nothing is written; the change is shown.
    pub(crate) dry_run: bool,
    pub(crate) wanted: &'a Wanted,
    /// The agent's program, where it is installed.
    pub(crate) program: Option<PathBuf>,
    /// The file, where the agent has one for this scope.
    pub(crate) file: Option<PathBuf>,
}

/// What became of it for one agent.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Report {
    /// The agent's name in the catalog.
    runtime: String,
    title: String,
    scope: Scope,
    /// Its program; absent if it was not found on the search path.
    program: Option<PathBuf>,
    /// The file that holds its servers; absent if it is not known.
    pub(crate) file: Option<PathBuf>,
    pub(crate) result: Verdict,
    /// Whether a file was changed now.
    pub(crate) changed: bool,
    /// How it was changed, or would be.
    pub(crate) how: Option<How>,
    /// What would change; on `--dry-run` only.
    pub(crate) diff: Option<String>,
    /// What went wrong, or what is to be known.
    pub(crate) detail: Option<String>,
    /// What a person can paste; where this program could not do it.
    pub(crate) paste: Option<String>,
    /// What is registered, as it would be started.
    #[serde(skip)]
    pub(crate) registered: Option<Registered>,
    /// What became of its hooks; absent if they were not asked for.
    pub(crate) hooks: Option<HookReport>,
}

/// How things stand at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The server is registered as wanted.
    SetUp,
    /// The server is registered, but with another program, arguments or variables.
    Stale,
    /// The server is not registered.
    NotSetUp,
    /// It cannot be known or done from here; `paste` says what a person can do.
    Manual,
    /// It could not be done, and nothing was changed; `detail` says why.
    Failed,
}

/// How a change is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    /// By the agent's own command.
    Command,
    /// In its file.
    File,
}

impl Task<'_> {
    /// Does it. A failure is part of the report, because other agents have theirs.
    pub(crate) fn carry_out(&self) -> Report {
        let mut report = Report {
            runtime: self.name.to_owned(),
            title: self.runtime.title.clone(),
            scope: self.scope,
            program: self.program.clone(),
            file: self.file.clone(),
            result: Verdict::Manual,
            changed: false,
            how: None,
            diff: None,
            detail: None,
            paste: None,
            registered: None,
            hooks: None,
        };
        let done = match (self.runtime.place(self.scope), &self.file) {
            (Some(place), Some(path)) => self.at(place, path, &mut report),
            _ => {
                let other = match self.scope {
                    Scope::User => Scope::Project,
                    Scope::Project => Scope::User,
                };
                report.detail = self.runtime.prompt.clone().or_else(|| {
                    self.runtime.place(other)?;
                    Some(format!("{} has no file for this scope that is known", self.runtime.title))
                });
                report.paste = (self.goal != Goal::Absent).then(|| self.wanted.snippet());
                return report;
            }
        };
        if let Err(error) = done {
            report.result = Verdict::Failed;
            report.detail = Some(error.to_string());
            report.paste = (self.goal == Goal::Present).then(|| self.to_paste());
        }
        report
    }

    fn at(&self, place: &Place, path: &Path, report: &mut Report) -> Result<()> {
        for _ in 1..TRIES {
            match self.try_at(place, path, report) {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                done => return done,
            }
        }
        self.try_at(place, path, report)
    }

    fn try_at(&self, place: &Place, path: &Path, report: &mut Report) -> Result<()> {
        let loaded = Loaded::load(path)?;
        let value = self.understood(place, path, loaded.text())?;
        let found = self.wanted.find(place, &value);
        if matches!(found, Found::Wanted | Found::Stale) {
            report.registered = registered(place, &value);
        }
        report.result = match found {
            Found::Wanted => Verdict::SetUp,
            Found::Stale => Verdict::Stale,
            Found::Nothing | Found::Foreign(_) => Verdict::NotSetUp,
        };
        if let Found::Foreign(other) = &found {
            let what = format!("another server is called {NAME} there: {other}");
            if self.goal == Goal::Present {
                return Err(Error::refused(format!("{}: {what}", path.display())).hint("rename it first"));
            }
            report.detail = Some(what);
            return Ok(());
        }
        let edits = match (self.goal, &found) {
            (Goal::Look, _) | (Goal::Present, Found::Wanted) | (Goal::Absent, Found::Nothing) => {
                return Ok(());
            }
            (Goal::Present, _) => self.wanted.edits(place, &value)?,
            (Goal::Absent, _) => Wanted::removal(place),
        };
        loaded.writable()?;
        let edited = edit::edit(place.format, loaded.text(), &edits)?;
        // The agents' own commands refuse a name that is taken, so they are for new entries only; and some
        // put comments elsewhere, so they are for files without.
        let own = match (&self.program, &found) {
            (Some(program), Found::Nothing)
                if !place.add.is_empty() && edit::is_plain(place.format, loaded.text()) =>
            {
                Some(program)
            }
            _ => None,
        };
        report.how = Some(if own.is_some() { How::Command } else { How::File });
        if self.dry_run {
            report.diff = Some(diff(path, loaded.text(), &edited));
            return Ok(());
        }
        if self.goal == Goal::Present {
            report.detail.clone_from(&place.note);
        }
        match own.map(|program| self.by_command(program, place, path, &loaded, &value)) {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                report.how = Some(How::File);
                report.detail = Some(format!("in its file, because its own command did not do it: {error}"));
                self.after_command(place, path, &loaded, &edits)?;
            }
            None => loaded.replace(&edited)?,
        }
        report.changed = true;
        report.result = if self.goal == Goal::Present { Verdict::SetUp } else { Verdict::NotSetUp };
        Ok(())
    }

    /// What a person can put into the file, in the form that file has.
    fn to_paste(&self) -> String {
        let place = self.runtime.place(self.scope);
        let alone = place.and_then(|place| {
            let edits = self.wanted.edits(place, &Value::Null).ok()?;
            edit::edit(place.format, "", &edits).ok()
        });
        alone.unwrap_or_else(|| self.wanted.snippet())
    }

    /// What a file says.
    fn understood(&self, place: &Place, path: &Path, text: &str) -> Result<Value> {
        edit::read(place.format, text).map_err(|error| {
            Error::invalid(format!("{} is left as it is: {error}", path.display()))
                .hint(format!("mend it, or add the server with {} itself", self.runtime.title))
        })
    }

    /// Registers with the agent's own command, and looks whether that did what was wanted and no more.
    fn by_command(
        &self,
        program: &Path,
        place: &Place,
        path: &Path,
        was: &Loaded,
        old: &Value,
    ) -> Result<()> {
        let ran = detect::run(program, &self.wanted.own_command(place), OWN_COMMAND_WITHIN)?;
        let now = Loaded::load(path)?;
        let value = edit::read(place.format, now.text())?;
        if self.wanted.find(place, &value) != Found::Wanted {
            let said = ran.printed.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
            return Err(Error::unavailable(match (ran.ok, said) {
                (true, _) => "it says that it did, but the entry is not there".to_owned(),
                (false, "") => "it failed".to_owned(),
                (false, said) => said.to_owned(),
            }));
        }
        if !kept(old, &value) {
            // Back to what was there; our entry is written by our own hand then.
            now.replace(was.text())?;
            return Err(Error::refused("it lost what the file had, which was put back"));
        }
        Ok(())
    }

    /// The change in the file, which an own command that failed may have touched.
    fn after_command(&self, place: &Place, path: &Path, was: &Loaded, edits: &[Edit]) -> Result<()> {
        let now = Loaded::load(path)?;
        let value = self.understood(place, path, now.text())?;
        let edits = match self.wanted.find(place, &value) {
            Found::Wanted => return Ok(()),
            _ if now.text() == was.text() => edits.to_vec(),
            _ => self.wanted.edits(place, &value)?,
        };
        now.replace(&edit::edit(place.format, now.text(), &edits)?)
    }
}

impl Report {
    /// The agent's name for people.
    pub(crate) fn title(&self) -> &str {
        &self.title
    }
}

/// Whether everything that was there is there still.
fn kept(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            old.iter().all(|(key, old)| new.get(key).is_some_and(|new| kept(old, new)))
        }
        (old, new) => old == new,
    }
}

pub(super) fn diff(path: &Path, before: &str, after: &str) -> String {
    let name = path.display().to_string();
    TextDiff::from_lines(before, after).unified_diff().context_radius(3).header(&name, &name).to_string()
}
