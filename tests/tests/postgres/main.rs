//! PostgreSQL, end to end: the real function, real servers, TLS.

mod ordinary;
