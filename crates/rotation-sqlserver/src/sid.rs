//! The security identifier (SID) of an alternate user, by which the server shows to which base user
//! it belongs.
//!
//! It is derived from the base user's SID, so that it is the same on every replica of an
//! availability group. There, it connects the users in the databases with their login. A principal
//! that may create logins could create one with this SID, but it could also set the base user's
//! password.

use aws_lc_rs::digest::{SHA256, digest};

use crate::principal::Kind;

/// The bytes before the 16 bytes of a contained user's SID: S-1-9-3, as in the example of [CREATE
/// USER][doc].
///
/// [doc]: https://learn.microsoft.com/sql/t-sql/statements/create-user-transact-sql
const CONTAINED: [u8; 12] = [1, 5, 0, 0, 0, 0, 0, 9, 3, 0, 0, 0];

/// Returns the SID of the alternate user of a base user.
pub(crate) fn of_alternate(base: &[u8], kind: Kind) -> Vec<u8> {
    let source = [b"secrets-rotation: the alternate user of ", base].concat();
    let digest = digest(&SHA256, &source);
    let unique = &digest.as_ref()[..16];
    match kind {
        Kind::Login => unique.to_vec(),
        Kind::ContainedUser => [&CONTAINED, unique].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sid_of_alternate_user_never_changes() {
        let login = of_alternate(&[1; 16], Kind::Login);
        assert_eq!(crate::quote::binary(&login), "0x2EFB8FCB009C1ED29AF2296297C754E0");
        let contained = of_alternate(&[1; 16], Kind::ContainedUser);
        assert_eq!(contained, [&CONTAINED[..], &login].concat());
        assert_ne!(of_alternate(&[2; 16], Kind::Login), login);
    }
}
