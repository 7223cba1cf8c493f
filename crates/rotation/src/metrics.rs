//! Metrics: one line in CloudWatch's [embedded metric format] for each step.
//!
//! [embedded metric format]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::rotator::Labels;
use crate::step::Step;

const NAMESPACE: &str = "SecretsRotation";

/// Returns the line for a step. `error_type` is `None` if the step succeeded.
pub(crate) fn line(
    labels: &Labels,
    step: Step,
    secret: &str,
    took: Duration,
    error_type: Option<&str>,
) -> Value {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (success, failure) = if error_type.is_none() { (1, 0) } else { (0, 1) };
    let mut line = json!({
        "_aws": {
            "Timestamp": u64::try_from(now.as_millis()).unwrap_or_default(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [["Engine", "Strategy", "Step"]],
                "Metrics": [
                    {"Name": "Duration", "Unit": "Milliseconds"},
                    {"Name": "Success", "Unit": "Count"},
                    {"Name": "Failure", "Unit": "Count"},
                ],
            }],
        },
        "Engine": labels.engine,
        "Strategy": labels.strategy,
        "Step": step.name(),
        "Outcome": if error_type.is_none() { "success" } else { "failure" },
        "Duration": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "Success": success,
        "Failure": failure,
        "SecretId": secret,
    });
    if let Some(error_type) = error_type {
        line["ErrorType"] = error_type.into();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_contains_every_declared_metric_and_dimension() {
        let labels = Labels { engine: "postgres".into(), strategy: "single-user".into() };
        let line =
            line(&labels, Step::Set, "arn", Duration::from_millis(12), Some("TlsNotOffered"));
        let declared = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(declared["Namespace"], "SecretsRotation");
        for dimension in declared["Dimensions"][0].as_array().unwrap() {
            assert!(line[dimension.as_str().unwrap()].is_string(), "{dimension}");
        }
        for metric in declared["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_u64(), "{metric}");
        }
        assert_eq!(line["ErrorType"], "TlsNotOffered");
        assert_eq!(line["Failure"], 1);
    }
}
