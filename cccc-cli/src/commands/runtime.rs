//! `cccc runtime ...`

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cccc_core::{Error, Result};
use clap::{Args, Subcommand};
use schemars::{JsonSchema, schema_for};
use serde::Serialize;

use super::schema::{Answers, lines};
use super::setup::Around;
use crate::context::Context;
use crate::output::{Failure, Outcome, Style, clean};
use crate::setup::catalog::{Catalog, Runtime, Scope};
use crate::setup::detect;
use crate::setup::plan::Verdict;
use crate::setup::probe::{self, Start};
use crate::table::{Table, plain};

/// How long all programs together may take to say their versions.
const VERSIONS_WITHIN: Duration = Duration::from_secs(20);

/// See which agents are known, installed and set up
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc runtime list
  cccc runtime list --all")]
pub(crate) struct RuntimeArgs {
    #[command(subcommand)]
    command: RuntimeCommand,
}

#[derive(Debug, Subcommand)]
enum RuntimeCommand {
    /// List the agents that are installed, with version, and whether they are set up
    #[command(after_help = "Examples:
  cccc runtime list
  cccc runtime list --check
  cccc runtime list --all --json | jq -r 'select(.installed) | .runtime'")]
    List {
        /// Those too that are not installed
        #[arg(long)]
        all: bool,
        /// Start what is registered too, as the agent would; exit with 1 if something is wrong
        #[arg(long)]
        check: bool,
    },
}

/// An agent, as `runtime list` and `doctor` print it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RuntimeLine {
    /// Its name in the catalog.
    pub(crate) runtime: String,
    title: String,
    /// Whether its program was found on the search path.
    installed: bool,
    program: Option<PathBuf>,
    /// What the program says; absent if it says nothing in time.
    version: Option<String>,
    /// How it stands with the person's own configuration.
    user: Verdict,
    /// How it stands with the configuration of this directory; absent if there is none that is known.
    project: Option<Verdict>,
    /// The file of the person's own configuration.
    file: Option<PathBuf>,
    /// The agent's names for the moments in which it runs hooks, where they are known.
    hooks: Vec<String>,
    /// How it stands with the person's hooks; absent if it has none that are known.
    hooks_user: Option<Verdict>,
    /// How it stands with the hooks of this directory.
    hooks_project: Option<Verdict>,
    /// What came of starting what is registered; only where that was asked for.
    starts: Vec<Start>,
    /// Whether nothing is wrong with it.
    pub(crate) ok: bool,
    /// What is wrong.
    detail: Option<String>,
}

pub(crate) fn cmd_runtime(context: &Context, args: RuntimeArgs) -> Outcome {
    let RuntimeCommand::List { all, check } = args.command;
    let runtimes = look(context, all, check)?;
    context.out.answers(&runtimes, || text(context, &runtimes))?;
    if check && runtimes.iter().any(|line| !line.ok) { Err(Failure::Answered) } else { Ok(()) }
}

/// How it stands with the agents that are installed, or with all that are known.
pub(crate) fn look(context: &Context, all: bool, check: bool) -> Result<Vec<RuntimeLine>> {
    let catalog = Catalog::load(&context.home_path()?)?;
    let around = Around::here(context)?;
    let known: Vec<_> =
        catalog.all().filter(|(_, runtime)| all || around.program(runtime).is_some()).collect();
    // Some programs take a second of work to start: as many at once as there are processors, because all
    // at once would each be so slow as to seem to hang.
    let workers = std::thread::available_parallelism().map_or(2, NonZero::get).max(2);
    let until = Instant::now() + VERSIONS_WITHIN;
    let next = AtomicUsize::new(0);
    let mut looked: Vec<(usize, Result<RuntimeLine>)> = std::thread::scope(|scope| {
        let work = || {
            let mut done = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some((name, runtime)) = known.get(index) else { return done };
                done.push((index, look_at(&around, name, runtime, check, until)));
            }
        };
        let working: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        working.into_iter().flat_map(|work| work.join().unwrap_or_default()).collect()
    });
    looked.sort_by_key(|(index, _)| *index);
    looked.into_iter().map(|(_, line)| line).collect()
}

