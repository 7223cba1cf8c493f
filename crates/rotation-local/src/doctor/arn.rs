//! The ARN of a Lambda function.

use std::fmt;

/// The ARN of a Lambda function, `arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME[:ALIAS]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FunctionArn {
    arn: String,
}

impl FunctionArn {
    pub(super) fn new(arn: &str) -> Self {
        Self { arn: arn.to_owned() }
    }

    /// Returns a part of the ARN, counted from 0. A text that is not an ARN has empty parts.
    fn part(&self, number: usize) -> &str {
        self.arn.split(':').nth(number).unwrap_or_default()
    }

    pub(super) fn as_str(&self) -> &str {
        &self.arn
    }

    /// Returns the name of the function, without the alias or version.
    pub(super) fn name(&self) -> &str {
        secretsmanager_emulator::function_name(&self.arn)
    }

    /// Returns the ARN of the function without the alias or version, which tags belong to.
    pub(super) fn unqualified(&self) -> String {
        self.sibling(self.name())
    }

    /// Returns the ARN of another function of the same account and Region.
    pub(super) fn sibling(&self, name: &str) -> String {
        let [partition, region, account] = [1, 3, 4].map(|number| self.part(number));
        format!("arn:{partition}:lambda:{region}:{account}:function:{name}")
    }

    /// Returns the ARN of an application that the account has published under this name.
    pub(super) fn application(&self, name: &str) -> String {
        let [partition, region, account] = [1, 3, 4].map(|number| self.part(number));
        format!("arn:{partition}:serverlessrepo:{region}:{account}:applications/{name}")
    }
}

impl fmt::Display for FunctionArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_of_the_arn() {
        let arn = FunctionArn::new("arn:aws-cn:lambda:cn-north-1:123456789012:function:f:live");
        assert_eq!(arn.name(), "f");
        assert_eq!(arn.unqualified(), "arn:aws-cn:lambda:cn-north-1:123456789012:function:f");
        assert_eq!(
            arn.application("A"),
            "arn:aws-cn:serverlessrepo:cn-north-1:123456789012:applications/A"
        );
        assert_eq!(FunctionArn::new("local").name(), "local");
    }
}
