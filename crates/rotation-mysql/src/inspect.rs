//! For fuzz targets and benchmarks: what the server shows is read nowhere else from outside.

use crate::create_user;
use crate::grants;
use crate::tokens::tokens;

/// Reads a text as everything that a server shows of a user.
///
/// # Panics
/// When what was understood would not be written as it was read, or would be changed to become itself.
pub fn shown(text: &str) {
    if let Ok(read) = tokens(text) {
        let again = tokens(&create_user::render(&read));
        assert_eq!(again.as_ref(), Ok(&read), "{text:?} is written otherwise");
    }
    let rows: Vec<String> = text.lines().map(str::to_owned).collect();
    if let Ok(grants) = grants::parse(&rows) {
        assert!(grants.changes_to_become(&grants).is_empty(), "{text:?} differs from itself");
    }
    if let Ok(user) = create_user::parse(text) {
        assert!(user.clauses_to_become(&user).is_empty(), "{text:?} differs from itself");
    }
}
