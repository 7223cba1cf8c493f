//! The commands of the README and of `docs`, run exactly as the pages show them.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use regex_lite::Regex;
use rotation_tests::child_process::text;
use rotation_tests::documentation::{
    MARKS, arguments_of_serve, blocks, documented, files, without_builds,
};
use rotation_tests::fixture::MASTER_ARN;
use rotation_tests::local::{Serve, models};
use rotation_tests::postgres::{Target, on_each};
use rotation_tests::{binary, repository};
use serde_json::{Value, json};

use super::own_database::OwnDatabase;

/// Returns the page and the start of each block that a test takes with `documented`.
fn blocks_that_run() -> Result<BTreeSet<(String, String)>> {
    let call = Regex::new(r#"documented\(\s*("[^"]+\.md"),\s*("(?:[^"\\]|\\.)*"),?\s*\)"#)?;
    let mut found = BTreeSet::new();
    for file in files("tests/tests", "rs")? {
        let source = std::fs::read_to_string(repository().join(file))?;
        for call in call.captures_iter(&source) {
            let [page, start] = [&call[1], &call[2]].map(serde_json::from_str::<String>);
            found.insert((page?, start?));
        }
    }
    Ok(found)
}

#[test]
fn each_documented_command_is_run_or_marked() {
    let calls = blocks_that_run().unwrap();
    assert!(calls.len() > 10, "the calls were not found: {calls:?}");
    let mut problems = Vec::new();
    let blocks = blocks().unwrap();
    for block in &blocks {
        let place = format!("{}:{}", block.page, block.line);
        let runs = calls
            .iter()
            .any(|(page, start)| *page == block.page && block.commands.starts_with(start.as_str()));
        let marked = !block.marks.is_empty();
        for mark in &block.marks {
            if !MARKS.iter().any(|(known, _)| known == mark) {
                problems.push(format!("{place}: unknown mark {mark}"));
            }
        }
        if runs == marked {
            problems.push(format!("{place}: run by a test: {runs}, marked: {marked}"));
        }
    }
    for (page, start) in &calls {
        if documented(page, start).is_err() {
            problems.push(format!("a test runs {start:?}, which {page} does not show"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// A folder as the pages assume it: the programs in `target/release` and `target/debug`, and the
/// secrets in `secret.json` and `master.json`.
struct Laptop {
    own: OwnDatabase,
}

impl Laptop {
    async fn of(target: &Target) -> Result<Self> {
        let own = OwnDatabase::of(target).await?;
        let programs = binary("rotation-local").parent().context("no folder")?.to_owned();
        std::fs::create_dir(own.folder.path().join("target"))?;
        for profile in ["release", "debug"] {
            symlink(&programs, own.folder.path().join("target").join(profile))?;
        }
        let master =
            own.fixture.service.perform("GetSecretValue", &json!({"SecretId": MASTER_ARN}))?;
        let master = master["SecretString"].as_str().context("the master secret has no value")?;
        std::fs::write(own.folder.path().join("master.json"), master)?;
        Ok(Self { own })
    }

    /// Runs commands on a terminal on which the user answers yes to two questions.
    fn run(&self, commands: &str) -> Result<Output> {
        std::fs::write(self.own.folder.path().join("commands"), commands)?;
        let mut shell = Command::new("sh");
        shell.args(["-c", "printf 'y\\ny\\n' | script -qec 'sh -e commands' /dev/null"]);
        shell.current_dir(self.own.folder.path()).env("TLS_CA_FILE", &self.own.authority);
        Ok(shell.stdin(Stdio::null()).output()?)
    }

    fn succeed(&self, commands: &str) -> Result<String> {
        let output = self.run(commands)?;
        ensure!(output.status.success(), "{commands}: {}", text(&output));
        Ok(text(&output))
    }

    fn secret(&self) -> Result<Value> {
        read(&self.own.file)
    }
}

fn read(path: &Path) -> Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

#[tokio::test]
async fn getting_started_rotates_a_database_with_each_strategy() {
    on_each(|target| async move {
        let laptop = Laptop::of(&target).await?;
        let secure = documented("docs/getting-started.md", "chmod 600 secret.json")?;
        let check = documented("docs/getting-started.md", "function=target/release")?;
        let rotate = documented("docs/getting-started.md", "target/release/rotation-local rotate")?;
        let master =
            documented("docs/getting-started.md", "target/release/rotation-local preflight")?;

        let before = laptop.secret()?;
        let output = laptop.succeed(&format!("{secure}{check}"))?;
        ensure!(output.contains("The secret can be rotated."), "{output}");
        ensure!(laptop.secret()? == before, "preflight changed the secret");

        let (function, _) = check.split_once('\n').context("the block has one line")?;
        let output = laptop.succeed(&format!("{function}\n{rotate}"))?;
        ensure!(output.contains("Continue? [y/N]"), "the user was not asked: {output}");
        let after = laptop.secret()?;
        ensure!(after["password"] != before["password"], "the password is the same: {output}");
        laptop.own.fixture.log_in_with(&after).await?;

        laptop.succeed(&format!("{function}\n{master}"))?;
        let alternate = laptop.secret()?;
        assert_eq!(alternate["username"], format!("{}_clone", laptop.own.fixture.user));
        laptop.own.fixture.log_in_with(&alternate).await?;
        let previous = read(&laptop.own.folder.path().join("secret.json.previous"))?;
        assert_eq!(previous["password"], after["password"]);
        laptop.own.fixture.log_in_with(&previous).await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn readme_and_local_page_rotate_a_file() {
    on_each(|target| async move {
        let laptop = Laptop::of(&target).await?;
        let mut passwords = vec![laptop.secret()?["password"].clone()];
        let readme = documented("README.md", "cargo build --release\ntarget/release")?;
        let local = documented("docs/local.md", "function=target/release/rotation-postgres")?;
        for commands in [without_builds(&readme), local] {
            laptop.succeed(&commands)?;
            let secret = laptop.secret()?;
            ensure!(!passwords.contains(&secret["password"]), "no new password: {commands}");
            laptop.own.fixture.log_in_with(&secret).await?;
            passwords.push(secret["password"].clone());
        }
        Ok(())
    })
    .await;
}

/// The exit code of preflight, and that of the documented search in its JSON output, are those of a
/// database that can be rotated, and of one that cannot.
#[tokio::test]
async fn preflight_page_finds_a_wrong_password() {
    on_each(|target| async move {
        let laptop = Laptop::of(&target).await?;
        let check = documented("docs/preflight.md", "target/release/rotation-local preflight")?;
        let search = documented("docs/preflight.md", "jq -e")?;
        let save = format!("{} --json > answer.json || true\n", check.trim_end());
        laptop.succeed(&check)?;
        laptop.succeed(&format!("{save}{search}"))?;

        let mut wrong = laptop.secret()?;
        wrong["password"] = "not the password".into();
        std::fs::write(&laptop.own.file, wrong.to_string())?;
        assert_eq!(laptop.run(&check)?.status.code(), Some(1));
        assert_eq!(laptop.run(&format!("{save}{search}"))?.status.code(), Some(1));
        Ok(())
    })
    .await;
}

/// Starts a documented service. It listens on a free port, and finds the programs of this build.
async fn serve(commands: &str, authority: &str) -> Result<Serve> {
    let programs = binary("rotation-local").parent().context("no folder")?.display().to_string();
    let arguments: Vec<String> = arguments_of_serve(commands)?
        .into_iter()
        .map(|argument| argument.replace("target/release", &programs))
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Serve::start_with(&arguments, &[("TLS_CA_FILE", authority)]).await
}

#[tokio::test]
async fn local_page_rotates_with_the_aws_cli() {
    on_each(|target| async move {
        let own = OwnDatabase::of(&target).await?;
        let readme = documented("README.md", "target/release/rotation-local serve")?;
        let page = documented("docs/local.md", "cargo build --release\ntarget/release")?;
        let rotate = documented("docs/local.md", "aws secretsmanager create-secret")?;
        let previous = documented("docs/local.md", "aws secretsmanager get-secret-value")?;
        let disable = documented("docs/local.md", "aws kms disable-key")?;
        let prepare = format!("cd '{}'\n", own.folder.path().display());
        for commands in [readme, page] {
            let before = read(&own.file)?;
            let serve = serve(&commands, &own.authority).await?;
            let region = [("AWS_DEFAULT_REGION", "us-east-1")];
            let output = serve.run_in_shell(&format!("{prepare}{rotate}"), &region)?;
            ensure!(output.contains("VersionIdsToStages"), "{output}");
            serve.until_rotated().await?;
            let previous = serve.run_in_shell(&previous, &region)?;
            let previous: Value = serde_json::from_str(&previous)?;
            assert_eq!(previous["SecretString"], std::fs::read_to_string(&own.file)?);

            let read = "aws secretsmanager get-secret-value --secret-id app --query SecretString \
                --output text";
            let after: Value = serde_json::from_str(&serve.run_in_shell(read, &region)?)?;
            ensure!(after["password"] != before["password"], "the password is the same");
            own.fixture.log_in_with(&after).await?;
            std::fs::write(&own.file, after.to_string())?;

            let create = "aws secretsmanager create-secret --name keyed --kms-key-id alias/keyed \
                --secret-string value";
            serve.run_in_shell(create, &region)?;
            let disable = disable
                .replace("KEY", "alias/keyed")
                .replace("http://127.0.0.1:4680", &serve.endpoint());
            serve.run_in_shell(&disable, &region)?;
            let read = "aws secretsmanager get-secret-value --secret-id keyed";
            let error = serve.run_in_shell(read, &region).err().context("the key is enabled")?;
            ensure!(error.to_string().contains("DecryptionFailure"), "{error}");
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn local_page_replicates_to_another_region_and_account() -> Result<()> {
    let regions = documented("docs/local.md", "aws secretsmanager replicate-secret-to-regions")?;
    let accounts = documented("docs/local.md", "AWS_ACCESS_KEY_ID=$KEY-222222222222")?;
    let control = documented("docs/local.md", "credential=$KEY")?;
    let serve = Serve::start(&[]).await?;
    let models = models().display().to_string();
    let run = |command: &str, more: &[(&str, &str)]| {
        let mut environment = vec![
            ("AWS_DATA_PATH", &*models),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("KEY", &serve.key),
        ];
        environment.extend(more);
        serve.run_in_shell(command, &environment)
    };

    let create = "aws secretsmanager create-secret --name app --secret-string one \
        --query ARN --output text";
    let primary = run(create, &[])?;
    let output = run(&regions, &[])?;
    ensure!(output.contains(r#""SecretString": "one""#), "{output}");

    let (create, associate) = accounts.split_once("\naws").context("the block has one command")?;
    let created: Value = serde_json::from_str(&run(create, &[("PRIMARY", primary.trim())])?)?;
    let replica = created["ARN"].as_str().context("the replica has no ARN")?;
    run(&format!("aws{associate}"), &[("REPLICA", replica)])?;
    let read = "AWS_ACCESS_KEY_ID=$KEY-222222222222 aws secretsmanager get-secret-value \
        --secret-id copy --query SecretString --output text";
    assert_eq!(run(read, &[])?, "one\n");

    run(&control.replace("http://127.0.0.1:4680", &serve.endpoint()), &[])?;
    run("aws secretsmanager put-secret-value --secret-id app --secret-string two", &[])?;
    let status = "aws secretsmanager describe-secret --secret-id app \
        --query ReplicationStatus[0].Status --output text";
    assert_eq!(run(status, &[])?, "InProgress\n");
    Ok(())
}

#[test]
fn local_page_prints_completions_and_manual_pages() -> Result<()> {
    let commands = documented("docs/local.md", "source <(target/release")?;
    let folder = tempfile::tempdir()?;
    std::fs::create_dir(folder.path().join("target"))?;
    let programs = binary("rotation-local").parent().context("no folder")?.to_owned();
    symlink(programs, folder.path().join("target/release"))?;
    let mut shell = Command::new("bash");
    shell.args(["-e", "-c", &format!("{commands}\ncomplete -p rotation-local")]);
    let output = shell.current_dir(folder.path()).output()?;
    ensure!(output.status.success(), "{}", text(&output));
    ensure!(folder.path().join("target/man/rotation-local-rotate.1").is_file());
    Ok(())
}
