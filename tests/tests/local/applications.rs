//! Tests of the generated templates in `deploy/sar`, which replace AWS's applications.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result};
use rotation_tests::child_process::output_of;
use rotation_tests::template::{Template, applications, texts};
use rotation_tests::{repository, tool};
use serde_json::{Value, json};

const INTERFACES: &str = include_str!("aws_applications.txt");

fn application(name: &str, given: &[(&str, &str)]) -> Result<Template> {
    Template::read(&format!("deploy/sar/{name}.yaml"), given)
}

#[test]
fn templates_are_those_that_their_source_generates() -> Result<()> {
    let mut python = Command::new(tool("python"));
    python.args(["scripts/generate_templates.py", "--check"]).current_dir(repository());
    output_of(&mut python).map(drop)
}

/// A stack with the parameters of AWS's application deploys unchanged, and gives the same output.
#[test]
fn applications_have_the_interface_of_aws() -> Result<()> {
    let names = applications()?;
    let mut expected: BTreeSet<_> = ["PostgreSQL", "MySQL", "MariaDB", "SQLServer", "Oracle"]
        .iter()
        .flat_map(|engine| {
            ["Single", "Multi"].map(|s| format!("SecretsManagerRDS{engine}Rotation{s}User"))
        })
        .collect();
    expected.insert("SecretsManagerRotationTemplate".to_owned());
    assert_eq!(names.iter().cloned().collect::<BTreeSet<_>>(), expected);
    for name in names {
        let template = application(&name, &[])?;
        let declared = template.document["Parameters"].as_object().context("no parameters")?;
        let mut of_aws = Vec::new();
        for line in INTERFACES.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            let mut word = || words.next().unwrap_or_default();
            let (kind, of, parameter, default) = (word(), word(), word(), word());
            let exists = match of {
                "all" => true,
                "master" => !name.ends_with("SingleUser"),
                "other" => !name.contains("PostgreSQL"),
                "NotOracle" => !name.contains("Oracle"),
                "MySQL" => name.contains("MySQL") || name.contains("MariaDB"),
                engine => name.contains(engine),
            };
            if !exists {
                continue;
            }
            let found = declared.get(parameter).with_context(|| format!("{name} {parameter}"))?;
            assert_eq!(found["Type"], kind, "{name} {parameter}");
            if !default.is_empty() {
                assert_eq!(found["Default"], default, "{name} {parameter}");
            }
            of_aws.push(parameter);
        }
        // All other parameters are optional, and the console lists them in another group.
        let groups = &template.document["Metadata"]["AWS::CloudFormation::Interface"];
        let group = |at: usize| texts(&groups["ParameterGroups"][at]["Parameters"]);
        let sorted = |names: Vec<String>| names.into_iter().collect::<BTreeSet<_>>();
        let of_aws = of_aws.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(sorted(group(0)), of_aws, "{name}");
        let all = declared.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(&of_aws | &sorted(group(1)), all, "{name}");
        for (parameter, declaration) in declared {
            let has_default = declaration.get("Default").is_some();
            assert_eq!(has_default, parameter != "functionName", "{name} {parameter}");
        }
        let outputs = template.document["Outputs"].as_object().context("no outputs")?;
        assert_eq!(outputs.keys().collect::<Vec<_>>(), ["RotationLambdaARN"], "{name}");
        // CloudFormation changes the function in place only if its logical ID stays the same.
        assert_eq!(
            outputs["RotationLambdaARN"]["Value"],
            json!({"Fn::GetAtt": format!("{name}.Arn")})
        );
    }
    Ok(())
}

#[test]
fn applications_pass_on_their_parameters() -> Result<()> {
    let name = "x".repeat(64);
    for application_name in applications()? {
        let given = [
            ("functionName", &*name),
            ("endpoint", "https://secretsmanager.eu-west-1.amazonaws.com"),
            ("vpcSubnetIds", "subnet-1,subnet-2"),
            ("vpcSecurityGroupIds", "sg-1"),
            ("excludeCharacters", "/"),
            ("runtime", "python3.9"),
        ];
        let template = application(&application_name, &given)?;
        let function = template.resource(&application_name).context("no function")?;
        assert_eq!(function["Properties"]["FunctionName"], *name);
        let common = template
            .resolved(&template.document["Globals"]["Function"])
            .context("no common properties")?;
        assert_eq!(common["Runtime"], "provided.al2023");
        assert_eq!(common["VpcConfig"]["SubnetIds"], json!(["subnet-1", "subnet-2"]));
        let variables = &common["Environment"]["Variables"];
        assert_eq!(variables["EXCLUDE_CHARACTERS"], "/");
        assert_eq!(variables["SECRETS_MANAGER_ENDPOINT"], given[1].1);
        let pattern = template.document["Parameters"]["functionName"]["AllowedPattern"].as_str();
        assert_eq!(pattern, Some("[a-zA-Z0-9-_]{1,64}"));
    }
    Ok(())
}

/// CloudFormation changes the function in place, so the secrets keep its ARN, and one line of the
/// stack's template is enough to go to our application and back.
#[test]
fn applications_replace_those_of_aws_and_go_back() -> Result<()> {
    let script = repository().join("tests/deploy_applications.py");
    let output = output_of(Command::new(tool("python")).arg(script))?;
    let found: BTreeMap<String, [Value; 4]> = serde_json::from_slice(&output)?;
    assert_eq!(found.keys().cloned().collect::<Vec<_>>(), applications()?);
    for (name, [created, of_aws, replaced, back]) in found {
        assert_eq!(created["status"], "CREATE_COMPLETE", "{name}");
        let expected = if name.ends_with("SingleUser") {
            json!(["CallAws", "RotateItsSecrets"])
        } else {
            json!(["CallAws", "RotateItsSecrets", "UseTheMasterSecrets"])
        };
        assert_eq!(created["policies"], expected, "{name}");
        for (state, runtime) in
            [(&of_aws, "python3.9"), (&replaced, "provided.al2023"), (&back, "python3.9")]
        {
            assert_eq!(state["runtime"], runtime, "{name}");
            assert_eq!(state["outputs"], created["outputs"], "{name}");
        }
        for state in [&created, &replaced] {
            let variables = &state["variables"];
            assert_eq!(variables["REQUIRE_EACH_INCLUDED_TYPE"], "true", "{name}");
            let strategy = match &*name {
                "SecretsManagerRotationTemplate" => None,
                name if name.ends_with("SingleUser") => Some("single-user"),
                _ => Some("master-user"),
            };
            assert_eq!(variables["ROTATION_STRATEGY"].as_str(), strategy, "{name}");
        }
    }
    Ok(())
}
