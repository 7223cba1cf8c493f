//! Connects to a server and logs in.

use std::time::Duration;

use rotation_database::{
    CaCertificates, Encrypted, EngineError, Login, LoginError, Stream, TlsUse, Wire, dial,
};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, PgConnection};
use tokio::io::AsyncWriteExt;
use zeroize::Zeroizing;

use crate::authenticate::{Authenticated, Method, Offer, authenticate, demanded_method, offer};
use crate::failure::refused;
use crate::messages::{
    Message, Refusal, backend_process, framed, parameter, send, texts, version_number,
};
use crate::origin::Origin;
use crate::refusal::named;
use crate::start_tls::start_tls;

/// An authenticated session that is not handed to the driver yet.
pub(crate) struct LoggedIn {
    stream: Box<dyn Stream>,
    startup_response: Vec<u8>,
    method: Method,
}

/// Connects to a server, with TLS if `tls` is [`TlsUse::Verified`].
async fn connect(
    host: &str,
    port: u16,
    tls: TlsUse,
    authorities: &CaCertificates,
) -> Result<Box<dyn Stream>, LoginError> {
    let stream = dial(host, port).await?;
    Ok(match tls {
        TlsUse::Verified => Box::new(start_tls(stream, host, authorities).await?),
        TlsUse::NotOffered | TlsUse::Off => Box::new(stream),
    })
}

/// Connects to a session's server and returns which proof it demands of a user. The user does not
/// log in.
pub(crate) async fn method_of(
    user: &str,
    tls: TlsUse,
    Origin { host, port, database, authorities, .. }: &Origin,
) -> Result<Method, LoginError> {
    let mut stream = connect(host, *port, tls, authorities).await?;
    let method = demanded_method(&mut stream, user, named(database.as_deref())).await;
    // The server would log a connection that is reset.
    let _ = stream.shutdown().await;
    method
}

/// Connects to a session's server or pooler and returns which authentication it offers a user. The
/// user does not log in.
pub(crate) async fn offer_of(
    user: &str,
    Origin { host, port, database, tls, authorities, .. }: &Origin,
) -> Result<Offer, LoginError> {
    let asked = async {
        let mut stream = connect(host, *port, *tls, authorities).await?;
        let offer = offer(&mut stream, user, named(database.as_deref())).await;
        let _ = stream.shutdown().await;
        offer
    };
    let seconds = OFFER_TIMEOUT.as_secs();
    tokio::time::timeout(OFFER_TIMEOUT, asked).await.unwrap_or(Err(LoginError::Silent { seconds }))
}

/// The timeout of [`offer_of`], which takes about half as long as a login.
const OFFER_TIMEOUT: Duration = Duration::from_secs(2);

impl LoggedIn {
    /// Returns the process ID that the server reports for cancel requests (`BackendKeyData`). A
    /// pooler reports an ID that it chose itself.
    pub(crate) fn process(&self) -> Option<u32> {
        backend_process(&self.startup_response)
    }

    /// Logs in once. Uses the connection `encrypted` if there is one, and connects otherwise.
    pub(crate) async fn over(
        encrypted: Option<Encrypted>,
        login: &Login<'_>,
    ) -> Result<Self, LoginError> {
        let mut stream: Box<dyn Stream> = match encrypted {
            Some(encrypted) => Box::new(encrypted),
            None => connect(login.host, login.port, login.tls, login.authorities).await?,
        };
        let Authenticated { startup_response, method } =
            authenticate(&mut stream, login, named(login.database)).await?;
        Ok(Self { stream, startup_response, method })
    }

    /// Returns which proof of the password the server demanded.
    pub(crate) fn method(&self) -> Method {
        self.method
    }

    /// Returns the server's version in the form of [`Origin::version`].
    pub(crate) fn version(&self) -> Option<u32> {
        parameter(&self.startup_response, b"server_version").and_then(|text| version_number(&text))
    }

    /// Runs statements without a driver, by a [simple query][doc]. Returns the last row as texts.
    ///
    /// [doc]: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SIMPLE-QUERY
    pub(crate) async fn query(
        &mut self,
        action: &str,
        statements: &str,
        remedy: Option<&str>,
    ) -> Result<Vec<Option<String>>, EngineError> {
        let broken = |cause| EngineError::Disconnected { action: action.to_owned(), cause };
        let query = Zeroizing::new([statements.as_bytes(), &[0]].concat());
        send(&mut self.stream, &framed(b'Q', &query)).await.map_err(broken)?;
        let mut done = Ok(Vec::new());
        loop {
            match Message::receive(&mut self.stream).await {
                Ok(Message { kind: b'Z', .. }) => return done,
                // The first error is the cause. A later one, such as a shutdown of the server, is
                // not.
                Ok(Message { kind: b'E', body }) if done.is_ok() => {
                    done = Err(refused(&Refusal::parse(&body), action, remedy));
                }
                Ok(Message { kind: b'D', body }) => {
                    let row = texts(&body)
                        .ok_or_else(|| broken(LoginError::protocol("incomplete row")))?;
                    done = done.map(|_| row);
                }
                Ok(_) => {}
                // After some errors the server closes the connection: report that error.
                Err(cause) => return done.and(Err(broken(cause))),
            }
        }
    }

