//! The table of all operations, with their members, their errors and the functions that perform
//! them.

use serde_json::{Value, json};

use crate::error::ServiceError;
use crate::model::{Member, Shape, check, members_as_json};
use crate::operations::{Done, lists, policies, rotation, secrets, tags, values, versions};
use crate::request::Request;
use crate::store::Store;

/// An operation of the API.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) input: &'static [Member],
    /// The errors that the model lists. Validation errors can occur in addition.
    pub(crate) errors: &'static [&'static str],
    /// The function that performs it. `None` if this service does not support the operation.
    pub(crate) run: Option<Run>,
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
    match known.run {
        Some(run) => run(store, request),
        None => {
            Err(ServiceError::request(format!("{operation}: replicas are not supported here.")))
        }
    }
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
            "supported": operation.run.is_some(),
        });
        (operation.name.to_owned(), described)
    });
    Value::Object(operations.collect())
}

const fn text(min: usize, max: usize) -> Shape {
    Shape::Text { min, max: Some(max), pattern: None, one_of: &[] }
}

const fn pattern(min: usize, max: usize, pattern: &'static str) -> Shape {
    Shape::Text { min, max: Some(max), pattern: Some(pattern), one_of: &[] }
}

const fn one_of(one_of: &'static [&'static str]) -> Shape {
    Shape::Text { min: 0, max: None, pattern: None, one_of }
}

const fn list(min: usize, max: Option<usize>, of: &'static Shape) -> Shape {
    Shape::List { min, max, of }
}

const fn whole(min: i64, max: i64) -> Shape {
    Shape::Whole { min: Some(min), max: Some(max) }
}

const fn member(name: &'static str, shape: Shape) -> Member {
    Member { name, required: false, sensitive: false, shape }
}

const fn required(name: &'static str, shape: Shape) -> Member {
    Member { name, required: true, sensitive: false, shape }
}

const fn sensitive(name: &'static str, shape: Shape) -> Member {
    Member { name, required: false, sensitive: true, shape }
}

const SECRET_ID: Member = required("SecretId", text(1, 2048));
const TOKEN: Member = member("ClientRequestToken", text(32, 64));
const DESCRIPTION: Member = member("Description", text(0, 2048));
const KMS_KEY_ID: Member = member("KmsKeyId", text(0, 2048));
const TYPE: Member = member("Type", text(0, 256));
const SECRET_STRING: Member = sensitive("SecretString", text(1, 65536));
const SECRET_BINARY: Member = sensitive("SecretBinary", Shape::Blob { min: 1, max: 65536 });
const NEXT_TOKEN: Member = member("NextToken", text(1, 4096));
const TAG: Shape = Shape::Structure(&[member("Key", text(1, 128)), member("Value", text(0, 256))]);
const REGION: Shape = pattern(1, 128, r"^([a-z]+-)+\d+$");
const REPLICA: Shape = Shape::Structure(&[member("Region", REGION), KMS_KEY_ID]);
const POLICY: Member = required("ResourcePolicy", text(1, 20480));
const FILTERS: Member = member("Filters", list(0, Some(10), &FILTER));
const FILTER: Shape = Shape::Structure(&[
    member(
        "Key",
        one_of(&[
            "description",
            "name",
            "tag-key",
            "tag-value",
            "primary-region",
            "owning-service",
            "all",
        ]),
    ),
    member("Values", list(1, Some(10), &pattern(0, 512, r"^\!?[a-zA-Z0-9 :_@\/\+\=\.\-\!]*$"))),
]);
const RULES: Member = member(
    "RotationRules",
    Shape::Structure(&[
        member("AutomaticallyAfterDays", whole(1, 1000)),
        member("Duration", pattern(2, 3, "[0-9]+h")),
        member("ScheduleExpression", pattern(1, 256, r"[0-9A-Za-z\(\)#\?\*\-\/, ]+")),
    ]),
);
const METADATA: Shape =
    Shape::Structure(&[member("Key", text(1, 256)), member("Value", text(1, 2048))]);

const NOT_FOUND: &str = "ResourceNotFoundException";
const PARAMETER: &str = "InvalidParameterException";
const REQUEST: &str = "InvalidRequestException";
const INTERNAL: &str = "InternalServiceError";
const EXISTS: &str = "ResourceExistsException";
const LIMIT: &str = "LimitExceededException";
const ENCRYPTION: &str = "EncryptionFailure";
const DECRYPTION: &str = "DecryptionFailure";
const NEXT: &str = "InvalidNextTokenException";
const POLICY_DOCUMENT: &str = "MalformedPolicyDocumentException";
const PRECONDITION: &str = "PreconditionNotMetException";
const PUBLIC: &str = "PublicPolicyException";
/// The errors of operations that create a secret or change any part of it.
const OF_WHOLE_SECRETS: &[&str] = &[
    PARAMETER,
    REQUEST,
    LIMIT,
    ENCRYPTION,
    EXISTS,
    NOT_FOUND,
    POLICY_DOCUMENT,
    INTERNAL,
    PRECONDITION,
    DECRYPTION,
];
const USUAL: &[&str] = &[NOT_FOUND, PARAMETER, REQUEST, INTERNAL];

const fn operation(
    name: &'static str,
    input: &'static [Member],
    errors: &'static [&'static str],
    run: Run,
) -> Operation {
    Operation { name, input, errors, run: Some(run) }
}

const fn unsupported(name: &'static str, input: &'static [Member]) -> Operation {
    Operation { name, input, errors: USUAL, run: None }
}

/// All operations, in the order of the API reference.
pub(crate) static OPERATIONS: &[Operation] = &[
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
        ],
        OF_WHOLE_SECRETS,
        secrets::create,
    ),
    operation("DeleteResourcePolicy", &[SECRET_ID], USUAL, policies::delete),
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
    operation("GetResourcePolicy", &[SECRET_ID], USUAL, policies::get),
    operation(
        "GetSecretValue",
        &[SECRET_ID, member("VersionId", text(32, 64)), member("VersionStage", text(1, 256))],
        &[NOT_FOUND, PARAMETER, REQUEST, DECRYPTION, INTERNAL],
        values::get,
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
        &[SECRET_ID, POLICY, member("BlockPublicPolicy", Shape::Flag)],
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
    unsupported(
        "RemoveRegionsFromReplication",
        &[SECRET_ID, required("RemoveReplicaRegions", list(1, None, &REGION))],
    ),
    unsupported(
        "ReplicateSecretToRegions",
        &[
            SECRET_ID,
            required("AddReplicaRegions", list(1, None, &REPLICA)),
            member("ForceOverwriteReplicaSecret", Shape::Flag),
        ],
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
    unsupported("StopReplicationToReplica", &[SECRET_ID]),
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
