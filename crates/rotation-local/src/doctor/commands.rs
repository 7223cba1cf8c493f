//! The AWS CLI commands of the report.

/// Writes commands for the account that is examined.
#[derive(Debug, Clone)]
pub(super) struct Commands {
    /// The options that select the account, ` --region eu-west-1`, if an option selected it.
    options: String,
    /// `false` for a local service, whose functions have no log in CloudWatch.
    has_logs: bool,
}

impl Commands {
    pub(super) fn new(region: Option<&str>, has_logs: bool) -> Self {
        let options = region.map(|region| format!(" --region {region}")).unwrap_or_default();
        Self { options, has_logs }
    }

    /// Returns a command of Secrets Manager on a secret.
    pub(super) fn on_secret(&self, operation: &str, secret: &str, rest: &str) -> String {
        let secret = quoted(secret);
        let options = &self.options;
        let rest = if rest.is_empty() { String::new() } else { format!(" {rest}") };
        format!("aws secretsmanager {operation} --secret-id {secret}{rest}{options}")
    }

    /// Returns the command that shows the errors in a log, if there are logs.
    pub(super) fn errors_in(&self, log_group: &str) -> Option<String> {
        let (group, options) = (quoted(log_group), &self.options);
        let tail = || format!("aws logs tail {group} --since 3d --filter-pattern ERROR{options}");
        self.has_logs.then(tail)
    }

    /// Returns the command that runs preflight.
    pub(super) fn preflight(&self, function: &str, secret: &str) -> String {
        let payload = quoted(&format!(r#"{{"Step":"preflight","SecretId":"{secret}"}}"#));
        let (function, options) = (quoted(function), &self.options);
        format!(
            "aws lambda invoke --function-name {function} --cli-binary-format raw-in-base64-out \
             --payload {payload} /dev/stdout{options}"
        )
    }
}

/// Quotes a word for a shell. The names of secrets that RDS creates contain `!`.
fn quoted(word: &str) -> String {
    let is_safe = |char: char| char.is_ascii_alphanumeric() || "-_./:=+@,".contains(char);
    if !word.is_empty() && word.chars().all(is_safe) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        let commands = Commands::new(Some("eu-west-1"), true);
        assert_eq!(
            commands.on_secret("describe-secret", "rds!db-1", ""),
            "aws secretsmanager describe-secret --secret-id 'rds!db-1' --region eu-west-1"
        );
        assert_eq!(quoted("it's"), r"'it'\''s'");
        let plain = Commands::new(None, true).on_secret("rotate-secret", "app/db", "--x y");
        assert_eq!(plain, "aws secretsmanager rotate-secret --secret-id app/db --x y");
    }
}
