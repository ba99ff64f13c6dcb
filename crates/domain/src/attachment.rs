//! Files that come with an application: which kinds there are, and what a file is by its content.

use std::fmt;

use crate::{enums::text_enum, reason::Reason};

/// Most files of one application.
pub const ATTACHMENTS_MAX: usize = 10;

text_enum! {
    /// What a file is to an application.
    pub enum AttachmentKind {
        /// The paper that is to be confirmed.
        ExistingDocument = "EXISTING_DOCUMENT",
        /// The document itself for which a validity code is asked.
        Document = "DOCUMENT",
        /// Identity card or birth certificate.
        IdentityDocument = "IDENTITY_DOCUMENT",
        /// The student's photograph.
        Photo = "PHOTO",
        /// Proof of a previous degree level.
        PriorQualification = "PRIOR_QUALIFICATION",
        /// Any other file.
        Other = "OTHER",
    }
}

text_enum! {
    /// What a file is, by its bytes.
    pub enum MediaType {
        /// A JPEG picture.
        Jpeg = "JPEG",
        /// A PDF document.
        Pdf = "PDF",
    }
}

impl MediaType {
    /// Largest file of the type, in bytes: 300 kB and 2 MB.
    #[must_use]
    pub const fn max_bytes(self) -> usize {
        match self {
            Self::Jpeg => 300_000,
            Self::Pdf => 2_000_000,
        }
    }

    /// What a whole file is. Names and claims of the sender do not count; a file that is cut off is nothing.
    ///
    /// # Errors
    ///
    /// [`Reason::AttachmentType`].
    pub fn judge(file: &[u8]) -> Result<Self, Reason> {
        if is_jpeg(file) {
            Ok(Self::Jpeg)
        } else if is_pdf(file) {
            Ok(Self::Pdf)
        } else {
            Err(Reason::AttachmentType)
        }
    }

    /// What a file that begins so can become at most, so that one too large is refused before all of it is there.
    #[must_use]
    pub fn may_become(beginning: &[u8]) -> Self {
        if beginning.starts_with(&JPEG_START) {
            Self::Jpeg
        } else {
            Self::Pdf
        }
    }
}

/// Start of image, and the first byte of the next marker (ITU-T T.81, B.1.1.3).
const JPEG_START: [u8; 3] = [0xff, 0xd8, 0xff];

/// Walks the segments up to the scan: there must be a frame before it and an end of image behind it.
fn is_jpeg(file: &[u8]) -> bool {
    let mut frame = false;
    let mut at = 2;
    if !file.starts_with(&JPEG_START) {
        return false;
    }
    loop {
        let Some(&[0xff, marker]) = file.get(at..at + 2) else {
            return false;
        };
        match marker {
            // a fill byte before a marker
            0xff => at += 1,
            // start of scan
            0xda => return frame && file[at..].windows(2).any(|pair| pair == [0xff, 0xd9]),
            // markers without a segment have no place here
            0x00 | 0x01 | 0xd0..=0xd9 => return false,
            _ => {
                // frames, but not tables of Huffman codes, arithmetic conditioning or what is reserved
                frame |= matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
                let Some(&[high, low]) = file.get(at + 2..at + 4) else {
                    return false;
                };
                at += 2 + usize::from(u16::from_be_bytes([high, low]));
            }
        }
    }
}

/// The version in front and the end of file in the last kilobyte, as readers look for it (ISO 32000-1, 7.5 and annex H).
fn is_pdf(file: &[u8]) -> bool {
    let version = |file: &[u8]| {
        let rest = file.strip_prefix(b"%PDF-");
        matches!(rest, Some([b'1' | b'2', b'.', b'0'..=b'9', ..]))
    };
    let tail = &file[file.len().saturating_sub(1024)..];
    version(file) && tail.windows(5).any(|window| window == b"%%EOF")
}

/// SHA-256 of a file: its address, and all that is authoritative about it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileDigest([u8; 32]);

