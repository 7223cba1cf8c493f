//! Tests of what describes the command line: the completions of a shell and the manual pages.

use std::fs::read_to_string;
use std::process::Command;

use rotation_tests::binary;

/// Runs `rotation-local` and returns its standard output.
fn run(arguments: &[&str]) -> String {
    let output = Command::new(binary("rotation-local")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the commands that `--help` lists.
fn commands() -> Vec<String> {
    let help = run(&["--help"]);
    let listed = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

/// Returns the long options that the help of a command lists.
fn options(command: &str) -> Vec<String> {
    let help = run(&[command, "--help"]);
    let words = help.lines().flat_map(str::split_whitespace);
    let options = words.filter(|word| word.starts_with("--"));
    options.map(|word| word.trim_end_matches(|c: char| !c.is_alphanumeric()).to_owned()).collect()
}

/// Returns what bash proposes after the user has typed these words.
fn proposed_by_bash(words: &[&str]) -> Vec<String> {
    let script = format!(
        "source <(rotation-local completions bash)
         COMP_WORDS=({}) COMP_CWORD={}
         $(complete -p rotation-local | sed 's/.*-F \\([^ ]*\\).*/\\1/') rotation-local \
             \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.join(" "),
        words.len() - 1,
    );
    let folder = binary("rotation-local").parent().unwrap().to_owned();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash").args(["-c", &script]).env("PATH", path).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_options() {
    assert_eq!(proposed_by_bash(&["rotation-local", "rot"]), ["rotate"]);
    assert_eq!(proposed_by_bash(&["rotation-local", "man"]), ["man-pages"]);
    assert_eq!(proposed_by_bash(&["rotation-local", "rotate", "--sec"]), ["--secret"]);
    assert_eq!(proposed_by_bash(&["rotation-local", "completions", "z"]), ["zsh"]);
    assert_eq!(proposed_by_bash(&["rotation-local", "demo", "--engine", "mar"]), ["mariadb"]);
}

#[test]
fn every_shell_has_completions_of_every_command() {
    let commands = commands();
    assert!(commands.iter().any(|command| command == "rotate"), "{commands:?}");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completions", shell]);
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
    run(&["man-pages", pages.to_str().unwrap()]);
    let main = read_to_string(pages.join("rotation-local.1")).unwrap();
    for command in commands().iter().filter(|command| *command != "help") {
        assert!(main.contains(&command.replace('-', "\\-")), "no {command} in {main}");
        let page = read_to_string(pages.join(format!("rotation-local-{command}.1"))).unwrap();
        for option in options(command) {
            let option = option.replace('-', "\\-");
            assert!(page.contains(&option), "no {option} in the page of {command}");
        }
    }
}
