//! `cccc completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::context::Context;
use crate::output::Outcome;

/// Print the completion script for a shell
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc completions bash > ~/.local/share/bash-completion/completions/cccc
  cccc completions zsh > ~/.zfunc/_cccc
  cccc completions fish > ~/.config/fish/completions/cccc.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(crate) fn cmd_completions(context: &Context, args: &CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "cccc", &mut script);
    context.out.bytes(&script)
}
