//! The command `completions`, which prints the completion script of a shell.

use std::io::{Write as _, stdout};

use anyhow::{Context as _, Result};
use clap::{Args, Command};
use clap_complete::Shell;

/// The options of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Shell that reads the script
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script that completes the commands and options of `command`.
pub(crate) fn completions(args: &CompletionsArgs, mut command: Command) -> Result<()> {
    let name = command.get_name().to_owned();
    // `generate` panics if it cannot write, for example to a closed pipe. It can write to memory.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    stdout().write_all(&script).context("could not write to standard output")
}
