//! The classification of the errors of AWS services, by their codes and by the SDK's error types.

use std::{io, iter};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};

use crate::error::Error;

/// The cause of an SDK error.
type Source = dyn std::error::Error + 'static;

/// Converts an SDK error into an [`Error`], by the error code of the service. `action` is the IAM
/// action, and `resource` is its resource.
pub fn refused<E>(error: &SdkError<E>, action: &str, resource: &str, endpoint: &str) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let (action, resource) = (action.to_owned(), resource.to_owned());
    let SdkError::ServiceError(context) = error else {
        let why = crate::mask(&messages(error)).into_owned();
        let endpoint = endpoint.to_owned();
        return if causes(error).any(|cause| cause.is::<CredentialsError>()) {
            Error::AwsCredentials { action, message: why }
        } else if matches!(error, SdkError::ConstructionFailure(_)) {
            // The request was not sent: the client is misconfigured.
            Error::Service { action, code: "the request could not be built".into(), message: why }
        } else if causes(error).any(is_certificate_error) {
            Error::CertificateRejected { endpoint, action, why }
        } else {
            Error::Unreachable { endpoint, action, why }
        };
    };
    let meta = context.err().meta();
    let message = crate::mask(meta.message().unwrap_or("no message")).into_owned();
    let code = meta.code().unwrap_or("unknown error");
    match code {
        "AccessDeniedException" if message.contains("Access to KMS is not allowed") => {
            Error::Kms { action, resource, message }
        }
        "DecryptionFailure"
        | "EncryptionFailure"
        | "KMSAccessDeniedException"
        | "KMSInvalidStateException"
        | "KMSDisabledException"
        | "KMSNotFoundException" => Error::Kms { action, resource, message },
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" => {
            Error::AccessDenied { action, resource, message }
        }
        "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded" => Error::Throttled { action, message },
        // The code is the same for other states of a secret.
        "InvalidRequestException"
            if message.contains("marked for deletion")
                || message.contains("scheduled for deletion") =>
        {
            Error::MarkedForDeletion { action, message }
        }
        "ResourceNotFoundException" => Error::NotFound { what: format!("secret {resource}") },
        "UnrecognizedClientException"
        | "ExpiredTokenException"
        | "ExpiredToken"
        | "InvalidSignatureException"
        | "InvalidClientTokenId"
        | "MissingAuthenticationTokenException" => {
            Error::AwsCredentials { action, message: format!("{code}: {message}") }
        }
        _ => Error::Service { action, code: code.to_owned(), message },
    }
}

/// Returns the messages of an error and its causes. It does not use their `Debug` output, because
/// that of a request contains the body.
fn messages(error: &Source) -> String {
    let mut words = Vec::new();
    for message in causes(error).map(ToString::to_string) {
        // Some errors repeat the message of their source, and a transport error can show the
        // request.
        if !words.contains(&message) && !message.contains("SdkBody") {
            words.push(message);
        }
    }
    words.join(": ")
}

/// Returns an error and its causes.
fn causes(error: &Source) -> impl Iterator<Item = &Source> {
    iter::successors(Some(error), |error| {
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            // `source()` of an I/O error skips the error that it wraps.
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    })
}

fn is_certificate_error(error: &Source) -> bool {
    matches!(
        error.downcast_ref::<rustls::Error>(),
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)
    )
}
