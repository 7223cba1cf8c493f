//! The field `CrossAccountReplicas` of `DescribeSecret`. The service has had it since November
//! 2026, and the SDK does not know it yet. The command `doctor` reads it in the same way, because
//! the local tools do not depend on this crate.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_secretsmanager::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_secretsmanager::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_secretsmanager::error::BoxError;
use serde::Deserialize;

use super::{Replica, ReplicaStatus};

/// An interceptor of `DescribeSecret` that reads the replicas in other accounts from the response.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadAccountReplicas(Arc<Mutex<Vec<Replica>>>);

impl ReadAccountReplicas {
    /// Returns the replicas of the last response.
    pub(crate) fn take(&self) -> Vec<Replica> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Intercept for ReadAccountReplicas {
    fn name(&self) -> &'static str {
        "ReadAccountReplicas"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().unwrap_or_default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = read(body);
        Ok(())
    }
}

/// Reads the replicas from the body of a response. The body of an error has none.
fn read(body: &[u8]) -> Vec<Replica> {
    #[derive(Default, Deserialize)]
    struct Response {
        #[serde(rename = "CrossAccountReplicas")]
        replicas: Option<Vec<Entry>>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Entry {
        #[serde(rename = "ReplicaSecretARN")]
        arn: Option<String>,
        #[serde(rename = "ReplicationRoleARN")]
        role: Option<String>,
        replication_status: Option<String>,
        status_message: Option<String>,
    }

    let response: Response = serde_json::from_slice(body).unwrap_or_default();
    let replica = |entry: Entry| Replica {
        name: entry.arn.unwrap_or_else(|| "?".into()),
        role: entry.role,
        status: ReplicaStatus::new(
            entry.replication_status.as_deref(),
            entry.status_message.as_deref(),
        ),
    };
    response.replicas.unwrap_or_default().into_iter().map(replica).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_of_each_status_are_read() {
        let body = r#"{"ARN": "primary", "CrossAccountReplicas": [
            {"ReplicaSecretARN": "a", "ReplicationStatus": "InSync", "ReplicationRoleARN": "role"},
            {"ReplicaSecretARN": "b", "ReplicationStatus": "Failed", "StatusMessage": "no key"},
            {"ReplicaSecretARN": "c", "ReplicationStatus": "Detached"},
            {"ReplicaSecretARN": "d", "ReplicationStatus": "Pending"}, {}]}"#;
        let read: Vec<_> = read(body.as_bytes())
            .into_iter()
            .map(|replica| (replica.name, replica.role, replica.status))
            .collect();
        let failed = ReplicaStatus::Failed { message: "no key".into() };
        assert_eq!(
            read,
            [
                ("a".into(), Some("role".into()), ReplicaStatus::InSync),
                ("b".into(), None, failed),
                ("c".into(), None, ReplicaStatus::Detached),
                ("d".into(), None, ReplicaStatus::InProgress),
                ("?".into(), None, ReplicaStatus::InProgress),
            ]
        );
    }

    #[test]
    fn response_without_replicas_has_none() {
        for body in ["", "{}", "not JSON", r#"{"CrossAccountReplicas": null}"#] {
            assert_eq!(read(body.as_bytes()), [], "{body}");
        }
    }
}
