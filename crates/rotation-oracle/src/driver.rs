//! The driver blocks and may panic: it works on a thread of its own, and a panic becomes an error.

use std::any::Any;

use oracledb::Error;
use rotation_database::LoginError;

/// What became of a call of the driver.
#[derive(Debug)]
pub(crate) enum DriverError {
    /// It was not called at all.
    Refused(LoginError),
    /// An error.
    Error(Error),
    /// A panic, with its words.
    Panic(String),
}

/// Runs a call. Nobody need wait for its end: the thread goes on alone.
pub(crate) async fn run<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, DriverError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result.map_err(DriverError::Error),
        Err(error) => Err(DriverError::Panic(match error.try_into_panic() {
            Ok(payload) => words(&*payload),
            Err(_) => "the runtime is shutting down".to_owned(),
        })),
    }
}

fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no words").to_owned()
}