    /// Hands the session to the driver.
    pub(crate) async fn driver(
        self,
        port: u16,
        user: &str,
        database: Option<&str>,
    ) -> Result<PgConnection, LoginError> {
        let name = format!(".s.PGSQL.{port}");
        let wire = Wire::offer_with_response(self.stream, &name, self.startup_response)?;
        let options = PgConnectOptions::new_without_pgpass()
            .socket(wire.folder())
            .port(port)
            .username(user)
            .database(named(database))
            // The server has got its startup message already, so none of its options belongs here.
            .extra_float_digits(None)
            .statement_cache_capacity(0)
            // The statements contain verifiers.
            .disable_statement_logging()
            // Where TLS is required, the stream behind the socket is already encrypted.
            .ssl_mode(PgSslMode::Disable);
        options.connect().await.map_err(|error| match error {
            sqlx::Error::Io(error) => LoginError::from_io(&error),
            other => LoginError::from_any(&other),
        })
    }

    /// [Ends](https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-TERMINATION)
    /// the session.
    pub(crate) async fn leave(mut self) {
        // All statements have been answered, so a connection that fails now does no harm.
        if self.stream.write_all(&framed(b'X', &[])).await.is_ok() {
            let _ = self.stream.shutdown().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    fn logged_in(stream: tokio::io::DuplexStream) -> LoggedIn {
        LoggedIn { stream: Box::new(stream), startup_response: Vec::new(), method: Method::Sasl }
    }

    #[test]
    fn proxy_rejection_is_not_an_access_rule() {
        let password = rotation_database::Password::new("p");
        let authorities = rotation_database::CaCertificates::read(&|_| None).unwrap();
        let login = Login {
            host: "h",
            port: 1,
            user: "app_clone",
            password: &password,
            database: None,
            tls: TlsUse::Verified,
            authorities: &authorities,
        };
        let remedy = |code: &str, message: &str, routine: Option<&str>| {
            let refusal = Refusal {
                code: code.into(),
                message: message.into(),
                routine: routine.map(str::to_owned),
                ..Refusal::default()
            };
            match crate::refusal::refusal(&refusal, &login) {
                LoginError::ClientRejected { remedy, .. }
                | LoginError::NotPermitted { remedy, .. } => remedy,
                other => panic!("{other:?}"),
            }
        };
        let proxy = "This RDS proxy has no credentials for the role app_clone. Check the \
            credentials for this role and try again.";
        assert!(remedy("28000", proxy, None).contains("endpoint of the instance"));
        let rule = "no pg_hba.conf entry for host \"10.0.0.1\", user \"app_clone\", \
            database \"d\", SSL encryption";
        assert!(remedy("28000", rule, Some("ClientAuthentication")).contains("pg_hba.conf"));
        let other = remedy("28000", "tenant is suspended", None);
        assert!(!other.contains("pg_hba.conf") && other.contains("\"host\""), "{other}");
    }

    #[tokio::test]
    async fn query_ends_with_ready_for_query() {
        let row = b"T\0\0\0\x06\0\0D\0\0\0\x0b\0\x01\0\0\0\x011C\0\0\0\x0dSELECT 1\0";
        let (refused, notice, ready) =
            (b"E\0\0\0\x0cC53200\0\0", b"N\0\0\0\x05\0", b"Z\0\0\0\x05I");
        for (answer, expected) in [
            ([&notice[..], row, ready].concat(), Ok(["1"].as_slice())),
            ([&notice[..], ready].concat(), Ok([].as_slice())),
            ([&refused[..], ready].concat(), Err("SQLSTATE 53200")),
            // The server closes the connection after the error.
            (refused.to_vec(), Err("SQLSTATE 53200")),
            (row.to_vec(), Err("broken")),
            (b"Z\xff\0\0\0".to_vec(), Err("broken")),
            ([&b"D\0\0\0\x05\0"[..], ready].concat(), Err("broken")),
        ] {
            let (stream, mut far) = tokio::io::duplex(1024);
            far.write_all(&answer).await.unwrap();
            far.shutdown().await.unwrap();
            let done = logged_in(stream).query("run a query", "SELECT 1", None).await;
            let done = done.map_err(|error| match error {
                EngineError::Failed { code, .. } => code,
                EngineError::Disconnected { .. } => "broken".to_owned(),
                other => panic!("{other:?}"),
            });
            let expected = expected
                .map(|row| row.iter().map(|text| Some((*text).to_owned())).collect())
                .map_err(str::to_owned);
            assert_eq!(done, expected);
            let mut asked = Vec::new();
            far.read_to_end(&mut asked).await.unwrap();
            assert_eq!(asked, b"Q\0\0\0\x0dSELECT 1\0");
        }
    }

    #[tokio::test]
    async fn terminate_is_sent_before_close() {
        let (stream, mut far) = tokio::io::duplex(64);
        logged_in(stream).leave().await;
        let mut message = Vec::new();
        far.read_to_end(&mut message).await.unwrap();
        assert_eq!(message, b"X\0\0\0\x04");
    }
}
