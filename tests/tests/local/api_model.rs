//! Tests that compare the requests that the local service accepts with AWS's own model.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use rotation_tests::child_process::output_of;
use rotation_tests::documentation::files;
use rotation_tests::local::models;
use rotation_tests::{repository, tool};
use secretsmanager_emulator::Service;
use serde_json::{Map, Value, json};

/// Returns AWS's model of the service, from the version of botocore that `tests/setup.sh` names.
pub(crate) fn model() -> Result<Value> {
    let path = models().join("secretsmanager/2017-10-17/service-2.json.gz");
    let script = "import gzip, sys; sys.stdout.buffer.write(gzip.open(sys.argv[1]).read())";
    let output = output_of(Command::new(tool("python")).args(["-c", script]).arg(path))
        .context("Python could not read the model: sh tests/setup.sh test installs both")?;
    Ok(serde_json::from_slice(&output)?)
}

/// Returns a shape of AWS's model in the form of the service's own model.
fn shape(model: &Value, name: &str) -> Value {
    let shape = &model["shapes"][name];
    let limit = |limit: &str| shape.get(limit).cloned().unwrap_or(Value::Null);
    let least = || shape.get("min").cloned().unwrap_or(json!(0));
    match shape["type"].as_str().unwrap_or_default() {
        "string" => {
            json!({"type": "string", "min": least(), "max": limit("max"),
            "pattern": limit("pattern"), "enum": shape.get("enum").cloned().unwrap_or(json!([]))})
        }
        "blob" => json!({"type": "blob", "min": least(), "max": limit("max")}),
        "integer" | "long" => json!({"type": "number", "min": limit("min"), "max": limit("max")}),
        "boolean" => json!({"type": "boolean"}),
        "list" => json!({"type": "list", "min": least(), "max": limit("max"),
            "of": self::shape(model, shape["member"]["shape"].as_str().unwrap_or_default())}),
        "structure" => json!({"type": "structure", "members": members(model, name)}),
        other => panic!("{name} has the type {other}, which this test does not support"),
    }
}

fn members(model: &Value, name: &str) -> Value {
    let structure = &model["shapes"][name];
    let required: Vec<&Value> = structure["required"].as_array().into_iter().flatten().collect();
    let mut members = Map::new();
    for (member, described) in structure["members"].as_object().into_iter().flatten() {
        let of = described["shape"].as_str().unwrap_or_default();
        let mut described = shape(model, of);
        described["required"] = required.contains(&&json!(member)).into();
        described["sensitive"] = (model["shapes"][of]["sensitive"] == true).into();
        members.insert(member.clone(), described);
    }
    members.into()
}

#[test]
fn requests_and_errors_match_aws_model() {
    let (ours, model) = (Service::request_model(), model().unwrap());
    let names = |operations: &Value| -> BTreeSet<String> {
        operations.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&ours), names(&model["operations"]));
    for (name, operation) in model["operations"].as_object().unwrap() {
        let input = operation["input"]["shape"].as_str().unwrap();
        let (theirs, here) = (members(&model, input), &ours[name]["input"]);
        assert_eq!(names(here), names(&theirs), "{name}");
        for (member, described) in theirs.as_object().unwrap() {
            assert_eq!(&here[member], described, "{name}: {member}");
        }
        let errors =
            |errors: Vec<&str>| errors.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
        let theirs = operation["errors"].as_array().unwrap().iter();
        let theirs = errors(theirs.filter_map(|error| error["shape"].as_str()).collect());
        let here = ours[name]["errors"].as_array().unwrap().iter();
        assert_eq!(errors(here.filter_map(Value::as_str).collect()), theirs, "{name}");
    }
}

/// Every error in the source has a name of the model, or is one of the errors that every AWS
/// service has.
#[test]
fn errors_in_source_exist_in_aws_model() {
    const COMMON_ERRORS: [&str; 6] = [
        "ValidationException",
        "SerializationException",
        "AccessDeniedException",
        "UnknownOperationException",
        "UnrecognizedClientException",
        "RequestEntityTooLargeException",
    ];
    let model = model().unwrap();
    let mut seen = 0;
    for path in files("crates/secretsmanager-emulator/src", "rs").unwrap() {
        let source = std::fs::read_to_string(repository().join(&path)).unwrap();
        for word in source.split('"').skip(1).step_by(2) {
            let is_error =
                ["Exception", "Failure", "ServiceError"].iter().any(|end| word.ends_with(end));
            if is_error && word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
                let known = model["shapes"][word]["exception"] == true;
                assert!(known || COMMON_ERRORS.contains(&word), "{word} in {}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "found only {seen} errors");
}

/// The script that a scheduled job runs reports what another model has, and fails only then.
#[test]
fn script_reports_what_a_newer_model_has() {
    let folder = tempfile::tempdir().unwrap();
    let mut newer = model().unwrap();
    let write = |name: &str, model: &Value| {
        let path = folder.path().join(name);
        std::fs::write(&path, model.to_string()).unwrap();
        path
    };
    let pinned = write("pinned", &newer);
    let compare = |newest: &Path| {
        let script = repository().join("scripts/compare_aws_model.py");
        let mut command = Command::new(tool("python"));
        command.arg(script).arg("--pinned").arg(&pinned).arg("--newest").arg(newest);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, output) = compare(&pinned);
    assert_eq!(code, Some(0), "{output}");

    newer["operations"]["GetSecretValue"]["documentation"] = json!("another text");
    let (code, output) = compare(&write("words", &newer));
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("documentation changed: GetSecretValue\n"), "{output}");

    newer["operations"]["NewOperation"] = json!({"input": {"shape": "GetSecretValueRequest"}});
    newer["shapes"]["NameType"]["max"] = json!(1024);
    let (code, output) = compare(&write("newest", &newer));
    assert_eq!(code, Some(1), "{output}");
    for line in [
        "new:     NewOperation: an operation",
        "new:     NewOperation input.SecretId: required string, min 1, max 2048",
        "changed: CreateSecret input.Name: required string, min 1, max 512 -> required string, \
            min 1, max 1024",
    ] {
        assert!(output.contains(line), "{line} is not in {output}");
    }
    assert_eq!(compare(&folder.path().join("absent")).0, Some(2));
}
