//! A problem of a secret's value.

/// A problem of the value of a secret: what is wrong, and how to correct it. It contains names of
/// keys, but no password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretProblem {
    /// The value is not JSON.
    #[error("it is not JSON ({0})")]
    NotJson(
        /// The position of the syntax error.
        String,
    ),
    /// The value is text in UTF-16.
    #[error(
        "it is not JSON but text in UTF-16, as PowerShell writes files (save the file as UTF-8)"
    )]
    Utf16,
    /// The value is JSON, but not an object.
    #[error("it is JSON, but not an object of keys and values")]
    NotAnObject,
    /// The value is a JSON string that contains an object.
    #[error(
        "it is a JSON string that contains an object, because it was converted to JSON twice \
         (store the object itself)"
    )]
    DoublyEncoded,
    /// The keys are in an object inside the secret.
    #[error("the keys are inside \"{key}\" (store the value of that key as the secret's value)")]
    Nested {
        /// The key with the nested object.
        key: String,
    },
    /// A key that a rotation reads occurs twice.
    #[error("\"{key}\" occurs twice, and programs differ in which one they read (keep one)")]
    Duplicate {
        /// The key that occurs more than once.
        key: String,
    },
    /// A required key is missing.
    #[error("\"{key}\" is missing{}", hint(key, instead.as_ref()))]
    Missing {
        /// The key that the engine's schema requires.
        key: &'static str,
        /// A similar key of the secret that probably should have this name.
        instead: Option<SimilarKey>,
    },
    /// A required key has an empty value.
    #[error("\"{key}\" is empty")]
    Empty {
        /// The key with the empty value.
        key: &'static str,
    },
    /// The value of a key cannot be used.
    #[error("\"{key}\" {problem}")]
    Unusable {
        /// The key with the value.
        key: &'static str,
        /// The rest of a sentence that begins with the key.
        problem: String,
    },
    /// The server of a master secret that RDS manages cannot be found out.
    #[error("{0}")]
    Server(
        /// The reason, as a sentence about the master secret.
        String,
    ),
}

impl SecretProblem {
    /// Creates the problem of a value that cannot be used, from the rest of a sentence that begins
    /// with the key.
    pub(crate) fn unusable(key: &'static str, problem: impl Into<String>) -> Self {
        Self::Unusable { key, problem: problem.into() }
    }

    /// Returns the key that has the problem, if it is one that a rotation reads.
    pub(crate) fn key(&self) -> Option<&'static str> {
        match self {
            Self::Missing { key, .. } | Self::Empty { key } | Self::Unusable { key, .. } => {
                Some(key)
            }
            _ => None,
        }
    }
}

/// A key that is in the secret instead of a required one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SimilarKey {
    /// The key in other letter case or with white space.
    OtherSpelling(String),
    /// A name that other tools use for the key.
    Alias(String),
}

/// Returns the rest of the message about a missing key.
fn hint(key: &str, instead: Option<&SimilarKey>) -> String {
    match instead {
        None => String::new(),
        Some(SimilarKey::OtherSpelling(found)) => {
            format!(" (there is \"{found}\": letter case matters)")
        }
        Some(SimilarKey::Alias(found)) => {
            format!(" (there is \"{found}\": rename it to \"{key}\")")
        }
    }
}

/// Joins the problems of a secret to one text. Several problems are numbered, because the text of a
/// problem can contain every separator.
pub(crate) fn join(problems: &[SecretProblem]) -> String {
    match problems {
        [only] => only.to_string(),
        several => {
            let numbered =
                (1..).zip(several).map(|(number, problem)| format!("({number}) {problem}"));
            numbered.collect::<Vec<_>>().join("; ")
        }
    }
}
