//! What has to be done about one agent's hooks, and doing it.

use std::path::{Path, PathBuf};

use cccc_core::{Error, ErrorKind, Result};
use schemars::JsonSchema;
use serde::Serialize;

use super::apply::{self, Loaded};
use super::catalog::Runtime;
use super::entry::line;
use super::hooks::{Choices, EVENTS, Hooks, Wanted};
use super::plan::{Goal, TRIES, Verdict, diff};
use super::trust::{self, Trust};
use super::{detect, edit};

/// What there is to work with.
#[derive(Debug)]
pub(crate) struct HookTask<'a> {
    pub(crate) name: &'a str,
    pub(crate) runtime: &'a Runtime,
    pub(crate) goal: Goal,
    pub(crate) dry_run: bool,
    /// The program, and what it is told before its command.
    pub(crate) command: &'a [String],
    /// What was chosen; on a look nothing means whatever was chosen before.
    pub(crate) choices: Choices,
    /// The agent's program, where it is installed.
    pub(crate) program: Option<PathBuf>,
    /// The file, where the agent has one for this scope.
    pub(crate) file: Option<PathBuf>,
    pub(crate) here: &'a Path,
    /// Where programs are looked for.
    pub(crate) search: Option<&'a str>,
}

/// What became of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct HookReport {
    /// `manual`: it has no hooks that can be entered for this scope.
    pub(crate) result: Verdict,
    /// The file that holds its hooks.
    pub(crate) file: Option<PathBuf>,
    /// Whether a file was changed now.
    pub(crate) changed: bool,
    /// What those that are entered do before a tool.
    pub(crate) choices: Choices,
    /// Programs that entries run and that are not there.
    pub(crate) missing: Vec<String>,
    /// Whether the agent trusts them; absent if it needs no trust, or could not be asked.
    pub(crate) trusted: Option<bool>,
    /// What would change; on `--dry-run` only.
    pub(crate) diff: Option<String>,
    /// What went wrong, or what is to be known.
    pub(crate) detail: Option<String>,
    /// What a person can paste; where this program could not do it.
    pub(crate) paste: Option<String>,
}

