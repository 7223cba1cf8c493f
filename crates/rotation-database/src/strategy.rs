//! The strategies: which credential a rotation uses for which operation, and when it stops.

pub(crate) mod alternating;
pub(crate) mod deprecated;
pub(crate) mod earlier;
pub(crate) mod master_session;
pub(crate) mod poolers;
pub(crate) mod single_user;
pub(crate) mod single_user_by_master;
pub(crate) mod target_proof;
