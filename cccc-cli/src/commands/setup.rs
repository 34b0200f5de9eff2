//! `cccc setup`

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cccc_core::{ActorId, Error, HOME_VARIABLE, Result};
use clap::Args;
use schemars::schema_for;

use super::schema::{Answers, lines};
use crate::context::{Context, place as variable};
use crate::output::{Failure, Outcome, Style, clean};
use crate::setup::catalog::{Catalog, Runtime, Scope};
use crate::setup::detect;
use crate::setup::entry::Wanted;
use crate::setup::hooking::{HookReport, HookTask};
use crate::setup::hooks::Choices;
use crate::setup::plan::{Goal, How, Report, Task, Verdict};
use crate::speaker::ACTOR_VARIABLE;

/// Register the MCP server with the agents you have, so that they can join, send and answer
///
/// Without --runtime and --all that is every known agent whose program is installed. Registered is the
/// server `cccc`, run as `cccc mcp`, through the agent's own command where it has one, else in its file,
/// of which all else stays as it is. What is set up already is not touched; an entry that runs another
/// `cccc` is corrected. A file that cannot be read for sure is left alone, and what to paste is printed.
///
/// With --hooks the agent also runs `cccc hook` at its moments, where it has hooks: it is told of messages
/// when it starts, at a prompt, after a tool, and before it stops, without having to look. Other hooks stay.
/// Run it again with other options to change them; --remove takes out both, --remove --hooks only the hooks.
///
/// More agents can be described in `runtimes.toml` in the home.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc setup --dry-run                    what would change, as a diff
  cccc setup                              every agent that is installed
  cccc setup --runtime claude --runtime codex
  cccc setup --runtime claude --scope project
  cccc setup --hooks                      and be told of messages without looking
  cccc setup --hooks --guard              and refuse edits of files that another has reserved
  cccc setup --check --hooks && echo ready
  cccc setup --remove --all")]
pub(crate) struct SetupArgs {
    /// An agent, as `cccc runtime list --all` names it; may be repeated
    #[arg(long = "runtime", short = 'r', value_name = "NAME", conflicts_with = "all")]
    runtimes: Vec<String>,
    /// Every agent that is known, installed or not
    #[arg(long)]
    all: bool,
    /// Change nothing; exit with 1 if one of them is not set up
    #[arg(long, conflicts_with_all = ["remove", "dry_run"])]
    check: bool,
    /// Take the server out again, and nothing else
    #[arg(long)]
    remove: bool,
    /// Change nothing; print what would change
    #[arg(long)]
    dry_run: bool,
    /// Enter hooks too, for every agent that has them
    #[arg(long)]
    hooks: bool,
    /// Let the hooks refuse tools until mail is read
    #[arg(long, requires = "hooks", conflicts_with = "remove")]
    strict: bool,
    /// Let the hooks refuse edits of files that another actor has reserved
    #[arg(long, requires = "hooks", conflicts_with = "remove")]
    guard: bool,
    /// For you in all directories, or for whoever works in this one
    #[arg(long, value_enum, default_value = "user")]
    scope: Scope,
    /// The program to register [default: this one]
    #[arg(long, value_name = "PATH")]
    command: Option<String>,
    /// Let the agent always be this actor [default: it joins under a name of its own]
    #[arg(long, value_name = "ID")]
    actor: Option<ActorId>,
}

pub(crate) fn cmd_setup(context: &Context, args: SetupArgs) -> Outcome {
    let catalog = Catalog::load(&context.home_path()?)?;
    let around = Around::here(context)?;
    let goal = match (args.check, args.remove) {
        (true, _) => Goal::Look,
        (_, true) => Goal::Absent,
        _ => Goal::Present,
    };
    let wanted = around.wanted(args.scope, args.command, args.actor.as_ref())?;
    let command = around.hook_command(&wanted);
    let choices = Choices { strict: args.strict, guard: args.guard };
    let mut reports = Vec::new();
    for (name, runtime) in chosen(&catalog, &around, &args.runtimes, args.all)? {
        let task = around.task(name, runtime, args.scope, &wanted)?;
        let only_hooks = goal == Goal::Absent && args.hooks;
        let server = if only_hooks { Goal::Look } else { goal };
        let mut report = Task { goal: server, dry_run: args.dry_run, ..task }.carry_out();
        if args.hooks || goal == Goal::Absent {
            let task = around.hook_task(name, runtime, args.scope, &command)?;
            let task = HookTask { goal, dry_run: args.dry_run, choices, ..task };
            // Where there are none, nothing need be said about taking them out.
            report.hooks = Some(task.carry_out()).filter(|hooks| {
                args.hooks || hooks.changed || hooks.diff.is_some() || hooks.result == Verdict::Failed
            });
        }
        reports.push(report);
    }
    context.out.answers(&reports, || {
        reports.iter().map(|report| text(context, report, goal, args.hooks)).collect::<Vec<_>>().join("\n")
    })?;
    // An agent without hooks is as good as it can be.
    let good = |verdict: Verdict, hooks: bool| match goal {
        Goal::Look => verdict == Verdict::SetUp || (hooks && verdict == Verdict::Manual),
        Goal::Present | Goal::Absent => verdict != Verdict::Failed,
    };
    let ok = |report: &Report| {
        good(report.result, false) && report.hooks.as_ref().is_none_or(|hooks| good(hooks.result, true))
    };
    if reports.iter().all(ok) { Ok(()) } else { Err(Failure::Answered) }
}

