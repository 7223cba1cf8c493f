//! The members, limits and errors that several operations share.

use crate::model::{Member, Shape};

pub(crate) const fn text(min: usize, max: usize) -> Shape {
    Shape::Text { min, max: Some(max), pattern: None, one_of: &[] }
}

pub(super) const fn pattern(min: usize, max: usize, pattern: &'static str) -> Shape {
    Shape::Text { min, max: Some(max), pattern: Some(pattern), one_of: &[] }
}

pub(super) const fn one_of(one_of: &'static [&'static str]) -> Shape {
    Shape::Text { min: 0, max: None, pattern: None, one_of }
}

pub(super) const fn list(min: usize, max: Option<usize>, of: &'static Shape) -> Shape {
    Shape::List { min, max, of }
}

pub(super) const fn whole(min: i64, max: i64) -> Shape {
    Shape::Whole { min: Some(min), max: Some(max) }
}

pub(crate) const fn member(name: &'static str, shape: Shape) -> Member {
    Member { name, required: false, sensitive: false, shape }
}

pub(crate) const fn required(name: &'static str, shape: Shape) -> Member {
    Member { name, required: true, sensitive: false, shape }
}

pub(super) const fn sensitive(name: &'static str, shape: Shape) -> Member {
    Member { name, required: false, sensitive: true, shape }
}

pub(super) const SECRET_ID: Member = required("SecretId", text(1, 2048));
pub(super) const TOKEN: Member = member("ClientRequestToken", text(32, 64));
pub(super) const DESCRIPTION: Member = member("Description", text(0, 2048));
pub(super) const KMS_KEY_ID: Member = member("KmsKeyId", text(0, 2048));
pub(super) const TYPE: Member = member("Type", text(0, 256));
pub(super) const SECRET_STRING: Member = sensitive("SecretString", text(1, 65536));
pub(super) const SECRET_BINARY: Member =
    sensitive("SecretBinary", Shape::Blob { min: 1, max: 65536 });
pub(super) const NEXT_TOKEN: Member = member("NextToken", text(1, 4096));
pub(super) const TAG: Shape =
    Shape::Structure(&[member("Key", text(1, 128)), member("Value", text(0, 256))]);
pub(super) const REGION: Shape = pattern(1, 128, r"^([a-z]+-)+\d+$");
pub(super) const REPLICA: Shape = Shape::Structure(&[member("Region", REGION), KMS_KEY_ID]);
pub(super) const POLICY: Member = required("ResourcePolicy", text(1, 20480));
pub(super) const POLICY_NAME: Member = member("PolicyName", pattern(1, 64, r"[0-9A-Za-z\-\_]+"));
pub(super) const REPLICA_ARN: Member = required("CrossAccountReplicaARN", text(20, 2048));
pub(super) const FILTERS: Member = member("Filters", list(0, Some(10), &FILTER));
pub(super) const FILTER: Shape = Shape::Structure(&[
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
pub(super) const RULES: Member = member(
    "RotationRules",
    Shape::Structure(&[
        member("AutomaticallyAfterDays", whole(1, 1000)),
        member("Duration", pattern(2, 3, "[0-9]+h")),
        member("ScheduleExpression", pattern(1, 256, r"[0-9A-Za-z\(\)#\?\*\-\/, ]+")),
    ]),
);
pub(super) const METADATA: Shape =
    Shape::Structure(&[member("Key", text(1, 256)), member("Value", text(1, 2048))]);

pub(super) const NOT_FOUND: &str = "ResourceNotFoundException";
pub(super) const PARAMETER: &str = "InvalidParameterException";
pub(super) const REQUEST: &str = "InvalidRequestException";
pub(super) const INTERNAL: &str = "InternalServiceError";
pub(super) const EXISTS: &str = "ResourceExistsException";
pub(super) const LIMIT: &str = "LimitExceededException";
pub(super) const ENCRYPTION: &str = "EncryptionFailure";
pub(super) const DECRYPTION: &str = "DecryptionFailure";
pub(super) const NEXT: &str = "InvalidNextTokenException";
pub(super) const POLICY_DOCUMENT: &str = "MalformedPolicyDocumentException";
pub(super) const PRECONDITION: &str = "PreconditionNotMetException";
pub(super) const PUBLIC: &str = "PublicPolicyException";
/// The errors of operations that create a secret or change any part of it.
pub(super) const OF_WHOLE_SECRETS: &[&str] = &[
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
pub(super) const USUAL: &[&str] = &[NOT_FOUND, PARAMETER, REQUEST, INTERNAL];
