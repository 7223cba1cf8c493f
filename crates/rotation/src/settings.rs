//! The settings from the environment. An invalid setting is an error that names the variable; it
//! never silently becomes a default.

use crate::error::{Error, Result};

pub use crate::environment::{Source, environment};

/// Reads a boolean: `true`, `1`, `y`, `yes`, or `false`, `0`, `n`, `no`, in any letter case.
///
/// # Errors
/// Returns [`Error::Setting`] for any other value.
pub fn boolean(source: Source<'_>, name: &'static str, default: bool) -> Result<bool> {
    let Some(value) = source(name) else { return Ok(default) };
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "y" | "yes" => Ok(true),
        "false" | "0" | "n" | "no" => Ok(false),
        _ => Err(Error::Setting { name, fault: format!("{value:?} is neither true nor false") }),
    }
}

/// Reads a whole number within a range.
///
/// # Errors
/// Returns [`Error::Setting`] for any other value.
pub fn number(
    source: Source<'_>,
    name: &'static str,
    default: u32,
    range: std::ops::RangeInclusive<u32>,
) -> Result<u32> {
    let Some(value) = source(name) else { return Ok(default) };
    match value.trim().parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(Error::Setting {
            name,
            fault: format!(
                "{value:?} is not a whole number from {} to {}",
                range.start(),
                range.end()
            ),
        }),
    }
}

/// Reads one of the given words, in any letter case.
///
/// # Errors
/// Returns [`Error::Setting`] for any other value.
pub fn choice<T: Copy>(
    source: Source<'_>,
    name: &'static str,
    choices: &[(&str, T)],
) -> Result<Option<T>> {
    let Some(value) = source(name) else { return Ok(None) };
    let found = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(value.trim()));
    match found {
        Some((_, choice)) => Ok(Some(*choice)),
        None => {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            Err(Error::Setting {
                name,
                fault: format!("{value:?} is not one of {}", words.join(", ")),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &'static str) -> impl Fn(&str) -> Option<String> + Sync {
        move |_| Some(text.to_owned())
    }

    #[test]
    fn boolean_accepts_only_known_spellings() {
        for yes in ["true", "TRUE", "1", "y", "Yes"] {
            assert!(boolean(&value(yes), "X", false).unwrap());
        }
        for no in ["false", "False", "0", "n", "NO"] {
            assert!(!boolean(&value(no), "X", true).unwrap());
        }
        let error = boolean(&value("maybe"), "EXCLUDE_NUMBERS", true).unwrap_err().to_string();
        assert!(error.contains("EXCLUDE_NUMBERS") && error.contains("maybe"), "{error}");
    }

    #[test]
    fn number_out_of_range_names_the_range() {
        let error = number(&value("3"), "PASSWORD_LENGTH", 32, 8..=128).unwrap_err().to_string();
        assert!(error.contains("PASSWORD_LENGTH") && error.contains("8 to 128"), "{error}");
    }
}
