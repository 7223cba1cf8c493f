//! The replicas in other accounts, which are new in November 2026.
//!
//! The SDK does not know them yet, so they are read from the JSON of the response. The crate
//! `rotation` does the same: the local tools do not depend on it.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_secretsmanager::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_secretsmanager::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_secretsmanager::error::BoxError;
use serde_json::Value;

use super::super::model::{Replica, ReplicaSettings};

/// Reads `CrossAccountReplicas` from a response of `DescribeSecret`. Clones share the result.
#[derive(Debug, Clone, Default)]
pub(super) struct CrossAccountReplicas(Arc<Mutex<Vec<Replica>>>);

impl CrossAccountReplicas {
    /// Returns the replicas of the response.
    pub(super) fn take(&self) -> Vec<Replica> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Intercept for CrossAccountReplicas {
    fn name(&self) -> &'static str {
        "CrossAccountReplicas"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().unwrap_or_default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = replicas_in(body);
        Ok(())
    }
}

fn replicas_in(body: &[u8]) -> Vec<Replica> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let replicas = body["CrossAccountReplicas"].as_array().into_iter().flatten();
    replicas
        .map(|replica| Replica {
            place: text(&replica["ReplicaSecretARN"]).unwrap_or_default(),
            status: text(&replica["ReplicationStatus"]).unwrap_or_else(|| "unknown".to_owned()),
            message: text(&replica["StatusMessage"]),
            settings: ReplicaSettings::Account { role: text(&replica["ReplicationRoleARN"]) },
        })
        .collect()
}
