//! Writes the results of the recovery tests into `docs/reliability.md` (`make reliability`).

use std::path::Path;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let mut next = || arguments.next().context("usage: reliability-table FOLDER PAGE");
    let (folder, page) = (next()?, next()?);
    rotation_tests::table::write(Path::new(&folder), Path::new(&page))?;
    println!("{} is up to date", Path::new(&page).display());
    Ok(())
}
