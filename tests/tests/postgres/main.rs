//! PostgreSQL, end to end: the real function, real servers, TLS.

mod failures;
mod impostors;
mod manager;
mod names;
mod ordinary;
mod privileges;
mod quoting;
mod recovery;