/// The agents that are meant.
fn chosen<'a>(
    catalog: &'a Catalog,
    around: &Around,
    named: &[String],
    all: bool,
) -> Result<Vec<(&'a str, &'a Runtime)>> {
    if !named.is_empty() {
        let mut chosen: Vec<(&str, &Runtime)> = Vec::new();
        for name in named {
            let found = catalog.runtime(name)?;
            if !chosen.iter().any(|(name, _)| *name == found.0) {
                chosen.push(found);
            }
        }
        return Ok(chosen);
    }
    let chosen: Vec<_> =
        catalog.all().filter(|(_, runtime)| all || around.program(runtime).is_some()).collect();
    if chosen.is_empty() {
        return Err(Error::not_found("no agent that is known is installed")
            .hint("`cccc runtime list --all` names those that are known; name one: --runtime NAME"));
    }
    Ok(chosen)
}

/// Where this program runs: what it needs to know to find files and programs.
#[derive(Debug)]
pub(crate) struct Around {
    here: PathBuf,
    search: Option<String>,
    /// The home, if it is not where it would be found without being named.
    home: Option<PathBuf>,
}

impl Around {
    pub(crate) fn here(context: &Context) -> Result<Self> {
        let here = std::env::current_dir()
            .map_err(|e| Error::unavailable(format!("the working directory cannot be told: {e}")))?;
        let home = here.join(context.home_path()?);
        let usual = variable(if cfg!(windows) { "USERPROFILE" } else { "HOME" });
        let usual = usual.map(|home| Path::new(&home).join(".cccc"));
        let home = (usual.as_ref() != Some(&home)).then_some(home);
        Ok(Self { here, search: variable("PATH"), home })
    }

    /// The program of an agent, where it is installed.
    pub(crate) fn program(&self, runtime: &Runtime) -> Option<PathBuf> {
        detect::program(&runtime.programs, self.search.as_deref())
    }

    /// What is to be registered.
    pub(crate) fn wanted(
        &self,
        scope: Scope,
        command: Option<String>,
        actor: Option<&ActorId>,
    ) -> Result<Wanted> {
        let command = match command {
            Some(command) => command,
            None => self.this_program(scope)?,
        };
        let mut env = BTreeMap::new();
        if let Some(actor) = actor {
            env.insert(ACTOR_VARIABLE.to_owned(), actor.to_string());
        }
        // Agents do not pass every variable on, and a project's file is for other people too.
        if let (Scope::User, Some(home)) = (scope, &self.home) {
            env.insert(HOME_VARIABLE.to_owned(), home.display().to_string());
        }
        Ok(Wanted::new(command, env))
    }

    /// How this program is called: by the name on the search path where that is this program, because it
    /// outlives an update; else by where it is. What is shared is called by its bare name.
    fn this_program(&self, scope: Scope) -> Result<String> {
        let this = std::env::current_exe().map_err(|e| {
            Error::unavailable(format!("cannot find this program: {e}")).hint("--command PATH")
        })?;
        let found = detect::program(&["cccc".to_owned()], self.search.as_deref());
        let same = |found: &PathBuf| match (found.canonicalize(), this.canonicalize()) {
            (Ok(found), Ok(this)) => found == this,
            _ => false,
        };
        Ok(match (found.filter(same), scope) {
            (Some(_), Scope::Project) => "cccc".to_owned(),
            (Some(found), Scope::User) => found.display().to_string(),
            (None, _) => this.display().to_string(),
        })
    }

    /// What hooks run: the program that is registered, told what the server is told by its environment.
    pub(crate) fn hook_command(&self, wanted: &Wanted) -> Vec<String> {
        let told = |flag: &str, variable: &str| {
            let value = wanted.env.get(variable);
            value.map(|value| [flag.to_owned(), value.clone()]).into_iter().flatten().collect::<Vec<_>>()
        };
        let home = told("--home", HOME_VARIABLE);
        let actor = told("--as", ACTOR_VARIABLE);
        [vec![wanted.command.clone()], home, actor].concat()
    }

