//! Rotates the password of a Redis (or Valkey) ACL user without an outage: the user has both
//! passwords until `finishSecret`.
//!
//! The secret is `{"host": "…", "port": 6379, "username": "…", "password": "…"}`. Add
//! `"tls": false` if the server does not support TLS. The user must be allowed to run
//! `ACL SETUSER` and `ACL SAVE` (or `CONFIG REWRITE`). Redis does not replicate users, so rotate on
//! each node.

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, ServerErrorKind, cmd,
};
use rotation::{
    Context, Done, Failure, Labels, Password, PasswordSettings, Result, Rotator, SecretValue,
    Versions,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

fn main() -> std::process::ExitCode {
    rotation::run(|settings| Ok(RedisAcl { password: PasswordSettings::read(settings, 32, " ")? }))
}

struct RedisAcl {
    password: PasswordSettings,
}

/// The secret. All other keys of the JSON document stay unchanged.
#[derive(Serialize, Deserialize)]
struct Secret {
    host: String,
    port: u16,
    username: String,
    password: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Secret {
    fn parse(value: &SecretValue) -> Result<Self> {
        let secret: Self =
            serde_json::from_str(value.expose()).map_err(|error| malformed(&error))?;
        // `Password::new` registers the password for redaction in all log lines and errors.
        let _ = Password::new(secret.password.as_str());
        Ok(secret)
    }

    async fn log_in(&self, cx: &Context<'_>) -> Result<MultiplexedConnection> {
        let Self { host, port, username, password, .. } = self;
        cx.set_activity(format!("logging in to {host}:{port} as {username}"));
        let address = match self.rest.get("tls") {
            Some(Value::Bool(false)) => ConnectionAddr::Tcp(host.clone(), *port),
            _ => ConnectionAddr::TcpTls {
                host: host.clone(),
                port: *port,
                insecure: false,
                tls_params: None,
            },
        };
        let login = RedisConnectionInfo::default().set_username(username).set_password(password);
        let info = address.into_connection_info().map_err(failed)?.set_redis_settings(login);
        let limits = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(std::time::Duration::from_secs(5)))
            .set_response_timeout(Some(std::time::Duration::from_secs(5)));
        let client = Client::open(info).map_err(failed)?;
        Ok(client.get_multiplexed_async_connection_with_config(&limits).await.map_err(failed)?)
    }

    /// Changes the user's passwords. The statement contains only hashes, because `MONITOR` and the
    /// slow log show statements.
    async fn set_passwords(
        &self,
        redis: &mut MultiplexedConnection,
        rules: &[String],
    ) -> Result<()> {
        let set = cmd("ACL").arg("SETUSER").arg(&self.username).arg(rules).exec_async(redis).await;
        set.map_err(failed)?;
        match cmd("ACL").arg("SAVE").exec_async(redis).await {
            // Without an ACL file, the users are in redis.conf. If neither were saved, a restart
            // would restore the old password.
            Err(error) if error.to_string().contains("ACL file") => {
                Ok(cmd("CONFIG").arg("REWRITE").exec_async(redis).await.map_err(failed)?)
            }
            saved => Ok(saved.map_err(failed)?),
        }
    }

    fn hash(&self) -> String {
        Sha256::digest(&self.password)
            .iter()
            .fold("#".to_owned(), |text, byte| format!("{text}{byte:02x}"))
    }
}

impl Rotator for RedisAcl {
    fn labels(&self) -> Labels {
        Labels { engine: "redis".into(), strategy: "two-passwords".into() }
    }

    fn password(&self) -> Option<&PasswordSettings> {
        Some(&self.password)
    }

    fn validate(&self, current: &SecretValue) -> Result<()> {
        Secret::parse(current).map(drop)
    }

    async fn create(
        &self,
        _: &Context<'_>,
        current: &SecretValue,
        new: Option<Password>,
    ) -> Result<SecretValue> {
        let mut secret = Secret::parse(current)?;
        secret.password = new.map(|new| new.expose().to_owned()).unwrap_or_default();
        let text = serde_json::to_string(&secret).map_err(|error| malformed(&error))?;
        Ok(SecretValue::new(text))
    }

    /// Adds the new password. Adding it again changes nothing.
    async fn set(&self, cx: &Context<'_>, versions: &Versions) -> Result<Done> {
        let (current, pending) =
            (Secret::parse(&versions.current)?, Secret::parse(&versions.pending)?);
        let mut redis = current.log_in(cx).await?;
        current.set_passwords(&mut redis, &[pending.hash()]).await?;
        Ok(Done::now(format!(
            "{} has the new password in addition to the current one.",
            current.username
        )))
    }

    async fn test(&self, cx: &Context<'_>, pending: &SecretValue) -> Result<Done> {
        let pending = Secret::parse(pending)?;
        pending.log_in(cx).await?;
        Ok(Done::now(format!("{} accepts the new password.", pending.host)))
    }

    /// Removes all other passwords: the old password, and those of cancelled rotations.
    async fn finished(&self, cx: &Context<'_>) -> Result<()> {
        // This reads the version by its id, not by AWSCURRENT: the label has just moved, and a
        // stale response would restore the old password.
        let Some(current) = cx.value_of(cx.version()?).await? else { return Ok(()) };
        let current = Secret::parse(&current)?;
        let mut redis = current.log_in(cx).await?;
        current.set_passwords(&mut redis, &["resetpass".to_owned(), current.hash()]).await
    }
}

fn malformed(error: &serde_json::Error) -> Failure {
    // The message of the JSON error is not used, because it can quote the secret.
    let what =
        format!("the secret needs valid host, port, username and password (line {})", error.line());
    Failure::new(
        "SecretMalformed",
        what,
        "Correct the secret: aws secretsmanager put-secret-value.",
    )
}

fn failed(error: RedisError) -> Failure {
    let (error_type, remedy) = match error.kind() {
        ErrorKind::AuthenticationFailed => {
            ("CredentialsRefused", "Store the password that Redis accepts in the secret.")
        }
        ErrorKind::Server(ServerErrorKind::NoPerm) => (
            "PrivilegeMissing",
            "As an administrator, run ACL SETUSER USER +acl|setuser +acl|save.",
        ),
        _ => ("RedisFailed", "Check that the server is running and reachable for the function."),
    };
    Failure::new(error_type, format!("Redis: {error}"), remedy)
}
