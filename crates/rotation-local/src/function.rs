//! A rotation function: a program under a Runtime API of our own, or somebody else's Invoke endpoint.

mod process;
mod runtime_api;

use std::time::Duration;

use serde_json::Value;

pub use process::Program;

/// Why an invocation failed, as Lambda reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionError {
    /// Lambda's `errorType`.
    pub error_type: String,
    /// Lambda's `errorMessage`.
    pub message: String,
}

impl FunctionError {
    pub(crate) fn new(error_type: &str, message: impl Into<String>) -> Self {
        Self { error_type: error_type.to_owned(), message: message.into() }
    }

    fn from_json(error: &Value) -> Self {
        let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or("(none)").to_owned();
        Self { error_type: text("errorType"), message: text("errorMessage") }
    }
}

/// Lambda's default time-out for these functions.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// Something that can be invoked.
#[derive(Debug)]
pub enum Function {
    /// A program, started when first invoked.
    Program(Box<Program>),
    /// The base URL of a Lambda Invoke endpoint (`sam local start-lambda`, `cargo lambda watch`, the Runtime
    /// Interface Emulator) and the function's name there.
    Url {
        /// Such as `http://127.0.0.1:3001`.
        base: String,
        /// Such as `PostgreSQLSingleUser`; the emulator takes `function`.
        name: String,
    },
}

impl From<Program> for Function {
    fn from(program: Program) -> Self {
        Self::Program(Box::new(program))
    }
}

impl Function {
    /// Reads `PATH`, or `URL` with an optional `#NAME`.
    pub fn parse(text: &str, name: &str) -> Self {
        if text.starts_with("http://") || text.starts_with("https://") {
            let (base, own_name) = text.split_once('#').unwrap_or((text, name));
            // A whole Invoke URL is taken as well.
            let base = base.split("/2015-03-31/").next().unwrap_or(base).trim_end_matches('/');
            Self::Url { base: base.to_owned(), name: own_name.to_owned() }
        } else {
            Program::new(text).into()
        }
    }

    /// Invokes the function with an event and waits for its answer.
    ///
    /// # Errors
    /// The function's error, or that it could not be reached.
    pub async fn invoke(&self, event: &Value) -> Result<Value, FunctionError> {
        match self {
            Self::Program(program) => program.invoke(event).await,
            Self::Url { base, name } => invoke_url(base, name, event).await,
        }
    }
}

/// [Invoke](https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html), as the emulators serve it.
async fn invoke_url(base: &str, name: &str, event: &Value) -> Result<Value, FunctionError> {
    let url = format!("{base}/2015-03-31/functions/{name}/invocations");
    let unreachable = |error: reqwest::Error| {
        FunctionError::new(
            "Local.FunctionUnreachable",
            format!("{url}: {error}. Is the function's server running?"),
        )
    };
    // Where another crate has turned reqwest's TLS on, a client is not made without.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().map_err(unreachable)?;
    let answer = client.post(&url).timeout(TIMEOUT * 2).json(event).send().await.map_err(unreachable)?;
    let failed = answer.headers().contains_key("x-amz-function-error");
    let status = answer.status();
    let body = answer.text().await.map_err(unreachable)?;
    let body: Value = serde_json::from_str(&body).map_err(|_| {
        FunctionError::new("Local.NotJson", format!("{url} answered {status} with something else than JSON"))
    })?;
    if failed || body.get("errorType").is_some() || !status.is_success() {
        return Err(FunctionError::from_json(&body));
    }
    Ok(body)
}
