//! Tests of the roles in `template.yaml`: they evaluate the policies as IAM does, for every call of
//! the functions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rotation_tests::sam::functions;
use rotation_tests::tool;
use serde_json::{Map, Value, json};

const ACCOUNT: &str = "123456789012";
const REGION: &str = "eu-west-1";
const MASTER: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:master-AbCdEf";
const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555";
const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-AbCdEf";

/// A Python program that reads YAML with CloudFormation's short forms: `!Ref x` becomes
/// `{"Ref": "x"}`.
const TO_JSON: &str = r#"
import json, sys, yaml
class Loader(yaml.SafeLoader): pass
def short(loader, name, node):
    kinds = {yaml.ScalarNode: loader.construct_scalar,
             yaml.SequenceNode: lambda node: loader.construct_sequence(node, deep=True),
             yaml.MappingNode: lambda node: loader.construct_mapping(node, deep=True)}
    return {name if name in ("Ref", "Condition") else "Fn::" + name: kinds[type(node)](node)}
Loader.add_multi_constructor("!", short)
print(json.dumps(yaml.load(open(sys.argv[1]), Loader)))
"#;

struct Template {
    document: Value,
    parameters: BTreeMap<String, Value>,
}

impl Template {
    fn read(given: &[(&str, &str)]) -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
        let output = Command::new(tool("python")).args(["-c", TO_JSON]).arg(path).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let document: Value = serde_json::from_slice(&output.stdout)?;
        let mut parameters: BTreeMap<String, Value> =
            [("AWS::Partition", "aws"), ("AWS::Region", REGION), ("AWS::AccountId", ACCOUNT)]
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect();
        for (name, parameter) in document["Parameters"].as_object().context("no parameters")? {
            parameters.insert(name.clone(), parameter["Default"].clone());
        }
        for (name, value) in given {
            ensure!(parameters.contains_key(*name), "there is no parameter {name}");
            parameters.insert((*name).to_owned(), (*value).into());
        }
        Ok(Self { document, parameters })
    }

    /// Returns a value without intrinsic functions. Returns `None` for `AWS::NoValue`.
    fn resolved(&self, value: &Value) -> Option<Value> {
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
                    "Fn::Sub" => Some(self.substituted(argument.as_str()?).into()),
                    "Fn::If" => {
                        let branch =
                            if self.holds(&self.document["Conditions"][argument[0].as_str()?]) {
                                1
                            } else {
                                2
                            };
                        self.resolved(&argument[branch])
                    }
                    "Fn::Join" => {
                        let parts = self.resolved(&argument[1])?;
                        let parts: Vec<_> = parts
                            .as_array()
                            .into_iter()
                            .flatten()
                            .filter_map(Value::as_str)
                            .collect();
                        Some(parts.join(argument[0].as_str()?).into())
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

    fn substituted(&self, text: &str) -> String {
        let mut text = text.to_owned();
        while let Some((before, rest)) = text.clone().split_once("${") {
            let Some((name, after)) = rest.split_once('}') else { break };
            let value = self.reference(name);
            text = format!("{before}{}{after}", value.as_str().unwrap_or_default());
        }
        text
    }

    fn holds(&self, condition: &Value) -> bool {
        let argument = |name: &str| condition.get(name);
        if let Some(both) = argument("Fn::Equals") {
            return self.resolved(&both[0]) == self.resolved(&both[1]);
        }
        if let Some(one) = argument("Fn::Not") {
            return !self.holds(&one[0]);
        }
        argument("Fn::And")
            .and_then(Value::as_array)
            .is_some_and(|all| all.iter().all(|one| self.holds(one)))
    }

    /// Returns the statements of a function's role.
    fn statements(&self, function: &str) -> Result<Vec<Value>> {
        let resources = &self.document["Resources"];
        let role = self
            .resolved(&resources[format!("{function}Role")]["Properties"])
            .context("the function has no role")?;
        let mut documents = Vec::new();
        for name in
            role["ManagedPolicyArns"].as_array().into_iter().flatten().filter_map(Value::as_str)
        {
            // AWS's managed policies only allow writing logs.
            if !name.starts_with("arn:") {
                documents.push(
                    self.resolved(&resources[name]["Properties"]["PolicyDocument"])
                        .context("the role's policy is not in the template")?,
                );
            }
        }
        documents.extend(
            role["Policies"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|policy| policy["PolicyDocument"].clone()),
        );
        Ok(documents
            .iter()
            .flat_map(|document| document["Statement"].as_array().cloned().unwrap_or_default())
            .collect())
    }
}

/// Returns `true` if an IAM pattern with `*` matches a text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<_> = parts.collect();
    for (at, part) in parts.iter().enumerate() {
        if at + 1 == parts.len() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(found) => rest = &rest[found + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

/// Returns `true` if the statements allow an action on a resource. `context` has the condition keys
/// of the request's context.
fn allow(statements: &[Value], action: &str, resource: &str, context: &[(&str, &str)]) -> bool {
    let texts = |value: &Value| -> Vec<String> {
        match value {
            Value::String(text) => vec![text.clone()],
            other => other
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        }
    };
    statements.iter().any(|statement| {
        let conditions = statement["Condition"].as_object();
        let holds = conditions.into_iter().flatten().all(|(operator, keys)| {
            keys.as_object().into_iter().flatten().all(|(key, wanted)| {
                let found = context.iter().find(|(name, _)| name == key).map(|(_, value)| *value);
                found.is_some_and(|found| match operator.as_str() {
                    "StringEquals" => texts(wanted).iter().any(|wanted| wanted == found),
                    "StringLike" => texts(wanted).iter().any(|wanted| matches(wanted, found)),
                    other => panic!("the test does not support the condition {other}"),
                })
            })
        });
        statement["Effect"] == "Allow"
            && holds
            && texts(&statement["Action"]).iter().any(|pattern| matches(pattern, action))
            && texts(&statement["Resource"]).iter().any(|pattern| matches(pattern, resource))
    })
}

/// Returns the operations that the shared crate calls.
fn operations() -> Result<BTreeSet<String>> {
    let source = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/rotation/src/manager.rs"),
    )?;
    let source: String = source.split_whitespace().collect();
    let names = source
        .split("client.")
        .skip(1)
        .filter_map(|rest| rest.split_once("()").map(|(name, _)| name));
    let pascal = |name: &str| {
        name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect::<String>()
    };
    Ok(names
        .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .map(pascal)
        .collect())
}

/// The role can read nothing until rotation names the function. Therefore the documentation turns
/// rotation on first and then invokes preflight.
#[test]
fn roles_allow_every_call_of_the_functions_and_no_other() -> Result<()> {
    let own = [
        "DescribeSecret",
        "GetSecretValue",
        "ListSecretVersionIds",
        "PutSecretValue",
        "UpdateSecretVersionStage",
    ];
    let called = operations()?;
    let expected: BTreeSet<_> =
        own.iter().chain(&["GetRandomPassword"]).map(|name| (*name).to_owned()).collect();
    assert_eq!(called, expected);
    let all: Vec<_> = ["postgreSQL", "mySQL", "mariaDB", "sqlServer", "oracle", "custom"]
        .map(|name| (name, "true"))
        .into();
    let given = [all, vec![("masterSecretArn", MASTER), ("kmsKeyArn", KEY)]].concat();
    let template = Template::read(&given)?;
    let functions = functions()?;
    ensure!(functions.len() == 11);
    for function in functions {
        let id = function.id;
        let statements = template.statements(&id)?;
        let arn =
            |id: &str| format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:secrets-rotation-{id}");
        let (this, other) = (arn(&id), arn("Another"));
        let named = "secretsmanager:resource/AllowRotationLambdaArn";
        for operation in own {
            let action = format!("secretsmanager:{operation}");
            let may = |context: &[(&str, &str)]| allow(&statements, &action, SECRET, context);
            assert!(may(&[(named, &this)]), "{id} may not {action} when rotation names it");
            assert!(
                !may(&[(named, &other)]),
                "{id} may {action} when rotation names another function"
            );
            assert!(!may(&[]), "{id} may {action} before rotation is turned on");
        }
        assert!(allow(&statements, "secretsmanager:GetRandomPassword", "*", &[]), "{id}");
        for action in [
            "secretsmanager:DeleteSecret",
            "secretsmanager:RotateSecret",
            "secretsmanager:PutResourcePolicy",
        ] {
            assert!(!allow(&statements, action, SECRET, &[(named, &this)]), "{id} may {action}");
        }
        let is_master = id.ends_with("MasterUser");
        for action in ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"] {
            assert_eq!(
                allow(&statements, action, MASTER, &[]),
                is_master,
                "{id} {action} of the master secret"
            );
        }
        assert!(!allow(&statements, "secretsmanager:PutSecretValue", MASTER, &[]), "{id}");
        for action in ["rds:DescribeDBInstances", "rds:DescribeDBClusters"] {
            assert_eq!(allow(&statements, action, "*", &[]), is_master, "{id} {action}");
        }
        let of_secret = [("kms:EncryptionContext:SecretARN", SECRET)];
        for action in ["kms:Decrypt", "kms:GenerateDataKey"] {
            assert!(allow(&statements, action, KEY, &of_secret), "{id} {action}");
            assert!(
                !allow(&statements, action, KEY, &[]),
                "{id} {action} without an encryption context"
            );
        }
    }
    Ok(())
}

#[test]
fn evaluator_denies_unlisted_action() {
    let statements = [json!({
        "Effect": "Allow",
        "Action": ["a:Get*"],
        "Resource": "arn:x:*:end",
        "Condition": {"StringEquals": {"k": "v"}},
    })];
    assert!(allow(&statements, "a:GetIt", "arn:x:1:end", &[("k", "v")]));
    for (action, resource, context) in [
        ("a:PutIt", "arn:x:1:end", ("k", "v")),
        ("a:GetIt", "arn:x:1:other", ("k", "v")),
        ("a:GetIt", "arn:x:1:end", ("k", "w")),
        ("a:GetIt", "arn:x:1:end", ("other", "v")),
    ] {
        assert!(!allow(&statements, action, resource, &[context]), "{action} {resource}");
    }
    assert!(
        matches("*", "anything")
            && matches("a*b*c", "axxbyyc")
            && !matches("a*b", "axxc")
            && !matches("a", "ab")
    );
}
