//! The commands that the documentation shows.
//!
//! Each shell block of a page is run by a test as it stands, or its fence says why not: see
//! [`MARKS`]. A test takes a block with [`documented`].

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::repository;

/// The marks of blocks that no test runs, with the reason. A mark is the second word of a fence:
/// `sh needs-aws`.
pub const MARKS: &[(&str, &str)] = &[
    ("needs-aws", "the commands need an AWS account"),
    ("needs-release", "the commands need a published release"),
    ("needs-build", "the commands build for minutes; developers and workflows run them"),
];

/// A shell block of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The path of the page, relative to the root of the repository.
    pub page: String,
    /// The number of the line after the fence.
    pub line: usize,
    /// The words of the fence after `sh`.
    pub marks: Vec<String>,
    /// The commands, without the indentation of a list.
    pub commands: String,
}

/// Returns the error types that have a row in `docs/errors.md`.
#[cfg(test)]
pub(crate) fn error_types() -> std::collections::BTreeSet<&'static str> {
    let page = include_str!("../../docs/errors.md");
    page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
}

/// Returns the paths of all files below `folder` with this extension, relative to the repository.
///
/// # Errors
/// Returns an error if the folder cannot be read.
pub fn files(folder: &str, extension: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![repository().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                let name = path.file_name().unwrap_or_default();
                if name != "target" && name != "node_modules" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                files.push(path.strip_prefix(repository())?.to_owned());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Returns the shell blocks of all pages: the Markdown files at the top, in `docs` and in `crates`.
///
/// # Errors
/// Returns an error if a page cannot be read, or a fence has no end.
pub fn blocks() -> Result<Vec<Block>> {
    let mut pages = vec![PathBuf::from("README.md"), PathBuf::from("CONTRIBUTING.md")];
    for folder in ["docs", "crates", "deploy", "tests"] {
        if repository().join(folder).is_dir() {
            pages.extend(files(folder, "md")?);
        }
    }
    let mut blocks = Vec::new();
    for page in pages {
        blocks.extend(blocks_of_page(&page.display().to_string())?);
    }
    Ok(blocks)
}

fn blocks_of_page(page: &str) -> Result<Vec<Block>> {
    blocks_of(page, &std::fs::read_to_string(repository().join(page))?)
}

fn blocks_of(page: &str, text: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let Some(fence) = line.trim_start().strip_prefix("```") else { continue };
        let indentation = line.len() - line.trim_start().len();
        let mut commands = String::new();
        loop {
            let (_, line) =
                lines.next().with_context(|| format!("{page}:{}: no end of the block", at + 1))?;
            if line.trim() == "```" {
                break;
            }
            commands.push_str(line.get(indentation..).unwrap_or_default());
            commands.push('\n');
        }
        let mut words = fence.split_whitespace();
        if words.next().is_some_and(|language| matches!(language, "sh" | "bash" | "console")) {
            let marks = words.map(str::to_owned).collect();
            blocks.push(Block { page: page.to_owned(), line: at + 2, marks, commands });
        }
    }
    Ok(blocks)
}

/// Returns the commands of the one block of a page that starts with `start`. The page and the start
/// must be literals: a test finds the calls of this function in the sources, to know which blocks
/// are run.
///
/// # Errors
/// Returns an error if no block or more than one block starts this way, or the block is marked.
pub fn documented(page: &str, start: &str) -> Result<String> {
    let found: Vec<Block> = blocks_of_page(page)?
        .into_iter()
        .filter(|block| block.commands.starts_with(start))
        .collect();
    ensure!(found.len() == 1, "{page} has {} blocks that start with {start:?}", found.len());
    let block = found.into_iter().next().context("there is no block")?;
    ensure!(block.marks.is_empty(), "{page}:{} is marked as not run", block.line);
    Ok(block.commands)
}

/// Returns the commands without those that build the programs, because a test has built them.
pub fn without_builds(commands: &str) -> String {
    commands.lines().filter(|line| !line.starts_with("cargo build")).collect::<Vec<_>>().join("\n")
}

/// Returns the arguments of a documented `rotation-local serve` command.
///
/// # Errors
/// Returns an error if the commands do not contain `rotation-local serve`.
pub fn arguments_of_serve(commands: &str) -> Result<Vec<String>> {
    let commands = commands.replace("\\\n", " ");
    let (_, arguments) = commands
        .split_once("rotation-local serve ")
        .with_context(|| format!("no rotation-local serve in {commands}"))?;
    Ok(arguments.split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use rotation_database::{DatabaseKey, SCHEMAS};

    use super::*;

    #[test]
    fn blocks_have_marks_and_no_indentation() {
        let page = "a\n```sh needs-aws\naws x\n```\n1. b\n   ```sh\n   one \\\n     two\n   ```\n\
            ```json\n{}\n```\n";
        let blocks = blocks_of("p", page).unwrap();
        assert_eq!(blocks.len(), 2);
        assert_eq!(blocks[0].marks, ["needs-aws"]);
        assert_eq!((blocks[1].line, &*blocks[1].commands), (7, "one \\\n  two\n"));
        assert!(blocks_of("p", "```sh\n").is_err());
    }

    #[test]
    fn page_of_secrets_has_the_names_and_defaults_of_each_engine() {
        let page = include_str!("../../docs/secrets.md");
        for spec in SCHEMAS {
            let database = match spec.database {
                DatabaseKey::Optional(Some(name)) => format!("`{name}`"),
                DatabaseKey::Optional(None) => "none".to_owned(),
                DatabaseKey::Required => "required".to_owned(),
            };
            let others = spec.also.iter().chain(spec.rds).filter(|name| **name != spec.name);
            let others: Vec<_> = others.map(|name| format!("`{name}`")).collect();
            let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
            for row in [
                format!(
                    "| {} | `{}` | {} | {database} |\n",
                    spec.display, spec.name, spec.default_port
                ),
                format!("| {} | {others} |\n", spec.display),
            ] {
                assert!(page.contains(&row), "docs/secrets.md does not have the row {row}");
            }
        }
    }
}
