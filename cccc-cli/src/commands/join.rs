//! `cccc join`, `cccc leave`

use std::io::Read;

use cccc_core::answer::JoinAnswer;
use cccc_core::{Error, Process};
use clap::Args;

use super::answer_done;
use crate::context::{Context, variable};
use crate::output::{Outcome, clean};
use crate::speaker;

/// The variables in which programs tell the commands they run which session of theirs that is.
const SESSION_VARIABLES: [&str; 1] = ["CODEX_THREAD_ID"];

/// Join the group as an agent: begin a session, and be added if nobody of that name is there
///
/// Without a name, an agent that was here before (same program, same session of it, same directory) is the
/// same actor again, and any other is given a readable name. Who joins by itself is a peer, and is removed
/// when it stays away for a day. The session lasts as long as the program that gives this command; all its
/// later commands are then in this actor's name, without --as.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc join
  cccc join --id alice --label reviewer
  cccc join --runtime claude --agent-session 9c1d --json")]
pub(crate) struct JoinArgs {
    /// Your actor id [default: --as, else $CCCC_ACTOR_ID, else as described above]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// What people call you, if you are added now
    #[arg(long, value_name = "T", default_value = "", hide_default_value = true)]
    title: String,
    /// A label, if you are added now; repeatable
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// The program you run in [default: as the environment tells]
    #[arg(long, value_name = "NAME")]
    runtime: Option<String>,
    /// That program's own id of the session
    #[arg(long, value_name = "ID")]
    agent_session: Option<String>,
    /// Be present for as long as this command runs, until its standard input ends
    #[arg(long)]
    hold: bool,
}

/// End your session; mail waits for you
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc leave
  cccc leave --reason 'done for today'")]
pub(crate) struct LeaveArgs {
    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

pub(crate) async fn cmd_join(context: &Context, args: JoinArgs) -> Outcome {
    let group = context.group_to_look().await?;
    let here = std::env::current_dir()
        .map_err(|e| Error::unavailable(format!("the working directory is not known: {e}")))?;
    let mut request = group.join().title(args.title).directory(here);
    if let Some(id) = args.id.or_else(|| context.named_speaker()) {
        request = request.id(id);
    }
    for label in args.label {
        request = request.label(label);
    }
    if let Some(runtime) = args.runtime.or_else(|| speaker::program(&variable)) {
        request = request.runtime(runtime);
    }
    let told = || SESSION_VARIABLES.iter().find_map(|name| variable(name));
    if let Some(session) = args.agent_session.or_else(told) {
        request = request.agent_session(session);
    }
    if let Some(process) = Process::caller().filter(|_| !args.hold) {
        request = request.process(process);
    }
    let joined = request.await?;
    let answer = JoinAnswer::of(&joined);
    context.out.answer(&answer, || {
        let replaced = answer.replaced.as_deref().map(|session| {
            format!("\nthe session that ran until now ({}) no longer receives", clean(session))
        });
        format!(
            "you are {} in group {} (session {}){}\nnext: `cccc inbox` shows your mail",
            answer.actor_id,
            answer.group_id,
            answer.generation,
            replaced.unwrap_or_default()
        )
    })?;
    if !args.hold {
        return Ok(joined.session.hand_over().await?);
    }
    context.out.flush()?;
    let mut ignored = [0; 256];
    while std::io::stdin().read(&mut ignored).is_ok_and(|bytes| bytes > 0) {}
    Ok(joined.session.close("standard input ended").await?)
}

pub(crate) async fn cmd_leave(context: &Context, args: LeaveArgs) -> Outcome {
    let done = context.group().await?.leave(args.reason).await?;
    answer_done(context, &done, "left")
}
