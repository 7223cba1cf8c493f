//! The account and the Region that a request or a secret belongs to.

/// The account and the Region of a request, or of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scope<'a> {
    /// The account id. `None` is the service's own account.
    pub(crate) account: Option<&'a str>,
    pub(crate) region: &'a str,
}

impl<'a> Scope<'a> {
    /// Returns a Region of the service's own account.
    pub(crate) fn own(region: &'a str) -> Self {
        Self { account: None, region }
    }
}

/// Splits an access key id into the part that is checked and the account that it selects: `KEY`
/// belongs to the service's own account, and `KEY-111122223333` to the account `111122223333`.
pub(crate) fn split_key(key: &str) -> (&str, Option<&str>) {
    match key.rsplit_once('-') {
        Some((key, account)) if is_account(account) => (key, Some(account)),
        _ => (key, None),
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns a part of an ARN, which has the form `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
pub(crate) fn arn_part(arn: &str, part: ArnPart) -> Option<&str> {
    arn.strip_prefix("arn:")?.splitn(5, ':').nth(part as usize).filter(|part| !part.is_empty())
}

/// The parts of an ARN after `arn:`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ArnPart {
    Partition,
    Service,
    Region,
    Account,
}

/// Returns an ARN with another Region.
pub(crate) fn with_region(arn: &str, region: &str) -> String {
    let mut parts: Vec<&str> = arn.splitn(6, ':').collect();
    if let Some(part) = parts.get_mut(3) {
        *part = region;
    }
    parts.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_key_selects_account() {
        assert_eq!(split_key("LOCAL1"), ("LOCAL1", None));
        assert_eq!(split_key("LOCAL1-111122223333"), ("LOCAL1", Some("111122223333")));
        assert_eq!(split_key("a-b-1111"), ("a-b-1111", None));
    }

    #[test]
    fn arn_parts_are_read_and_replaced() {
        let arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:a:b-AbCdEf";
        assert_eq!(arn_part(arn, ArnPart::Partition), Some("aws"));
        assert_eq!(arn_part(arn, ArnPart::Service), Some("secretsmanager"));
        assert_eq!(arn_part(arn, ArnPart::Region), Some("eu-west-1"));
        assert_eq!(arn_part(arn, ArnPart::Account), Some("111122223333"));
        assert_eq!(arn_part("a name", ArnPart::Account), None);
        let other = "arn:aws:secretsmanager:us-east-1:111122223333:secret:a:b-AbCdEf";
        assert_eq!(with_region(arn, "us-east-1"), other);
    }
}
