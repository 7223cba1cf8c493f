//! The log on stdout: JSON if Lambda's logging configuration asks for it. All known secrets are
//! redacted.

use std::io::{self, Write};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::prelude::*;

use crate::redact::mask_line;
use crate::settings::Source;

/// Starts logging with the format of `AWS_LAMBDA_LOG_FORMAT` and the level of
/// `AWS_LAMBDA_LOG_LEVEL` ([advanced logging controls][doc]).
///
/// [doc]: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html
pub(crate) fn start(source: Source<'_>) {
    let level = source("AWS_LAMBDA_LOG_LEVEL")
        .and_then(|level| level.parse().ok())
        .unwrap_or(LevelFilter::INFO);
    // At debug and trace level, drivers and the runtime log statements and raw events. These stay
    // off at any setting. The runtime's own line for a failed invocation would repeat ours.
    let filter = Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_target("rotation", level)
        .with_target("sqlx", LevelFilter::ERROR)
        .with_target("lambda_runtime::layers", LevelFilter::OFF);
    let json =
        source("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json"));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(MaskedStdout::new)
        .with_target(false)
        .with_ansi(false);
    let registry = tracing_subscriber::registry().with(filter);
    // If a subscriber is installed already, it stays in use.
    let _ = if json {
        registry
            .with(
                lines
                    .json()
                    .flatten_event(true)
                    .with_span_list(false)
                    .with_span_events(FmtSpan::NONE),
            )
            .try_init()
    } else {
        registry.with(lines).try_init()
    };
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(
            target: "rotation",
            at,
            "panic: {}",
            crate::mask(&panic_message(panic.payload()))
        );
    }));
}

/// Returns the message of a panic, or "no message".
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// Writes one line to stdout, redacted.
pub(crate) fn write_line(line: &str) {
    let mut stdout = MaskedStdout::new();
    // A closed stdout must not fail a rotation.
    let _ = stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.write_all(b"\n"))
        .and_then(|()| stdout.flush());
}

/// A writer to stdout that redacts secrets. The subscriber writes a whole line at a time.
struct MaskedStdout(io::Stdout);

impl MaskedStdout {
    fn new() -> Self {
        Self(io::stdout())
    }
}

impl Write for MaskedStdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        self.0.write_all(mask_line(&line).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
