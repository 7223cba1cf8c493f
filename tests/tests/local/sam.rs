//! Tests of the functions under SAM in Docker, with the commands of `docs/local.md`.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rotation_tests::child_process::{ChildProcess, text};
use rotation_tests::discovery::use_one_tls_provider;
use rotation_tests::docker;
use rotation_tests::documentation::{arguments_of_serve, documented};
use rotation_tests::fixture::Fixture;
use rotation_tests::local::{Serve, until, until_within};
use rotation_tests::sam::{Project, functions, gateway};
use rotation_tests::server::Server;
use rotation_tests::{mysql, postgres};
use serde_json::Value;
use test_servers::free_port;
use tokio::net::{TcpListener, TcpStream};

/// The shell blocks of the section on SAM. The test creates the output of `sam build` from the
/// programs of this build.
struct Documented {
    serve: String,
    start: String,
    rotate: String,
    invoke: String,
}

impl Documented {
    fn read() -> Result<Self> {
        let serve = documented("docs/local.md", "target/release/rotation-local serve --docker")?;
        let start = documented("docs/local.md", ". ./rotation-local.env\nsam local start-lambda")?;
        let rotate = documented("docs/local.md", ". ./rotation-local.env\naws secretsmanager")?;
        let invoke = documented("docs/local.md", ". ./rotation-local.env\nsam local invoke")?;
        let readme = documented("README.md", ". ./rotation-local.env\nsam local invoke")?;
        ensure!(readme == invoke, "the README shows another command");
        // The page continues long commands on the next line. A test adds options to the last one.
        let [serve, start, rotate, invoke] = [serve, start, rotate, invoke]
            .map(|block| block.replace("\\\n", " ").trim_end().to_owned());
        Ok(Self { serve, start, rotate, invoke })
    }
}

/// Starts a service that containers can reach, as documented except for the ports and the function.
async fn serve(
    project: &Project,
    documented: &str,
    function: &str,
    port: u16,
    docker: Option<&str>,
) -> Result<Serve> {
    let documented =
        documented.replace("PostgreSQLSingleUser", function).replace(":3001", &format!(":{port}"));
    let arguments = arguments_of_serve(&documented)?;
    let file = project.folder.path().join("rotation-local.env").display().to_string();
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let wrong = format!("wrong=http://127.0.0.1:{port}#NoSuchFunction");
    arguments.extend(["--env-file", &file, "--function", &wrong, "--attempts", "1"]);
    let environment: Vec<_> = docker.map(|host| ("DOCKER_HOST", host)).into_iter().collect();
    Serve::start_with(&arguments, &environment).await
}

