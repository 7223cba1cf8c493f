//! The option `serve --docker`, with which functions in Docker containers, such as SAM's, can reach
//! the service.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::{Context, Result, bail};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::journal::write_atomically;

/// The name by which a container reaches the machine that runs Docker.
///
/// Docker Desktop defines it; Docker Engine does with
/// `--add-host host.docker.internal:host-gateway`.
const HOST: &str = "host.docker.internal";

/// Listens on the address that [`HOST`] has inside a container, if that is not the loopback
/// address.
///
/// Docker Engine routes a container's connections to the gateway of its bridge network. Docker
/// Desktop, whose gateway is inside a virtual machine, forwards them to the loopback address.
///
/// # Errors
/// Returns an error if Docker does not respond or another program uses the port.
pub(crate) async fn listen(port: u16) -> Result<Option<TcpListener>> {
    let gateway = gateway().await?;
    match TcpListener::bind((gateway, port)).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => Ok(None),
        Err(error) => Err(error).with_context(|| {
            format!(
                "--docker: could not listen on Docker's bridge at {gateway}:{port}; try another \
                 --port"
            )
        }),
    }
}

/// Returns the gateway of Docker's default network.
async fn gateway() -> Result<IpAddr> {
    let output = Command::new("docker")
        .args([
            "network",
            "inspect",
            "bridge",
            "--format",
            "{{range .IPAM.Config}}{{.Gateway}},{{.Subnet}} {{end}}",
        ])
        .output()
        .await
        .context("--docker: could not run docker; install Docker, or omit --docker")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if let Some(gateway) = gateway_of(&text) {
        return Ok(gateway);
    }
    let message = String::from_utf8_lossy(&output.stderr);
    bail!(
        "--docker: Docker does not respond: {}. Start Docker (docker info shows whether it runs)",
        message.trim().lines().next_back().unwrap_or("no message")
    )
}

/// Returns the gateway of a network from its configurations, each `GATEWAY,SUBNET`.
///
/// The network can also have an IPv6 gateway. The first gateway is used. An engine that has just
/// created its bridge shows only the subnet, whose first address is the gateway.
fn gateway_of(configurations: &str) -> Option<IpAddr> {
    configurations.split_whitespace().find_map(|configuration| {
        let (gateway, subnet) = configuration.split_once(',')?;
        if !gateway.is_empty() {
            return gateway.parse().ok();
        }
        let network: Ipv4Addr = subnet.split_once('/')?.0.parse().ok()?;
        Some(Ipv4Addr::from(u32::from(network).checked_add(1)?).into())
    })
}

/// The beginning of every environment file that this program has written.
const WRITTEN_BY: &str = "# Written by rotation-local";

/// Returns the URL of the service for containers.
pub(crate) fn endpoint(port: u16) -> String {
    format!("http://{HOST}:{port}")
}

/// Writes the file that a shell loads before it runs SAM or the AWS CLI. Only its owner can read
/// it.
///
/// SAM passes its own credentials to a function, and those variables of its environment that the
/// template declares.
pub(crate) fn write_environment(path: &Path, variables: &[(&str, &str)], port: u16) -> Result<()> {
    let mut text = format!(
        "{WRITTEN_BY} serve --docker. Load it before sam or aws:  . {}\n\
         unset AWS_PROFILE AWS_SESSION_TOKEN\n",
        shell_path(path)
    );
    for (name, value) in variables {
        text.push_str(&format!("export {name}={value}\n"));
    }
    text.push_str(&format!(
        "# The endpoint of Secrets Manager for functions in containers.\n\
         export SECRETS_MANAGER_ENDPOINT={}\n",
        endpoint(port)
    ));
    match std::fs::read_to_string(path) {
        // The old file may be readable by others, and write_whole would keep its mode.
        Ok(old) if old.starts_with(WRITTEN_BY) => std::fs::remove_file(path)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        _ => bail!(
            "--env-file {}: rotation-local did not write this file; choose another name",
            path.display()
        ),
    }
    write_atomically(path, text.as_bytes())
}

/// Returns the shell commands that run the template's functions in containers.
pub(crate) fn commands(environment: &Path) -> String {
    // The template's own default is Lambda's cheaper processor, which this machine may not have.
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    let with = format!("--parameter-overrides architecture={architecture}");
    format!(
        "  . {}\n  sam build {with}\n  \
         sam local start-lambda --add-host {HOST}:host-gateway {with}",
        shell_path(environment)
    )
}

/// Returns a path for the shell's `.`, which searches `PATH` for a name without a slash.
fn shell_path(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains('/') { text } else { format!("./{text}") }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn gateway_is_read_or_computed_from_the_subnet() {
        for (configurations, gateway) in [
            ("172.17.0.1,172.17.0.0/16 ", Some("172.17.0.1")),
            (",172.17.0.0/16 ", Some("172.17.0.1")),
            ("10.9.0.254,10.9.0.0/24 fd00::1,fd00::/64 ", Some("10.9.0.254")),
            ("fd00::1,fd00::/64 ", Some("fd00::1")),
            (",fd00::/64 ,10.9.0.0/24 ", Some("10.9.0.1")),
            ("", None),
            (", ", None),
        ] {
            let found = gateway_of(configurations).map(|address| address.to_string());
            assert_eq!(found.as_deref(), gateway, "{configurations:?}");
        }
    }

    #[test]
    fn environment_file_is_loaded_by_a_shell_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rotation-local.env");
        std::fs::write(&path, "another program's file").unwrap();
        assert!(write_environment(&path, &[], 4680).is_err());
        std::fs::write(&path, format!("{WRITTEN_BY} before")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        write_environment(&path, &[("AWS_ACCESS_KEY_ID", "LOCALKEY")], 4680).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let script = format!(
            ". {}; echo $AWS_ACCESS_KEY_ID $SECRETS_MANAGER_ENDPOINT ${{AWS_PROFILE-unset}}",
            path.display()
        );
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .env("AWS_PROFILE", "another-profile")
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            "LOCALKEY http://host.docker.internal:4680 unset"
        );
        assert_eq!(shell_path(Path::new("rotation-local.env")), "./rotation-local.env");
    }
}
