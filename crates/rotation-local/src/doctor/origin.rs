//! Which function rotates a secret: one of AWS's, one of this project, or another.
//!
//! The user chooses the function's name, and the code is not read. CloudFormation and the
//! Serverless Application Repository leave tags that name the application; AWS's templates also set
//! a description.

use std::collections::BTreeMap;

use super::arn::FunctionArn;
use super::model::{Configuration, Function};

/// The functions of this project, by the names of `template.yaml`.
pub(super) const FUNCTIONS: [&str; 11] = [
    "PostgreSQLSingleUser",
    "PostgreSQLMasterUser",
    "MySQLSingleUser",
    "MySQLMasterUser",
    "MariaDBSingleUser",
    "MariaDBMasterUser",
    "SQLServerSingleUser",
    "SQLServerMasterUser",
    "OracleSingleUser",
    "OracleMasterUser",
    "CustomRotation",
];

/// The engines of this project, as the names of functions and the descriptions spell them.
const ENGINES: [(&str, &[&str]); 5] = [
    ("PostgreSQL", &["PostgreSQL", "Postgres"]),
    ("MySQL", &["MySQL"]),
    ("MariaDB", &["MariaDB"]),
    ("SQLServer", &["SQLServer", "SQL Server"]),
    ("Oracle", &["Oracle"]),
];

const APPLICATION_ID: &str = "serverlessrepo:applicationId";
const LOGICAL_ID: &str = "aws:cloudformation:logical-id";
const STACK_NAME: &str = "aws:cloudformation:stack-name";

/// The handler of AWS's Python functions.
const HANDLER_OF_AWS: &str = "lambda_function.lambda_handler";

/// Which function it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// One of AWS's functions.
    Aws(AwsFunction),
    /// It could be one of AWS's functions, but nothing shows which one.
    PerhapsAws,
    /// A function of this project.
    Keywheel,
    /// It is a function of neither AWS nor this project.
    Other,
    /// Lambda does not have the function.
    Missing,
    /// Lambda did not describe the function.
    NotKnown,
}

/// One of AWS's functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AwsFunction {
    /// AWS's name, such as `SecretsManagerRDSPostgreSQLRotationSingleUser`.
    pub(super) application: String,
    pub(super) deployment: Deployment,
    /// The evidence, such as `the tag serverlessrepo:applicationId`.
    pub(super) evidence: &'static str,
}

/// The way in which AWS's function was deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deployment {
    /// As an application of the Serverless Application Repository.
    Repository { stack: Option<String> },
    /// By CloudFormation, but not from the repository: hosted rotation, or a copy of the template.
    CloudFormation { stack: Option<String> },
    /// In another way, such as Terraform or the console.
    Other,
}

impl Deployment {
    /// Returns the name of the stack that created the function.
    pub(super) fn stack(&self) -> Option<&str> {
        match self {
            Self::Repository { stack } | Self::CloudFormation { stack } => stack.as_deref(),
            Self::Other => None,
        }
    }
}

/// Returns which function it is.
pub(super) fn origin_of(arn: &FunctionArn, function: &Function) -> Origin {
    let configuration = match function {
        Function::Found(configuration) => configuration,
        Function::Missing => return Origin::Missing,
        Function::NotKnown(_) => return Origin::NotKnown,
    };
    if is_keywheel(arn, configuration) {
        return Origin::Keywheel;
    }
    if let Some(function) = aws_function(arn, configuration) {
        return Origin::Aws(function);
    }
    let is_python = configuration.runtime.as_deref().is_some_and(|it| it.starts_with("python"));
    if is_python && configuration.handler.as_deref() == Some(HANDLER_OF_AWS) {
        return Origin::PerhapsAws;
    }
    Origin::Other
}

