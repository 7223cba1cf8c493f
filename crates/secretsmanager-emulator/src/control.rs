//! The operation `Emulator.ControlReplication`, with which tests of clients in any language delay
//! replication or make it fail. AWS does not have it.

use serde_json::{Value, json};

use crate::error::ServiceError;
use crate::model::{Member, Shape, check};
use crate::registry::shapes::{member, required, text};
use crate::replication_queue::ReplicationControl;
use crate::service::Service;

const INPUT: &[Member] = &[
    required("Destination", text(1, 4096)),
    member("DelaySeconds", Shape::Whole { min: Some(0), max: None }),
    member("FailureMessage", text(1, 4096)),
];

/// Performs an operation that only tests use.
pub(super) fn perform(
    operation: &str,
    service: &Service,
    body: &Value,
) -> Result<Value, ServiceError> {
    if operation != "ControlReplication" {
        return Err(ServiceError::new(
            "UnknownOperationException",
            format!("{operation} is not supported. The operation of tests is ControlReplication."),
        ));
    }
    check(INPUT, body)?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let control = ReplicationControl {
        delay: body.get("DelaySeconds").and_then(Value::as_f64).unwrap_or_default(),
        failure: text("FailureMessage"),
    };
    service.control_replication(&text("Destination").unwrap_or_default(), control);
    Ok(json!({}))
}
