//! An encrypted connection that is made while the versions are still being read.
//!
//! The server is that of the step before. What the name, the connection and the handshake take would be added to each step
//! otherwise, and between `setSecret` and `finishSecret` applications may be locked out. No credential is needed for it, and no
//! message of PostgreSQL's own has been sent: a server does not log that it was not used.

use std::sync::{Mutex, PoisonError};

use rotation_database::{Encrypted, Login, LoginError, Server, TlsUse, dial};
use tokio::task::JoinHandle;

use crate::start_tls::start_tls;

/// At most one such connection.
#[derive(Debug, Default)]
pub(crate) struct Ahead(Mutex<Option<Begun>>);

#[derive(Debug)]
struct Begun {
    host: String,
    port: u16,
    connection: JoinHandle<Result<Encrypted, LoginError>>,
}

impl Ahead {
    pub(crate) fn begin(&self, server: &Server) {
        let Server { host, port, authorities } = server.clone();
        let (name, to) = (host.clone(), port);
        let connection =
            tokio::spawn(async move { start_tls(dial(&name, to).await?, &name, &authorities).await });
        self.replace(Some(Begun { host, port, connection }));
    }

    pub(crate) fn end(&self) {
        self.replace(None);
    }

    /// For the first login to that server. What has failed is told as that login's own failure.
    pub(crate) async fn take(&self, login: &Login<'_>) -> Option<Result<Encrypted, LoginError>> {
        let is_for_it = |begun: &mut Begun| {
            login.tls == TlsUse::Verified && begun.host == login.host && begun.port == login.port
        };
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner).take_if(is_for_it)?;
        // It ends with whoever waits for it.
        (&mut begun.connection).await.ok()
    }

    fn replace(&self, begun: Option<Begun>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = begun;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
