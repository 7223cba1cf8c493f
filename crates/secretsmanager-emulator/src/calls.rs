//! The record of the requests that the service has answered.

use std::collections::VecDeque;
use std::time::Instant;

/// A request that was answered.
#[derive(Debug, Clone)]
pub struct Call {
    /// The name of the operation, such as `GetSecretValue`.
    pub operation: String,
    /// The `SecretId` in the request, which is a name or an ARN.
    pub secret: Option<String>,
    /// The `VersionStage`, or else the `VersionId`, in the request.
    pub about: Option<String>,
    /// The length of the `RotationToken` in the request. The token itself is not recorded.
    pub rotation_token: Option<usize>,
    /// The header `X-Amzn-Trace-Id`, with which the SDKs name the invocation that a call is from.
    pub trace_id: Option<String>,
    /// The exception's name, if the response was an error.
    pub error: Option<String>,
    /// The time at which the request arrived.
    pub from: Instant,
    /// The time at which it was answered.
    pub until: Instant,
}

/// The recorded calls, newest last.
#[derive(Default)]
pub(crate) struct CallLog {
    pub(crate) calls: VecDeque<Call>,
    /// The maximum number of calls that are recorded.
    pub(crate) most: usize,
}

impl CallLog {
    pub(crate) fn push(&mut self, call: Call) {
        if self.most == 0 {
            return;
        }
        if self.calls.len() >= self.most {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_calls_are_kept() {
        let call = |operation: &str| Call {
            operation: operation.to_owned(),
            secret: None,
            about: None,
            rotation_token: None,
            trace_id: None,
            error: None,
            from: Instant::now(),
            until: Instant::now(),
        };
        let mut log = CallLog::default();
        log.push(call("not recorded"));
        log.most = 2;
        for operation in ["first", "second", "third"] {
            log.push(call(operation));
        }
        let kept: Vec<_> = log.calls.iter().map(|call| call.operation.as_str()).collect();
        assert_eq!(kept, ["second", "third"]);
    }
}
