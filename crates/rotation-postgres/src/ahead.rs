//! A TLS connection that is opened while the secret's versions are still being read.
//!
//! It goes to the server of the previous login. Without it, the time for the name lookup, the
//! TCP connection and the TLS handshake would be added to each step, and applications may be locked
//! out between `setSecret` and `finishSecret`. It needs no credential, and no message of the
//! PostgreSQL protocol is sent after TLS begins. If it is not used, the server logs at most an
//! aborted handshake.
//!
//! The startup message, which names the user, is not sent ahead of time, although that would save
//! another millisecond: the server looks up the user's password as soon as it gets this message
//! (`get_role_password`). It would then accept or reject the login by the password that was valid
//! before the versions were read. Until then, the connection does not count towards
//! `max_connections` either.

use std::sync::{Mutex, PoisonError};

use rotation_database::{Encrypted, Login, LoginError, Server, TlsUse, dial};
use tokio::task::JoinHandle;

use crate::start_tls::start_tls;

/// Holds at most one preconnected connection.
#[derive(Debug, Default)]
pub(crate) struct Preconnect(Mutex<Option<PendingConnection>>);

/// A connection that is being opened. Dropping it aborts the attempt.
#[derive(Debug)]
struct PendingConnection {
    host: String,
    port: u16,
    connection: JoinHandle<Result<Encrypted, LoginError>>,
}

impl Preconnect {
    pub(crate) fn begin(&self, server: &Server) {
        let Server { host, port, authorities } = server.clone();
        let (name, to) = (host.clone(), port);
        let connection =
            tokio::spawn(
                async move { start_tls(dial(&name, to).await?, &name, &authorities).await },
            );
        self.replace(Some(PendingConnection { host, port, connection }));
    }

    pub(crate) fn end(&self) {
        self.replace(None);
    }

    /// Returns the connection to the first login over verified TLS to the same server. If the
    /// connection failed, returns its error as the error of that login.
    pub(crate) async fn take(&self, login: &Login<'_>) -> Result<Option<Encrypted>, LoginError> {
        let is_for_it = |begun: &mut PendingConnection| {
            login.tls == TlsUse::Verified && begun.host == login.host && begun.port == login.port
        };
        let begun = self.0.lock().unwrap_or_else(PoisonError::into_inner).take_if(is_for_it);
        let Some(mut begun) = begun else { return Ok(None) };
        // `begun` stays alive during the await: dropping the caller's future aborts the connection.
        (&mut begun.connection).await.ok().transpose()
    }

    fn replace(&self, begun: Option<PendingConnection>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = begun;
    }
}

impl Drop for PendingConnection {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

#[cfg(test)]
mod tests {
    use rotation_database::{CaCertificates, Password};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn listener() -> (TcpListener, Server) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let authorities = CaCertificates::read(&|_| None).unwrap();
        (listener, Server { host: "127.0.0.1".into(), port, authorities })
    }

    async fn take(
        ahead: &Preconnect,
        server: &Server,
        port: u16,
        tls: TlsUse,
    ) -> Option<LoginError> {
        let (host, authorities) = (server.host.as_str(), &server.authorities);
        let password = Password::new("never sent");
        let login =
            Login { host, port, user: "u", password: &password, database: None, tls, authorities };
        ahead.take(&login).await.map(|taken| assert!(taken.is_none())).err()
    }

    #[tokio::test]
    async fn preconnect_serves_one_tls_login_and_reports_its_error() {
        let (listener, server) = listener().await;
        let ahead = Preconnect::default();
        ahead.begin(&server);
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; 8];
        stream.read_exact(&mut asked).await.unwrap();
        stream.write_all(b"N").await.unwrap();
        assert_eq!(take(&ahead, &server, 1, TlsUse::Verified).await, None);
        assert_eq!(take(&ahead, &server, server.port, TlsUse::Off).await, None);
        let error = take(&ahead, &server, server.port, TlsUse::Verified).await;
        assert_eq!(error, Some(LoginError::TlsNotOffered { keeps_password: true }));
        assert_eq!(take(&ahead, &server, server.port, TlsUse::Verified).await, None);
    }

    #[tokio::test]
    async fn preconnect_is_closed_at_step_end_and_next_start() {
        let (listener, server) = listener().await;
        let ahead = Preconnect::default();
        let next = |ahead: &Preconnect| ahead.begin(&server);
        for over in [&Preconnect::end as &dyn Fn(&Preconnect), &next] {
            ahead.begin(&server);
            let (mut stream, _) = listener.accept().await.unwrap();
            over(&ahead);
            // The client sends at most the TLS request before it closes the connection.
            assert!(stream.read_to_end(&mut Vec::new()).await.is_ok_and(|count| count <= 8));
        }
        ahead.end();
        assert_eq!(take(&ahead, &server, server.port, TlsUse::Verified).await, None);
    }
}
