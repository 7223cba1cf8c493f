//! The trace id of a rotation, which shows which calls are from the rotation's function.

/// Returns the trace id that the invocations of a rotation have, in the form of the header
/// `X-Amzn-Trace-Id`.
///
/// In Lambda, the AWS SDKs send the trace id of the invocation with every call. A service that
/// knows the rotation's token can therefore recognize the calls of its function.
pub fn trace_id(token: &str) -> String {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let token: String = token.chars().filter(allowed).collect();
    format!("Root=1-00000000-000000000000000000000000;Sampled=0;Rotation={token}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_cannot_add_a_field_or_a_header() {
        let id = trace_id("a-1;Root=2\r\nx: y");
        assert!(id.ends_with(";Rotation=a-1Root2xy"), "{id}");
    }
}
