//! `cccc hook`

use clap::Args;

use crate::context::{Context, variable};
use crate::hook::trouble::{self, Trouble};
use crate::hook::{Ask, EVENTS, Event, FORMS, Form};
use crate::output::{Outcome, clean};
use crate::speaker::ACTOR_VARIABLE;
use crate::table::{Table, plain};

/// Tell an agent what waits for it, at the moments at which its program runs hooks
///
/// Agents' programs run this themselves, once `cccc setup --hooks` has entered it in their settings. It reads
/// what the program writes, and answers in the program's own form: when a session begins, who the agent is and
/// how it stands; at a prompt, what is unread; after a tool, what is urgent; at the end of a turn, what is
/// unread or owed. Where there is nothing to say it is silent. It never fails: what went wrong is shown by
/// --troubles and `cccc doctor`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc hook start --runtime claude
  cccc hook before-tool --runtime codex --strict --guard
  cccc hook --troubles")]
pub(crate) struct HookArgs {
    /// The moment: start, prompt, before-tool, tool (after it), stop, end
    #[arg(value_name = "EVENT", required_unless_present = "troubles", value_parser = EVENTS.map(|(name, _)| name))]
    event: Option<String>,
    /// The agent's program
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    runtime: String,
    /// How its hooks are answered
    #[arg(long, value_name = "FORM", default_value = "claude", value_parser = FORMS.map(|(name, _)| name))]
    form: String,
    /// before-tool: let tools wait until mail is read; what only looks is let through
    #[arg(long)]
    strict: bool,
    /// before-tool: keep files from being changed that somebody else has reserved
    #[arg(long)]
    guard: bool,
    /// Show what went wrong in hooks lately
    #[arg(long)]
    troubles: bool,
}

pub(crate) fn cmd_hook(context: &Context, args: HookArgs) -> Outcome {
    if args.troubles {
        return troubles(context);
    }
    let (Some(event), Some(form)) = (args.event.as_deref().and_then(Event::named), Form::named(&args.form))
    else {
        return Ok(());
    };
    // Without a home there is nobody to speak of, and nowhere to say so.
    let Ok(home) = context.home_path() else { return Ok(()) };
    let group = match context.check_names().and_then(|()| context.named_group()) {
        Ok(group) => group,
        Err(error) => {
            let at = context.home_options().clock.now();
            trouble::record(&home, &Trouble::of(at, event.name(), &args.runtime, &error));
            return Ok(());
        }
    };
    crate::hook::run(Ask {
        event,
        form,
        runtime: args.runtime,
        strict: args.strict,
        guard: args.guard,
        home,
        options: context.home_options(),
        group,
        named: context.flagged_speaker(),
        inherited: cccc_core::agent_name(variable(ACTOR_VARIABLE)),
    });
    Ok(())
}

fn troubles(context: &Context) -> Outcome {
    let troubles = trouble::read(&context.home_path()?)?;
    context.out.answers(&troubles, || text(context, &troubles))
}

fn text(context: &Context, troubles: &[Trouble]) -> String {
    if troubles.is_empty() {
        return "nothing went wrong in hooks".into();
    }
    let mut table = Table::new(&context.out, &["WHEN", "HOOK", "RUNTIME", "KIND", ""]);
    for trouble in troubles {
        table.row([
            plain(trouble.at),
            plain(clean(&trouble.event)),
            plain(clean(&trouble.runtime)),
            plain(clean(&trouble.kind)),
            plain(clean(&trouble.message)),
        ]);
    }
    table.text()
}
