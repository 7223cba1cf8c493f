//! Shortened lists in messages.

/// The maximum number of items of a list in a message.
const SHOWN: usize = 10;

/// Joins the first items of a list and adds the number of the others, so that a user with thousands
/// of privileges does not fill the log.
pub(crate) fn shortened(items: &[String], separator: &str) -> String {
    match items.len().checked_sub(SHOWN) {
        None | Some(0) => items.join(separator),
        Some(more) => format!("{}{separator}and {more} more", items[..SHOWN].join(separator)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_list_is_counted_and_shown_in_part() {
        let items = |count: usize| (1..=count).map(|item| item.to_string()).collect::<Vec<_>>();
        assert_eq!(shortened(&items(0), ", "), "");
        assert_eq!(shortened(&items(3), ", "), "1, 2, 3");
        assert_eq!(shortened(&items(10), "; "), "1; 2; 3; 4; 5; 6; 7; 8; 9; 10");
        assert_eq!(shortened(&items(2000), "; "), "1; 2; 3; 4; 5; 6; 7; 8; 9; 10; and 1990 more");
    }
}
