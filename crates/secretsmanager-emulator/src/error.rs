//! The errors of the service, with the exception names that the SDKs know.

use serde_json::json;

/// An error response of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceError {
    /// The exception's name, such as `ResourceNotFoundException`.
    pub code: String,
    /// The text for the user.
    pub message: String,
    /// The HTTP status code.
    pub status: u16,
}

impl ServiceError {
    /// Creates an exception with HTTP status 400, which nearly all exceptions have.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), status: 400 }
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self { code: "InternalServiceError".into(), message: message.into(), status: 500 }
    }

    pub(crate) fn not_found() -> Self {
        Self::new("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    }

    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    pub(crate) fn request(message: impl Into<String>) -> Self {
        Self::new("InvalidRequestException", message)
    }

    pub(crate) fn exists(message: impl Into<String>) -> Self {
        Self::new("ResourceExistsException", message)
    }

    pub(crate) fn body(&self) -> String {
        json!({"__type": self.code, "Message": self.message}).to_string()
    }
}

impl std::fmt::Display for ServiceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for ServiceError {}
