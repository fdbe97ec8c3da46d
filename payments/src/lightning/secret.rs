//! Secrets come from files that only their owner can read: never from the environment, never from the database.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Why there is no secret. Nothing of what is in the file is shown.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be read.
    #[error("{key}: the file {path} cannot be read: {error}")]
    Read {
        /// The configuration's key.
        key: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// Others than its owner could read it.
    #[error("{key}: the file {path} can be read by others (mode {mode:03o}); run chmod 600 on it")]
    Mode {
        /// The configuration's key.
        key: &'static str,
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It holds something else.
    #[error("{key}: the file {path} holds no {what}")]
    Other {
        /// The configuration's key.
        key: &'static str,
        /// Which.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
}

/// The longest secret: a macaroon has some hundred bytes.
const MAX: usize = 8_192;

/// What is in a file of its owner's alone (mode 0600 or less; systemd's credentials are 0400).
pub(crate) fn read(key: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let failed = |error| SecretError::Read { key, path: path.to_owned(), error };
    let mut file = std::fs::File::open(path).map_err(failed)?;
    // Of the file that was opened, not of whatever lies there a moment later.
    let meta = file.metadata().map_err(failed)?;
    let mode = std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretError::Mode { key, path: path.to_owned(), mode });
    }
    // Of one size: one that grows would leave copies behind.
    let mut bytes = Zeroizing::new(vec![0_u8; MAX]);
    let mut length = 0;
    while length < MAX {
        match file.read(&mut bytes[length..]).map_err(failed)? {
            0 => break,
            read => length += read,
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// One line of words.
#[cfg(any(feature = "ldk", test))]
pub(super) fn read_line(key: &'static str, path: &Path) -> Result<Zeroizing<String>, SecretError> {
    let bytes = read(key, path)?;
    let line = std::str::from_utf8(bytes.trim_ascii()).ok().filter(|line| !line.is_empty() && !line.contains('\n'));
    let line = line.ok_or_else(|| SecretError::Other { key, path: path.to_owned(), what: "line of text" })?;
    Ok(Zeroizing::new(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_its_owners_alone_and_no_error_shows_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mode = |mode| std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        std::fs::write(file.path(), "sesame\n").unwrap();
        for open in [0o644, 0o640, 0o604] {
            mode(open);
            let error = read("lightning.seed_file", file.path()).unwrap_err();
            assert!(matches!(error, SecretError::Mode { mode, .. } if mode == open), "{error}");
            assert!(error.to_string().contains("lightning.seed_file") && !error.to_string().contains("sesame"));
        }
        for own in [0o600, 0o400] {
            mode(own);
            assert_eq!(read_line("lightning.seed_file", file.path()).unwrap().as_str(), "sesame");
        }
        mode(0o600);
        std::fs::write(file.path(), "sesame\nsesame\n").unwrap();
        let error = read_line("lightning.seed_file", file.path()).unwrap_err();
        assert!(!error.to_string().contains("sesame"), "{error}");
        let error = read("lightning.seed_file", Path::new("/nowhere/seed")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/seed"), "{error}");
    }
}
