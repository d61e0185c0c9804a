//! The photographs: put into Serbia's node, named by its request with their digests, and fetched by whoever is asked.

use std::time::Instant;

use liaison_protocol::attachment::Attachment;
use liaison_protocol::operator::{AttachmentView, Enclosed};

use super::{DemoError, Office, Story, Told, expect, millis, say};

/// The two pictures, drawn for the story: what each is called, what it shows, and its content.
const PICTURES: [(&str, &str, &[u8]); 2] = [
    ("pistol-left.png", "LEFT", include_bytes!("../../demo/pistol-left.png")),
    ("pistol-mark.png", "MARK", include_bytes!("../../demo/pistol-mark.png")),
];

impl Story {
    /// Put the pictures into Serbia's node: what its requests enclose from now on.
    pub(super) fn photographs(&self) -> Result<Enclosed, DemoError> {
        let mut enclosed = Enclosed::default();
        for (name, view, content) in PICTURES {
            let path = format!("/v1/attachments?name={name}&view={view}");
            enclosed.attachments.push(self.serbia.put::<Attachment>(&path, "image/png", content)?);
        }
        say("Serbia", "takes two photographs: the pistol from the left, and the worn mark beside a scale");
        Ok(enclosed)
    }

    /// Wait until the pictures of an exchange are at `office`, and see that they are those that were taken.
    pub(super) fn look_at_photographs(&self, office: &Office, id: &str) -> Told {
        let began = Instant::now();
        let pictures =
            |views: &[AttachmentView]| views.iter().filter(|view| view.here).count() == PICTURES.len();
        let view = office.wait_for(id, "the photographs", |view| {
            view.timeline.first().is_some_and(|request| pictures(&request.attachments))
        })?;
        let shown = view.timeline.first().map(|request| request.attachments.as_slice()).unwrap_or_default();
        for (shown, (name, _, content)) in shown.iter().zip(PICTURES) {
            let digest = shown.attachment.digest;
            let fetched = office.fetch(&format!("/v1/exchanges/{id}/attachments/{digest}"))?;
            let same = if fetched == content { name } else { "another picture" };
            expect("what was fetched", name, same)?;
        }
        let bytes: usize = PICTURES.iter().map(|(_, _, content)| content.len()).sum();
        say(
            office.name,
            &format!(
                "fetches both, {} KB: they are what the signed request names, bit by bit   {}",
                bytes.div_ceil(1000),
                millis(began)
            ),
        );
        Ok(())
    }
}