fn look_at(
    around: &Around,
    name: &str,
    runtime: &Runtime,
    check: bool,
    until: Instant,
) -> Result<RuntimeLine> {
    let program = around.program(runtime);
    let server = |scope| {
        let wanted = around.wanted(scope, None, None)?;
        Ok::<_, Error>(around.task(name, runtime, scope, &wanted)?.carry_out())
    };
    let hooks = |scope| {
        let command = around.hook_command(&around.wanted(scope, None, None)?);
        Ok::<_, Error>(around.hook_task(name, runtime, scope, &command)?.carry_out())
    };
    let user = server(Scope::User)?;
    let project = runtime.place(Scope::Project).map(|_| server(Scope::Project)).transpose()?;
    let (mut wrong, mut starts) = (Vec::new(), Vec::new());
    for (scope, report) in [(Scope::User, Some(&user)), (Scope::Project, project.as_ref())] {
        let Some(report) = report else { continue };
        if report.result == Verdict::Failed {
            wrong.extend(report.detail.clone());
        }
        if let (true, Some(registered)) = (check, &report.registered) {
            starts.push(probe::start(scope, registered));
        }
    }
    wrong.extend(starts.iter().filter_map(|start| start.detail.clone()));
    let mut entered = [None, None];
    for (verdict, scope) in entered.iter_mut().zip([Scope::User, Scope::Project]) {
        let report = hooks(scope)?;
        if report.file.is_none() {
            continue;
        }
        *verdict = Some(report.result);
        wrong.extend(report.missing.iter().map(|program| format!("hooks run {program}, which is not there")));
        if report.result == Verdict::Failed || report.trusted == Some(false) {
            wrong.extend(report.detail);
        }
    }
    let [hooks_user, hooks_project] = entered;
    // The version last, because it may take long.
    let left = until.saturating_duration_since(Instant::now());
    let version = program.as_ref().and_then(|program| detect::version(program, &runtime.version, left));
    let names =
        runtime.hooks.as_ref().map(|hooks| hooks.events.values().map(|event| event.name().to_owned()));
    Ok(RuntimeLine {
        runtime: name.to_owned(),
        title: runtime.title.clone(),
        installed: program.is_some(),
        program,
        version,
        user: user.result,
        project: project.map(|project| project.result),
        file: user.file,
        hooks: names.into_iter().flatten().collect(),
        hooks_user,
        hooks_project,
        starts,
        ok: wrong.is_empty(),
        detail: (!wrong.is_empty()).then(|| wrong.join("; ")),
    })
}

pub(crate) fn text(context: &Context, runtimes: &[RuntimeLine]) -> String {
    let checked = runtimes.iter().any(|line| !line.starts.is_empty());
    let head = ["NAME", "AGENT", "VERSION", "YOU", "HERE", "HOOKS", if checked { "STARTS" } else { "" }, ""];
    let mut table = Table::new(&context.out, &head);
    for line in runtimes {
        let version = match (&line.version, line.installed) {
            (Some(version), _) => plain(clean(version)),
            (None, true) => plain("?"),
            (None, false) => ("not installed".to_owned(), Style::Dim),
        };
        let hooks = match (line.hooks_user, line.hooks_project) {
            (Some(Verdict::NotSetUp), Some(here)) => Some(here),
            (user, here) => user.or(here),
        };
        let starts = match line.starts.iter().all(|start| start.ok) {
            _ if line.starts.is_empty() => plain(""),
            true => {
                (format!("{} ms", line.starts.iter().map(|start| start.ms).max().unwrap_or(0)), Style::Green)
            }
            false => ("NO".to_owned(), Style::Red),
        };
        table.row([
            (line.runtime.clone(), Style::Cyan),
            plain(&line.title),
            version,
            verdict(line.user),
            line.project.map_or_else(|| plain(""), verdict),
            hooks.map_or_else(|| ("none".to_owned(), Style::Dim), verdict),
            starts,
            plain(clean(line.detail.as_deref().unwrap_or_default())),
        ]);
    }
    if table.is_empty() {
        return "no agent that is known is installed; `cccc runtime list --all` names those that are known"
            .into();
    }
    table.text()
}

fn verdict(verdict: Verdict) -> (String, Style) {
    let (text, style) = match verdict {
        Verdict::SetUp => ("set up", Style::Green),
        Verdict::Stale => ("outdated", Style::Yellow),
        Verdict::NotSetUp => ("-", Style::Plain),
        Verdict::Manual => ("by hand", Style::Dim),
        Verdict::Failed => ("unreadable", Style::Red),
    };
    (text.to_owned(), style)
}

/// What the commands of this family print.
pub(crate) fn answers() -> Answers {
    vec![("runtime list", lines(schema_for!(RuntimeLine)))]
}
