//! The table of all operations, with their members, their errors and the functions that perform
//! them.

pub(crate) mod shapes;

use serde_json::{Value, json};

use crate::error::ServiceError;
use crate::model::{Member, Shape, check, members_as_json};
use crate::operations::{
    Done, cross_account, lists, policies, replicas, rotation, secrets, tags, values, versions,
};
use crate::request::Request;
use crate::store::Store;
use shapes::*;

/// An operation of the API.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) input: &'static [Member],
    /// The errors that the model lists. Validation errors can occur in addition.
    pub(crate) errors: &'static [&'static str],
    /// The function that performs it.
    pub(crate) run: Run,
}

/// The type of the functions that perform operations.
pub(crate) type Run = fn(&mut Store, &Request<'_>) -> Result<Done, ServiceError>;

/// Validates a request and performs its operation.
pub(crate) fn perform(
    operation: &str,
    store: &mut Store,
    request: &Request<'_>,
) -> Result<Done, ServiceError> {
    let known = OPERATIONS.iter().find(|known| known.name == operation);
    let Some(known) = known else {
        return Err(ServiceError::new(
            "UnknownOperationException",
            format!("Secrets Manager does not have an operation {operation}."),
        ));
    };
    check(known.input, request.body)?;
    store.finish_replications(request.now);
    let done = (known.run)(store, request);
    store.replications.start(request.now);
    done
}

/// Returns the error for a request without `ClientRequestToken` if the operation demands it. The
/// SDKs and the AWS CLI generate the token.
pub(crate) fn missing_token(operation: &str, body: &Value) -> Option<ServiceError> {
    let code = match operation {
        "CreateSecret" | "PutSecretValue" | "UpdateSecret" => "InvalidRequestException",
        "RotateSecret" => "InvalidParameterException",
        _ => return None,
    };
    if body.get("ClientRequestToken").is_some_and(|token| !token.is_null()) {
        return None;
    }
    let message = "You must provide a ClientRequestToken value. We recommend a UUID-type value.";
    Some(ServiceError::new(code, message))
}

/// Returns the operations as JSON, in botocore's terms.
pub(crate) fn as_json() -> Value {
    let operations = OPERATIONS.iter().map(|operation| {
        let described = json!({
            "input": members_as_json(operation.input),
            "errors": operation.errors,
        });
        (operation.name.to_owned(), described)
    });
    Value::Object(operations.collect())
}

const fn operation(
    name: &'static str,
    input: &'static [Member],
    errors: &'static [&'static str],
    run: Run,
) -> Operation {
    Operation { name, input, errors, run }
}