impl HookTask<'_> {
    /// Does it. A failure is part of the report.
    pub(crate) fn carry_out(&self) -> HookReport {
        let mut report = HookReport {
            result: Verdict::Manual,
            file: self.file.clone(),
            changed: false,
            choices: Choices::default(),
            missing: Vec::new(),
            trusted: None,
            diff: None,
            detail: None,
            paste: None,
        };
        let (Some(hooks), Some(path)) = (&self.runtime.hooks, &self.file) else {
            report.detail = Some(match &self.runtime.hooks {
                Some(_) => {
                    format!("{} has no file of hooks for this scope that is known", self.runtime.title)
                }
                None if self.runtime.prompt.is_some() && self.runtime.programs.is_empty() => {
                    report.paste = (self.goal != Goal::Absent).then(|| self.commands());
                    "let it run these at the moments they name, with the hook's JSON on standard input:"
                        .into()
                }
                None => format!("{} has no hooks that are known", self.runtime.title),
            });
            return report;
        };
        if let Err(error) = self.at(hooks, path, &mut report) {
            report.result = Verdict::Failed;
            report.detail = Some(error.to_string());
            report.paste = if self.goal == Goal::Present { self.to_paste(hooks, path).ok() } else { None };
        }
        report
    }

    fn at(&self, hooks: &Hooks, path: &Path, report: &mut HookReport) -> Result<()> {
        for _ in 1..TRIES {
            match self.try_at(hooks, path, report) {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                done => return done,
            }
        }
        self.try_at(hooks, path, report)
    }

    fn try_at(&self, hooks: &Hooks, path: &Path, report: &mut HookReport) -> Result<()> {
        let loaded = Loaded::load(path)?;
        let value = edit::read(hooks.format, loaded.text()).map_err(|error| {
            Error::invalid(format!("{} is left as it is: {error}", path.display()))
                .hint(format!("mend it, or add the hooks with {} itself", self.runtime.title))
        })?;
        let mut wanted = self.wanted(hooks, self.choices);
        let found = wanted.find(path, &value);
        if self.goal == Goal::Look && self.choices == Choices::default() {
            wanted.choices = found.choices;
        }
        report.choices = found.choices;
        let edits = wanted.edits(path, &value)?;
        report.result = match (found.any, edits.is_empty()) {
            (false, _) => Verdict::NotSetUp,
            (true, true) => Verdict::SetUp,
            (true, false) => Verdict::Stale,
        };
        let edits = match self.goal {
            Goal::Absent => wanted.removal(path, &value),
            Goal::Look | Goal::Present => edits,
        };
        if self.goal == Goal::Look {
            let missing = found.programs.into_iter().filter(|program| !self.is_there(program));
            report.missing = missing.collect();
        }
        if self.goal == Goal::Look || edits.is_empty() {
            if found.any && self.goal != Goal::Absent {
                self.trust(hooks, None, report);
            }
            return Ok(());
        }
        loaded.writable()?;
        let edited = edit::edit(hooks.format, loaded.text(), &edits)?;
        if self.dry_run {
            report.diff = Some(diff(path, loaded.text(), &edited));
            return Ok(());
        }
        // What the agent trusts is known by its place in the file, which may be another afterwards.
        let before = self.asked(hooks).and_then(|(program, args)| trust::ask(program, args, self.here).ok());
        let left = edit::read(hooks.format, &edited)?;
        if self.goal == Goal::Absent && hooks.is_spent(path, &left) && edit::is_plain(hooks.format, &edited) {
            apply::remove(&loaded)?;
        } else {
            loaded.replace(&edited)?;
        }
        report.changed = true;
        if self.goal == Goal::Present {
            report.result = Verdict::SetUp;
            report.choices = self.choices;
            report.detail.clone_from(&hooks.note);
        } else {
            report.result = Verdict::NotSetUp;
            report.choices = Choices::default();
        }
        self.trust(hooks, before, report);
        Ok(())
    }

    /// Asks the agent whether it trusts our hooks, and lets it where they were just entered.
    fn trust(&self, hooks: &Hooks, before: Option<Trust>, report: &mut HookReport) {
        if hooks.trust.is_empty() {
            return;
        }
        let Some((program, args)) = self.asked(hooks) else {
            report.detail = Some(format!(
                "{} runs them once they are trusted: type /hooks in it, or run this again where it is installed",
                self.runtime.title
            ));
            return;
        };
        let trusted = match self.goal {
            Goal::Look => trust::ask(program, args, self.here).map(|trust| trust.all_of_ours()),
            Goal::Present | Goal::Absent => trust::give(program, args, self.here, before),
        };
        match trusted {
            Ok(_) if self.goal == Goal::Absent => {}
            Ok(trusted) => {
                report.trusted = Some(trusted);
                if !trusted {
                    report.detail =
                        Some(format!("{} does not trust them yet: /hooks in it", self.runtime.title));
                    report.result = if self.goal == Goal::Look { Verdict::Stale } else { report.result };
                }
            }
            Err(error) => {
                report.detail = Some(format!(
                    "{} could not be asked to trust them ({error}): /hooks in it",
                    self.runtime.title
                ));
            }
        }
    }

    /// Whether a program that a hook runs is there.
    fn is_there(&self, program: &str) -> bool {
        let path = Path::new(program);
        if path.components().count() > 1 {
            return self.here.join(path).is_file();
        }
        detect::program(&[program.to_owned()], self.search).is_some()
    }

    /// The program that is asked for its trust, if it needs to be.
    fn asked<'a>(&'a self, hooks: &'a Hooks) -> Option<(&'a Path, &'a [String])> {
        let program = self.program.as_deref()?;
        (!hooks.trust.is_empty()).then_some((program, hooks.trust.as_slice()))
    }

    fn wanted<'a>(&'a self, hooks: &'a Hooks, choices: Choices) -> Wanted<'a> {
        Wanted { hooks, runtime: self.name, program: self.command, choices }
    }

    /// The hooks as a file of their own.
    fn to_paste(&self, hooks: &Hooks, path: &Path) -> Result<String> {
        let alone = self.wanted(hooks, self.choices).alone(path)?;
        edit::edit(hooks.format, "", &alone)
    }

    /// What an agent that is not known would have to run.
    fn commands(&self) -> String {
        let command = |event: &&str| {
            let words = ["hook", event, "--runtime", "NAME"].map(str::to_owned);
            line(self.command.iter().chain(&words))
        };
        EVENTS.iter().map(command).collect::<Vec<_>>().join("\n")
    }
}
