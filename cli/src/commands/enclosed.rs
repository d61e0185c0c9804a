//! What goes with a message: photographs and documents are put into our node first, and fetched from it.

use std::path::{Path, PathBuf};

use liaison_protocol::attachment::{Attachment, MAX_LENGTH, View};
use liaison_protocol::operator::{AttachmentView, Enclosed, ExchangeView};

use super::files::read_as;
use super::{Error, Reply, write_new};
use crate::args::EnclosedArgs;
use crate::client::{Client, Method, Segment};
use crate::render;

/// A photograph or document as it was read, not put into the node yet.
pub(super) struct Read {
    name: String,
    view: Option<View>,
    media_type: &'static str,
    content: Vec<u8>,
}

/// Everything that was named, read and checked: nothing is put into the node before the rest is known to be right.
pub(super) struct ToEnclose {
    files: Vec<Read>,
    persons: Vec<liaison_protocol::attachment::Person>,
}

impl ToEnclose {
    /// Read what was named.
    pub(super) fn read(typed: &EnclosedArgs) -> Result<Self, Error> {
        let mut files = Vec::new();
        for named in &typed.photos {
            let (view, path) = photo(named);
            let read = read_file(&path, view)?;
            if !read.media_type.starts_with("image/") {
                return Err(Error::Unusable(format!(
                    "{} is no photograph by its name: name it .jpg, .png or as what it is, or give it with --document",
                    path.display()
                )));
            }
            files.push(read);
        }
        for path in &typed.documents {
            files.push(read_file(path, None)?);
        }
        let persons = typed.persons.iter().map(|path| read_as(path, "person")).collect::<Result<_, _>>()?;
        Ok(Self { files, persons })
    }

    /// How many photographs there are.
    pub(super) fn photos(&self) -> usize {
        self.files.iter().filter(|file| file.media_type.starts_with("image/")).count()
    }

    /// Put the files into the node.
    pub(super) fn put(self, client: &Client) -> Result<Enclosed, Error> {
        let put = |file: Read| {
            let mut path = format!("/v1/attachments?name={}", Segment(&file.name));
            if let Some(view) = file.view {
                path += &format!("&view={view}");
            }
            let done =
                client.upload::<Attachment>(Method::Put, &path, file.media_type, &file.content, None)?;
            if done.view.is_of(&file.content) {
                Ok(done.view)
            } else {
                Err(Error::No(format!("the node holds something else than {}: nothing was sent", file.name)))
            }
        };
        let attachments = self.files.into_iter().map(put).collect::<Result<_, Error>>()?;
        Ok(Enclosed { attachments, persons: self.persons, ..Enclosed::default() })
    }
}

/// `MARK:close-up.jpg` is a close-up of a mark.
fn photo(named: &Path) -> (Option<View>, PathBuf) {
    let text = named.to_string_lossy();
    if let Some((view, path)) = text.split_once(':')
        && let Ok(view) = view.parse()
    {
        return (Some(view), path.into());
    }
    (None, named.to_owned())
}

fn read_file(path: &Path, view: Option<View>) -> Result<Read, Error> {
    let content = std::fs::read(path).map_err(|why| Error::File { path: path.to_owned(), why })?;
    if !(1..=MAX_LENGTH).contains(&(content.len() as u64)) {
        let (path, most) = (path.display(), MAX_LENGTH >> 20);
        return Err(Error::Unusable(format!(
            "{path} has {} bytes: from 1 byte to {most} MiB",
            content.len()
        )));
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Read { media_type: media_type(path), name, view, content })
}

fn media_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let known = MEDIA_TYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(extension));
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}

/// Fetch an attachment, and write it only if it is the one that the message names.
pub(super) fn fetch(client: &Client, id: &str, digest: Option<&str>, out: &Path) -> Result<Reply, Error> {
    let exchange: ExchangeView = client.get(&format!("/v1/exchanges/{}", Segment(id)), &[])?.view;
    let named = choose(&exchange, digest)?;
    if !named.here {
        let why = named.trouble.as_deref().unwrap_or("it has not arrived yet");
        return Err(Error::No(format!("{} is pending: {why}", named.attachment.name)));
    }
    let digest = named.attachment.digest.to_string();
    let path = format!("/v1/exchanges/{}/attachments/{}", exchange.summary.id, Segment(&digest));
    let content = client.bytes(&path)?;
    if !named.attachment.is_of(&content) {
        return Err(Error::No(format!(
            "what the node holds is not the {} that the message names: nothing was written",
            named.attachment.name
        )));
    }
    write_new(out, &content)?;
    let text = format!("{}: {}\n", out.display(), render::attachment(named));
    Ok(Reply::new(text, serde_json::to_value(named).expect("the types of the API have string keys")))
}