/// All operations, in the order of the API reference.
pub(crate) static OPERATIONS: &[Operation] = &[
    operation(
        "AssociateCrossAccountReplica",
        &[
            SECRET_ID,
            REPLICA_ARN,
            member("ReplicaRestriction", one_of(&["SameOrg", "NoRestriction"])),
            member("ReplicationRoleARN", text(20, 2048)),
        ],
        &[NOT_FOUND, PARAMETER, REQUEST, LIMIT, INTERNAL],
        cross_account::associate,
    ),
    operation(
        "BatchGetSecretValue",
        &[
            member("SecretIdList", list(1, Some(20), &text(1, 2048))),
            FILTERS,
            member("MaxResults", whole(1, 20)),
            NEXT_TOKEN,
        ],
        &[NOT_FOUND, PARAMETER, REQUEST, DECRYPTION, INTERNAL, NEXT],
        lists::batch_get,
    ),
    operation("CancelRotateSecret", &[SECRET_ID], USUAL, rotation::cancel),
    operation(
        "CreateSecret",
        &[
            required("Name", text(1, 512)),
            TOKEN,
            DESCRIPTION,
            KMS_KEY_ID,
            SECRET_BINARY,
            SECRET_STRING,
            member("Tags", list(0, None, &TAG)),
            member("AddReplicaRegions", list(1, None, &REPLICA)),
            member("ForceOverwriteReplicaSecret", Shape::Flag),
            TYPE,
            member("CrossAccountPrimaryARN", text(20, 2048)),
        ],
        OF_WHOLE_SECRETS,
        secrets::create,
    ),
    operation("DeleteResourcePolicy", &[SECRET_ID, POLICY_NAME], USUAL, policies::delete),
    operation(
        "DeleteSecret",
        &[
            SECRET_ID,
            member("RecoveryWindowInDays", Shape::Whole { min: None, max: None }),
            member("ForceDeleteWithoutRecovery", Shape::Flag),
        ],
        USUAL,
        secrets::delete,
    ),
    operation("DescribeSecret", &[SECRET_ID], &[NOT_FOUND, INTERNAL, PARAMETER], secrets::describe),
    operation(
        "DisassociateCrossAccountReplica",
        &[SECRET_ID, REPLICA_ARN],
        USUAL,
        cross_account::disassociate,
    ),
    operation(
        "GetRandomPassword",
        &[
            member("PasswordLength", whole(1, 4096)),
            member("ExcludeCharacters", text(0, 4096)),
            member("ExcludeNumbers", Shape::Flag),
            member("ExcludePunctuation", Shape::Flag),
            member("ExcludeUppercase", Shape::Flag),
            member("ExcludeLowercase", Shape::Flag),
            member("IncludeSpace", Shape::Flag),
            member("RequireEachIncludedType", Shape::Flag),
        ],
        &[PARAMETER, REQUEST, INTERNAL],
        values::random_password,
    ),
    operation("GetResourcePolicy", &[SECRET_ID, POLICY_NAME], USUAL, policies::get),
    operation(
        "GetSecretValue",
        &[SECRET_ID, member("VersionId", text(32, 64)), member("VersionStage", text(1, 256))],
        &[NOT_FOUND, PARAMETER, REQUEST, DECRYPTION, INTERNAL],
        values::get,
    ),
    operation(
        "ListResourcePolicies",
        &[SECRET_ID, NEXT_TOKEN, member("MaxResults", whole(1, 100))],
        &[NOT_FOUND, NEXT, INTERNAL, REQUEST, PARAMETER],
        policies::list,
    ),
    operation(
        "ListSecretVersionIds",
        &[
            SECRET_ID,
            member("MaxResults", whole(1, 100)),
            NEXT_TOKEN,
            member("IncludeDeprecated", Shape::Flag),
        ],
        &[NEXT, NOT_FOUND, INTERNAL, PARAMETER],
        versions::list,
    ),
    operation(
        "ListSecrets",
        &[
            member("IncludePlannedDeletion", Shape::Flag),
            member("MaxResults", whole(1, 100)),
            NEXT_TOKEN,
            FILTERS,
            member("SortOrder", one_of(&["asc", "desc"])),
            member(
                "SortBy",
                one_of(&["created-date", "last-accessed-date", "last-changed-date", "name"]),
            ),
        ],
        &[PARAMETER, REQUEST, NEXT, INTERNAL],
        lists::list_secrets,
    ),
    operation(
        "PutResourcePolicy",
        &[SECRET_ID, POLICY_NAME, POLICY, member("BlockPublicPolicy", Shape::Flag)],
        &[POLICY_DOCUMENT, NOT_FOUND, PARAMETER, INTERNAL, REQUEST, PUBLIC],
        policies::put,
    ),
    operation(
        "PutSecretValue",
        &[
            SECRET_ID,
            TOKEN,
            SECRET_BINARY,
            SECRET_STRING,
            member("VersionStages", list(1, Some(20), &text(1, 256))),
            sensitive("RotationToken", pattern(36, 256, r"^[a-zA-Z0-9\-]+$")),
        ],
        &[PARAMETER, REQUEST, LIMIT, ENCRYPTION, EXISTS, NOT_FOUND, INTERNAL, DECRYPTION],
        values::put,
    ),
    operation(
        "RemoveRegionsFromReplication",
        &[SECRET_ID, required("RemoveReplicaRegions", list(1, None, &REGION))],
        USUAL,
        replicas::remove,
    ),
    operation(
        "ReplicateSecretToRegions",
        &[
            SECRET_ID,
            required("AddReplicaRegions", list(1, None, &REPLICA)),
            member("ForceOverwriteReplicaSecret", Shape::Flag),
        ],
        USUAL,
        replicas::replicate,
    ),
    operation("RestoreSecret", &[SECRET_ID], USUAL, secrets::restore),
    operation(
        "RotateSecret",
        &[
            SECRET_ID,
            TOKEN,
            member("RotationLambdaARN", text(0, 2048)),
            RULES,
            member("ExternalSecretRotationMetadata", list(0, None, &METADATA)),
            member("ExternalSecretRotationRoleArn", text(20, 2048)),
            member("RotateImmediately", Shape::Flag),
        ],
        USUAL,
        rotation::rotate,
    ),
    operation("StopReplicationToReplica", &[SECRET_ID], USUAL, replicas::stop),
    operation("TagResource", &[SECRET_ID, required("Tags", list(0, None, &TAG))], USUAL, tags::tag),
    operation(
        "UntagResource",
        &[SECRET_ID, required("TagKeys", list(0, None, &text(1, 128)))],
        USUAL,
        tags::untag,
    ),
    operation(
        "UpdateSecret",
        &[SECRET_ID, TOKEN, DESCRIPTION, KMS_KEY_ID, SECRET_BINARY, SECRET_STRING, TYPE],
        OF_WHOLE_SECRETS,
        secrets::update,
    ),
    operation(
        "UpdateSecretVersionStage",
        &[
            SECRET_ID,
            required("VersionStage", text(1, 256)),
            member("RemoveFromVersionId", text(32, 64)),
            member("MoveToVersionId", text(32, 64)),
        ],
        &[NOT_FOUND, PARAMETER, REQUEST, LIMIT, INTERNAL],
        versions::update_stage,
    ),
    operation(
        "ValidateResourcePolicy",
        &[member("SecretId", text(1, 2048)), POLICY],
        &[POLICY_DOCUMENT, NOT_FOUND, PARAMETER, INTERNAL, REQUEST],
        policies::validate,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(operation: &str, body: Value) -> ServiceError {
        let operation = OPERATIONS.iter().find(|known| known.name == operation).unwrap();
        check(operation.input, &body).unwrap_err()
    }

    #[test]
    fn all_violations_are_reported_without_secret_values() {
        let error = refused(
            "PutSecretValue",
            json!({
                "SecretString": "x".repeat(65537),
                "RotationToken": "the-token!",
                "VersionStages": ["", "a"]
            }),
        );
        assert_eq!(error.code, "ValidationException");
        for part in [
            "5 validation errors detected",
            "Value null at 'secretId'",
            "Value at 'secretString' failed to satisfy constraint: Member must have length \
             less than or equal to 65536",
            "Value '' at 'versionStages.1.member'",
            "Value at 'rotationToken'",
        ] {
            assert!(error.message.contains(part), "{part} is not in {}", error.message);
        }
        assert!(!error.message.contains("xx") && !error.message.contains("the-token"));
    }

    #[test]
    fn types_patterns_and_numbers_are_validated() {
        for (operation, body) in [
            ("CreateSecret", json!({"Name": 5})),
            ("CreateSecret", json!({"Name": "n", "SecretBinary": "no Base64!"})),
            ("DeleteSecret", json!({"SecretId": "s", "ForceDeleteWithoutRecovery": "yes"})),
            ("TagResource", json!({"SecretId": "s", "Tags": {"Key": "k"}})),
        ] {
            assert_eq!(refused(operation, body).code, "SerializationException");
        }
        for (operation, body) in [
            ("ListSecrets", json!({"MaxResults": 101})),
            ("ListSecrets", json!({"Filters": [{"Key": "nonsense"}]})),
            ("ListSecrets", json!({"Filters": [{"Key": "name", "Values": ["a;b"]}]})),
            ("RotateSecret", json!({"SecretId": "s", "RotationRules": {"Duration": "3m"}})),
            ("TagResource", json!({"SecretId": "s", "Tags": [{"Key": "k".repeat(129)}]})),
        ] {
            assert_eq!(refused(operation, body).code, "ValidationException");
        }
    }
}
