//! Tests of what describes the command line: the completions of a shell and the manual pages.

use std::fs::read_to_string;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rotation_tests::binary;

/// Runs `rotation-local` and returns its standard output.
fn run(arguments: &[&str]) -> Result<String> {
    let output = Command::new(binary("rotation-local")).args(arguments).output()?;
    ensure!(output.status.success(), "{arguments:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Returns the commands that `--help` lists.
fn commands() -> Result<Vec<String>> {
    let help = run(&["--help"])?;
    let (_, listed) = help.split_once("Commands:\n").context("the help lists no commands")?;
    let listed = listed.split("\n\n").next().unwrap_or_default();
    let names = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    Ok(names.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect())
}

/// Returns the long options that the help of a command lists.
fn options(command: &str) -> Result<Vec<String>> {
    let help = run(&[command, "--help"])?;
    let words = help.lines().flat_map(str::split_whitespace);
    let options = words.filter(|word| word.starts_with("--"));
    let name = |word: &str| word.trim_end_matches(|c: char| !c.is_alphanumeric()).to_owned();
    Ok(options.map(name).collect())
}

/// Returns what bash proposes after the user has typed these words.
fn proposed_by_bash(words: &[&str]) -> Result<Vec<String>> {
    let script = format!(
        "source <(rotation-local completions bash)
         COMP_WORDS=({}) COMP_CWORD={}
         $(complete -p rotation-local | sed 's/.*-F \\([^ ]*\\).*/\\1/') rotation-local \
             \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.join(" "),
        words.len() - 1,
    );
    let folder = binary("rotation-local").parent().context("no folder")?.to_owned();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH")?);
    let output = Command::new("bash").args(["-c", &script]).env("PATH", path).output()?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}

#[test]
fn bash_completes_commands_and_options() {
    assert_eq!(proposed_by_bash(&["rotation-local", "rot"]).unwrap(), ["rotate"]);
    assert_eq!(proposed_by_bash(&["rotation-local", "man"]).unwrap(), ["man-pages"]);
    assert_eq!(proposed_by_bash(&["rotation-local", "rotate", "--sec"]).unwrap(), ["--secret"]);
    assert_eq!(proposed_by_bash(&["rotation-local", "completions", "z"]).unwrap(), ["zsh"]);
    assert_eq!(
        proposed_by_bash(&["rotation-local", "demo", "--engine", "mar"]).unwrap(),
        ["mariadb"]
    );
}

#[test]
fn every_shell_has_completions_of_every_command() {
    let commands = commands().unwrap();
    assert!(commands.iter().any(|command| command == "rotate"), "{commands:?}");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completions", shell]).unwrap();
        for command in &commands {
            assert!(script.contains(command.as_str()), "{shell} has no {command}");
        }
    }
}

#[test]
fn manual_pages_have_every_command_and_option() {
    let folder = tempfile::tempdir().unwrap();
    // The command creates the directory.
    let pages = folder.path().join("man");
    run(&["man-pages", pages.to_str().unwrap()]).unwrap();
    let main = read_to_string(pages.join("rotation-local.1")).unwrap();
    for command in commands().unwrap().iter().filter(|command| *command != "help") {
        assert!(main.contains(&command.replace('-', "\\-")), "no {command} in {main}");
        let page = read_to_string(pages.join(format!("rotation-local-{command}.1"))).unwrap();
        for option in options(command).unwrap() {
            let option = option.replace('-', "\\-");
            assert!(page.contains(&option), "no {option} in the page of {command}");
        }
    }
}
