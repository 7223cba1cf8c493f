//! Runs calls of the driver on a separate thread, because they block, and returns their panics as
//! errors.

use std::any::Any;
use std::time::Duration;

use oracledb::Error;
use rotation_database::LoginError;

/// The timeout of one call.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The failure of a driver call.
#[derive(Debug)]
pub(crate) enum DriverError {
    /// An error before the driver was called.
    Refused(LoginError),
    /// An error of the driver.
    Error(Error),
    /// The message of a panic.
    Panic(String),
    /// The session or the driver's thread has already ended.
    Ended(&'static str),
}

/// Runs a call. If the caller stops waiting, the thread still completes the call.
pub(crate) async fn run<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, DriverError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result.map_err(DriverError::Error),
        Err(error) => Err(match error.try_into_panic() {
            Ok(payload) => DriverError::Panic(words(&*payload)),
            Err(_) => DriverError::Ended("the runtime is shutting down"),
        }),
    }
}

fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}
