//! Reading PEM files strictly, and noticing that they changed.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::MetadataExt,
    path::Path,
};

use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
    pem::{PemObject, SectionKind},
};

use super::{TlsError, TlsFiles};

/// Every certificate of a file; at least one, and nothing else.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let sections = sections(path, SectionKind::Certificate, "certificate")?;
    Ok(sections.into_iter().map(CertificateDer::from).collect())
}

/// Every revocation list of a file; at least one, and nothing else.
pub(super) fn crls(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let sections = sections(path, SectionKind::Crl, "revocation list")?;
    Ok(sections
        .into_iter()
        .map(CertificateRevocationListDer::from)
        .collect())
}

/// The first private key of a file which only its owner may access.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let file = File::open(path).map_err(failed(path))?;
    let mode = file.metadata().map_err(failed(path))?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(TlsError::KeyMode {
            path: path.to_owned(),
            mode,
        });
    }
    // The PEM error is not kept: it may quote lines of the file.
    PrivateKeyDer::pem_reader_iter(file)
        .next()
        .ok_or_else(|| TlsError::Empty {
            path: path.to_owned(),
            expected: "private key",
        })?
        .map_err(|_| TlsError::Pem {
            path: path.to_owned(),
        })
}

/// The PEM library skips what it does not look for, which turns a typing error in a label into a missing
/// authority: here everything in the file must be what is looked for.
fn sections(
    path: &Path,
    kind: SectionKind,
    expected: &'static str,
) -> Result<Vec<Vec<u8>>, TlsError> {
    let mut pem = Vec::new();
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut pem))
        .map_err(failed(path))?;
    let mut found = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(&pem) {
        match section {
            Ok((section, der)) if section == kind => found.push(der),
            Ok(_) => {
                return Err(TlsError::Foreign {
                    path: path.to_owned(),
                    expected,
                });
            }
            Err(_) => {
                return Err(TlsError::Pem {
                    path: path.to_owned(),
                });
            }
        }
    }
    let begun = pem
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .filter(|line| line.starts_with(b"-----BEGIN"))
        .count();
    match found.len() {
        n if n != begun => Err(TlsError::Foreign {
            path: path.to_owned(),
            expected,
        }),
        0 => Err(TlsError::Empty {
            path: path.to_owned(),
            expected,
        }),
        _ => Ok(found),
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> TlsError {
    let path = path.to_owned();
    move |source| TlsError::Read { path, source }
}

/// What tells one version of the files from another without reading them.
///
/// The inode notices a rename, the change time also a corrected mode or owner; a missing file is a version too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<[i128; 4]>>);

impl Stamp {
    pub(super) fn of(files: &TlsFiles) -> Stamp {
        let single = [&files.certificate, &files.key, &files.client_ca];
        Stamp(
            single
                .into_iter()
                .chain(&files.crls)
                .map(|path| fs::metadata(path).ok().as_ref().map(version))
                .collect(),
        )
    }
}

fn version(file: &fs::Metadata) -> [i128; 4] {
    let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    [
        i128::from(file.ino()),
        i128::from(file.size()),
        nanos(file.mtime(), file.mtime_nsec()),
        nanos(file.ctime(), file.ctime_nsec()),
    ]
}
