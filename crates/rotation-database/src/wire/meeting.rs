//! The address of the socket through which a driver of this process gets its connection.

pub(super) use endpoint::{SocketAddress, is_same_process};

/// A name in the kernel's abstract namespace ([unix(7)][doc]). It needs no file: creating a file
/// would take longer than all other work of this module, and nothing remains after the process
/// ends. Any process on the machine can connect, so `is_same_process` checks the other side.
///
/// [doc]: https://man7.org/linux/man-pages/man7/unix.7.html
#[cfg(target_os = "linux")]
mod endpoint {
    use std::hash::{BuildHasher as _, RandomState};
    use std::io;
    use std::path::{Path, PathBuf};

    use tokio::net::UnixStream;

    #[derive(Debug)]
    pub(in crate::wire) struct SocketAddress(PathBuf);

    impl SocketAddress {
        pub(in crate::wire) fn new() -> io::Result<Self> {
            // Containers can share the namespace and can have equal process ids.
            let random = RandomState::new().hash_one(std::process::id());
            Ok(Self(format!("\0rotation-{random:016x}").into()))
        }

        /// Returns the beginning of the socket's address. It is a name, not a directory.
        pub(in crate::wire) fn prefix(&self) -> &Path {
            &self.0
        }
    }

    pub(in crate::wire) fn is_same_process(caller: &UnixStream) -> bool {
        let id = caller.peer_cred().ok().and_then(|peer| peer.pid());
        id.and_then(|id| u32::try_from(id).ok()) == Some(std::process::id())
    }
}

/// A file in a directory that only this user can access.
#[cfg(not(target_os = "linux"))]
mod endpoint {
    use std::fs::Permissions;
    use std::io;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use tempfile::TempDir;
    use tokio::net::UnixStream;

    #[derive(Debug)]
    pub(in crate::wire) struct SocketAddress(TempDir);

    impl SocketAddress {
        pub(in crate::wire) fn new() -> io::Result<Self> {
            let only_this_user = Permissions::from_mode(0o700);
            tempfile::Builder::new().prefix("wire-").permissions(only_this_user).tempdir().map(Self)
        }

        /// Returns the directory of the socket.
        pub(in crate::wire) fn prefix(&self) -> &Path {
            self.0.path()
        }
    }

    /// Always returns `true`, because only this user can open the directory.
    pub(in crate::wire) fn is_same_process(_caller: &UnixStream) -> bool {
        true
    }
}
