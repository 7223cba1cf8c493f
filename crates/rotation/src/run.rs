//! The entry point: it runs a rotator as a Lambda function.

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;
use tracing::Instrument;

use crate::error::{Error, Result};
use crate::event::{Event, VersionId};
use crate::manager::Manager;
use crate::record::Record;
use crate::rotator::{Labels, Rotator};
use crate::settings::{Source, environment};
use crate::{log, metrics, redact, steps};

/// Runs a rotator as a Lambda function until Lambda shuts down the environment. A `main` needs only
/// this call.
///
/// `make` reads the settings and creates the rotator. If it fails, the function still runs, and
/// every invocation returns the error. For a function that exits at startup, Lambda would only
/// report "exited before completing request".
pub fn run<R: Rotator>(make: impl FnOnce(Source<'_>) -> Result<R>) -> ExitCode {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        eprintln!("{}", usage_message());
        return ExitCode::from(2);
    }
    redact::register_credentials(&environment);
    log::start(&environment);
    // The SDK and the drivers share this TLS provider. Without it, some drivers panic.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            log::write_line(&format!("could not start the async runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let rotator = make(&environment);
    // The function runs as a separate task, because each wake-up of the runtime's outermost future
    // costs a system call.
    let served = runtime.block_on(async { tokio::spawn(serve(rotator)).await });
    served.unwrap_or(ExitCode::FAILURE)
}

async fn serve<R: Rotator>(rotator: Result<R>) -> ExitCode {
    let function = match (rotator, Manager::from_environment(&environment).await) {
        (Ok(rotator), Ok(manager)) => Ok(Function { rotator, manager }),
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    let function = Arc::new(function);
    let handler = service_fn(move |event: LambdaEvent<Value>| {
        let function = Arc::clone(&function);
        async move {
            let (event, context) = event.into_parts();
            let answer = match &*function {
                Ok(function) => function.invoke(&event, context.deadline()).await,
                Err(error) => Err(configuration_error(error, Event::parse(&event).ok().as_ref())),
            };
            redact::forget();
            answer
        }
    });
    match lambda_runtime::run(handler).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::write_line(&format!("the Lambda runtime stopped: {error}"));
            ExitCode::FAILURE
        }
    }
}

struct Function<R> {
    rotator: R,
    manager: Manager,
}

impl<R: Rotator> Function<R> {
    async fn invoke(
        &self,
        event: &Value,
        deadline: std::time::SystemTime,
    ) -> Result<Record, Diagnostic> {
        let event = Event::parse(event).map_err(|error| report(&error, None))?;
        let rotator = &self.rotator;
        let span = tracing::info_span!(target: "rotation", "step", step = event.step.name(),
            secret = event.secret_id, version = event.version.as_ref().map(VersionId::as_str));
        let start = Instant::now();
        let step = AssertUnwindSafe(steps::perform(rotator, &self.manager, &event, deadline));
        let result = async {
            let result = step.catch_unwind().await.unwrap_or_else(|panic| {
                let message = redact::mask(&log::panic_message(&*panic)).into_owned();
                Err(Error::Panicked { message })
            });
            match result {
                Ok(record) => {
                    record
                        .notes
                        .iter()
                        .for_each(|note| tracing::warn!(target: "rotation", "{note}"));
                    tracing::info!(target: "rotation", outcome = ?record.outcome, "{}", record.did);
                    Ok(record)
                }
                Err(error) => Err(report(&error, Some(&event))),
            }
        }
        .instrument(span)
        .await;
        let error_type = result.as_ref().err().map(|diagnostic| diagnostic.error_type.as_str());
        let labels = rotator.labels();
        let line =
            metrics::line(&labels, event.step, &event.secret_id, start.elapsed(), error_type);
        log::write_line(&line.to_string());
        result
    }
}

/// Returns the error of a function whose configuration is invalid, and writes the metrics of the
/// failed step.
fn configuration_error(error: &Error, event: Option<&Event>) -> Diagnostic {
    if let Some(event) = event {
        let labels = Labels { engine: "unknown".into(), strategy: "unknown".into() };
        let error_type = Some(error.error_type());
        let line = metrics::line(&labels, event.step, &event.secret_id, Duration::ZERO, error_type);
        log::write_line(&line.to_string());
    }
    report(error, event)
}

/// Logs an error and converts it into Lambda's response.
fn report(error: &Error, event: Option<&Event>) -> Diagnostic {
    let diagnostic = Diagnostic {
        error_type: error.error_type().to_owned(),
        error_message: error.explain(event.map(|e| e.step), event.map(|e| e.secret_id.as_str())),
    };
    tracing::error!(
        target: "rotation",
        error_type = diagnostic.error_type,
        "{}",
        diagnostic.error_message
    );
    diagnostic
}

/// Returns the usage message for an operator who starts the function as a command.
fn usage_message() -> String {
    let program = std::env::args().next().unwrap_or_else(|| "this program".to_owned());
    format!(
        "{program} is an AWS Lambda function ({} {}). Secrets Manager invokes it.\n\
         To run it on this machine against your own database:\n  \
         rotation-local rotate --function {program} --secret secret.json",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_VERSION"),
    )
}

#[cfg(test)]
mod tests {
    use aws_smithy_mocks::{RuleMode, mock_client};
    use serde_json::json;

    use super::*;
    use crate::context::Context;
    use crate::mocks::{described, value};
    use crate::record::Done;
    use crate::rotator::Versions;
    use crate::secret::{Password, SecretValue};

    /// A rotator with a bug.
    struct Panics;

    impl Rotator for Panics {
        fn labels(&self) -> Labels {
            Labels { engine: "test".into(), strategy: "test".into() }
        }

        async fn create(
            &self,
            _: &Context<'_>,
            current: &SecretValue,
            _: Option<Password>,
        ) -> crate::Result<SecretValue> {
            let password = Password::new(current.expose());
            panic!("cannot use {}", password.expose())
        }

        async fn set(&self, _: &Context<'_>, _: &Versions) -> crate::Result<Done> {
            unreachable!()
        }

        async fn test(&self, _: &Context<'_>, _: &SecretValue) -> crate::Result<Done> {
            unreachable!()
        }
    }

    #[tokio::test]
    async fn panic_is_reported_without_the_secret() {
        let rules = [
            &described(&["AWSPENDING"]),
            &value("AWSCURRENT", Some("pw-of-the-panic")),
            &value("AWSPENDING", None),
        ];
        let client = mock_client!(aws_sdk_secretsmanager, RuleMode::MatchAny, rules);
        let function = Function { rotator: Panics, manager: Manager::new(client, "mock") };
        let event = json!({"Step": "createSecret", "SecretId": "s", "ClientRequestToken": "new"});
        let deadline = std::time::SystemTime::now() + Duration::from_secs(10);

        let error = function.invoke(&event, deadline).await.unwrap_err();
        assert_eq!(error.error_type, "Panicked", "{}", error.error_message);
        let message = error.error_message;
        assert!(message.contains("cannot use ***"), "{message}");
        assert!(!message.contains("pw-of-the-panic"), "{message}");
    }
}
