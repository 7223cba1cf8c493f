//! The function of this project that would rotate a secret, and the line that assigns it.
//!
//! `docs/deploy.md`, `docs/cdk.md` and `docs/migrate.md` explain each line.

use super::arn::FunctionArn;
use super::commands::Commands;
use super::model::{Rotator, Secret};
use super::origin::{AwsFunction, Deployment, FUNCTIONS, Origin, replacement_of};

/// The prefix that `CreateCloudFormationChangeSet` of the repository adds to the name of a stack.
/// The console and Terraform use it; a template nests the application instead.
const REPOSITORY_PREFIX: &str = "serverlessrepo-";

/// The line of an app of the AWS CDK.
const ASPECT: &str = "Aspects.of(app).add(new RotateWithKeywheel({ functions: \
    FunctionSource.fromFolder(\"target/lambda\") }));";

/// Says whether a function of this project can rotate a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Exactly one function replaces the one that the secret has.
    Available,
    /// One of several functions fits. Which one depends on the value, which is not read.
    Undecided,
    /// There is no function that fits.
    None,
    /// The secret has a function of this project already.
    InUse,
}

impl Answer {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Undecided => "undecided",
            Self::None => "none",
            Self::InUse => "inUse",
        }
    }
}

/// The function of this project that would rotate a secret.
#[derive(Debug, Clone)]
pub(super) struct Replacement {
    pub(super) answer: Answer,
    /// The functions that fit, by the names of `template.yaml`.
    pub(super) functions: Vec<&'static str>,
    /// The reason, in one or more sentences.
    pub(super) reason: String,
    pub(super) lines: Vec<Line>,
}

/// A line that assigns the function.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// The place of the line, such as `Terraform`.
    pub(super) place: &'static str,
    pub(super) line: String,
}

/// Returns the function of this project that would rotate a secret. `prefix` is the parameter
/// `functionName` of its stack.
pub(super) fn replacement(
    secret: &Secret,
    origin: &Origin,
    prefix: &str,
    commands: &Commands,
) -> Replacement {
    let mut replacement = if_idle(secret, origin, prefix, commands);
    let assigns = matches!(replacement.answer, Answer::Available | Answer::Undecided);
    // Secrets Manager rejects another function during a rotation (docs/migrate.md).
    if assigns && secret.unfinished_version().is_some() {
        replacement.reason += " First finish or cancel the unfinished rotation.";
    }
    replacement
}

/// Returns the replacement for a secret without an unfinished rotation.
fn if_idle(secret: &Secret, origin: &Origin, prefix: &str, commands: &Commands) -> Replacement {
    let none = |reason: String| Replacement {
        answer: Answer::None,
        functions: Vec::new(),
        reason,
        lines: Vec::new(),
    };
    let arn = match &secret.rotator {
        Rotator::Function(arn) => arn,
        Rotator::Service(service) => {
            return none(format!(
                "{service} owns the secret and rotates it without a function. It stays with \
                 {service}."
            ));
        }
        Rotator::External(kind) => {
            return none(format!(
                "It is a managed external secret ({kind}), which Secrets Manager rotates without a \
                 function."
            ));
        }
        Rotator::Unknown => return none("The secret names no function.".to_owned()),
    };
    let to = Target { arn, secret, prefix, commands };
    match origin {
        Origin::Keywheel => Replacement {
            answer: Answer::InUse,
            functions: Vec::new(),
            reason: "The function is one of this project already.".to_owned(),
            lines: vec![to.line("check", to.commands.preflight(arn.as_str(), &secret.arn))],
        },
        Origin::Aws(function) => match replacement_of(&function.application) {
            Some(ours) => Replacement {
                answer: Answer::Available,
                functions: vec![ours],
                reason: evidence(function),
                lines: to.lines_for(function, ours),
            },
            None => none(format!("{} This project has no function for it.", evidence(function))),
        },
        Origin::PerhapsAws => to.undecided(
            "The runtime and the handler are those of AWS's functions, but nothing shows which one \
             it is.",
        ),
        Origin::Other => to.undecided("It is not one of AWS's functions, as far as Lambda shows."),
        Origin::Missing => to.undecided("The function does not exist."),
        Origin::NotKnown => to.undecided("Lambda did not describe the function."),
    }
}

fn evidence(AwsFunction { application, evidence, deployment }: &AwsFunction) -> String {
    let stack = deployment.stack();
    let stack = stack.map(|stack| format!(", in the stack {stack}")).unwrap_or_default();
    format!("It is AWS's {application}{stack} ({evidence} shows it).")
}

/// The facts that a line depends on.
struct Target<'a> {
    arn: &'a FunctionArn,
    secret: &'a Secret,
    prefix: &'a str,
    commands: &'a Commands,
}

impl Target<'_> {
    fn line(&self, place: &'static str, line: String) -> Line {
        Line { place, line }
    }

    fn arn_of(&self, ours: &str) -> String {
        self.arn.sibling(&format!("{}-{ours}", self.prefix))
    }

    fn lines_for(&self, function: &AwsFunction, ours: &str) -> Vec<Line> {
        let application = self.arn.application(&function.application);
        let version = env!("CARGO_PKG_VERSION");
        match &function.deployment {
            Deployment::Repository { stack }
                if stack.as_ref().is_some_and(|name| name.starts_with(REPOSITORY_PREFIX)) =>
            {
                let application =
                    format!("application_id = \"{application}\", semantic_version = \"{version}\"");
                vec![self.line("Terraform", application), self.command(ours)]
            }
            Deployment::Repository { .. } => {
                let application =
                    format!("ApplicationId: {application}, SemanticVersion: {version}");
                vec![self.line("CDK", ASPECT.to_owned()), self.line("template", application)]
            }
            Deployment::CloudFormation { .. } => vec![
                self.line("CDK", ASPECT.to_owned()),
                self.line("template", format!("RotationLambdaARN: {}", self.arn_of(ours))),
            ],
            Deployment::Other => self.without_stack(ours),
        }
    }

    /// Returns the lines for a rotation that CloudFormation does not manage.
    fn without_stack(&self, ours: &str) -> Vec<Line> {
        let module =
            format!("rotation_lambda_arn = module.rotation.rotation_lambda_arns[\"{ours}\"]");
        vec![self.line("Terraform", module), self.command(ours)]
    }

    fn command(&self, ours: &str) -> Line {
        let rest = format!("--rotation-lambda-arn {} --no-rotate-immediately", self.arn_of(ours));
        self.line("command", self.commands.on_secret("rotate-secret", &self.secret.arn, &rest))
    }

    fn undecided(&self, why: &str) -> Replacement {
        Replacement {
            answer: Answer::Undecided,
            functions: FUNCTIONS.to_vec(),
            reason: format!(
                "{why} Only the keys `engine` and `masterarn` in the secret decide between the \
                 functions, and doctor reads no value. Preflight shows whether a choice fits."
            ),
            lines: vec![
                self.command("FUNCTION"),
                self.line(
                    "check",
                    self.commands.preflight(&self.arn_of("FUNCTION"), &self.secret.arn),
                ),
            ],
        }
    }
}
