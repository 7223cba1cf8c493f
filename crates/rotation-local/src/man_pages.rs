//! The command `man-pages`, which writes the manual pages of all commands.

use std::fs::create_dir_all;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Command};

use crate::progress::say;

/// The options of `man-pages`.
#[derive(Debug, Args)]
pub(crate) struct ManPagesArgs {
    /// Directory that receives the pages
    #[arg(value_name = "PATH")]
    directory: PathBuf,
}

/// Writes one page for `command` and one for each of its subcommands.
pub(crate) fn man_pages(args: &ManPagesArgs, command: Command) -> Result<()> {
    let place = args.directory.display();
    create_dir_all(&args.directory)
        .and_then(|()| clap_mangen::generate_to(command, &args.directory))
        .with_context(|| format!("could not write the manual pages to {place}"))?;
    say(&format!(
        "The manual pages are in {place}. Show one with: man -l {place}/rotation-local.1"
    ));
    Ok(())
}
