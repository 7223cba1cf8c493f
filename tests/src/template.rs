//! CloudFormation templates of this project, with the values of their parameters: resolves the
//! intrinsic functions as CloudFormation does.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};

use crate::child_process::output_of;
use crate::{repository, tool};

/// The account of the stack.
pub const ACCOUNT: &str = "123456789012";
/// The Region of the stack.
pub const REGION: &str = "eu-west-1";
/// The parameters of `template.yaml` that add the functions of an engine.
pub const ENGINES: [&str; 6] = ["postgreSQL", "mySQL", "mariaDB", "sqlServer", "oracle", "custom"];

/// A Python program that reads YAML with CloudFormation's short forms: `!Ref x` becomes
/// `{"Ref": "x"}`.
const TO_JSON: &str = r#"
import json, sys, yaml
class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)): pass
def short(loader, name, node):
    kinds = {yaml.ScalarNode: loader.construct_scalar,
             yaml.SequenceNode: lambda node: loader.construct_sequence(node, deep=True),
             yaml.MappingNode: lambda node: loader.construct_mapping(node, deep=True)}
    return {name if name in ("Ref", "Condition") else "Fn::" + name: kinds[type(node)](node)}
Loader.add_multi_constructor("!", short)
print(json.dumps(yaml.load(open(sys.argv[1]), Loader)))
"#;

/// A template and the values of its parameters.
#[derive(Debug)]
pub struct Template {
    /// The template as JSON, with the long forms of the intrinsic functions.
    pub document: Value,
    parameters: BTreeMap<String, Value>,
}

impl Template {
    /// Reads a template of the repository, such as `template.yaml`. The other parameters have their
    /// defaults.
    ///
    /// # Errors
    /// Returns an error if the file is not a template, or if it lacks a parameter.
    pub fn read(path: &str, given: &[(&str, &str)]) -> Result<Self> {
        let document = document(path)?;
        let mut parameters: BTreeMap<String, Value> =
            [("AWS::Partition", "aws"), ("AWS::Region", REGION), ("AWS::AccountId", ACCOUNT)]
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect();
        let declared = document["Parameters"].as_object().context("no parameters")?;
        for (name, parameter) in declared {
            let given = given.iter().find(|(other, _)| other == name);
            let value = given.map_or_else(|| parameter["Default"].clone(), |(_, v)| (*v).into());
            let value = match (parameter["Type"].as_str(), value.as_str()) {
                (Some("CommaDelimitedList"), Some(list)) => list.split(',').collect(),
                _ => value,
            };
            parameters.insert(name.clone(), value);
        }
        for (name, _) in given {
            ensure!(parameters.contains_key(*name), "there is no parameter {name}");
        }
        Ok(Self { document, parameters })
    }

    /// Returns a value without intrinsic functions. Returns `None` for `AWS::NoValue`.
    pub fn resolved(&self, value: &Value) -> Option<Value> {
        match value {
            Value::Array(items) => {
                Some(items.iter().filter_map(|item| self.resolved(item)).collect())
            }
            Value::Object(fields) if fields.len() == 1 => {
                let (name, argument) = fields.iter().next()?;
                match name.as_str() {
                    "Ref" if argument == "AWS::NoValue" => None,
                    "Ref" => Some(self.reference(argument.as_str()?)),
                    "Fn::GetAtt" => Some(argument.clone()),
                    "Fn::Sub" => Some(self.substituted(argument)?.into()),
                    "Fn::If" => {
                        let branch = if self.holds_named(argument[0].as_str()?) { 1 } else { 2 };
                        self.resolved(&argument[branch])
                    }
                    "Fn::Join" => {
                        let parts = texts(&self.resolved(&argument[1])?);
                        Some(parts.join(argument[0].as_str()?).into())
                    }
                    "Fn::Split" => {
                        let text = self.resolved(&argument[1])?;
                        Some(text.as_str()?.split(argument[0].as_str()?).collect())
                    }
                    "Fn::Select" => {
                        let list = self.resolved(&argument[1])?;
                        list.get(usize::try_from(argument[0].as_u64()?).ok()?).cloned()
                    }
                    _ => Some(self.fields(fields)),
                }
            }
            Value::Object(fields) => Some(self.fields(fields)),
            other => Some(other.clone()),
        }
    }

