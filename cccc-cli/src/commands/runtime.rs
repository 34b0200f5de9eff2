//! `cccc runtime ...`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use schemars::{JsonSchema, schema_for};
use serde::Serialize;

use super::schema::{Answers, lines};
use super::setup::Around;
use crate::context::Context;
use crate::output::{Outcome, Style, clean};
use crate::setup::catalog::{Catalog, Scope};
use crate::setup::detect;
use crate::setup::plan::Verdict;
use crate::table::{Table, plain};

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
  cccc runtime list --all --json | jq -r 'select(.installed) | .runtime'")]
    List {
        /// Those too that are not installed
        #[arg(long)]
        all: bool,
    },
}

/// An agent, as `runtime list` prints it.
#[derive(Debug, Serialize, JsonSchema)]
struct RuntimeLine {
    /// Its name in the catalog.
    runtime: String,
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
    /// Why it could not be looked at.
    detail: Option<String>,
    /// The agent's names for the moments in which it runs hooks, where they are known.
    hooks: Vec<String>,
}

pub(crate) fn cmd_runtime(context: &Context, args: RuntimeArgs) -> Outcome {
    let RuntimeCommand::List { all } = args.command;
    let catalog = Catalog::load(&context.home_path()?)?;
    let around = Around::here(context)?;
    let mut runtimes = Vec::new();
    for (name, runtime) in catalog.all() {
        let program = around.program(runtime);
        if !all && program.is_none() {
            continue;
        }
        let look = |scope| {
            let wanted = around.wanted(scope, None, None)?;
            Ok::<_, cccc_core::Error>(around.task(name, runtime, scope, &wanted)?.carry_out())
        };
        let user = look(Scope::User)?;
        let project = match runtime.place(Scope::Project) {
            Some(_) => Some(look(Scope::Project)?.result),
            None => None,
        };
        let hooks = runtime
            .hooks
            .as_ref()
            .map(|hooks| hooks.events.values().map(|event| event.name().to_owned()).collect());
        runtimes.push(RuntimeLine {
            runtime: name.to_owned(),
            title: runtime.title.clone(),
            installed: program.is_some(),
            program,
            version: None,
            user: user.result,
            project,
            file: user.file,
            detail: if user.result == Verdict::Failed { user.detail } else { None },
            hooks: hooks.unwrap_or_default(),
        });
    }
    // Some programs take a second to start, so all are asked at once.
    std::thread::scope(|scope| {
        for line in &mut runtimes {
            if let (Some(program), Ok((_, runtime))) = (line.program.clone(), catalog.runtime(&line.runtime))
            {
                scope.spawn(move || line.version = detect::version(&program, &runtime.version));
            }
        }
    });
    context.out.answers(&runtimes, || text(context, &runtimes))
}

fn text(context: &Context, runtimes: &[RuntimeLine]) -> String {
    let mut table = Table::new(&context.out, &["NAME", "AGENT", "VERSION", "YOU", "HERE", ""]);
    for line in runtimes {
        let version = match (&line.version, line.installed) {
            (Some(version), _) => plain(clean(version)),
            (None, true) => plain("?"),
            (None, false) => ("not installed".to_owned(), Style::Dim),
        };
        table.row([
            (line.runtime.clone(), Style::Cyan),
            plain(&line.title),
            version,
            verdict(line.user),
            line.project.map_or_else(|| plain(""), verdict),
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
