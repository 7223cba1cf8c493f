//! Tests of how a function is recognized.

use std::collections::BTreeMap;

use super::*;
use crate::doctor::model::NotKnown;

const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:app-rotation";

fn function(runtime: &str, description: &str, tags: &[(&str, &str)]) -> Function {
    let tags: BTreeMap<_, _> =
        tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Function::Found(Box::new(Configuration {
        runtime: Some(runtime.to_owned()),
        handler: Some("lambda_function.lambda_handler".to_owned()),
        description: Some(description.to_owned()).filter(|text| !text.is_empty()),
        log_group: None,
        tags: Ok(tags),
    }))
}

fn origin(function: &Function) -> Origin {
    origin_of(&FunctionArn::new(ARN), function)
}

#[test]
fn tags_show_application_and_deployment() {
    let id = "arn:aws:serverlessrepo:us-east-1:297356227824:applications/\
        SecretsManagerRDSPostgreSQLRotationSingleUser";
    let tags = [(APPLICATION_ID, id), (STACK_NAME, "Shop-Rotation-1X"), (LOGICAL_ID, "Other")];
    let Origin::Aws(found) = origin(&function("python3.10", "", &tags)) else { panic!() };
    assert_eq!(found.application, "SecretsManagerRDSPostgreSQLRotationSingleUser");
    let stack = Some("Shop-Rotation-1X".to_owned());
    assert_eq!(found.deployment, Deployment::Repository { stack });

    let tags = [(LOGICAL_ID, "SecretsManagerRDSMySQLRotationMultiUser")];
    let Origin::Aws(found) = origin(&function("python3.10", "", &tags)) else { panic!() };
    assert_eq!(found.application, "SecretsManagerRDSMySQLRotationMultiUser");
    assert_eq!(found.deployment, Deployment::CloudFormation { stack: None });
}

#[test]
fn description_and_name_show_application_without_tags() {
    let start = "Conducts an AWS SecretsManager secret rotation for";
    for (rest, application) in [
        ("RDS MySQL using single user rotation scheme", "SecretsManagerRDSMySQLRotationSingleUser"),
        (
            "RDS Postgres using multi user rotation scheme",
            "SecretsManagerRDSPostgreSQLRotationMultiUser",
        ),
        (
            "RDS SQL Server using the single user rotation scheme",
            "SecretsManagerRDSSQLServerRotationSingleUser",
        ),
    ] {
        let found = origin(&function("python3.9", &format!("{start} {rest}"), &[]));
        let Origin::Aws(found) = found else { panic!("{rest}") };
        assert_eq!((&*found.application, found.evidence), (application, "the description"));
        assert_eq!(found.deployment, Deployment::Other);
    }
    let arn = FunctionArn::new(&ARN.replace("app-rotation", "SecretsManagerRotationTemplate"));
    let Origin::Aws(found) = origin_of(&arn, &function("python3.9", "", &[])) else { panic!() };
    assert_eq!(found.evidence, "the name");
}

#[test]
fn function_without_evidence_is_only_perhaps_one_of_aws() {
    assert_eq!(origin(&function("python3.12", "mine", &[])), Origin::PerhapsAws);
    assert_eq!(origin(&function("nodejs22.x", "mine", &[])), Origin::Other);
    assert_eq!(origin(&function("provided.al2023", "mine", &[])), Origin::Other);
    assert_eq!(origin(&Function::Missing), Origin::Missing);
    let reason = NotKnown { action: "a:b", cause: "c".into(), is_denied: true };
    assert_eq!(origin(&Function::NotKnown(reason)), Origin::NotKnown);
}

/// In a stack of AWS's application that was switched to this project, the logical id stays.
#[test]
fn functions_of_this_project_are_recognized() {
    let tags = [(LOGICAL_ID, "SecretsManagerRDSMySQLRotationSingleUser")];
    assert_eq!(origin(&function("provided.al2023", "", &tags)), Origin::Keywheel);
    let tags = [(LOGICAL_ID, "OracleMasterUser")];
    assert_eq!(origin(&function("provided.al2023", "", &tags)), Origin::Keywheel);
    let terraform = function("provided.al2023", "Rotates secrets: CustomRotation", &[]);
    assert_eq!(origin(&terraform), Origin::Keywheel);
    let arn = FunctionArn::new(&format!("{ARN}-MariaDBSingleUser"));
    assert_eq!(origin_of(&arn, &function("provided.al2023", "", &[])), Origin::Keywheel);
}

#[test]
fn each_function_replaces_one_of_aws() {
    for engine in ENGINES.map(|(engine, _)| engine) {
        for (of_aws, ours) in [("Single", "SingleUser"), ("Multi", "MasterUser")] {
            let application = format!("SecretsManagerRDS{engine}Rotation{of_aws}User");
            assert_eq!(replacement_of(&application), Some(&*format!("{engine}{ours}")));
        }
    }
    assert_eq!(replacement_of("SecretsManagerRotationTemplate"), Some("CustomRotation"));
    for other in
        ["SecretsManagerRDSDb2RotationSingleUser", "SecretsManagerRedshiftRotationMultiUser"]
    {
        assert_eq!(replacement_of(other), None);
    }
}
