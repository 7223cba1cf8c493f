//! Poolers and proxies that the setup cannot install. The tests send their messages in front of a
//! real server. Each module names the release that the messages are from.

pub mod pgcat;
pub mod proxysql;
