//! Where text comes in: no more of it than is taken, and without a byte order mark.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// A configuration in the registry has no more bytes: ZooKeeper holds no more in a node, unless an operator has raised its
/// limit.
pub const LARGEST_STORED: usize = 1 << 20;

/// A file of settings has no more bytes: ten thousand jobs of twenty settings fit.
pub const LARGEST_FILE: usize = 16 << 20;

/// Reads a file of at most this many bytes, without a byte order mark at its beginning.
///
/// # Errors
/// If it cannot be read, is not UTF-8, or has more bytes. No more of it is read then.
pub fn read(path: &Path, most: usize) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        let problem = format!("it has more than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let byte = error.utf8_error().valid_up_to();
        io::Error::new(io::ErrorKind::InvalidData, format!("it is not UTF-8 at byte {byte}"))
    })?;
    match without_mark(&text) {
        unmarked if unmarked.len() == text.len() => Ok(text),
        unmarked => Ok(unmarked.to_owned()),
    }
}

/// The text without the byte order mark that some editors put in front of it, which would become a part of its first key.
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    mod files {
        use super::*;

        #[track_caller]
        fn check(bytes: &[u8], most: usize, expected: Result<&str, &str>) {
            let directory = tempfile::tempdir().expect("there is room");
            let path = directory.path().join("file");
            fs::write(&path, bytes).expect("there is room");
            let read = read(&path, most).map_err(|error| error.to_string());
            assert_eq!(read, expected.map(ToOwned::to_owned).map_err(ToOwned::to_owned));
        }

        #[test]
        fn lose_one_mark() {
            check("\u{feff}a".as_bytes(), 9, Ok("a"));
            check("\u{feff}\u{feff}a".as_bytes(), 9, Ok("\u{feff}a"));
            check("a\u{feff}".as_bytes(), 9, Ok("a\u{feff}"));
            check(b"", 0, Ok(""));
        }

        #[test]
        fn of_more_bytes_are_refused() {
            check("北京".as_bytes(), 6, Ok("北京"));
            check("北京".as_bytes(), 5, Err("it has more than 5 bytes"));
            check(b"\xff\xfea\0", 9, Err("it is not UTF-8 at byte 0"));
        }

        #[test]
        #[cfg(unix)]
        fn without_an_end_are_refused() {
            let error = read(Path::new("/dev/zero"), LARGEST_STORED).expect_err("it has no end");
            assert_eq!(error.to_string(), "it has more than 1048576 bytes");
        }
    }
}
