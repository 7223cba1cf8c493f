//! An encrypted connection that is made while the versions are still being read.
//!
//! The server is that of the step before. What the name, the connection and the handshake take
//! would be added to each step otherwise, and between `setSecret` and `finishSecret` applications
//! may be locked out. No credential is needed for it, and no message of PostgreSQL's own has been
//! sent: a server logs at most that a handshake was broken off.
//!
//! Who wants in is not told ahead, although that would save a millisecond more: a server looks the
//! user's password up at once (`get_role_password`), and would let in, or refuse, by what was in
//! force before the versions were read. Nor does the connection take one of its `max_connections`
//! until then.

use std::sync::{Mutex, PoisonError};

use rotation_database::{Encrypted, Login, LoginError, Server, TlsUse, dial};
use tokio::task::JoinHandle;

use crate::start_tls::start_tls;

/// At most one such connection.
#[derive(Debug, Default)]
pub(crate) struct Preconnect(Mutex<Option<PendingConnection>>);

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

    /// For the first login to that server. What has failed is told as that login's own failure.
    pub(crate) async fn take(&self, login: &Login<'_>) -> Result<Option<Encrypted>, LoginError> {
        let is_for_it = |begun: &mut PendingConnection| {
            login.tls == TlsUse::Verified && begun.host == login.host && begun.port == login.port
        };
        let begun = self.0.lock().unwrap_or_else(PoisonError::into_inner).take_if(is_for_it);
        let Some(mut begun) = begun else { return Ok(None) };
        // It ends with whoever waits for it.
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
    use rotation_database::{Authorities, Password};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn listener() -> (TcpListener, Server) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let authorities = Authorities::read(&|_| None).unwrap();
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
    async fn it_is_for_one_login_to_that_server_over_tls_and_tells_its_failure() {
        let (listener, server) = listener().await;
        let ahead = Preconnect::default();
        ahead.begin(&server);
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; 8];
        stream.read_exact(&mut asked).await.unwrap();
        stream.write_all(b"N").await.unwrap();
        assert_eq!(take(&ahead, &server, 1, TlsUse::Verified).await, None);
        assert_eq!(take(&ahead, &server, server.port, TlsUse::Off).await, None);
        let told = take(&ahead, &server, server.port, TlsUse::Verified).await;
        assert_eq!(told, Some(LoginError::TlsNotOffered { keeps_password: true }));
        assert_eq!(take(&ahead, &server, server.port, TlsUse::Verified).await, None);
    }

    #[tokio::test]
    async fn nothing_is_left_when_the_step_is_over_or_the_next_one_begins() {
        let (listener, server) = listener().await;
        let ahead = Preconnect::default();
        let next = |ahead: &Preconnect| ahead.begin(&server);
        for over in [&Preconnect::end as &dyn Fn(&Preconnect), &next] {
            ahead.begin(&server);
            let (mut stream, _) = listener.accept().await.unwrap();
            over(&ahead);
            // The request for TLS, perhaps, and the end.
            assert!(stream.read_to_end(&mut Vec::new()).await.is_ok_and(|count| count <= 8));
        }
        ahead.end();
        assert_eq!(take(&ahead, &server, server.port, TlsUse::Verified).await, None);
    }
}