/// Starts a proxy through which containers reach a server that listens on the loopback address.
async fn beside(server: (String, u16), docker: Option<&str>) -> Result<SocketAddr> {
    let listener = TcpListener::bind((gateway(docker)?, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let server = server.clone();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(server).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    Ok(address)
}

fn output(project: &Project, commands: &str) -> Result<String> {
    let output = project.shell(commands)?.output()?;
    let text = text(&output);
    ensure!(output.status.success(), "{commands}: {text}");
    Ok(text)
}

/// Every function starts in Lambda's image, finds Secrets Manager, and is authorized there.
#[tokio::test]
async fn every_function_runs_under_sam_local_invoke() -> Result<()> {
    let Some(docker) = docker::engine()? else { return Ok(()) };
    let documented = Documented::read()?;
    let project = Project::new(docker.clone(), "")?;
    let _serve =
        serve(&project, &documented.serve, "PostgreSQLSingleUser", 1, docker.as_deref()).await?;
    let functions = functions()?;
    std::thread::scope(|scope| {
        let half = functions.len().div_ceil(2);
        let threads: Vec<_> = functions
            .chunks(half)
            .map(|functions| {
                let (documented, project) = (&documented, &project);
                scope.spawn(move || {
                    for function in functions {
                        let command =
                            documented.invoke.replace("PostgreSQLSingleUser", &function.id);
                        let text = output(project, &command)?;
                        // The ARN in events/createSecret.json is an example.
                        ensure!(text.contains("SecretNotFound"), "{}: {text}", function.id);
                    }
                    Ok(())
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?
        })
    })
}

/// Rotates a secret of a real database completely, as documented.
async fn rotates<T: Server>(
    targets: impl Future<Output = Result<Vec<T>>>,
    function: &str,
) -> Result<()> {
    use_one_tls_provider();
    let Some(docker) = docker::engine()? else { return Ok(()) };
    let target = targets.await?.into_iter().next().context("there is no server")?;
    let documented = Documented::read()?;
    let fixture = Fixture::new(&target).await?;
    let project = Project::new(docker.clone(), target.authority().unwrap_or_default())?;
    let port = free_port()?;
    let serve = serve(&project, &documented.serve, function, port, docker.as_deref()).await?;

    let start = format!("export TLS_CA_FILE=/var/task/ca.pem\n{} --port {port}", documented.start);
    let mut sam = project.shell(&start.replace("sam local", "exec sam local"))?;
    let log = std::fs::File::create(project.folder.path().join("sam.log"))?;
    sam.stdout(log.try_clone()?).stderr(log).stdin(Stdio::null());
    let mut lambda = ChildProcess::spawn(sam)?;
    let sam_log =
        || std::fs::read_to_string(project.folder.path().join("sam.log")).unwrap_or_default();
    lambda.wait_until_listening(port).await.with_context(sam_log)?;

    let (host, server_port) = target.address();
    let reachable = beside((host.to_owned(), server_port), docker.as_deref()).await?;
    let before = fixture.value("AWSCURRENT")?;
    let mut secret = before.clone();
    secret["host"] = "host.docker.internal".into();
    secret["port"] = reachable.port().into();
    std::fs::write(project.folder.path().join("secret.json"), secret.to_string())?;
    output(&project, &documented.rotate)?;
    let ended = until_within(Duration::from_secs(120), "the rotation ends", async || {
        let message = serve.output();
        Ok(message
            .lines()
            .find(|line| line.starts_with("rotation of ") && !line.contains(", version "))
            .map(str::to_owned))
    })
    .await
    .with_context(|| format!("{}\n{}", serve.output(), sam_log()))?;
    ensure!(ended.ends_with(": done"), "{}\n{}", serve.output(), sam_log());

    let read = ". ./rotation-local.env\naws secretsmanager get-secret-value --secret-id app \
        --query SecretString --output text";
    let mut after: Value = serde_json::from_str(&output(&project, read)?)?;
    ensure!(after["password"] != secret["password"], "the password is the same");
    for key in ["host", "port"] {
        after[key] = before[key].clone();
    }
    fixture.log_in_with(&after).await?;
    for value in [&before, &after] {
        let password = value["password"].as_str().context("the secret has no password")?;
        ensure!(
            !serve.output().contains(password) && !sam_log().contains(password),
            "a password was printed"
        );
    }

    // SAM's own answer is part of the error about a wrong function name.
    let wrong = documented.rotate.replace("app", "other").replace("other-rotation", "wrong");
    output(&project, &wrong)?;
    let error = until("the error is reported", async || {
        Ok(serve.output().contains("Local.EndpointFailed").then(|| serve.output()))
    })
    .await
    .with_context(|| serve.output())?;
    for part in ["404", "Function not found", "--function URL#NAME"] {
        ensure!(error.contains(part), "{part} is not in {error}");
    }
    Ok(())
}

#[tokio::test]
async fn postgres_is_rotated_through_sam_local_start_lambda() -> Result<()> {
    Box::pin(rotates(postgres::targets(), "PostgreSQLSingleUser")).await
}

#[tokio::test]
async fn mysql_is_rotated_through_sam_local_start_lambda() -> Result<()> {
    Box::pin(rotates(mysql::targets::<mysql::MySql>(), "MySQLSingleUser")).await
}
