//! Sessions to real servers, whose parsers check what the fuzzer generates.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    // Two crates of the build each enable a different TLS provider, and rustls needs one of them
    // installed.
    rotation_tests::discovery::use_one_tls_provider();
    Builder::new_current_thread().enable_all().build().unwrap()
});

/// Sessions of one type: one for each server, opened at the first use.
pub struct Sessions<S>(RefCell<Vec<S>>);

impl<S> Sessions<S> {
    /// Creates the set without any session.
    pub const fn none() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    /// Runs a check in each session. Opens the sessions first if there are none.
    pub fn each(
        &self,
        open: impl Future<Output = Vec<S>>,
        mut check: impl for<'a> FnMut(&'a mut S) -> Pin<Box<dyn Future<Output = ()> + 'a>>,
    ) {
        let mut sessions = self.0.borrow_mut();
        if sessions.is_empty() {
            *sessions = RUNTIME.block_on(open);
            assert!(!sessions.is_empty(), "there is no server: run make fuzz");
        }
        for session in &mut *sessions {
            RUNTIME.block_on(check(session));
        }
    }
}