    /// Looking at an agent's hooks.
    pub(crate) fn hook_task<'a>(
        &'a self,
        name: &'a str,
        runtime: &'a Runtime,
        scope: Scope,
        command: &'a [String],
    ) -> Result<HookTask<'a>> {
        let hooks = runtime.hooks.as_ref();
        let file = hooks.and_then(|hooks| hooks.path(scope, &variable, &self.here)).transpose()?;
        Ok(HookTask {
            name,
            runtime,
            goal: Goal::Look,
            dry_run: false,
            command,
            choices: Choices::default(),
            program: self.program(runtime),
            file,
            here: &self.here,
            search: self.search.as_deref(),
        })
    }

    /// Looking at an agent's registration.
    pub(crate) fn task<'a>(
        &self,
        name: &'a str,
        runtime: &'a Runtime,
        scope: Scope,
        wanted: &'a Wanted,
    ) -> Result<Task<'a>> {
        let file = runtime.place(scope).map(|place| place.path(&variable, &self.here)).transpose()?;
        let program = self.program(runtime);
        let mut wanted = Cow::Borrowed(wanted);
        if !runtime.env.is_empty() {
            wanted.to_mut().env.extend(runtime.env.clone());
        }
        Ok(Task { name, runtime, scope, goal: Goal::Look, dry_run: false, wanted, program, file })
    }
}

/// What is said of a registration, or of hooks.
struct Said<'a> {
    verdict: Verdict,
    changed: bool,
    diff: bool,
    file: Option<&'a PathBuf>,
    more: [&'a Option<String>; 3],
    /// What is said of something that is there otherwise than wanted.
    stale: &'static str,
}

fn text(context: &Context, report: &Report, goal: Goal, hooks: bool) -> String {
    let title = context.out.style(Style::Bold, report.title());
    let server = Said {
        verdict: report.result,
        changed: report.changed,
        diff: report.diff.is_some(),
        file: report.file.as_ref(),
        more: [&report.detail, &report.paste, &report.diff],
        stale: "set up with another program or other variables",
    };
    let by = (report.how == Some(How::Command)).then_some(match report.changed {
        true => ", by its own command",
        false => ", would be done by its own command",
    });
    let mut parts = Vec::new();
    if !(goal == Goal::Absent && hooks) {
        parts.push(format!("{title}: {}", said(context, &server, goal, by.unwrap_or_default())));
    }
    let none = |hooks: &&HookReport| hooks.result == Verdict::Manual && hooks.paste.is_none();
    if let Some(hooks) = report.hooks.as_ref().filter(none) {
        let why = hooks.detail.as_deref().unwrap_or_default();
        parts.push(format!("{title}, hooks: {} ({})", context.out.style(Style::Dim, "none"), clean(why)));
    } else if let Some(hooks) = &report.hooks {
        let (choices, file) = (hooks.choices, hooks.file.as_ref());
        let chosen = match (hooks.result, choices.strict, choices.guard) {
            (Verdict::NotSetUp | Verdict::Manual | Verdict::Failed, ..) | (_, false, false) => "",
            (_, true, false) => ", strict",
            (_, false, true) => ", with guard",
            (_, true, true) => ", strict, with guard",
        };
        let more = [&hooks.detail, &hooks.paste, &hooks.diff];
        let entered = Said {
            verdict: hooks.result,
            changed: hooks.changed,
            diff: hooks.diff.is_some(),
            file,
            more,
            stale: "entered otherwise",
        };
        parts.push(format!("{title}, hooks: {}", said(context, &entered, goal, chosen)));
    }
    parts.join("\n")
}

fn said(context: &Context, said: &Said<'_>, goal: Goal, by: &str) -> String {
    let (style, what) = match (said.verdict, goal, said.changed, said.diff) {
        (Verdict::Failed, ..) => (Style::Red, "not changed"),
        (Verdict::Manual, Goal::Absent, ..) => (Style::Yellow, "take it out by hand if you put it in"),
        (Verdict::Manual, ..) => (Style::Yellow, "to be done by hand"),
        (Verdict::Stale, _, _, false) => (Style::Yellow, said.stale),
        (_, Goal::Absent, _, true) => (Style::Plain, "would be taken out"),
        (Verdict::Stale, ..) => (Style::Plain, "would be corrected"),
        (_, _, _, true) => (Style::Plain, "would be set up"),
        (Verdict::SetUp, _, true, _) => (Style::Green, "set up"),
        (Verdict::SetUp, Goal::Look, ..) => (Style::Green, "set up"),
        (Verdict::SetUp, ..) => (Style::Green, "already set up"),
        (Verdict::NotSetUp, _, true, _) => (Style::Green, "taken out"),
        (Verdict::NotSetUp, Goal::Absent, ..) => (Style::Green, "was not set up"),
        (Verdict::NotSetUp, ..) => (Style::Red, "not set up"),
    };
    let mut text = context.out.style(style, what).to_string();
    if let Some(file) = said.file {
        text += &format!(" ({})", clean(&file.display().to_string()));
    }
    text += by;
    for more in said.more.into_iter().flatten() {
        text += &format!("\n{}", clean(more.trim_end()));
    }
    text
}

/// What `setup` prints.
pub(crate) fn answers() -> Answers {
    vec![("setup", lines(schema_for!(Report)))]
}