    fn fields(&self, fields: &Map<String, Value>) -> Value {
        let resolved =
            fields.iter().filter_map(|(key, value)| Some((key.clone(), self.resolved(value)?)));
        Value::Object(resolved.collect())
    }

    /// Returns the value of a parameter, or the name of a resource.
    fn reference(&self, name: &str) -> Value {
        self.parameters.get(name).cloned().unwrap_or_else(|| name.into())
    }

    /// Returns the text of `Fn::Sub`, which may define variables.
    fn substituted(&self, argument: &Value) -> Option<String> {
        let (text, variables) = match argument {
            Value::Array(both) => (both[0].as_str()?, both[1].as_object()),
            other => (other.as_str()?, None),
        };
        let mut done = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}')?;
            let variable = variables.and_then(|variables| self.resolved(variables.get(name)?));
            let value = variable.unwrap_or_else(|| self.reference(name));
            done.push_str(before);
            done.push_str(value.as_str()?);
            rest = after;
        }
        Some(done + rest)
    }

    fn holds_named(&self, name: &str) -> bool {
        self.holds(&self.document["Conditions"][name])
    }

    fn holds(&self, condition: &Value) -> bool {
        let argument = |name: &str| condition.get(name);
        if let Some(name) = argument("Condition").and_then(Value::as_str) {
            return self.holds_named(name);
        }
        if let Some(both) = argument("Fn::Equals") {
            // CloudFormation compares texts.
            let text = |value: &Value| {
                self.resolved(value).map(|value| value.to_string().trim_matches('"').to_owned())
            };
            return text(&both[0]) == text(&both[1]);
        }
        if let Some(one) = argument("Fn::Not") {
            return !self.holds(&one[0]);
        }
        argument("Fn::And")
            .and_then(Value::as_array)
            .is_some_and(|all| all.iter().all(|one| self.holds(one)))
    }

    /// Returns a resource without intrinsic functions, or `None` if the stack does not have it.
    pub fn resource(&self, id: &str) -> Option<Value> {
        let resource = self.document["Resources"].get(id)?;
        let exists = resource["Condition"].as_str().is_none_or(|name| self.holds_named(name));
        exists.then(|| self.resolved(resource)).flatten()
    }

    /// Returns the statements of a function's role. Returns `None` if the stack has no such role.
    ///
    /// # Errors
    /// Returns an error if the role names a policy that is not in the template.
    pub fn statements(&self, function: &str) -> Result<Option<Vec<Value>>> {
        let Some(role) = self.resource(&format!("{function}Role")) else { return Ok(None) };
        let role = &role["Properties"];
        let mut documents = Vec::new();
        for name in texts(&role["ManagedPolicyArns"]) {
            // AWS's managed policies only allow writing logs.
            if !name.starts_with("arn:") {
                let policy =
                    self.resource(&name).context("the role's policy is not in the template")?;
                documents.push(policy["Properties"]["PolicyDocument"].clone());
            }
        }
        for policy in role["Policies"].as_array().into_iter().flatten() {
            documents.push(policy["PolicyDocument"].clone());
        }
        let statements = documents
            .iter()
            .flat_map(|document| document["Statement"].as_array().cloned().unwrap_or_default());
        Ok(Some(statements.collect()))
    }
}

/// Returns the names of the applications in `deploy/sar`, which are the templates' names without
/// `.yaml`.
///
/// # Errors
/// Returns an error if the folder cannot be read, or contains another file.
pub fn applications() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in std::fs::read_dir(repository().join("deploy/sar"))? {
        let file = file?.file_name().into_string().unwrap_or_default();
        names.push(file.strip_suffix(".yaml").context("another file")?.to_owned());
    }
    names.sort();
    Ok(names)
}

/// Returns a template of the repository as JSON. Each is converted once.
fn document(path: &str) -> Result<Value> {
    static CONVERTED: Mutex<BTreeMap<String, Value>> = Mutex::new(BTreeMap::new());
    let mut converted = CONVERTED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(document) = converted.get(path) {
        return Ok(document.clone());
    }
    let mut python = Command::new(tool("python"));
    let output = output_of(python.args(["-c", TO_JSON]).arg(repository().join(path)))?;
    let document: Value = serde_json::from_slice(&output)?;
    converted.insert(path.to_owned(), document.clone());
    Ok(document)
}

/// Returns a text, or the texts of a list.
pub fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        other => {
            let items = other.as_array().into_iter().flatten();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        }
    }
}
