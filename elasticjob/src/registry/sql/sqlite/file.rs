//! The file of the database: which it is, and whether it may be shared.
//!
//! Two processes that open a path may have different files: one was removed or replaced in between. Both would go on as
//! if alone. So a file is known by the numbers that the system gives it, and its path is looked up again before each
//! transaction.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;

/// Which file it is, under any name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    number: u64,
}

impl Identity {
    /// The file that has this name now.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::from_metadata(&fs::metadata(path)?))
    }

    /// The file that is open.
    pub(super) fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self::from_metadata(&file.metadata()?))
    }

    #[cfg(unix)]
    fn from_metadata(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;

        Self {
            device: metadata.dev(),
            number: metadata.ino(),
        }
    }

    /// Other systems do not let a file go that is open.
    #[cfg(not(unix))]
    fn from_metadata(_: &Metadata) -> Self {
        Self { device: 0, number: 0 }
    }
}

/// What kind of file system a folder is on, as far as locks depend on it.
///
/// It is asked of the system on Linux and Android. Elsewhere every folder is taken to be local.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Locks hold between all processes that see the file.
    Local,
    /// Shared with other machines, which do not see our locks or our memory.
    Network(&'static str),
    /// A program serves it: locks may hold or not.
    Unknown(&'static str),
}

impl Place {
    /// The place of a folder.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let kind = rustix::fs::statfs(folder)?.f_type;
        // The numbers have 32 bits, in a field whose type depends on the machine.
        Ok(Self::of_kind(kind as u32))
    }

    /// The place of a folder: nothing is known here.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn of(_folder: &Path) -> io::Result<Self> {
        Ok(Self::Local)
    }

    /// The kinds of `statfs(2)`.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn of_kind(kind: u32) -> Self {
        match kind {
            0x6969 => Self::Network("NFS"),
            0x517b | 0xff53_4d42 | 0xfe53_4d42 => Self::Network("SMB"),
            0x0102_1997 => Self::Network("9P"),
            0x00c3_6400 => Self::Network("Ceph"),
            0x5346_414f | 0x6b41_4653 => Self::Network("AFS"),
            0x0bd0_0bd0 => Self::Network("Lustre"),
            0x0116_1970 => Self::Network("GFS2"),
            0x7461_636f => Self::Network("OCFS2"),
            0x6573_5546 => Self::Unknown("FUSE"),
            0x6a65_6a63 => Self::Unknown("virtiofs"),
            _ => Self::Local,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinguishes_a_file_that_replaced_another() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&path, "").unwrap();
        fs::write(&other, "").unwrap();
        let identity = Identity::of(&path).unwrap();
        assert_eq!(Identity::of_file(&File::open(&path).unwrap()).unwrap(), identity);
        fs::rename(&other, &path).unwrap();
        assert_ne!(Identity::of(&path).unwrap(), identity);
        fs::remove_file(&path).unwrap();
        assert!(Identity::of(&path).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn file_systems_of_networks_should_be_known() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Place::of(folder.path()).unwrap(), Place::Local);
        assert_eq!(Place::of_kind(0x6969), Place::Network("NFS"));
        assert_eq!(Place::of_kind(0xff53_4d42), Place::Network("SMB"));
        assert_eq!(Place::of_kind(0xef53), Place::Local);
    }
}
