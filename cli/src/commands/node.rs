//! `liaison node`: our own node and its key sets.

use std::path::Path;

use liaison_protocol::operator::{InstallRequest, NodeView};

use super::{Error, Reply, read_text, write_new};
use crate::args::NodeCommand;
use crate::client::{Answered, Client, Method};
use crate::render;

pub(super) fn run(client: &Client, command: Option<NodeCommand>, qr: bool) -> Result<Reply, Error> {
    match command {
        None => {
            let node: Answered<NodeView> = client.get("/v1/node", &[])?;
            let fingerprint = node.view.fingerprint.clone();
            Ok(Reply::of(node, render::node).with_qr(qr, &fingerprint))
        }
        Some(NodeCommand::InstallKeySet { file }) => install(client, &file),
        Some(NodeCommand::KeySets { out }) => {
            let node: Answered<NodeView> = client.get("/v1/node", &[])?;
            match out {
                None => Ok(Reply::of(node, |node| node.key_sets.clone())),
                Some(path) => {
                    write_new(&path, &node.view.key_sets)?;
                    Ok(Reply::of(node, |node| {
                        let path = path.display();
                        format!(
                            "{path}: hand it to your peers, and tell them by another way\n{}\n",
                            node.fingerprint
                        )
                    }))
                }
            }
        }
    }
}

fn install(client: &Client, file: &Path) -> Result<Reply, Error> {
    let text = read_text(file)?;
    let Some(last) = text.lines().rfind(|line| !line.trim().is_empty()) else {
        return Err(Error::Unusable(format!("{} is empty: it should have a key set", file.display())));
    };
    let request = InstallRequest { key_set: last.to_owned() };
    Ok(Reply::of(client.send(Method::Post, "/v1/node/key-sets", &request, None)?, render::node))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::node;

    #[test]
    fn the_last_line_of_a_key_set_file_is_put_in_force() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key-sets");
        std::fs::write(&file, "\"first\"\n\"second\"\n\n").expect("a new file");
        let body = serde_json::to_string(&render::tests::node_view()).expect("serialises");
        let (client, node) = node(vec![("200 OK", body)]);
        let reply = install(&client, &file).expect("the node takes it");
        assert!(reply.text.contains("version 2"), "{}", reply.text);
        let asked = &node.join().expect("the node ends")[0];
        assert!(asked.ends_with("\r\n\r\n{\"key_set\":\"\\\"second\\\"\"}"), "{asked}");
        std::fs::write(&file, "\n").expect("the file");
        assert_eq!(install(&client, &file).map_err(|error| error.exit_code()).err(), Some(2));
    }
}
