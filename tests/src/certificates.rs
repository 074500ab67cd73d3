//! Certificates that only tests trust.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

/// An authority, and a certificate of it for `localhost`. Dropping them deletes their files.
#[derive(Debug)]
pub struct Certificates {
    directory: TempDir,
}

impl Certificates {
    /// Makes them.
    ///
    /// # Errors
    /// When `openssl` is missing.
    pub fn make() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let authority = [
            "-subj",
            "/CN=authority of a test",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        ];
        openssl(directory.path(), &authority)?;
        let server = ["-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.pem"];
        let signed = ["-CA", "ca.pem", "-CAkey", "ca.key"];
        let extensions = [
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
        ];
        openssl(directory.path(), &[&server[..], &signed, &extensions].concat())?;
        Ok(Self { directory })
    }

    /// Returns where `ca.pem`, `server.pem` and `server.key` are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the certificate of the authority.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Issues a further certificate, for these names (`DNS:localhost,IP:::1`), and returns it with its key.
    ///
    /// # Errors
    /// When `openssl` is missing.
    pub fn issue(&self, subject: &str, names: &str, validity: Validity) -> anyhow::Result<Issued> {
        let directory = self.directory.path();
        let file = |end: &str| format!("{subject}.{end}");
        let request = [
            "-new",
            "-subj",
            &format!("/CN={subject}"),
            "-keyout",
            &file("key"),
            "-out",
            &file("csr"),
        ];
        run(directory, &[&["req"], KEY, &request[..]].concat())?;
        let extensions = format!("basicConstraints=critical,CA:FALSE\nsubjectAltName={names}\n");
        std::fs::write(directory.join(file("ext")), extensions)?;
        let days = match validity {
            Validity::TwoDays => "2",
            Validity::Expired => "-1",
        };
        let sign = ["x509", "-req", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", days];
        let files = ["-in", &file("csr"), "-extfile", &file("ext"), "-out", &file("pem")];
        run(directory, &[&sign[..], &files[..]].concat())?;
        Ok(Issued {
            certificate: directory.join(file("pem")),
            key: directory.join(file("key")),
        })
    }
}

/// How long a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// From now on.
    TwoDays,
    /// It ended yesterday.
    Expired,
}

/// A certificate and its key, in PEM files.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A new key that no passphrase protects.
const KEY: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/// A key and a certificate for it.
fn openssl(directory: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    run(directory, &[&["req", "-x509", "-days", "2"], KEY, arguments].concat())
}

fn run(directory: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("openssl")
        .current_dir(directory)
        .args(arguments)
        .output()
        .context("cannot run openssl")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "openssl: {said}");
    Ok(())
}
