//! A server's own answers, in turn with the fuzzer.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    // Two crates of the build ask for one, and neither for the other's.
    rotation_tests::found::use_one_tls_provider();
    Builder::new_current_thread().enable_all().build().unwrap()
});

/// Sessions of one kind, one for each server, opened at the first use.
pub struct Sessions<S>(RefCell<Vec<S>>);

impl<S> Sessions<S> {
    /// None yet.
    pub const fn none() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    /// Runs a check on each.
    pub fn each(
        &self,
        open: impl Future<Output = Vec<S>>,
        mut check: impl for<'a> FnMut(&'a mut S) -> Pin<Box<dyn Future<Output = ()> + 'a>>,
    ) {
        let mut sessions = self.0.borrow_mut();
        if sessions.is_empty() {
            *sessions = RUNTIME.block_on(open);
            assert!(!sessions.is_empty(), "no server: run it by make fuzz");
        }
        for session in &mut *sessions {
            RUNTIME.block_on(check(session));
        }
    }
}