impl FileDigest {
    /// The digest with this value.
    #[must_use]
    pub const fn new(sha256: [u8; 32]) -> Self {
        Self(sha256)
    }

    /// Reads 64 hexadecimal digits of lower case.
    ///
    /// # Errors
    ///
    /// [`Reason::FieldFormat`].
    pub fn parse(text: &str) -> Result<Self, Reason> {
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(Reason::FieldFormat),
        };
        if text.len() != 64 {
            return Err(Reason::FieldFormat);
        }
        let mut sha256 = [0; 32];
        for (byte, pair) in sha256.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = value(pair[0])? << 4 | value(pair[1])?;
        }
        Ok(Self(sha256))
    }
}

/// 64 hexadecimal digits of lower case.
impl fmt::Display for FileDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for FileDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A file of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attachment {
    /// What it is to the application.
    pub kind: AttachmentKind,
    /// The file.
    pub file: FileDigest,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The smallest file with the structure of a baseline JPEG.
    pub(crate) const JPEG: &[u8] = &[
        0xff, 0xd8, 0xff, 0xe0, 0, 4, b'J', b'F', 0xff, 0xc0, 0, 3, 8, 0xff, 0xda, 0, 2, 7, 0xff,
        0xd9,
    ];
    const PDF: &[u8] = b"%PDF-1.7\n1 0 obj\nendobj\n%%EOF\n";

    #[test]
    fn a_file_is_what_its_bytes_are() {
        assert_eq!(MediaType::judge(JPEG), Ok(MediaType::Jpeg));
        assert_eq!(MediaType::judge(PDF), Ok(MediaType::Pdf));
        let cut = |file: &[u8], bytes: usize| file[..file.len() - bytes].to_vec();
        let no_frame = [&JPEG[..8], &JPEG[13..]].concat();
        for (wrong, what) in [
            (Vec::new(), "nothing"),
            (b"\x89PNG\r\n\x1a\n".to_vec(), "a PNG"),
            (b"GIF89a".to_vec(), "a GIF"),
            (b"MZ\x90\0".to_vec(), "a program"),
            (b"<html>%PDF-1.7 %%EOF".to_vec(), "a page"),
            (b"PK\x03\x04".to_vec(), "an archive"),
            (cut(JPEG, 2), "a JPEG without an end"),
            (cut(JPEG, 12), "a JPEG cut off in a segment"),
            (no_frame, "a JPEG without a frame"),
            (vec![0xff, 0xd8, 0xff], "only the start of a JPEG"),
            (cut(PDF, 6), "a PDF without an end"),
            (b"%PDF-x.7 %%EOF".to_vec(), "a PDF of no version"),
        ] {
            assert_eq!(
                MediaType::judge(&wrong),
                Err(Reason::AttachmentType),
                "{what}"
            );
        }
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_judged_without_a_panic() {
        for end in 0..JPEG.len() {
            assert!(MediaType::judge(&JPEG[..end]).is_err());
            for at in 0..JPEG.len() {
                let mut file = JPEG.to_vec();
                file[at] ^= 0xff;
                file.truncate(end);
                assert!(MediaType::judge(&file).is_err());
            }
        }
    }

    #[test]
    fn each_type_has_its_size() {
        assert_eq!(MediaType::Jpeg.max_bytes(), 300_000);
        assert_eq!(MediaType::Pdf.max_bytes(), 2_000_000);
        assert_eq!(MediaType::may_become(&JPEG[..3]), MediaType::Jpeg);
        assert_eq!(MediaType::may_become(b"anything else"), MediaType::Pdf);
    }

    #[test]
    fn a_digest_is_64_small_hexadecimal_digits() {
        let text = "00ff".repeat(16);
        assert_eq!(FileDigest::parse(&text).unwrap().to_string(), text);
        for wrong in [
            "",
            "00",
            &"00FF".repeat(16),
            &"0g".repeat(32),
            &format!("{text}0"),
        ] {
            assert_eq!(
                FileDigest::parse(wrong),
                Err(Reason::FieldFormat),
                "{wrong}"
            );
        }
    }
}
