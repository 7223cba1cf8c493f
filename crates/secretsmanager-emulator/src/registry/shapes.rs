//! The members, limits and errors that several operations share.

use crate::model::{Member, Shape};

pub(crate) const fn text(min: usize, max: usize) -> Shape {
    Shape::Text { min, max: Some(max), pattern: None, one_of: &[] }
}

pub(crate) const fn pattern(min: usize, max: usize, pattern: &'static str) -> Shape {
    Shape::Text { min, max: Some(max), pattern: Some(pattern), one_of: &[] }
}

pub(crate) const fn one_of(one_of: &'static [&'static str]) -> Shape {
    Shape::Text { min: 0, max: None, pattern: None, one_of }
}

pub(crate) const fn list(min: usize, max: Option<usize>, of: &'static Shape) -> Shape {
    Shape::List { min, max, of }
}

pub(crate) const fn whole(min: i64, max: i64) -> Shape {
    Shape::Whole { min: Some(min), max: Some(max) }
}

pub(crate) const fn member(name: &'static str, shape: Shape) -> Member {
    Member { name, required: false, sensitive: false, shape }
}

pub(crate) const fn required(name: &'static str, shape: Shape) -> Member {
    Member { name, required: true, sensitive: false, shape }
}

pub(crate) const fn sensitive(name: &'static str, shape: Shape) -> Member {
    Member { name, required: false, sensitive: true, shape }
}

pub(crate) const SECRET_ID: Member = required("SecretId", text(1, 2048));
pub(crate) const TOKEN: Member = member("ClientRequestToken", text(32, 64));
pub(crate) const DESCRIPTION: Member = member("Description", text(0, 2048));
pub(crate) const KMS_KEY_ID: Member = member("KmsKeyId", text(0, 2048));
pub(crate) const TYPE: Member = member("Type", text(0, 256));
pub(crate) const SECRET_STRING: Member = sensitive("SecretString", text(1, 65536));
pub(crate) const SECRET_BINARY: Member =
    sensitive("SecretBinary", Shape::Blob { min: 1, max: 65536 });
pub(crate) const NEXT_TOKEN: Member = member("NextToken", text(1, 4096));
pub(crate) const TAG: Shape =
    Shape::Structure(&[member("Key", text(1, 128)), member("Value", text(0, 256))]);
pub(crate) const REGION: Shape = pattern(1, 128, r"^([a-z]+-)+\d+$");
pub(crate) const REPLICA: Shape = Shape::Structure(&[member("Region", REGION), KMS_KEY_ID]);
pub(crate) const POLICY: Member = required("ResourcePolicy", text(1, 20480));
pub(crate) const POLICY_NAME: Member = member("PolicyName", pattern(1, 64, r"[0-9A-Za-z\-\_]+"));
pub(crate) const REPLICA_ARN: Member = required("CrossAccountReplicaARN", text(20, 2048));
pub(crate) const FILTERS: Member = member("Filters", list(0, Some(10), &FILTER));
pub(crate) const FILTER: Shape = Shape::Structure(&[
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
pub(crate) const RULES: Member = member(
    "RotationRules",
    Shape::Structure(&[
        member("AutomaticallyAfterDays", whole(1, 1000)),
        member("Duration", pattern(2, 3, "[0-9]+h")),
        member("ScheduleExpression", pattern(1, 256, r"[0-9A-Za-z\(\)#\?\*\-\/, ]+")),
    ]),
);
pub(crate) const METADATA: Shape =
    Shape::Structure(&[member("Key", text(1, 256)), member("Value", text(1, 2048))]);

pub(crate) const NOT_FOUND: &str = "ResourceNotFoundException";
pub(crate) const PARAMETER: &str = "InvalidParameterException";
pub(crate) const REQUEST: &str = "InvalidRequestException";
pub(crate) const INTERNAL: &str = "InternalServiceError";
pub(crate) const EXISTS: &str = "ResourceExistsException";
pub(crate) const LIMIT: &str = "LimitExceededException";
pub(crate) const ENCRYPTION: &str = "EncryptionFailure";
pub(crate) const DECRYPTION: &str = "DecryptionFailure";
pub(crate) const NEXT: &str = "InvalidNextTokenException";
pub(crate) const POLICY_DOCUMENT: &str = "MalformedPolicyDocumentException";
pub(crate) const PRECONDITION: &str = "PreconditionNotMetException";
pub(crate) const PUBLIC: &str = "PublicPolicyException";
/// The errors of operations that create a secret or change any part of it.
pub(crate) const OF_WHOLE_SECRETS: &[&str] = &[
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
pub(crate) const USUAL: &[&str] = &[NOT_FOUND, PARAMETER, REQUEST, INTERNAL];
