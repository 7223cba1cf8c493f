//! A rotation function: a program that this process runs with its own Runtime API, or the Invoke
//! endpoint of another server.

mod process;
mod runtime_api;

use std::time::Duration;

use serde_json::Value;

pub use process::Program;

/// The error of a failed invocation, as Lambda reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionError {
    /// The kind of the error, as in Lambda's field `errorType`.
    pub error_type: String,
    /// The description of the error, as in Lambda's field `errorMessage`.
    pub message: String,
}

impl FunctionError {
    pub(crate) fn new(error_type: &str, message: impl Into<String>) -> Self {
        Self { error_type: error_type.to_owned(), message: message.into() }
    }

    fn from_json(error: &Value) -> Self {
        let text =
            |name: &str| error.get(name).and_then(Value::as_str).unwrap_or("(none)").to_owned();
        Self { error_type: text("errorType"), message: text("errorMessage") }
    }
}

/// The default timeout of an invocation.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// A function that can be invoked.
#[derive(Debug)]
pub enum Function {
    /// A program, which starts when it is first invoked.
    Program(Box<Program>),
    /// The base URL of a Lambda Invoke endpoint (`sam local start-lambda`, `cargo lambda watch`,
    /// the Runtime Interface Emulator), and the function's name at the endpoint.
    Url {
        /// The base URL, such as `http://127.0.0.1:3001`.
        base: String,
        /// The function's name, such as `PostgreSQLSingleUser`. The emulator accepts `function`.
        name: String,
    },
}

impl From<Program> for Function {
    fn from(program: Program) -> Self {
        Self::Program(Box::new(program))
    }
}

impl Function {
    /// Parses a path, a command line for a shell, or a URL with an optional `#NAME`.
    ///
    /// # Errors
    /// Returns a message for the user if the program does not exist.
    pub fn parse(text: &str, name: &str) -> Result<Self, String> {
        if text.starts_with("http://") || text.starts_with("https://") {
            let (base, own_name) = text.split_once('#').unwrap_or((text, name));
            // A complete Invoke URL is also accepted.
            let base = base.split("/2015-03-31/").next().unwrap_or(base).trim_end_matches('/');
            return Ok(Self::Url { base: base.to_owned(), name: own_name.to_owned() });
        }
        if let Ok(path) = std::path::absolute(text)
            && path.exists()
        {
            return Ok(Program::new(path).into());
        }
        // If the first word is not a program, the text is probably the path of a missing file,
        // which can contain spaces.
        match text.split_whitespace().next() {
            Some(first) if text.trim() != first && is_program(first) => {
                Ok(Program::command(text).into())
            }
            _ => Err(format!(
                "there is no file {text}, and its first word is not a program; build the function \
                 first (cargo build --release)"
            )),
        }
    }

    /// Invokes the function with an event and waits for its response.
    ///
    /// # Errors
    /// Returns the function's error, or an error if the function could not be reached.
    pub async fn invoke(&self, event: &Value) -> Result<Value, FunctionError> {
        match self {
            Self::Program(program) => program.invoke(event).await,
            Self::Url { base, name } => invoke_url(base, name, event).await,
        }
    }
}

/// Returns `true` if a shell finds a program by this name, or might find one.
fn is_program(word: &str) -> bool {
    // Only the shell can resolve a quoted word, a variable or an assignment.
    if word.contains(['"', '\'', '\\', '$', '=']) {
        return true;
    }
    if word.contains('/') {
        return std::path::Path::new(word).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(word).is_file())
}

/// Calls the [Invoke](https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html) operation of
/// an emulator.
async fn invoke_url(base: &str, name: &str, event: &Value) -> Result<Value, FunctionError> {
    let url = format!("{base}/2015-03-31/functions/{name}/invocations");
    let unreachable = |error: reqwest::Error| {
        FunctionError::new(
            "Local.FunctionUnreachable",
            format!("could not reach {url}: {error}. Check that the function's server is running."),
        )
    };
    // If another crate enables reqwest's TLS feature, creating a client requires a TLS provider.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().map_err(unreachable)?;
    let answer =
        client.post(&url).timeout(TIMEOUT * 2).json(event).send().await.map_err(unreachable)?;
    let failed = answer.headers().contains_key("x-amz-function-error");
    let status = answer.status();
    let text = answer.text().await.map_err(unreachable)?;
    let body: Option<Value> = serde_json::from_str(&text).ok();
    match body {
        Some(body) if failed || body.get("errorType").is_some() => {
            Err(FunctionError::from_json(&body))
        }
        Some(body) if status.is_success() => Ok(body),
        _ if status.is_success() => Err(FunctionError::new(
            "Local.NotJson",
            format!("{url} answered {status} with a body that is not JSON: {}", shortened(&text)),
        )),
        // The endpoint failed, not the function. SAM answers 404 with the names of its functions.
        _ => Err(FunctionError::new(
            "Local.EndpointFailed",
            format!(
                "{url} answered {status}: {}. Set the function's name at this endpoint with \
                 --function URL#NAME.",
                shortened(&text)
            ),
        )),
    }
}

/// Returns the beginning of a response on one line.
fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(600) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None if line.is_empty() => "(no text)".to_owned(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_is_a_path_a_command_line_or_a_url() {
        let url = |text: &str| match Function::parse(text, "app").unwrap() {
            Function::Url { base, name } => (base, name),
            Function::Program(program) => panic!("{program:?}"),
        };
        assert_eq!(url("http://127.0.0.1:3001/"), ("http://127.0.0.1:3001".into(), "app".into()));
        assert_eq!(url("http://127.0.0.1:3001#A"), ("http://127.0.0.1:3001".into(), "A".into()));

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("with a blank");
        std::fs::write(&path, "").unwrap();
        let program = |text: &str| match Function::parse(text, "app").unwrap() {
            Function::Program(program) => format!("{program:?}"),
            Function::Url { base, .. } => panic!("{base}"),
        };
        assert!(program(&path.to_string_lossy()).contains("with a blank"));
        assert!(program("sh -c 'exit 3'").contains("/bin/sh"));
        for missing in
            ["/no/such/file", "/no/such/program --option", "no-such-program-here -m x", "", "  "]
        {
            let message = Function::parse(missing, "app").unwrap_err();
            assert!(message.contains("build the function first"), "{message}");
        }
    }
}
