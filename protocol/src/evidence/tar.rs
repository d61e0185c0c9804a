//! The archive around the files of an evidence file: tar in the form of POSIX ustar, written one way only.
//!
//! Of a general archive an evidence file uses next to nothing: no links, owners, modes or times, and all of these are
//! doors for whoever wants two readers to see two things, or to write outside the folder. So it is written here, in the
//! one form that a list of files has, and what is in another form is not read. Any tar program unpacks it.

use super::{Files, MAX_ARCHIVE, MAX_FILE, MAX_FILES};

/// The folder that everything unpacks into.
const FOLDER: &str = "evidence/";
/// Header and content are filled up to a multiple of this.
const BLOCK: usize = 512;

/// Why bytes are not such an archive.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TarFlaw {
    /// It breaks off, or something stands behind its end.
    #[error("the archive is cut short, or goes on behind its end")]
    End,
    /// A header is not as we write it.
    #[error("not an archive as it was written (at byte {at}): was it packed anew?")]
    Form {
        /// Where.
        at: usize,
    },
    /// A file, their number or all of them together are beyond their bounds.
    #[error("the archive is beyond its bounds")]
    TooLarge,
}

/// The archive of these files, in the order of their names. Names are relative, at most 150 characters.
pub fn pack(files: &Files) -> Result<Vec<u8>, TarFlaw> {
    let is_long = |content: &Vec<u8>| content.len() > MAX_FILE;
    if files.len() > MAX_FILES || files.values().any(is_long) || packed_len(files) > MAX_ARCHIVE {
        return Err(TarFlaw::TooLarge);
    }
    let mut archive = Vec::with_capacity(packed_len(files));
    for (name, content) in files {
        let at = archive.len();
        archive.extend(header(name, content.len()).ok_or(TarFlaw::Form { at })?);
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.extend([0; 2 * BLOCK]);
    Ok(archive)
}

/// How long the archive of these files is, in bytes.
pub fn packed_len(files: &Files) -> usize {
    files.values().map(|content| BLOCK + content.len().next_multiple_of(BLOCK)).sum::<usize>() + 2 * BLOCK
}

/// The files of an archive that [`pack`] wrote.
pub fn unpack(archive: &[u8]) -> Result<Files, TarFlaw> {
    if archive.len() > MAX_ARCHIVE {
        return Err(TarFlaw::TooLarge);
    }
    let mut files = Files::new();
    let mut at = 0;
    loop {
        let head = archive.get(at..at + BLOCK).ok_or(TarFlaw::End)?;
        if head.iter().all(|byte| *byte == 0) {
            let ends = archive[at..].len() == 2 * BLOCK && archive[at..].iter().all(|byte| *byte == 0);
            return if ends { Ok(files) } else { Err(TarFlaw::End) };
        }
        let (name, length) = name_and_length(head).ok_or(TarFlaw::Form { at })?;
        if length > MAX_FILE || files.len() == MAX_FILES {
            return Err(TarFlaw::TooLarge);
        }
        // One list of files has one archive: every other byte of a header, and the order, follow from it.
        let in_order = files.last_key_value().is_none_or(|(before, _)| *before < name);
        if !in_order || header(&name, length).is_none_or(|header| header != head) {
            return Err(TarFlaw::Form { at });
        }
        let from = at + BLOCK;
        let content = archive.get(from..from + length).ok_or(TarFlaw::End)?;
        at = from + length.next_multiple_of(BLOCK);
        let filler = archive.get(from + length..at).ok_or(TarFlaw::End)?;
        if filler.iter().any(|byte| *byte != 0) {
            return Err(TarFlaw::Form { at: from + length });
        }
        files.insert(name, content.to_vec());
    }
}

/// A header block of POSIX ustar: a plain file, mode 0644, no owner, no time.
fn header(name: &str, length: usize) -> Option<[u8; BLOCK]> {
    let path = format!("{FOLDER}{name}");
    if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return None;
    }
    // A long path is parted at its last slash.
    let (prefix, name) = if path.len() > NAME { path.rsplit_once('/')? } else { ("", path.as_str()) };
    if name.len() > NAME || prefix.len() > PREFIX || !path.bytes().all(is_plain) {
        return None;
    }
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000644\x000000000\x000000000\0");
    put(124, format!("{length:011o}\0{:011o}\0", 0).as_bytes());
    put(148, b"        0");
    put(257, b"ustar\x0000");
    put(329, b"0000000\x000000000\0");
    put(345, prefix.as_bytes());
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Some(block)
}