fn is_keywheel(arn: &FunctionArn, configuration: &Configuration) -> bool {
    let is_native = |runtime: &str| runtime.starts_with("provided");
    if !configuration.runtime.as_deref().is_some_and(is_native) {
        return false;
    }
    let description = configuration.description.as_deref().unwrap_or_default();
    let tags = configuration.tags.as_ref().ok();
    let logical_id = tags.and_then(|tags| tags.get(LOGICAL_ID)).map_or("", String::as_str);
    let described = description == "Rotates a credential of your own."
        || (description.starts_with("Rotates the password of a")
            && description.ends_with("user (single user)."))
        || (description.starts_with("Rotates ")
            && description.ends_with(" users with a master user."));
    described
        || is_name_of_aws(logical_id)
        || FUNCTIONS.iter().any(|function| {
            logical_id == *function
                || description.strip_prefix("Rotates secrets: ") == Some(function)
                || arn.name().ends_with(&format!("-{function}"))
        })
}

fn aws_function(arn: &FunctionArn, configuration: &Configuration) -> Option<AwsFunction> {
    let empty = BTreeMap::new();
    let tags = configuration.tags.as_ref().unwrap_or(&empty);
    let stack = tags.get(STACK_NAME).cloned();
    let in_repository = tags.contains_key(APPLICATION_ID);
    let deployment = match tags.get(LOGICAL_ID) {
        _ if in_repository => Deployment::Repository { stack },
        Some(_) => Deployment::CloudFormation { stack },
        None => Deployment::Other,
    };
    let repository = tags.get(APPLICATION_ID).and_then(|id| id.rsplit('/').next());
    let description = configuration.description.as_deref().and_then(described_application);
    let found = [
        (repository.map(str::to_owned), "the tag serverlessrepo:applicationId"),
        (tags.get(LOGICAL_ID).cloned(), "the tag aws:cloudformation:logical-id"),
        (description, "the description"),
        (Some(arn.name().to_owned()), "the name"),
    ];
    let (application, evidence) = found
        .into_iter()
        .filter_map(|(name, evidence)| Some((name?, evidence)))
        .find(|(name, _)| is_name_of_aws(name))?;
    Some(AwsFunction { application, deployment, evidence })
}

/// Returns `true` for the names of AWS's applications, such as `SecretsManagerRotationTemplate`.
fn is_name_of_aws(name: &str) -> bool {
    name.strip_prefix("SecretsManager").is_some_and(|rest| {
        rest.contains("Rotation") && rest.chars().all(|char| char.is_ascii_alphanumeric())
    })
}

/// Returns the application in a description such as `Conducts an AWS SecretsManager secret rotation
/// for RDS MySQL using single user rotation scheme`.
fn described_application(description: &str) -> Option<String> {
    let (_, rest) = description.split_once("SecretsManager secret rotation for ")?;
    let (database, scheme) = rest.split_once(" using ")?;
    let database = database.strip_prefix("RDS ").unwrap_or(database);
    let (engine, _) = ENGINES.iter().find(|(_, spellings)| spellings.contains(&database))?;
    let users = if scheme.contains("single user") {
        "Single"
    } else if scheme.contains("multi user") {
        "Multi"
    } else {
        return None;
    };
    Some(format!("SecretsManagerRDS{engine}Rotation{users}User"))
}

/// Returns the function of this project that replaces AWS's, if there is one for the engine.
pub(super) fn replacement_of(application: &str) -> Option<&'static str> {
    if application == "SecretsManagerRotationTemplate" {
        return Some("CustomRotation");
    }
    let (engine, users) = application.strip_prefix("SecretsManagerRDS")?.split_once("Rotation")?;
    let users = match users {
        "SingleUser" => "SingleUser",
        "MultiUser" => "MasterUser",
        _ => return None,
    };
    FUNCTIONS
        .into_iter()
        .find(|function| function.strip_prefix(engine).is_some_and(|rest| rest == users))
}

#[cfg(test)]
#[path = "origin/tests.rs"]
mod tests;