fn choose<'a>(exchange: &'a ExchangeView, digest: Option<&str>) -> Result<&'a AttachmentView, Error> {
    let all: Vec<_> = exchange.timeline.iter().flat_map(|item| &item.attachments).collect();
    let is_meant = |view: &&&AttachmentView| match digest {
        None => true,
        Some(digest) => digest.len() >= 6 && view.attachment.digest.to_string().starts_with(digest),
    };
    match all.iter().filter(is_meant).collect::<Vec<_>>().as_slice() {
        [one] => Ok(one),
        [] if all.is_empty() => Err(Error::No("nothing is attached in this exchange".to_owned())),
        _ => {
            let list: Vec<_> = all.iter().map(|view| format!("\n  {}", render::attachment(view))).collect();
            Err(Error::Unusable(format!(
                "name one of these by its digest, or the first 6 characters of it or more:{}",
                list.concat()
            )))
        }
    }
}

/// By the ending of a file's name.
const MEDIA_TYPES: [(&str, &str); 14] = [
    ("avif", "image/avif"),
    ("csv", "text/csv"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("gif", "image/gif"),
    ("heic", "image/heic"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("txt", "text/plain"),
    ("webp", "image/webp"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::node;
    use crate::render::tests::{attachment_of, exchange_view};

    #[test]
    fn a_photograph_is_put_into_the_node_before_it_is_spoken_of() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("frame left.jpg");
        std::fs::write(&path, b"a picture").expect("a file");
        let typed =
            EnclosedArgs { photos: vec![format!("MARK:{}", path.display()).into()], ..Default::default() };
        let read = ToEnclose::read(&typed).expect("it is there");
        assert_eq!(read.photos(), 1);
        let body = serde_json::to_string(&attachment_of(b"a picture")).expect("serialises");
        let (client, node) = node(vec![("200 OK", body)]);
        let enclosed = read.put(&client).expect("the node takes it");
        assert_eq!(enclosed.attachments, [attachment_of(b"a picture")]);
        let asked = &node.join().expect("the node ends")[0];
        assert!(
            asked.starts_with("PUT /v1/attachments?name=frame%20left.jpg&view=MARK HTTP/1.1\r\n"),
            "{asked}"
        );
        assert!(asked.to_ascii_lowercase().contains("content-type: image/jpeg\r\n"), "{asked}");
        assert!(asked.ends_with("\r\n\r\na picture"), "{asked}");
    }

    #[test]
    fn a_photograph_is_one_by_its_name_and_nothing_is_empty() {
        let folder = tempfile::tempdir().expect("a folder");
        let why = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).expect("a file");
            let typed = EnclosedArgs { photos: vec![path], ..Default::default() };
            ToEnclose::read(&typed).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert!(why("list.pdf", b"%PDF").contains("is no photograph by its name"));
        assert!(why("empty.jpg", b"").contains("has 0 bytes"));
        assert_eq!(why("a.JPG", b"x"), "");
    }

    #[test]
    fn what_is_fetched_is_written_only_if_it_is_what_the_message_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("photo.jpg");
        let mut view = exchange_view();
        let mut attached = serde_json::to_value(attachment_of(b"a picture")).expect("serialises");
        attached["here"] = true.into();
        view.timeline[0].attachments = vec![serde_json::from_value(attached).expect("an attachment")];
        let fetch = |view: &ExchangeView, content: &str| {
            let view = serde_json::to_string(view).expect("serialises");
            let mut answers = vec![("200 OK", view)];
            if !content.is_empty() {
                answers.push(("200 OK", content.to_owned()));
            }
            let (client, node) = node(answers);
            let fetched = fetch(&client, "abcdef", None, &out).map(|reply| reply.text);
            (fetched.map_err(|error| error.to_string()), node.join().expect("the node ends"))
        };
        let (wrong, _) = fetch(&view, "another picture");
        assert!(wrong.expect_err("another").contains("is not the photo.jpg"), "nothing is written");
        assert!(!out.exists());
        let (right, asked) = fetch(&view, "a picture");
        assert!(right.expect("the one").contains("photo.jpg"));
        assert!(asked[1].contains("/attachments/"), "{}", asked[1]);
        assert_eq!(std::fs::read(&out).expect("written"), b"a picture");
        view.timeline[0].attachments[0].here = false;
        assert!(fetch(&view, "").0.expect_err("not here").contains("pending"));
    }
}