/// What a header says of the file, as far as it can be told before the header is compared.
fn name_and_length(head: &[u8]) -> Option<(String, usize)> {
    let text = |from: usize, most: usize| {
        let field = head.get(from..from + most)?;
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(most);
        str::from_utf8(&field[..end]).ok()
    };
    let (name, prefix) = (text(0, NAME)?, text(345, PREFIX)?);
    let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
    let length = usize::from_str_radix(text(124, 12)?, 8).ok()?;
    Some((path.strip_prefix(FOLDER)?.to_owned(), length))
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'/')
}

/// The most characters of a name, and of the folders before it (POSIX ustar).
const NAME: usize = 100;
const PREFIX: usize = 155;

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        let long = format!("{}/log1/{}.tlog-proof", ["a"; 46].join("."), u64::MAX);
        [("README.txt", vec![b'x'; 513]), ("a/b", Vec::new()), (long.as_str(), vec![b'y'; BLOCK])]
            .map(|(name, content)| (name.to_owned(), content))
            .into()
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        assert_eq!(unpack(&pack(&files()).expect("small")), Ok(files()));
        assert_eq!(unpack(&pack(&Files::new()).expect("small")), Ok(Files::new()));
    }

    #[test]
    fn a_list_of_files_has_one_archive() {
        let archive = pack(&files()).expect("small");
        assert_eq!(archive.len(), packed_len(&files()));
        for at in 0..archive.len() {
            for bit in [1, 0x80] {
                let mut other = archive.clone();
                other[at] ^= bit;
                assert_ne!(unpack(&other), Ok(files()), "byte {at}");
                // And what can be read at all is what it would be written as.
                if let Ok(read) = unpack(&other) {
                    assert_eq!(pack(&read).as_deref(), Ok(other.as_slice()), "byte {at}");
                }
            }
        }
        for cut in 0..archive.len() {
            assert!(unpack(&archive[..cut]).is_err(), "{cut}");
        }
        assert_eq!(unpack(&[archive.as_slice(), &[0]].concat()), Err(TarFlaw::End));
        assert_eq!(unpack(&[archive.as_slice(), archive.as_slice()].concat()), Err(TarFlaw::End));
    }

    #[test]
    fn names_out_of_order_twice_or_beyond_the_folder_are_refused() {
        let one = |name: &str| {
            let mut block = header(name, 0).expect("a good name").to_vec();
            block.resize(BLOCK, 0);
            block
        };
        let end = [0; 2 * BLOCK];
        assert!(unpack(&[one("a"), one("b"), end.to_vec()].concat()).is_ok());
        for names in [["b", "a"], ["a", "a"]] {
            let archive = [one(names[0]), one(names[1]), end.to_vec()].concat();
            assert_eq!(unpack(&archive), Err(TarFlaw::Form { at: BLOCK }));
        }
        for bad in ["", "/a", "a/", "a//b", "../a", "a/./b", "a b", "ä", "a\\b", &"x".repeat(101)] {
            assert!(pack(&[(bad.to_owned(), Vec::new())].into()).is_err(), "{bad}");
        }
        let outside = String::from_utf8(one("a")).expect("text").replacen("evidence/a", "elsewhere/", 1);
        assert_eq!(unpack(&[outside.as_bytes(), &end].concat()), Err(TarFlaw::Form { at: 0 }));
    }

    #[test]
    fn there_are_bounds() {
        let large = [("a".to_owned(), vec![0; MAX_FILE + 1])].into();
        assert_eq!(pack(&large), Err(TarFlaw::TooLarge));
        let many = (0..=MAX_FILES).map(|n| (n.to_string(), Vec::new())).collect();
        assert_eq!(pack(&many), Err(TarFlaw::TooLarge));
        let claimed = header("a", MAX_FILE + 1).expect("a good name");
        assert_eq!(unpack(&claimed), Err(TarFlaw::TooLarge));
    }
}
