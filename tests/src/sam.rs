//! SAM projects from `template.yaml`, with the functions of this build instead of the output of
//! `sam build`.

use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::docker::IMAGE;
use crate::{binary, repository, tool};

/// A function of the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// The logical ID of the function.
    pub id: String,
    /// The name of its binary in this workspace.
    pub binary: String,
}

/// A folder with the template, the events and the functions, laid out as `sam build` does.
#[derive(Debug)]
pub struct Project {
    /// The root folder of the project, which is deleted when the project is dropped.
    pub folder: TempDir,
    docker_host: Option<String>,
}

fn template() -> Result<String> {
    Ok(std::fs::read_to_string(repository().join("template.yaml"))?)
}

/// Returns the logical ID of the resource, parameter or output that begins on a line.
fn resource(line: &str) -> Option<&str> {
    line.strip_prefix("  ")?.strip_suffix(':').filter(|name| !name.starts_with(' '))
}

/// Returns the functions of the template.
///
/// # Errors
/// Returns an error if the template cannot be read.
pub fn functions() -> Result<Vec<Function>> {
    let template = template()?;
    let mut functions = Vec::new();
    let mut id = "";
    for line in template.lines() {
        id = resource(line).unwrap_or(id);
        if let Some((_, binary)) = line.split_once("Binary: ") {
            let binary = binary.trim_end_matches([' ', '}']).to_owned();
            functions.push(Function { id: id.to_owned(), binary });
        }
    }
    Ok(functions)
}

/// Returns the template as `sam build` writes it: each function names the folder with its program.
fn built(template: &str) -> Result<String> {
    let common = "    CodeUri: .\n";
    let (before, after) =
        template.split_once(common).context("no common CodeUri in the template")?;
    let mut built = String::new();
    let (mut id, mut is_function) = (String::new(), false);
    for line in [before, after].concat().lines() {
        if let Some(name) = resource(line) {
            (id, is_function) = (name.to_owned(), false);
        }
        is_function |= line.trim() == "Type: AWS::Serverless::Function";
        built.push_str(line);
        built.push('\n');
        if is_function && line == "    Properties:" {
            built.push_str(&format!("      CodeUri: {id}\n"));
        }
    }
    Ok(built)
}

impl Project {
    /// Creates a project. Its functions find `authority`, a CA certificate, in `/var/task/ca.pem`.
    ///
    /// # Errors
    /// Returns an error if a file cannot be written.
    pub fn new(docker_host: Option<String>, authority: &str) -> Result<Self> {
        // The folder is on the same file system as the programs, so that they can be hard-linked.
        let folder =
            tempfile::tempdir_in(binary("rotation-postgres").parent().context("no folder")?)?;
        let build = folder.path().join(".aws-sam/build");
        std::fs::create_dir_all(&build)?;
        std::fs::write(folder.path().join("template.yaml"), template()?)?;
        std::fs::write(build.join("template.yaml"), built(&template()?)?)?;
        for function in functions()? {
            let code = build.join(&function.id);
            std::fs::create_dir(&code)?;
            std::fs::hard_link(binary(&function.binary), code.join("bootstrap"))?;
            std::fs::write(code.join("ca.pem"), authority)?;
        }
        let events = folder.path().join("events");
        std::fs::create_dir(&events)?;
        for file in std::fs::read_dir(repository().join("events"))? {
            let file = file?;
            std::fs::copy(file.path(), events.join(file.file_name()))?;
        }
        Ok(Self { folder, docker_host })
    }

    /// Returns a shell that runs commands of the documentation in the project's folder. Commands
    /// that start with `sam local` use the tests' image.
    ///
    /// # Errors
    /// Returns an error if the tools are not installed.
    pub fn shell(&self, command: &str) -> Result<Command> {
        let more = format!("--skip-pull-image --invoke-image {IMAGE}");
        let command: Vec<_> = command
            .lines()
            .map(|line| {
                if line.trim_start_matches("exec ").starts_with("sam local ") {
                    format!("{line} {more}")
                } else {
                    line.to_owned()
                }
            })
            .collect();
        let tools = tool("").canonicalize().context("sh tests/setup.sh test installs the tools")?;
        let programs = binary("rotation-local");
        let programs = programs.parent().context("no folder")?.display();
        let path =
            format!("{programs}:{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("sh");
        // A test ends this process, so the documented last command starts with `exec` and replaces
        // the shell.
        shell.args(["-c", &command.join("\n")]).current_dir(self.folder.path()).env("PATH", path);
        shell.envs(self.docker_host.iter().map(|host| ("DOCKER_HOST", host))).stdin(Stdio::null());
        // SAM asks AWS for the account id, and without a network it retries for a long time.
        shell
            .env("SAM_CLI_TELEMETRY", "0")
            .env("AWS_MAX_ATTEMPTS", "1")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        shell.env("SAM_CLI_BETA_RUST_CARGO_LAMBDA", "1").env("AWS_PAGER", "");
        Ok(shell)
    }
}

/// Returns the address at which containers reach this machine.
///
/// # Errors
/// Returns an error if Docker does not answer.
pub fn gateway(docker_host: Option<&str>) -> Result<IpAddr> {
    let mut docker = Command::new("docker");
    docker.envs(docker_host.map(|host| ("DOCKER_HOST", host)));
    docker.args(["network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}"]);
    let subnet = String::from_utf8(docker.output()?.stdout)?;
    // The tests use Docker's default network, whose gateway is the first address of its subnet.
    let (network, _) = subnet.split_once('/').context("Docker does not answer")?;
    Ok(Ipv4Addr::from(u32::from(network.parse::<Ipv4Addr>()?) + 1).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_has_eleven_functions_and_each_gets_its_folder() {
        let functions = functions().unwrap();
        assert_eq!(functions.len(), 11, "{functions:?}");
        let built = built(&template().unwrap()).unwrap();
        assert!(!built.contains("CodeUri: .\n"));
        for function in &functions {
            assert!(built.contains(&format!("      CodeUri: {}\n", function.id)), "{function:?}");
        }
        assert_eq!(built.matches("CodeUri: ").count(), 11);
    }
}
